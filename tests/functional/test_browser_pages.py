"""Every page in Chromium: no accessibility violation in both themes, wide and narrow; and the README's pictures.

On the demo's lived-in portal, so that lists are full; empty lists and errors are among the pages.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from demo.people import BY_KEY
from demo.stack import Stack
from tests.functional.accessibility import faults_in_every_look
from tests.stack import ROOT, manage

pytestmark = [
    pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("lived-in"),
]  # fmt: skip
PICTURES = ROOT / "docs" / "pictures"
ROWS = """
from tokens.models import AccessRequest, Credential
for row in AccessRequest.objects.all(): print("request", row.script_name, row.state, row.pk)
for row in Credential.objects.all(): print("credential", row.script_name, row.state, row.pk)
"""


@pytest.fixture(scope="module")
def rows(lived_in: Stack) -> dict[tuple[str, str, str], int]:
    """Kind, script and state → number."""
    done = manage(dict(lived_in.environment), "shell", "-v0", "-c", ROWS)
    assert done.returncode == 0, done.stderr
    found = [line.split() for line in done.stdout.splitlines()]
    return {(kind, script, state): int(pk) for kind, script, state, pk in found}


def sign_in(page: Page, stack: Stack, key: str) -> Page:
    page.goto(f"{stack.address('portal')}/")
    page.get_by_role("button", name="Sign in with company sign-in").click()
    page.get_by_role("button", name=BY_KEY[key].name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My access")
    return page


def pages_of(rows: dict[tuple[str, str, str], int]) -> dict[str, list[str]]:
    """Person → addresses: each page in each state that lasts, empty ones and refusals too."""
    first = {}
    for (kind, _, state), pk in rows.items():
        first.setdefault((kind, state), pk)
    requests = [f"/requests/{pk}" for (kind, _), pk in first.items() if kind == "request"]
    credentials = [f"/credentials/{pk}" for (kind, _), pk in first.items() if kind == "credential"]
    mine = rows["credential", "weekly-csat-export", "active"]
    asked = rows["request", "csat-by-queue", "pending"]
    waits = rows["request", "requeue-stale", "pending"]
    return {
        "ada": [
            "/", "/ended", "/messages", "/requests/new", f"/requests/new?renews={mine}", f"/requests/{asked}",
            f"/requests/{asked}/amend", f"/requests/{asked}/withdraw", f"/credentials/{mine}",
            f"/credentials/{mine}/key", f"/credentials/{mine}/secret", f"/credentials/{mine}/replace",
            f"/credentials/{mine}/token", f"/credentials/{mine}/revoke", "/no-such-page", "/queue",
            "/helpdesks/production/callback?state=wrong&code=wrong", "/accounts/logout/",
        ],
        "june": [
            "/queue", "/queue?text=nothing-fits-this", f"/requests/{waits}", f"/requests/{waits}/comment",
            "/queue?view=all&risk=high", "/queue?view=decided", "/queue/away",
            f"/requests/{asked}/narrow", f"/requests/{asked}/deny", f"/requests/{asked}/approve",
        ],
        "omar": [
            "/inventory", "/audit", "/queue", "/operations", "/operations/production/freeze",
            "/calendar", "/profiles", "/profiles/1", "/profiles/1/edit", "/emergencies", "/emergencies?subject=helpdesk:1", *requests, *credentials,
        ],
        "zoe": ["/", "/ended", "/requests/new"],
    }  # fmt: skip


@pytest.mark.parametrize("key", ["ada", "june", "omar", "zoe"])
def test_no_page_has_an_accessibility_violation(lived_in, rows, page_of, key):
    """Each page once, looked at in both themes, wide and narrow."""
    page = page_of()
    page.goto(f"{lived_in.address('portal')}/accounts/login/")
    found = faults_in_every_look(page)
    sign_in(page, lived_in, key)
    for address in pages_of(rows)[key]:
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"{lived_in.address('portal')}{address}")
        assert page.url == f"{lived_in.address('portal')}{address}"
        found += faults_in_every_look(page)
    assert found == []


def picture(page: Page, name: str) -> None:
    """Keep a picture for the README where that was asked for; taking it must work in any case."""
    taken = page.screenshot()
    if os.environ.get("KEYDESK_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        Path(PICTURES / f"{name}.png").write_bytes(taken)
    assert taken.startswith(b"\x89PNG")


def test_the_pictures_in_the_documents_are_of_these_pages(
    lived_in: Stack, rows: dict[tuple[str, str, str], int], page_of: Callable[..., Page]
) -> None:
    ada, june = sign_in(page_of(), lived_in, "ada"), sign_in(page_of(), lived_in, "june")
    ada.goto(
        f"{lived_in.address('portal')}/requests/new?profile=production/read-tickets&days=30"
        "&script=csat-dashboard&where=server&purpose=CSAT+by+team+for+the+weekly+review"
    )
    expect(ada.get_by_label("What is the script called?")).to_have_value("csat-dashboard")
    picture(ada, "request")
    june.goto(f"{lived_in.address('portal')}/queue")
    expect(
        june.get_by_role("button", name="Approve")
        .or_(june.get_by_role("link", name="Approve…"))
        .first
    ).to_be_visible()
    picture(june, "queue")
    june.goto(f"{lived_in.address('portal')}/queue/away")
    june.get_by_label("Who decides in your place").fill("ben@acme.test")
    picture(june, "away")
    ada.goto(f"{lived_in.address('portal')}/")
    expect(ada.get_by_role("heading", name="My access", level=1)).to_be_visible()
    picture(ada, "my-access")
    ada.goto(f"{lived_in.address('portal')}/messages")
    picture(ada, "messages")
    mine = rows["credential", "macro-audit", "active"]
    ada.goto(f"{lived_in.address('portal')}/credentials/{mine}/secret")
    ada.locator("main form button").first.click()
    expect(ada.get_by_role("heading", level=1)).to_have_text(re.compile("Your key for macro-audit"))
    assert faults_in_every_look(ada) == []
    ada.evaluate(
        "for (const n of document.querySelectorAll('code, pre, input')) "
        "n.innerHTML = n.innerHTML.replace(/kds_[0-9A-Za-z]+/g, 'kds_' + 'x'.repeat(38))"
    )
    picture(ada, "key")
    for name in ("request", "queue", "away", "my-access", "messages", "key"):
        assert (PICTURES / f"{name}.png").exists()
