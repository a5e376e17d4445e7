"""The journeys of whoever asks, decides and administers, in Chromium and by keyboard alone.

On the demo's lived-in portal. What a journey decides it asks for itself; what it needs a past for is the demo's.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
import requests
from playwright.sync_api import Page, expect

from demo.stack import Stack
from tests.functional.every_page import Rows
from tests.functional.keyboard import Keyboard, keyboard_of
from tests.story import Actor

pytestmark = [
    pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("lived-in"),
]  # fmt: skip
Hands = Callable[[str], Keyboard]


@pytest.fixture
def hands_of(lived_in: Stack, rows: Rows, page_of: Callable[..., Page]) -> Hands:
    """Signs somebody in, by keyboard."""
    return lambda key: keyboard_of(page_of(), lived_in, key)


def asks(stack: Stack, key: str, *scripts: str, profile: str = "read-tickets") -> None:
    """Something to decide; asking by keyboard is a journey of its own."""
    somebody = Actor(stack.address("portal"), key).sign_in()
    for script in scripts:
        somebody.ask(script, f"production/{profile}", days=60)


def opens_in_the_queue(hands: Keyboard, script: str) -> None:
    hands.go("link", "Queue", "Queue")
    hands.fill_in("Person, script or purpose", script)
    hands.press("Enter")
    expect(hands.page.locator("#card")).to_contain_text(script)


def test_a_question_is_answered_and_less_is_approved(lived_in: Stack, hands_of: Hands) -> None:
    asks(lived_in, "noor", "by-keyboard-less")
    ben, noor = hands_of("ben"), hands_of("noor")
    opens_in_the_queue(ben, "by-keyboard-less")
    ben.press("c")
    ben.comes("Ask about by-keyboard-less")
    ben.write("Does it need ratings?")
    ben.go("button", "Send", "Queue")
    ben.sees("asked, no answer yet")
    noor.page.reload()
    noor.sees("Ben Achterberg asks: “Does it need ratings?”")
    noor.go("link", "Answer by-keyboard-less", "Write about by-keyboard-less")
    noor.write("No, only tickets.")
    noor.go("button", "Send", "by-keyboard-less")
    noor.sees("Sent. The other side is told by mail.")
    ben.page.reload()
    ben.sees("answered")
    ben.sees("No, only tickets.")
    ben.press("n")
    ben.comes("Approve by-keyboard-less narrower")
    ben.tab_to("checkbox", "Read tickets and comments")
    ben.press("Space")
    ben.fill_in("For how many days?", "20")
    ben.fill_in("Why less?", "Tickets alone, for a start.")
    ben.go("button", "Approve this", "Queue")
    ben.sees("Approved: by-keyboard-less, asked by Noor Haddad.")
    noor.page.reload()
    noor.sees("approved by Ben Achterberg for 20 days, without:")
    noor.sees("“Tickets alone, for a start.”")


def test_a_filter_is_kept_under_a_name_and_forgotten(lived_in: Stack, hands_of: Hands) -> None:
    asks(lived_in, "noor", "by-keyboard-views", profile="read-users")
    june = hands_of("june")
    opens_in_the_queue(june, "by-keyboard-views")
    june.tab_to("combobox", "Risk")
    june.write("Medium")
    june.go("button", "Filter", "Queue")
    expect(june.page).to_have_url(re.compile("text=by-keyboard-views&.*risk=medium"))
    expect(june.page.locator("#rows tr")).to_have_count(1)
    june.unfold("Save this view")
    june.fill_in("Name", "Medium by keyboard")
    june.press("Enter")
    named = june.page.get_by_role("link", name="Medium by keyboard")
    expect(named).to_have_attribute("aria-current", "page")
    june.go("link", "Waiting for me", "Queue")
    june.go("link", "Medium by keyboard", "Queue")
    expect(june.page.locator("#rows tr")).to_have_count(1)
    june.go("button", "Forget this view", "Queue")
    expect(named).to_have_count(0)


def test_ticked_requests_are_approved_together(lived_in: Stack, hands_of: Hands) -> None:
    asks(lived_in, "noor", "by-keyboard-tick-1", "by-keyboard-tick-2", profile="read-rules")
    june = hands_of("june")
    opens_in_the_queue(june, "by-keyboard-tick")
    june.press("x")
    june.press("j")
    expect(june.page.locator("#card")).to_contain_text("by-keyboard-tick-2")
    june.press("x")
    june.go("button", "Approve ticked…", "Approve 2 requests")
    june.sees("by-keyboard-tick-1")
    june.go("button", "Approve all of these", "Queue")
    june.sees(
        "Approved 2: by-keyboard-tick-1 of Noor Haddad and by-keyboard-tick-2 of Noor Haddad."
    )


def test_a_request_is_amended_and_withdrawn(lived_in: Stack, hands_of: Hands) -> None:
    asks(lived_in, "noor", "by-keyboard-change")
    noor = hands_of("noor")
    noor.go("link", "Amend by-keyboard-change", "Amend by-keyboard-change")
    noor.choose("30 days")
    noor.go("button", "Send again", "^by-keyboard-change")
    noor.sees("Noor Haddad changed the request: Read tickets for 30 days.")
    noor.go("link", "Withdraw by-keyboard-change", "Withdraw by-keyboard-change")
    noor.go("button", "Withdraw by-keyboard-change", "My access")
    expect(noor.page.get_by_role("link", name="by-keyboard-change")).to_have_count(0)
    noor.go("link", "Ended access", "Ended access")
    row = noor.page.get_by_role("row").filter(has_text="by-keyboard-change")
    expect(row.first).to_contain_text("You took it back.")


def test_a_renewal_shows_the_use_and_waits_for_a_decision(hands_of: Hands) -> None:
    ada = hands_of("ada")
    ada.go("link", "Renew weekly-csat-export", "Renew weekly-csat-export")
    ada.sees("tokens in all, the last")
    ada.sees("You said: every week")
    ada.choose("30 days")
    ada.go("button", "Send request", "^weekly-csat-export")
    ada.sees("A renewal: the key they have goes on working, longer.")
    ada.go("link", "My access", "My access")
    ada.go("link", "Renewal waits weekly-csat-export", "^weekly-csat-export")
    ada.go("link", "Withdraw weekly-csat-export", "Withdraw weekly-csat-export")
    ada.go("button", "Withdraw weekly-csat-export", "My access")
    expect(ada.page.get_by_role("link", name="Renew weekly-csat-export")).to_be_visible()


def test_fewer_permissions_are_asked_for_as_new_access(hands_of: Hands) -> None:
    """By the link a renewal has for it; the form knows the script and the access, and not yet for how long."""
    ada = hands_of("ada")
    ada.go("link", "Renew weekly-csat-export", "Renew weekly-csat-export")
    ada.go("link", "Ask for fewer permissions", "Request access")
    ada.fill_in("What is the script called?", "by-keyboard-fewer")
    ada.tab_to("checkbox", "Read users")
    ada.press("Space")
    ada.choose("60 days")
    ada.fill_in("What is it for?", "The weekly numbers, without names.")
    ada.go("button", "Send request", "^by-keyboard-fewer")
    ada.sees("Ada Lindqvist wants Read tickets")
    ada.sees("With Ben Achterberg, June Moreno or an admin.")
    expect(ada.page.locator("#card .changes")).not_to_contain_text("Read users")


def test_whoever_is_done_gives_access_back(hands_of: Hands) -> None:
    noor = hands_of("noor")
    noor.go("link", "I am done with bulk-tagging", "End bulk-tagging")
    noor.go("button", "End this access", "^bulk-tagging")
    expect(noor.page.locator(".badge").first).to_contain_text("ended", timeout=30_000)
    noor.go("link", "My access", "My access")
    expect(noor.page.get_by_role("link", name="I am done with bulk-tagging")).to_have_count(0)


def test_a_request_that_lapsed_is_asked_again_as_it_was(hands_of: Hands) -> None:
    lena = hands_of("lena")
    lena.go("link", "Ended access", "Ended access")
    lena.go("link", "Ask again team-stats", "Request access")
    expect(lena.page.get_by_label("What is the script called?")).to_have_value("team-stats")
    expect(lena.page.get_by_label("What is it for?")).to_have_value("Numbers for the team page.")
    lena.go("button", "Send request", "^team-stats")
    lena.sees("Lena Marsh wants Read users and organizations")


@pytest.fixture
def second_admin(lived_in: Stack) -> Iterator[str]:
    """Piotr, from his next sign-in on."""
    address = f"{lived_in.address('identity provider')}/control/people/piotr"
    for groups in (["keydesk-admins"], None):
        answer = requests.post(
            address, json={"groups": groups}, headers={"X-Demo-Control": "1"}, timeout=10
        )
        assert answer.ok, answer.text
        if groups:
            yield "piotr"


def test_wider_terms_are_previewed_saved_and_confirmed_by_a_second_admin(
    hands_of: Hands, second_admin: str
) -> None:
    omar = hands_of("omar")
    omar.go("link", "Operations", "Operations")
    omar.go("link", "access profiles", "Access profiles")
    omar.go("link", "Edit Edit Help Center articles on Acme production", "Edit Edit Help Center")
    omar.fill_in("Days at most", "120")
    omar.go("button", "Preview", "Edit Edit Help Center articles")
    omar.sees("At most 120 days.")
    omar.go("button", "Save", "Access profiles")
    omar.sees("Saved as a proposal for “Edit Help Center articles”")
    omar.go("link", "Look at them Edit Help Center articles", "Edit Help Center articles")
    omar.sees("You wrote these terms; another admin has to confirm them.")
    piotr = hands_of(second_admin)
    piotr.page.goto(omar.page.url)
    piotr.go("button", "Confirm these terms", "Edit Help Center articles")
    piotr.sees("Confirmed: “Edit Help Center articles” has these terms from now on.")
    piotr.sees("Piotr Wolny confirmed version 2 of the terms.")


def test_a_holiday_is_entered_and_taken_out(hands_of: Hands) -> None:
    omar, day = hands_of("omar"), date.today() + timedelta(days=40)
    omar.go("link", "Operations", "Operations")
    omar.go("link", "calendar", "Calendar")
    omar.tab_to_field("Day")
    omar.write_day(day)
    omar.fill_in("Name", "By keyboard")
    omar.press("Enter")
    row = omar.page.get_by_role("row").filter(has_text="By keyboard")
    expect(row).to_contain_text(f"{day.day} {day:%b %Y}")
    omar.go("button", "Take out By keyboard", "Calendar")
    expect(row).to_have_count(0)


def test_mail_is_chosen_once_a_day(hands_of: Hands) -> None:
    zoe = hands_of("zoe")
    zoe.go("link", "once a day if you like", "Messages")
    zoe.choose("One mail a day")
    zoe.go("button", "Save", "Messages")
    zoe.sees("Saved: one mail a day, at eight in the morning.")
    zoe.page.reload()
    expect(zoe.page.get_by_role("radio", name="One mail a day")).to_be_checked()
