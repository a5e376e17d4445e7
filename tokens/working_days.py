"""When is a span of working days over? Days that are not worked do not count. Pure: days, zone and `start` are given."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Calendar:
    """The weekdays that are worked (at least one), the days that are not all the same, and where they begin."""

    weekdays: frozenset[str]
    holidays: Collection[date]
    zone: ZoneInfo

    def is_worked(self, day: date) -> bool:
        """Whether anybody is expected to decide on that day."""
        return WEEKDAYS[day.weekday()] in self.weekdays and day not in self.holidays

    def later(self, start: datetime, span: timedelta) -> datetime:
        """The moment so much working time after `start`, by the clocks on the wall: days not worked are left out.

        From a day that is not worked it counts from the next one that is. Three days from Friday at three are
        Wednesday at three.
        """
        at, left = start.astimezone(self.zone).replace(tzinfo=None), span
        while True:
            tomorrow = datetime.combine(at.date() + A_DAY, time())
            if self.is_worked(at.date()):
                if at + left <= tomorrow:
                    return (at + left).replace(tzinfo=self.zone).astimezone(UTC)
                left -= tomorrow - at
            at = tomorrow
