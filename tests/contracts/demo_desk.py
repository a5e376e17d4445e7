"""One running demo helpdesk in a test's hands: what a portal, a script and the control do with it."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from demo.helpdesk.consent import consent
from demo.helpdesk.process import environment
from demo.helpdesk.remote import Remote
from demo.people import BY_KEY

REDIRECT = "http://127.0.0.1:8000/helpdesks/production/callback"
VERIFIER = "a-verifier-of-at-least-forty-three-characters-0123456789"
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
CLIENT = {"client_id": "keydesk", "client_secret": "tests-only-client-secret"}
SERVICE = {"client_id": "keydesk-service", "client_secret": "tests-only-service-secret"}
LIVES = {"expires_in": 900, "refresh_token_expires_in": 604_800}
SOME_DAY = datetime(2026, 10, 1, 8, 30, tzinfo=UTC)
ADA, BEN = BY_KEY["ada"].helpdesk_id, BY_KEY["ben"].helpdesk_id
CLEO, OMAR = BY_KEY["cleo"].helpdesk_id, BY_KEY["omar"].helpdesk_id


@dataclass(frozen=True)
class Helpdesk:
    """A running helpdesk, and what a portal and a script do with it."""

    address: str
    changed: set[int] = field(default_factory=set)

    def change_user(self, user_id: int | None, **changes: object) -> None:
        self.changed.add(user_id or 0)
        self.remote.change_user(user_id or 0, **changes)

    @property
    def remote(self) -> Remote:
        return Remote(self.address)

    def authorize_url(self, scope: str = "tickets:read users:read", **changes: Any) -> str:
        query = {
            "response_type": "code",
            "client_id": "keydesk",
            "redirect_uri": REDIRECT,
            "scope": scope,
            "state": "the state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | changes
        query = {name: value for name, value in query.items() if value is not None}
        return f"{self.address}/oauth/authorizations/new?{urlencode(query)}"

    def code(self, scope: str = "tickets:read users:read", person: int | None = ADA) -> str:
        answer = consent(self.authorize_url(scope), person_id=person or 0)
        return parse_qs(urlsplit(answer).query)["code"][0]

    def post(self, **fields: object) -> requests.Response:
        return requests.post(f"{self.address}/oauth/tokens", json=fields, timeout=20)

    def exchange(self, good_code: str, **changes: object) -> requests.Response:
        fields = {
            "grant_type": "authorization_code",
            "code": good_code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
        }
        return self.post(**{**fields, **CLIENT, **LIVES, **changes})

    def refresh(self, refresh_token: str, **changes: object) -> requests.Response:
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self.post(**{**fields, **CLIENT, **LIVES, **changes})

    def pair(self, scope: str = "tickets:read users:read", person: int | None = ADA) -> Any:
        answer = self.exchange(self.code(scope, person))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def service(self, scope: str = "read write") -> str:
        answer = self.post(grant_type="client_credentials", scope=scope, expires_in=900, **SERVICE)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    def call(
        self, path: str, token: str | None, method: str = "GET", **kwargs: Any
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        address = f"{self.address}/api/v2/{path}"
        return requests.request(method, address, headers=headers, timeout=20, **kwargs)

    def token_of(self, access_token: str) -> Any:
        return self.call("oauth/tokens/current", access_token).json()["token"]

    def last_event(self) -> int:
        return max((event["id"] for event in self.remote.events()), default=0)


def desk_environment(folder: Path, **habits: str) -> dict[str, str]:
    return environment(
        folder,
        name="Acme production",
        client_id=CLIENT["client_id"],
        client_secret=CLIENT["client_secret"],
        service_client_id=SERVICE["client_id"],
        service_client_secret=SERVICE["client_secret"],
        redirect_uri=REDIRECT,
        **{"requests_per_minute": 1_000_000, **habits},  # type: ignore[arg-type]
    )
