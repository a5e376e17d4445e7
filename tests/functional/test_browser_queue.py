"""The queue in Chromium, decided from the keyboard: how many key presses and page loads a decision takes."""

import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from playwright.sync_api import Page, expect

from demo.stack import Stack
from tests.functional.accessibility import faults_in_every_look
from tests.functional.browsing import let_groups_grow_old, sign_in
from tests.functional.keyboard import Keyboard
from tests.stack import ROOT, running
from tests.story import Actor, until

pytestmark = [
    pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("queue"),
]  # fmt: skip
MIXED = (
    *["read-rules"] * 8, *["read-tickets"] * 4, *["help-center"] * 4, *["update-tickets"] * 2,
    *["read-everything"] * 2,
)  # fmt: skip
"""Twenty requests: twelve that only read, six that can write, two that read everything."""
RISKY = ("help-center", "update-tickets", "read-everything")
ROWS = {
    "reads": "| approve what only reads",
    "risky": "| approve what can write or is wide",
    "deny": "| deny, with a reason typed",
}
DOCS = ROOT / "docs" / "ux.md"
TOOK = re.compile(r"\d+ seconds for the twenty, [\d.]+ for one")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A portal in which twenty requests wait for June, and one more that others decide too."""
    with running(tmp_path_factory.mktemp("queue"), is_scaled=False) as stack:
        portal = stack.address("portal")
        ada, noor = Actor(portal, "ada").sign_in(), Actor(portal, "noor").sign_in()
        for number, profile in enumerate(MIXED):
            days = 30 if profile == "read-everything" else 45
            (ada, noor)[number % 2].ask(f"script-{number:02}", f"production/{profile}", days=days)
        ada.ask("contested", "production/read-everything", days=30)
        june = Actor(portal, "june").sign_in()
        until(lambda: "Approve" in june.open("/queue").text)
        yield stack


def queue_of(page: Page, stack: Stack, key: str, query: str = "") -> Page:
    sign_in(page, stack, key).goto(f"{stack.address('portal')}/queue{query}")
    return page


def script_of(page: Page) -> str:
    found = re.search(r"script-\d\d", page.locator("#rows tr.is-selected").inner_text())
    assert found
    return found.group()


def test_the_keys_move_and_keep_the_focus_on_the_opened_row(
    crowded: Stack, page_of: Callable[..., Page]
) -> None:
    page = queue_of(page_of(), crowded, "june")
    first = script_of(page)
    page.keyboard.press("j")
    expect(page.locator("#rows tr.is-selected")).not_to_contain_text(first)
    second = script_of(page)
    expect(page.locator("#card")).to_contain_text(second)
    assert page.evaluate("document.activeElement.closest('tr').className") == "is-selected"
    page.keyboard.press("k")
    expect(page.locator("#card")).to_contain_text(first)
    page.keyboard.press("x")
    expect(page.locator("#rows tr.is-selected input[type=checkbox]")).to_be_checked()
    page.keyboard.press("x")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert faults_in_every_look(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_on_a_narrow_screen_whoever_chose_a_request_is_led_to_it(
    crowded: Stack, page_of: Callable[..., Page]
) -> None:
    page = queue_of(page_of(), crowded, "june")
    page.set_viewport_size({"width": 390, "height": 844})
    chosen = page.locator("#rows th a").nth(2)
    name = chosen.inner_text()
    chosen.click()
    expect(page.locator("#card")).to_be_focused()
    expect(page.locator("#card h2")).to_be_in_viewport()
    expect(page.locator("#rows tr.is-selected")).to_contain_text(name)


def test_what_somebody_else_decided_is_said_in_the_row_without_a_reload(
    crowded: Stack, page_of: Callable[..., Page]
) -> None:
    """Omar may decide once a worker has looked him up on the helpdesk, which takes a moment."""
    page = queue_of(page_of(), crowded, "omar", "?text=contested")
    approve = page.locator("#card").get_by_role("link", name="Approve…")
    until(lambda: bool(approve.count() or (page.reload() and approve.count())), seconds=60)
    number = page.locator("#rows th a").get_attribute("href")
    assert number
    Actor(crowded.address("portal"), "june").sign_in().approve(int(number.rsplit("=", 1)[1]))
    expect(page.locator("#rows")).to_contain_text("June Moreno approved it", timeout=9_000)
    page.keyboard.press("a")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not possible now")
    expect(page.locator("main")).to_contain_text("Already approved by June Moreno")


def test_a_page_left_open_too_long_says_so_and_asks_no_more(
    crowded: Stack, page_of: Callable[..., Page]
) -> None:
    page = queue_of(page_of(), crowded, "omar")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    let_groups_grow_old(crowded, "omar")
    expect(page.get_by_text("This page is too old to be told")).to_be_visible(timeout=9_000)
    assert faults_in_every_look(page) == []
    asked.clear()
    page.wait_for_timeout(6_000)
    assert [url for url in asked if "/queue/changes" in url] == []


def kind_of(script: str, number: int) -> str:
    """What a decision is counted under: every fifth is a no."""
    if number % 5 == 4:
        return "deny"
    return "risky" if MIXED[int(script[-2:])] in RISKY else "reads"


def decide(hands: Keyboard, kind: str) -> None:
    """By the keys of the queue; what can write or is wide takes a second page."""
    if kind == "deny":
        hands.press("d")
        expect(hands.page.get_by_label("Why?")).to_be_focused()
        hands.write("Use the shared report.")
        hands.press("Tab")
        hands.press("Enter")
        return
    hands.press("a")
    if kind == "risky":
        expect(hands.page.get_by_role("button", name="Approve")).to_be_focused()
        hands.press("Enter")


def test_twenty_mixed_requests_are_decided_from_the_keyboard(
    crowded: Stack, page_of: Callable[..., Page]
) -> None:
    """What each kind of decision takes stands in docs/ux.md; so does the time, which is no promise."""
    page = queue_of(page_of(), crowded, "june", "?text=script-")
    hands, taken = Keyboard(page), []
    began = time.monotonic()
    while before := page.locator("#rows tr").count():
        script, presses, loads = script_of(page), hands.presses, hands.loads
        kind = kind_of(script, len(taken))
        decide(hands, kind)
        expect(page.locator(".notice").first).to_contain_text(script)
        expect(page.locator("#rows tr")).to_have_count(before - 1)
        if before > 1:
            expect(page.locator("#rows tr.is-selected th a")).to_be_focused()
        taken.append((kind, hands.presses - presses, hands.loads - loads))
    seconds = time.monotonic() - began
    assert len(taken) == len(MIXED)
    lines = [
        f"{ROWS[kind]} | {presses} | {loads} |" for kind, presses, loads in sorted(set(taken))
    ] + [
        f"| {len(taken)} in all | {hands.presses}, and {hands.written} reasons typed | {hands.loads} |",
        f"| one on average | {hands.presses / len(taken):.1f} | {hands.loads / len(taken):.1f} |",
    ]
    if os.environ.get("KEYDESK_PICTURES"):
        said = f"{seconds:.0f} seconds for the twenty, {seconds / len(taken):.1f} for one"
        DOCS.write_text(TOOK.sub(said, DOCS.read_text()))
    assert TOOK.search(DOCS.read_text())
    assert [line for line in lines if line not in DOCS.read_text()] == []


def test_who_goes_away_names_somebody_by_keyboard_who_then_decides(crowded, page_of):
    Actor(crowded.address("portal"), "piotr").sign_in()
    Actor(crowded.address("portal"), "ada").sign_in().ask(
        "while-june-is-away", "production/read-users", days=45
    )
    june = Keyboard(queue_of(page_of(), crowded, "june"))
    june.go("link", "Out of office", "Out of office")
    june.fill_in("Who decides in your place", "piotr@acme.test")
    june.tab_to_field("Last day")
    june.write_day(date.today() + timedelta(days=3))
    june.press("Enter")
    expect(june.page.get_by_text("Piotr Wolny decides in your place from")).to_be_visible()
    assert faults_in_every_look(june.page) == []
    piotr = Keyboard(queue_of(page_of(), crowded, "piotr"))
    piotr.sees("You decide in the place of June Moreno as well.")
    before = piotr.page.locator("#rows tr").count()
    piotr.press("d")
    expect(piotr.page.get_by_label("Why?")).to_be_focused()
    piotr.write("June is away; ask again with a shorter time.")
    piotr.tab_to("button", "Deny")
    piotr.press("Enter")
    expect(piotr.page.locator("#rows tr")).to_have_count(before - 1)
    june.tab_to("button", "I am back")
    june.press("Enter")
    expect(june.page.get_by_role("button", name="I am back")).to_have_count(0)
    piotr.page.reload()
    expect(piotr.page.get_by_role("heading", level=1)).not_to_have_text("Queue")
