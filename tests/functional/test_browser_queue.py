"""The queue in Chromium, decided from the keyboard: how many key presses and page loads a decision takes."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Request, expect

from demo.people import BY_KEY
from demo.stack import Stack
from tests.functional.accessibility import faults_in_every_look
from tests.stack import ROOT, running
from tests.story import Actor, until

pytestmark = [
    pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("queue"),
]  # fmt: skip
MIXED = (
    *["read-users"] * 8, *["read-tickets"] * 4, *["help-center"] * 4, *["update-tickets"] * 2,
    *["read-everything"] * 2,
)  # fmt: skip
"""Twenty requests: twelve that only read, six that can write, two that read everything."""
RISKY = ("help-center", "update-tickets", "read-everything")
DOCS = ROOT / "docs" / "ux.md"


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


class Keyboard:
    """Somebody who touches no mouse; counts what it takes."""

    def __init__(self, page: Page) -> None:
        self.page, self.presses, self.loads = page, 0, 0
        page.on("request", self._count)

    def _count(self, request: Request) -> None:
        self.loads += request.is_navigation_request() and request.redirected_from is None

    def press(self, key: str) -> None:
        self.presses += 1
        self.page.keyboard.press(key)

    def write(self, words: str) -> None:
        """Words are not counted: a reason is as long as it is."""
        self.page.keyboard.type(words)


def queue_of(page: Page, stack: Stack, key: str, query: str = "") -> Page:
    page.goto(f"{stack.address('portal')}/")
    page.get_by_role("button", name="Sign in with company sign-in").click()
    page.get_by_role("button", name=BY_KEY[key].name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My access")
    page.goto(f"{stack.address('portal')}/queue{query}")
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
    approve.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Not possible now")
    expect(page.locator("main")).to_contain_text("Already approved by June Moreno")


def test_twenty_mixed_requests_are_decided_from_the_keyboard(
    crowded: Stack, page_of: Callable[..., Page]
) -> None:
    """Every fifth is denied with a reason; what can write or is wide takes a second page."""
    page = queue_of(page_of(), crowded, "june", "?text=script-")
    hands, decided = Keyboard(page), 0
    while page.locator("#rows tr").count():
        before, script = page.locator("#rows tr").count(), script_of(page)
        if decided % 5 == 4:
            hands.press("d")
            expect(page.get_by_label("Why?")).to_be_focused()
            hands.write("Use the shared report.")
            hands.press("Tab")
            hands.press("Enter")
        else:
            hands.press("a")
            if MIXED[int(script[-2:])] in RISKY:
                expect(page.get_by_role("button", name="Approve")).to_be_focused()
                hands.press("Enter")
        expect(page.locator(".notice").first).to_contain_text(script)
        expect(page.locator("#rows tr")).to_have_count(before - 1)
        decided += 1
    assert decided == len(MIXED)
    line = f"{decided} decisions: {hands.presses} key presses, {hands.loads} page loads"
    assert line in DOCS.read_text(), line


def tab_to(hands: Keyboard, name: str) -> None:
    """Tab until the control of this name has the focus."""
    for _ in range(40):
        hands.press("Tab")
        focused = hands.page.evaluate(
            "(() => { const e = document.activeElement;"
            " return e.labels?.[0]?.innerText || e.innerText || ''; })()"
        )
        if focused.strip().startswith(name):
            return
    pytest.fail(f"{name} cannot be reached by Tab")


def test_who_goes_away_names_somebody_by_keyboard_who_then_decides(crowded, page_of):
    Actor(crowded.address("portal"), "piotr").sign_in()
    Actor(crowded.address("portal"), "ada").sign_in().ask(
        "while-june-is-away", "production/read-users", days=45
    )
    june = Keyboard(queue_of(page_of(), crowded, "june"))
    tab_to(june, "Out of office")
    june.press("Enter")
    expect(june.page.get_by_role("heading", level=1)).to_have_text("Out of office")
    tab_to(june, "Who decides in your place")
    june.write("piotr@acme.test")
    tab_to(june, "Last day")
    day = june.page.evaluate("new Date(Date.now() + 3 * 864e5).toISOString().slice(0, 10)")
    june.page.get_by_label("Last day").fill(
        day
    )  # how a day is typed differs by the machine's language
    june.press("Enter")
    expect(june.page.get_by_text("Piotr Wolny decides in your place from")).to_be_visible()
    assert faults_in_every_look(june.page) == []
    piotr = queue_of(page_of(), crowded, "piotr")
    expect(piotr.get_by_text("You decide in the place of June Moreno as well.")).to_be_visible()
    before = piotr.locator("#rows tr").count()
    piotr.keyboard.press("d")
    piotr.get_by_label("Why?").fill("June is away; ask again with a shorter time.")
    piotr.get_by_role("button", name="Deny").click()
    expect(piotr.locator("#rows tr")).to_have_count(before - 1)
    tab_to(june, "I am back")
    june.press("Enter")
    expect(june.page.get_by_role("button", name="I am back")).to_have_count(0)
    piotr.goto(f"{crowded.address('portal')}/queue")
    expect(piotr.get_by_role("heading", level=1)).not_to_have_text("Queue")
