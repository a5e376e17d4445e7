"""Somebody who touches no mouse: every control is gone to by Tab and the arrows, and must be reached so."""

import re
from datetime import date

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from demo.people import BY_KEY
from demo.stack import Stack

MOST = 120
"""Key presses after which a control counts as out of reach."""
ORDERS = ("%m%d%Y", "%d%m%Y", "%Y%m%d")
"""In which a day is typed; it differs by the machine's language."""


class Keyboard:
    """Counts what it takes: key presses, page loads, and things that were written."""

    def __init__(self, page: Page) -> None:
        self.page, self.presses, self.loads, self.written = page, 0, 0, 0
        page.on("request", self._count)

    def _count(self, request: Request) -> None:
        self.loads += request.is_navigation_request() and request.redirected_from is None

    def press(self, key: str) -> None:
        self.presses += 1
        self.page.keyboard.press(key)

    def write(self, words: str) -> None:
        """In place of what stands there. Its letters are no presses: a reason is as long as it is."""
        self.written += 1
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(words)

    def write_day(self, day: date) -> None:
        """In a field that has the focus, on the first of its three parts."""
        self.written += 1
        for order in ORDERS:
            self.page.keyboard.type(day.strftime(order))
            if self.page.locator(":focus").input_value() == day.isoformat():
                return
            for _ in range(2):
                self.page.keyboard.press("ArrowLeft")
        pytest.fail(f"{day} cannot be typed.")

    def tab_to(self, role: str, name: str) -> None:
        """Tab until a control of this role and accessible name has the focus. Fails where Tab leads to none."""
        self._move_to(self.page.get_by_role(role, name=name), "Tab")  # type: ignore[arg-type]

    def _move_to(self, control: Locator, key: str) -> None:
        wanted = control.and_(self.page.locator(":focus"))
        for _ in range(MOST):
            if wanted.count():
                return
            self.press(key)
        pytest.fail(f"{control} cannot be reached by {key} on {self.page.url}")

    def tab_to_field(self, label: str) -> None:
        """The same for a field, by the words its label begins with; a day has no role to be found by."""
        self._move_to(self.page.get_by_label(re.compile(f"^{re.escape(label)}")), "Tab")

    def choose(self, name: str) -> None:
        """One of a group of radio buttons, by the words it begins with: Tab into the group, arrows, Space."""
        wanted = self.page.get_by_role("radio", name=re.compile(f"^{re.escape(name)}"))
        group = wanted.first.get_attribute("name")
        self._move_to(self.page.locator(f"input[type=radio][name='{group}']"), "Tab")
        self._move_to(wanted, "ArrowDown")
        self.press("Space")
        expect(wanted.and_(self.page.locator(":focus"))).to_be_checked()

    def unfold(self, words: str) -> None:
        """What stands under a line that opens."""
        self._move_to(self.page.locator("summary").filter(has_text=words), "Tab")
        self.press("Enter")

    def fill_in(self, label: str, words: str) -> None:
        """Go to a field and write into it."""
        self.tab_to_field(label)
        self.write(words)

    def go(self, role: str, name: str, heading: str) -> None:
        """Press a link or a button; the page of this heading comes."""
        self.tab_to(role, name)
        self.press("Enter")
        self.comes(heading)

    def comes(self, heading: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(re.compile(heading))

    def sees(self, words: str) -> None:
        expect(self.page.get_by_role("main")).to_contain_text(words)


def keyboard_of(page: Page, stack: Stack, key: str) -> Keyboard:
    """Somebody who has signed in, at *My access*."""
    hands = Keyboard(page)
    page.goto(f"{stack.address('portal')}/")
    hands.go("button", "Sign in with company sign-in", "Who are you?")
    hands.go("button", BY_KEY[key].name, "My access")
    return hands
