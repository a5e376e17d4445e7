"""Lists, spans and days as words."""

from datetime import datetime, timedelta

from django.conf import settings

from tokens.working_days import WEEKDAYS


def one_of(names: list[str]) -> str:
    """ "A, B or C"."""
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def all_of(names: list[str]) -> str:
    """ "A, B and C"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def days_words(days: int) -> str:
    """ "1 day", "90 days"."""
    return "1 day" if days == 1 else f"{days} days"


def time_off(moment: datetime, now: datetime) -> str:
    """How far off a moment is: "in 5 min", "1 h 30 min ago"."""
    off = moment - now
    if abs(off) < timedelta(minutes=1):
        return "just now" if off <= timedelta(0) else "in under a minute"
    words = _rough(abs(off))
    return f"in {words}" if off > timedelta(0) else f"{words} ago"


def _rough(size: timedelta) -> str:
    """One unit is enough for what lies days off; within a day the minutes count."""
    if size >= timedelta(days=2):
        return days_words(size.days)
    minutes = int(size.total_seconds()) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


NAMES = dict(
    zip(
        WEEKDAYS,
        ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"),
        strict=True,
    )
)


def weekdays_words() -> str:
    """ "Mondays, Tuesdays and Fridays"."""
    return all_of([NAMES[day] for day in WEEKDAYS if day in settings.WORKING_DAYS])


def span_words(span: timedelta) -> str:
    """ "3 working days"; of a span under a day, or where every day is worked, just how long it is."""
    days = span.days
    if not days:
        return f"{int(span.total_seconds())} seconds"
    what = "day" if len(settings.WORKING_DAYS) == len(WEEKDAYS) else "working day"
    return f"{days} {what}" if days == 1 else f"{days} {what}s"
