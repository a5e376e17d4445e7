"""The portal's calendar: its page, and the clocks it sets."""

from datetime import UTC, date, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from accounts import clock
from tests.integration._people import browser, words
from tests.world import World
from tokens.models import Holiday

pytestmark = pytest.mark.django_db
FRIDAY = datetime(2026, 11, 27, 14, 0, tzinfo=UTC)


def in_days(days: int) -> date:
    return (clock.now() + timedelta(days=days)).date()


def test_clocks_count_working_days_less_holidays(settings: Settings):
    settings.WORKING_DAYS = ["mon", "tue", "wed", "thu", "fri"]
    world = World(now=FRIDAY)
    assert world.ask(script_name="one").decide_by.date() == date(2026, 12, 2)
    Holiday.objects.create(day=date(2026, 12, 1), name="A free Tuesday")
    row = world.ask(script_name="two")
    assert row.decide_by.date() == date(2026, 12, 3)
    assert world.approve(row).credential.connect_by.date() == date(2026, 12, 7)


def test_working_days_are_said_where_one_asks(world, settings: Settings):
    ada = browser(world, "ada")
    assert "Whoever decides has 3 days." in words(ada.get("/requests/new"))
    settings.WORKING_DAYS = ["mon", "tue", "wed", "thu", "fri"]
    assert "Whoever decides has 3 working days." in words(ada.get("/requests/new"))
    row = world.ask()
    assert "5 working days after" in words(browser(world, "ben").get(f"/requests/{row.pk}"))


def test_an_admin_enters_a_day_and_takes_it_out_and_the_audit_says_so(world, omar):
    assert "Holidays to come will stand here." in words(omar.get("/calendar"))
    day = in_days(30)
    assert (
        omar.post("/calendar", {"day": day.isoformat(), "name": "Staff outing"}).status_code == 302
    )
    assert "Staff outing" in words(omar.get("/calendar"))
    omar.post(f"/calendar/{Holiday.objects.get().pk}/remove")
    assert not Holiday.objects.exists()
    audit = words(omar.get("/audit"))
    assert "a day off: Staff outing." in audit
    assert "a working day: Staff outing." in audit
    assert f"{day.day} {day:%B %Y}" in audit


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"day": ""}, "Choose a day."),
        ({"day": "tomorrow"}, "Write the day as year-month-day."),
        ({"day": "2026-02-30"}, "Write the day as year-month-day."),
        ({"day": "0001-01-01"}, "That day is over."),
        ({"day": "9999-12-31"}, "Enter days of the next three years."),
        ({"name": ""}, "Say what the day is called."),
        ({"name": "x" * 61}, "Use at most 60 characters."),
        ({"name": "a\x1b"}, "a character that cannot be seen"),
    ],
)
def test_a_bad_day_is_a_sentence(omar, changes, sentence):
    response = omar.post("/calendar", {"day": in_days(9).isoformat(), "name": "A day"} | changes)
    assert response.status_code == 422
    assert sentence in words(response)
    assert not Holiday.objects.exists()


def test_a_day_is_entered_once(omar):
    for status in (302, 422):
        response = omar.post("/calendar", {"day": in_days(9).isoformat(), "name": "A day"})
        assert response.status_code == status
    assert "That day is entered already." in words(response)


@pytest.mark.parametrize("key", ["ada", "ben", "cleo"])
def test_only_admins_change_it(world, key):
    client = browser(world, key)
    assert client.get("/calendar").status_code == 403
    holiday = Holiday.objects.create(day=in_days(9), name="A day")
    assert client.post(f"/calendar/{holiday.pk}/remove").status_code == 403
    assert Holiday.objects.exists()


def test_what_is_not_there_is_a_404(omar):
    assert omar.post("/calendar/987654/remove").status_code == 404
