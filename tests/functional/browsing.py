"""Somebody of the cast at a page in Chromium."""

from playwright.sync_api import Page, expect

from demo.people import BY_KEY
from demo.stack import Stack


def sign_in(page: Page, stack: Stack, key: str) -> Page:
    """Through the company's identity provider, to *My access*."""
    page.goto(f"{stack.address('portal')}/")
    page.get_by_role("button", name="Sign in with company sign-in").click()
    page.get_by_role("button", name=BY_KEY[key].name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My access")
    return page
