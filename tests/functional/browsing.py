"""Somebody of the cast at a page in Chromium."""

from playwright.sync_api import Page, expect

from demo.people import BY_KEY
from demo.stack import Stack
from tests.stack import manage


def sign_in(page: Page, stack: Stack, key: str) -> Page:
    """Through the company's identity provider, to *My access*."""
    page.goto(f"{stack.address('portal')}/")
    page.get_by_role("button", name="Sign in with company sign-in").click()
    page.get_by_role("button", name=BY_KEY[key].name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My access")
    return page


AGO = """
from datetime import timedelta
from accounts.models import User
from accounts import clock
User.objects.filter(subject="{key}").update(groups_read_at=clock.now() - timedelta(days=1))
"""


def let_groups_grow_old(stack: Stack, key: str) -> None:
    """As if the groups of this person had been read a day ago."""
    done = manage(dict(stack.environment), "shell", "-v0", "-c", AGO.format(key=key))
    assert done.returncode == 0, done.stderr
