"""Real processes for sign-in: the demo's identity provider beside a live portal, and pages that guard.

Import the fixtures you use: `from tests.integration.sign_in_helpers import identity_provider, portal`.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from demo.identity_provider import process
from tests.plain_browser import PlainBrowser

CONTROL = {"X-Demo-Control": "1"}


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@dataclass(frozen=True)
class IdentityProvider:
    """A running identity provider."""

    url: str
    client_id: str
    client_secret: str

    def order(self, fault: str) -> None:
        """Let the next sign-in suffer a fault of demo/identity_provider/faults.py."""
        self._control("next", {"fault": fault})

    def groups(self, key: str, groups: list[str] | None) -> None:
        """Change a person's groups; None gives back the usual ones."""
        self._control(f"people/{key}", {"groups": groups})

    def _control(self, what: str, body: dict[str, object]) -> None:
        answer = requests.post(f"{self.url}/control/{what}", json=body, headers=CONTROL, timeout=5)
        assert answer.ok, answer.text


@pytest.fixture(scope="session")
def identity_provider(
    live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IdentityProvider]:
    """The demo's identity provider as a process of its own, for the live portal."""
    folder: Path = tmp_path_factory.mktemp("identity-provider")
    port = free_port()
    made = IdentityProvider(f"http://127.0.0.1:{port}", "keydesk", "a-secret-for-tests")
    running = subprocess.Popen(
        process.command(port),
        env=process.environment(
            folder,
            port=port,
            client_id=made.client_id,
            client_secret=made.client_secret,
            portal_url=live_server.url,
            mail_folder=folder / "mail",
        ),
    )
    try:
        wait_for(made.url, running)
        yield made
    finally:
        running.terminate()
        running.wait(10)


def wait_for(url: str, running: subprocess.Popen[bytes]) -> None:
    """Return once `url` answers; fail when the process ended or 30 s are over."""
    end = time.monotonic() + 30
    while time.monotonic() < end and running.poll() is None:
        try:
            requests.get(url, timeout=2)
        except requests.RequestException:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("The identity provider did not start.")


@pytest.fixture
def portal(
    transactional_db: None,
    live_server: LiveServer,
    identity_provider: IdentityProvider,
    settings: Settings,
) -> str:
    """The live portal's address, set up for that identity provider, with the pages of guarded_pages.py."""
    settings.PORTAL_URL = live_server.url
    settings.OIDC_SERVER_URL = identity_provider.url
    settings.OIDC_CLIENT_ID = identity_provider.client_id
    settings.OIDC_CLIENT_SECRET = identity_provider.client_secret
    settings.ROOT_URLCONF = "tests.integration.guarded_pages"
    identity_provider.order("")
    return live_server.url


def browser_of(portal: str, name: str, *, page: str = "/guarded/anybody") -> PlainBrowser:
    """A browser in which the person of this name has signed in, on the way to `page`."""
    browser = PlainBrowser(portal)
    browser.open(page)
    browser.press("Sign in with company sign-in")
    return browser.press(name)
