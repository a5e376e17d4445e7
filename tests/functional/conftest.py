"""Stacks of real processes for the stories, a real browser, and a way to leave out what the machine lacks."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from demo.stack import Stack
from tests.functional import prepared
from tests.functional.every_page import Rows
from tests.stack import manage, running

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole product on SQLite, the embedded broker and the demo's provider and helpdesks; times run fast."""
    with running(tmp_path_factory.mktemp("stack")) as started:
        yield started


@pytest.fixture(scope="session")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The same with the demo's three months of people in it, in real time."""
    with running(tmp_path_factory.mktemp("lived-in"), is_scaled=False, is_seeded=True) as started:
        yield started


@pytest.fixture(scope="session")
def rows(lived_in: Stack) -> Rows:
    """What is in the lived-in portal, and what `prepared.py` adds to it."""
    done = manage(dict(lived_in.environment), "shell", "-v0", "-c", prepared.COMMAND)
    assert done.returncode == 0, done.stderr
    found = [line.split() for line in done.stdout.splitlines()]
    return {(kind, name, state): int(pk) for kind, name, state, pk in found}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium; leaves the test out without one, or fails where nothing may be left out."""
    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
        or left_out("There is no Chromium on the PATH.")
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page_of(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page in a browser context of its own; a script error or a refused resource fails the test."""
    contexts, faults = [], []

    def open_page(width: int = 1280, theme: str = "light", **options: object) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=theme, **options
        )  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if _is_csp(said.text) else None)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def _is_csp(text: str) -> bool:
    return "Content Security Policy" in text


@pytest.fixture(scope="session")
def postgres() -> str:
    """The address of a PostgreSQL database; leaves the test out without one."""
    return os.environ.get("KEYDESK_TEST_POSTGRES") or left_out(
        "KEYDESK_TEST_POSTGRES names no PostgreSQL."
    )


def left_out(why: str) -> str:
    """Skip with a line, or fail where KEYDESK_TEST_ALL says that every test must run."""
    if os.environ.get("KEYDESK_TEST_ALL"):
        pytest.fail(why)
    pytest.skip(why)
