"""One stack of real processes for all stories of a test run, and a way to leave out what the machine lacks."""

import os
import shutil
from collections.abc import Iterator

import pytest

from demo.stack import Stack
from tests.stack import running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole product on SQLite, the embedded broker and the demo's provider and helpdesks."""
    with running(tmp_path_factory.mktemp("stack")) as started:
        yield started


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is; leaves the test out without one, or fails where nothing may be left out."""
    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    return found or left_out("There is no Chromium on the PATH.")


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
