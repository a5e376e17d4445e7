"""A running demo helpdesk from the outside: its control and its event log, for seeding and tests.

`consent` is beside it: what a person does in a browser. Requests only, nothing of Django.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

_TIMEOUT = 20


class ControlRefused(Exception):
    """The control did not do it; the text is its sentence."""


@dataclass(frozen=True)
class Remote:
    """The helpdesk at `address`, such as http://127.0.0.1:8002."""

    address: str

    def set_time(self, now: datetime | None, *, runs: bool = False) -> None:
        """Let the helpdesk believe it is `now`: standing still, or running on. None is real time."""
        self._post("time", {"now": now and now.isoformat(), "runs": runs})

    def order_faults(self, *faults: dict[str, Any]) -> None:
        """Replace the ordered faults: `method`, `path`, `kind`, `times`, `seconds`, `grant_type`."""
        self._post("faults", list(faults))

    def faults_left(self) -> int:
        """How many times the ordered faults can still strike."""
        return sum(fault["times"] for fault in self._get("faults")["faults"])

    def change_user(self, user_id: int, **changes: object) -> None:
        """Patch `role` (also "light agent"), `suspended`, `active`, `email`, `external_id`."""
        self._post(f"users/{user_id}", changes)

    def change_token(self, token_id: int, **changes: object) -> None:
        """Patch `scopes`, `user_id`, `expires_at` behind everybody's back."""
        self._post(f"tokens/{token_id}", changes)

    def expire_token(self, token_id: int) -> None:
        """End a token's access half now, as if its time were over."""
        self._post(f"tokens/{token_id}/expire", {})

    def tokens(self) -> list[dict[str, Any]]:
        """Every token there ever was, with the state of both halves."""
        found: list[dict[str, Any]] = self._get("tokens")["tokens"]
        return found

    def events(self, *, after: int = 0) -> Iterator[dict[str, Any]]:
        """The events with an id above `after`, oldest first."""
        while True:
            page = self._get(f"events?after={after}")
            yield from page["events"]
            if not page["has_more"]:
                return
            after = page["events"][-1]["id"]

    def _get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path, None)

    def _post(self, path: str, body: object) -> dict[str, Any]:
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: object) -> dict[str, Any]:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                method,
                f"{self.address}/control/{path}",
                json=body,
                headers={"X-Demo-Control": "1"},
                timeout=_TIMEOUT,
            )
        if answer.status_code != 200:
            raise ControlRefused(answer.text.strip())
        found: dict[str, Any] = answer.json()
        return found
