"""The steps of the main job for one person without JavaScript: sign in, ask, decide, connect, take the key, end it."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import requests

from demo.people import BY_KEY
from tests.plain_browser import PlainBrowser


@dataclass(frozen=True)
class Key:
    """What a script is given."""

    token_address: str
    client_id: str
    client_secret: str

    def fetch(self, **fields: str) -> requests.Response:
        """Ask for the access token, as any OAuth 2.0 client does."""
        return requests.post(
            self.token_address,
            data={"grant_type": "client_credentials", **fields},
            auth=(self.client_id, self.client_secret),
            timeout=30,
        )


class Actor(PlainBrowser):
    """One person of the cast at a browser."""

    def __init__(self, portal: str, key: str) -> None:
        super().__init__(portal)
        self.person = BY_KEY[key]

    def sign_in(self) -> "Actor":
        """Through the company's identity provider, where one picks a person."""
        self.open(f"{self.portal}/")
        self.press("Sign in with company sign-in")
        self._pick()
        assert self.url.startswith(self.portal), self.text[:500]
        return self

    def _pick(self) -> None:
        self.press(self.person.name)

    def ask(self, script: str, profile: str, *, days: int, **more: str) -> int:
        """Send a request; its number. Waits for the look-up on the helpdesk that the sign-in ordered."""
        until(lambda: "value=" in self.open("/requests/new").answer.text and not self._is_unknown())
        self.press(
            "Send request", script_name=script, runs_where="server", profile=profile,
            days=str(days) if days in (7, 30, 60, 90) else "other",
            **({} if days in (7, 30, 60, 90) else {"other_days": str(days)}),
            purpose="For the story the tests tell.", **more,
        )  # fmt: skip
        found = re.search(r"/requests/(\d+)$", self.url)
        assert found, f"{self.url}: {self.text[:800]}"
        return int(found.group(1))

    def _is_unknown(self) -> bool:
        return "not yet looked you up" in self.text

    def approve(self, request: int) -> "Actor":
        self.open(f"/requests/{request}")
        risky = any("Approve…" in text for text, _ in self.page.links)
        if risky:
            self.follow("Approve…")
        self.press("Approve")
        return self

    def connect(self, credential: int, *, button: str = "Connect", allow: bool = True) -> "Actor":
        """To the helpdesk's consent page and back, then wait until it is proved or refused."""
        self.consent(credential, button=button, allow=allow)
        until(lambda: not self.is_connecting(credential))
        return self

    def consent(self, credential: int, *, button: str = "Connect", allow: bool = True) -> None:
        """To the helpdesk's consent page and back."""
        self.open(f"/credentials/{credential}").press(button)
        if any(self.person.name in text for form in self.page.forms for text, _, _ in form.buttons):
            self._pick()
        self.press("Allow" if allow else "Deny")

    def is_connecting(self, credential: int) -> bool:
        return "Connecting" in self.open(f"/credentials/{credential}").text

    def credential_of(self, request: int) -> int:
        """The credential an approved request led to, as the request's page links it."""
        self.open(f"/requests/{request}")
        found = re.search(r"/credentials/(\d+)", self.answer.text)
        assert found, self.text[:600]
        return int(found.group(1))

    def confirm_it_is_me(self) -> None:
        """The identity provider asks again who it is; then back to where one was."""
        if "Confirm it is you" in self.text:
            self.press("Confirm with company sign-in")
            self._pick()

    def take_key(self, credential: int, button: str = "Show my key", page: str = "key") -> Key:
        """Show the key, confirming first who one is where that is asked."""
        self.open(f"/credentials/{credential}/{page}").press(button)
        if "Confirm it is you" in self.text:
            self.confirm_it_is_me()
            self.open(f"/credentials/{credential}/{page}").press(button)
        return self.read_key()

    def read_key(self) -> Key:
        html = self.answer.text
        secret = re.search(r"\bkds_[0-9A-Za-z]{38}\b", html)
        client = re.search(r"\bkd_[a-z_]+_[0-9A-Z]{10}\b", html)
        assert secret and client, self.text[:800]
        return Key(f"{self.portal}/oauth/token", client.group(), secret.group())


def until(holds: Callable[[], bool], *, seconds: float = 25) -> None:
    """Wait until something holds. Raises `AssertionError` when it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "It did not come about in time."
        time.sleep(0.2)
