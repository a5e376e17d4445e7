"""Every page in Chromium: no accessibility violation in both themes, wide and narrow; and the documents' pictures.

On the demo's lived-in portal, so that lists are full; empty lists and errors are among the pages.
"""

import os
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from django.template import loader
from playwright.sync_api import Page, expect

from demo.stack import Stack
from tests.functional.accessibility import faults_in_every_look
from tests.functional.browsing import let_groups_grow_old, sign_in
from tests.functional.every_page import Rows, pages_of
from tests.stack import ROOT

pytestmark = [
    pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("lived-in"),
]  # fmt: skip
PICTURES = ROOT / "docs" / "pictures"


@pytest.mark.parametrize("key", ["ada", "june", "noor", "omar", "zoe", "nobody"])
def test_no_page_has_an_accessibility_violation(
    lived_in: Stack, rows: Rows, page_of: Callable[..., Page], key: str
) -> None:
    """Each page once, looked at in both themes, wide and narrow."""
    page, found = page_of(), []
    if key != "nobody":
        sign_in(page, lived_in, key)
    for address in pages_of(rows)[key]:
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"{lived_in.address('portal')}{address}")
        assert page.url == f"{lived_in.address('portal')}{address}"
        found += faults_in_every_look(page)
    assert found == []


def look(page: Page, heading: str) -> None:
    """The page of this heading has come, and everybody can use it."""
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(heading), timeout=20_000)
    assert faults_in_every_look(page) == []
    page.set_viewport_size({"width": 1280, "height": 800})


def press(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name).click()


def test_what_a_form_answers_to_whoever_asks_has_no_violation(
    lived_in: Stack, rows: Rows, page_of: Callable[..., Page]
) -> None:
    """A refused form with its summary, a token, and a form whose page was too old."""
    ada, portal = sign_in(page_of(), lived_in, "ada"), lived_in.address("portal")
    ada.goto(f"{portal}/requests/new")
    press(ada, "Send request")
    expect(ada.get_by_role("alert")).to_be_focused()
    look(ada, "Request access")
    mine = rows["credential", "weekly-csat-export", "active"]
    ada.goto(f"{portal}/credentials/{mine}/token")
    press(ada, "Get a token now")
    look(ada, "Your token for weekly-csat-export")
    ada.goto(f"{portal}/accounts/logout/")
    ada.context.clear_cookies(name="keydesk_csrf")
    press(ada, "Sign out")
    look(ada, "Please send that again")


def press_approve_ticked(page: Page) -> None:
    """With everything ticked that waits for the same access."""
    alike = page.locator("#rows tr").filter(has_text="· Read macros, triggers and views")
    for box in alike.locator("input[type=checkbox]:enabled").all():
        box.check()
    press(page, "Approve ticked…")


def test_a_form_that_was_kept_while_groups_were_read_has_no_violation(
    lived_in: Stack, rows: Rows, page_of: Callable[..., Page]
) -> None:
    ada, asked = sign_in(page_of(), lived_in, "ada"), rows["request", "csat-by-queue", "pending"]
    ada.goto(f"{lived_in.address('portal')}/requests/{asked}/amend")
    let_groups_grow_old(lived_in, "ada")
    press(ada, "Send again")
    look(ada, "Send it now")


def test_what_a_form_answers_to_whoever_decides_has_no_violation(
    lived_in: Stack, rows: Rows, page_of: Callable[..., Page]
) -> None:
    """Several to approve together, and a narrower approval without anything ticked."""
    june, portal = sign_in(page_of(), lived_in, "june"), lived_in.address("portal")
    june.goto(f"{portal}/queue")
    press_approve_ticked(june)
    look(june, r"Approve \d requests")
    asked = rows["request", "csat-by-queue", "pending"]
    june.goto(f"{portal}/requests/{asked}/narrow")
    press(june, "Approve this")
    expect(june.get_by_role("alert")).to_be_focused()
    look(june, "Approve csat-by-queue narrower")


def test_the_preview_of_a_profile_has_no_violation(
    lived_in: Stack, rows: Rows, page_of: Callable[..., Page]
) -> None:
    omar, portal = sign_in(page_of(), lived_in, "omar"), lived_in.address("portal")
    omar.goto(f"{portal}/profiles/{rows['profile', 'production/read-tickets', 'current']}/edit")
    press(omar, "Preview")
    expect(omar.get_by_role("heading", name="As whoever asks will see it")).to_be_visible()
    look(omar, "Edit Read tickets")


@pytest.mark.parametrize(
    ("status", "heading"), [(500, "Something broke"), (503, "Keydesk is busy")]
)
def test_the_pages_of_a_portal_that_fails_have_no_violation(
    lived_in: Stack, page_of: Callable[..., Page], status: int, heading: str
) -> None:
    """They stand on their own, so that they are the same whatever broke."""
    page, html = page_of(), loader.get_template(f"{status}.html").render()
    page.route(
        "**/ended", lambda route: route.fulfill(status=status, content_type="text/html", body=html)
    )
    page.goto(f"{lived_in.address('portal')}/ended")
    look(page, heading)


def picture(page: Page, name: str, heading: str) -> None:
    """Keep a picture for the documents where that was asked for; taking it must work in any case."""
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(heading))
    taken = page.screenshot()
    if os.environ.get("KEYDESK_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        Path(PICTURES / f"{name}.png").write_bytes(taken)
    assert taken.startswith(b"\x89PNG")
    assert (PICTURES / f"{name}.png").exists()


def test_the_pictures_in_the_documents_are_of_what_whoever_asks_sees(
    lived_in: Stack, rows: Rows, page_of: Callable[..., Page]
) -> None:
    ada, portal = sign_in(page_of(), lived_in, "ada"), lived_in.address("portal")
    ada.goto(
        f"{portal}/requests/new?profile=production/read-tickets&days=30"
        "&script=csat-dashboard&where=server&purpose=CSAT+by+team+for+the+weekly+review"
    )
    expect(ada.get_by_label("What is the script called?")).to_have_value("csat-dashboard")
    picture(ada, "request", "Request access")
    asked = rows["request", "csat-by-queue", "pending"]
    renewed = rows["credential", "weekly-csat-export", "active"]
    for address, name, heading in (
        (f"/requests/{asked}", "one-request", "csat-by-queue"),
        (f"/requests/new?renews={renewed}", "renewal", "Renew weekly-csat-export"),
        ("/", "my-access", "My access"),
        ("/messages", "messages", "Messages"),
    ):
        ada.goto(f"{portal}{address}")
        picture(ada, name, heading)
    mine = rows["credential", "macro-audit", "active"]
    ada.goto(f"{portal}/credentials/{mine}/secret")
    press(ada, "Make a new secret")
    look(ada, "Your key for macro-audit")
    ada.evaluate(
        "for (const n of document.querySelectorAll('code, pre, input')) "
        "n.innerHTML = n.innerHTML.replace(/kds_[0-9A-Za-z]+/g, 'kds_' + 'x'.repeat(38))"
    )
    picture(ada, "key", "Your key for macro-audit")


def test_the_pictures_in_the_documents_are_of_what_whoever_decides_sees(
    lived_in: Stack, rows: Rows, page_of: Callable[..., Page]
) -> None:
    june, portal = sign_in(page_of(), lived_in, "june"), lived_in.address("portal")
    june.goto(f"{portal}/queue")
    expect(june.locator("#card [aria-keyshortcuts=a]")).to_be_visible()
    picture(june, "queue", "Queue")
    asked = rows["request", "csat-by-queue", "pending"]
    june.goto(f"{portal}/requests/{asked}/narrow")
    june.get_by_label("Read tickets and comments").check()
    picture(june, "narrow", "Approve csat-by-queue narrower")
    june.goto(f"{portal}/requests/{asked}/deny")
    june.get_by_label("Why?").fill("Use the export that the weekly report makes already.")
    picture(june, "deny", "Deny csat-by-queue")
    june.goto(f"{portal}/queue")
    press_approve_ticked(june)
    picture(june, "together", r"Approve \d requests")
    june.goto(f"{portal}/queue/away")
    june.get_by_label("Who decides in your place").fill("ben@acme.test")
    picture(june, "away", "Out of office")


def test_the_pictures_in_the_documents_are_of_what_an_admin_sees(
    lived_in: Stack, rows: Rows, page_of: Callable[..., Page]
) -> None:
    omar, portal = sign_in(page_of(), lived_in, "omar"), lived_in.address("portal")
    omar.goto(f"{portal}/profiles")
    picture(omar, "profiles", "Access profiles")
    omar.goto(f"{portal}/profiles/{rows['profile', 'production/read-tickets', 'current']}/edit")
    press(omar, "Preview")
    picture(omar, "profile-edit", "Edit Read tickets")
    omar.goto(f"{portal}/calendar")
    omar.get_by_label("Day", exact=True).fill(f"{date.today().year + 1}-01-01")
    omar.get_by_label("Name").fill("New Year's Day")
    press(omar, "Add this day")
    expect(omar.get_by_role("row").filter(has_text="New Year's Day")).to_be_visible()
    picture(omar, "calendar", "Calendar")
