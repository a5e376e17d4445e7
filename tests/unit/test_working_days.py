"""Spans of working days: what is left out, and that clocks never run backwards."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens.working_days import WEEKDAYS, Calendar

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
CHRISTMAS = date(2026, 12, 25)
WEEK = Calendar(frozenset({"mon", "tue", "wed", "thu", "fri"}), {CHRISTMAS}, AMSTERDAM)
ALWAYS = Calendar(frozenset(WEEKDAYS), (), ZoneInfo("UTC"))
calendars = st.builds(
    Calendar,
    st.frozensets(st.sampled_from(WEEKDAYS), min_size=1),
    st.sets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=20),
    st.sampled_from([AMSTERDAM, ZoneInfo("UTC"), ZoneInfo("America/New_York")]),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))
spans = st.timedeltas(timedelta(seconds=1), timedelta(days=10))


def at(words: str) -> datetime:
    return datetime.fromisoformat(words).replace(tzinfo=AMSTERDAM)


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-11-23 15:00", 3, "2026-11-26 15:00"),
        ("2026-11-27 15:00", 3, "2026-12-02 15:00"),
        ("2026-11-28 15:00", 3, "2026-12-03 00:00"),
        ("2026-12-24 09:00", 3, "2026-12-30 09:00"),
        ("2026-10-23 09:00", 3, "2026-10-28 09:00"),  # clocks go back in between
        ("2026-11-23 23:30", 5, "2026-11-30 23:30"),
    ],
)
def test_days_that_are_not_worked_do_not_count(start, days, end):
    assert WEEK.later(at(start), timedelta(days=days)) == at(end)


@given(moments, spans)
def test_where_every_day_is_worked_it_is_just_later(start, span):
    assert ALWAYS.later(start, span) == start + span


@given(calendars, moments, spans)
def test_an_end_is_no_earlier_than_without_a_calendar_but_for_clocks_that_change(
    calendar, start, span
):
    end = calendar.later(start, span)
    assert end >= start + span - timedelta(hours=1)
    last_worked = (end - timedelta(microseconds=1)).astimezone(calendar.zone).date()
    assert calendar.is_worked(last_worked)


@given(calendars, moments, spans, spans)
def test_more_working_time_is_never_over_sooner(calendar, start, span, more):
    assert calendar.later(start, span) <= calendar.later(start, span + more)
