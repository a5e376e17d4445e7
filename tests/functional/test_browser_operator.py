"""An admin's bad day in Chromium: a freeze, a restored backup's list to confirm, and the end of all of somebody's access."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from demo.people import BY_KEY
from demo.stack import Stack
from tests.functional.accessibility import faults_in_every_look
from tests.stack import manage
from tests.story import Actor

pytestmark = [
    pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("stack"),
]  # fmt: skip
NOOR = BY_KEY["noor"].name


@pytest.fixture
def held(stack: Stack) -> str:
    """The address of an access of Noor's that works."""
    portal = stack.address("portal")
    noor, ben = Actor(portal, "noor").sign_in(), Actor(portal, "ben").sign_in()
    asked = noor.ask("bad-day", "production/read-tickets", days=30)
    ben.approve(asked)
    credential = noor.credential_of(asked)
    noor.connect(credential)
    return f"{portal}/credentials/{credential}"


@pytest.fixture
def omar(stack: Stack, page_of: Callable[..., Page]) -> Page:
    """An admin on the operator's page."""
    page = page_of()
    page.goto(f"{stack.address('portal')}/")
    page.get_by_role("button", name="Sign in with company sign-in").click()
    page.get_by_role("button", name=BY_KEY["omar"].name).click()
    page.goto(f"{stack.address('portal')}/operations")
    return page


def test_a_freeze_begins_and_ends(omar: Page, held: str) -> None:
    panel = omar.locator("#production")
    panel.get_by_role("link", name="Freeze new access").click()
    omar.get_by_role("button", name="Freeze new access").click()
    expect(omar.get_by_text("Say why; everybody who wants to connect").first).to_be_visible()
    omar.get_by_label("Why").fill("A laptop is missing.")
    omar.get_by_role("button", name="Freeze new access").click()
    expect(panel).to_contain_text("Frozen since")
    expect(panel).to_contain_text("A laptop is missing.")
    panel.get_by_role("button", name="End the freeze").click()
    expect(panel).to_contain_text("Is issued.")


def test_a_restored_backup_waits_for_a_confirmed_list(stack: Stack, omar: Page, held: str) -> None:
    done = manage(dict(stack.environment), "reconcile", "--restored", "--helpdesk", "production")
    assert done.returncode == 0, done.stdout + done.stderr
    omar.reload()
    panel = omar.locator("#production")
    expect(panel).to_contain_text("The freeze ends when the list is confirmed.")
    panel.get_by_role("button", name="Take the list now").click()
    look = panel.get_by_role("link", name="Look at the list")
    for _ in range(60):
        if look.count():
            break
        omar.wait_for_timeout(250)
        omar.reload()
    look.click()
    expect(omar.get_by_text("Confirming ends the freeze")).to_be_visible()
    assert faults_in_every_look(omar) == []
    omar.get_by_role("button", name="Confirm the list").click()
    expect(panel).to_contain_text("Is issued.")
    omar.goto(omar.url.replace("/operations", "/audit"))
    expect(omar.get_by_text("Omar Said confirmed the list of all tokens").first).to_be_visible()
    omar.goto(held)
    expect(omar.locator(".badge").first).to_contain_text("active")


def test_everything_of_somebody_ends_and_the_page_follows(omar: Page, held: str) -> None:
    omar.goto(omar.url.replace("/operations", "/emergencies"))
    choice = omar.get_by_label("All access of")
    choice.select_option(choice.locator("option", has_text=NOOR).get_attribute("value"))
    omar.get_by_role("button", name="See what would end").click()
    omar.get_by_label("Why").fill("Their laptop was stolen.")
    omar.get_by_role("button", name="End everything").click()
    expect(omar.get_by_text("Type “").first).to_be_visible()
    omar.locator("input[name=name]").fill(NOOR)
    omar.get_by_role("button", name="End everything").click()
    expect(omar.locator("#emergency .notice")).to_contain_text(
        "are confirmed gone.", timeout=30_000
    )
    omar.goto(held)
    expect(omar.locator(".badge").first).to_contain_text("ended")
