"""The main job in Chromium, three people in three contexts, through to zenpy across an expiry and a 401 after the end."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from demo.people import BY_KEY
from demo.stack import Stack
from tests.functional.browsing import sign_in

pytestmark = [
    pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("stack"),
]  # fmt: skip
SCRIPT = "browser-story"


def wait_for_look_up(page: Page) -> None:
    """The look-up on the helpdesk that the sign-in ordered."""
    for _ in range(40):
        page.goto(page.url.split("/requests")[0].rstrip("/") + "/requests/new")
        if page.get_by_role("radio").count() > 5:
            return
        time.sleep(0.25)
    raise AssertionError("The look-up did not come about in time.")


def ask(page: Page) -> str:
    wait_for_look_up(page)
    page.get_by_label("What is the script called?").fill(SCRIPT)
    page.get_by_label("Where will it run?").select_option("server")
    page.locator("input[name=profile][value='production/update-tickets']").check()
    page.get_by_label("Create and update tickets").locator("visible=true").uncheck()
    page.locator("input[name=days][value='30']").check()
    page.get_by_label("What is it for?").fill("For the story the tests tell.")
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(SCRIPT)
    return page.url


def approve(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.address('portal')}/queue")
    page.get_by_role("link", name=f"{BY_KEY['ada'].name} · Update tickets").click()
    page.locator("#card").get_by_role("button", name="Approve", exact=False).first.click()
    expect(page.locator(".notice").first).to_contain_text(SCRIPT)


def connect(page: Page, request_url: str) -> None:
    page.goto(request_url)
    page.get_by_role("button", name="Connect on Acme production").click()
    page.get_by_role("button", name=BY_KEY["ada"].name).click()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("It works.", exact=True)).to_be_visible(timeout=20_000)


def take_key(page: Page) -> tuple[str, str]:
    page.get_by_role("link", name="Show my key").first.click()
    page.get_by_role("button", name="Show my key").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Your key for {SCRIPT}")
    html = page.content()
    secret = next(
        word
        for word in html.replace("<", " ").replace(">", " ").split()
        if word.startswith("kds_") and len(word) == 42
    )
    client = next(
        word
        for word in html.replace("<", " ").replace(">", " ").split()
        if word.startswith("kd_production_")
    )
    return client, secret


# What an agent's script is: zenpy over an Authlib session, as the key page tells them.
ZENPY = """
import os, sys, time
from authlib.integrations.requests_client import OAuth2Session
from zenpy import Zenpy

session = OAuth2Session(
    os.environ["KEYDESK_CLIENT_ID"], os.environ["KEYDESK_CLIENT_SECRET"],
    token_endpoint=os.environ["TOKEN_ADDRESS"], grant_type="client_credentials",
)
session.fetch_token()
zendesk = Zenpy(subdomain="acme", session=session, anonymous=True)
first = session.token["access_token"]
print(zendesk.tickets(id=1).id, flush=True)
time.sleep(session.token["expires_in"] + 2)
print(zendesk.tickets(id=2).id, session.token["access_token"] != first, flush=True)
held = session.token["access_token"]
sys.stdin.readline()
try:
    Zenpy(subdomain="acme", oauth_token=held).tickets(id=3)
except Exception as error:
    print("refused:", getattr(getattr(error, "response", None), "status_code", error), flush=True)
"""


def start_script(stack: Stack, client_id: str, client_secret: str) -> subprocess.Popen[str]:
    host = stack.address("production helpdesk").removeprefix("http://")
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", ZENPY], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={
            "PATH": os.environ["PATH"], "KEYDESK_CLIENT_ID": client_id,
            "KEYDESK_CLIENT_SECRET": client_secret, "ZENPY_FORCE_NETLOC": host,
            "ZENPY_FORCE_SCHEME": "http", "TOKEN_ADDRESS": f"{stack.address('portal')}/oauth/token",
        },
    )  # fmt: skip


def end(page: Page, stack: Stack, url: str) -> None:
    page.goto(url)
    page.get_by_role("link", name="End this access").click()
    page.get_by_role("button", name="End this access").click()
    expect(page.locator(".badge").first).to_contain_text("ended", timeout=30_000)


def test_three_people_and_a_script(stack: Stack, page_of: Callable[..., Page]) -> None:
    ada, ben, june = (sign_in(page_of(), stack, key) for key in ("ada", "ben", "june"))
    asked = ask(ada)
    approve(ben, stack)
    approve(june, stack)
    connect(ada, asked)
    credential = ada.url
    client_id, client_secret = take_key(ada)
    ada.reload()
    assert client_secret not in ada.content()
    script = start_script(stack, client_id, client_secret)
    try:
        assert script.stdout is not None
        assert script.stdout.readline().strip() == "1"
        assert script.stdout.readline().split() == ["2", "True"]
        end(ada, stack, credential)
        said = script.communicate("go on\n", timeout=40)[0]
    finally:
        script.kill()
    assert "refused: 401" in said
