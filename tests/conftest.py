"""What every test gets: a database in a file, since real processes and threads share it."""

import socket
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from tests import pages


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SQLite's in-memory database locks whole tables between threads, as no real one does."""
    connection = connections["default"]
    if connection.vendor == "sqlite":
        folder: Path = tmp_path_factory.mktemp("database")
        connection.settings_dict["TEST"]["NAME"] = str(folder / "test.sqlite3")


@pytest.fixture(autouse=True)
def _every_page_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever page of ours a test fetches through Django's client must be a proper page."""
    request = Client.request

    def checked(self: Client, **extra: Any) -> Any:
        response = request(self, **extra)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        is_whole = is_page and response.content and response.status_code not in (301, 302, 303)
        if is_whole and not response.streaming and "HTTP_HX_REQUEST" not in extra:
            pages.check(response.content.decode(), extra.get("PATH_INFO", "?"))
        return response

    monkeypatch.setattr(Client, "request", checked)


@pytest.fixture(autouse=True)
def _nobody_talks_to_the_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test reaches for is on this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        is_here = self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost")
        assert is_here, f"A test reached for {address}."
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tests that share processes stay together, or each stack is started twice and they disturb each other.

    None of those in a browser opens the database: it would bring its whole group before the tests that do, and
    a browser's event loop keeps every later test of the same process from the database.
    """
    for item in session.items:
        if item.get_closest_marker("browser") and item.get_closest_marker("django_db"):
            raise pytest.UsageError(f"{item.nodeid} is in a browser and opens the database.")
    if not getattr(session.config.option, "loadgroup", False):
        return
    for item in session.items:
        if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
            raise pytest.UsageError(
                f"pytest-xdist does not keep the group of {item.nodeid} together."
            )
