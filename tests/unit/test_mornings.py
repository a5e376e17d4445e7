"""Eight in the morning, on the clocks of whoever reads, whatever is done to these clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens.mornings import next_morning

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@pytest.mark.parametrize(
    ("now", "morning"),
    [
        ("2026-11-23T06:59:00", "2026-11-23T07:00:00"),
        ("2026-11-23T07:00:00", "2026-11-24T07:00:00"),
        ("2026-11-23T23:30:00", "2026-11-24T07:00:00"),
        ("2026-03-28T12:00:00", "2026-03-29T06:00:00"),  # clocks went forward that night
        ("2026-10-24T12:00:00", "2026-10-25T07:00:00"),  # and back that one
    ],
)
def test_it_is_the_next_eight_oclock_there(now, morning):
    found = next_morning(datetime.fromisoformat(now).replace(tzinfo=UTC), AMSTERDAM)
    assert found == datetime.fromisoformat(morning).replace(tzinfo=UTC)


@given(
    now=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    name=st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})),
)
def test_everywhere_it_is_ahead_within_a_day_and_a_bit_and_reads_eight(now, name):
    zone = ZoneInfo(name)
    morning = next_morning(now, zone)
    assert timedelta(0) < morning - now <= timedelta(hours=49)
    assert morning.astimezone(zone).hour == 8
