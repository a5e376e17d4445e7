"""The portal's calendar."""

from datetime import date
from zoneinfo import ZoneInfo

from django.conf import settings

from tokens.models import Holiday
from tokens.working_days import Calendar


def calendar() -> Calendar:
    """The calendar as it is now: WORKING_DAYS less the holidays that admins have entered, in TIME_ZONE."""
    return Calendar(
        frozenset(settings.WORKING_DAYS),
        frozenset(Holiday.objects.values_list("day", flat=True)),
        ZoneInfo(settings.READERS_TIME_ZONE),
    )


def holidays_from(day: date) -> list[Holiday]:
    """The holidays that are not over, the next one first."""
    return list(Holiday.objects.filter(day__gte=day).order_by("day"))


def holiday_by_id(pk: int) -> Holiday | None:
    """One holiday."""
    return Holiday.objects.filter(pk=pk).first()
