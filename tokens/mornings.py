"""When the daily mail goes: at eight in the morning where its reader lives."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

MORNING = time(8)


def next_morning(now: datetime, zone: ZoneInfo) -> datetime:
    """The next eight o'clock on the clocks of a zone, after `now`; clocks that are put forward or back do not move it."""
    day = now.astimezone(zone).date()
    return next(
        morning
        for morning in (
            datetime.combine(day + timedelta(days=off), MORNING, zone).astimezone(UTC)
            for off in (0, 1, 2)
        )
        if morning > now
    )
