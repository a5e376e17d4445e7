"""A running demo helpdesk from the outside: its control and its event log, for seeding and tests.

`consent` is beside it: what a person does in a browser. Requests only, nothing of Django.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import requests

from demo.people import INTEGRATION_USER

_TIMEOUT = 20


class ControlRefused(Exception):
    """The control did not do it; the text is its sentence."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


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

    def set_weather(
        self,
        *,
        share: float,
        kinds: Mapping[str, float],
        seconds: float | Mapping[str, float] | None = None,
        seed: int = 0,
        scripts: bool = False,
    ) -> None:
        """Let a `share` (0 to 1) of what the portal sends meet a random kind of fault, by weight.

        `seconds`: one number for the kinds that wait, or one for each kind. `scripts`: also strike
        what agents' scripts ask with tokens of their own. Ordered faults come before weather.
        """
        told = {"share": share, "kinds": dict(kinds), "seed": seed, "scripts": scripts}
        each = dict(seconds) if isinstance(seconds, Mapping) else seconds
        self._post("weather", told if each is None else {**told, "seconds": each})

    def clear_weather(self) -> None:
        """Fair weather from now on; what has struck already goes on to its end."""
        self._post("weather", {})

    def struck(self) -> dict[str, int]:
        """How often each kind has struck since the weather was set."""
        found: dict[str, int] = self._get("weather")["struck"]
        return found

    def demote_service_user(self) -> None:
        """The user who owns the service client is no administrator any more; its tokens live on."""
        self.change_user(INTEGRATION_USER.helpdesk_id or 0, role="agent")

    def restore_service_user(self) -> None:
        """The service client's owner is an administrator again."""
        self.change_user(INTEGRATION_USER.helpdesk_id or 0, role="admin")

    def change_user(self, user_id: int, **changes: object) -> None:
        """Patch `role` (also "light agent"), `suspended`, `active`, `email`, `external_id`."""
        self._post(f"users/{user_id}", changes)

    def change_token(self, token_id: int, **changes: object) -> None:
        """Patch `scopes`, `user_id`, `expires_at` behind everybody's back."""
        self._post(f"tokens/{token_id}", changes)

    def expire_token(self, token_id: int) -> None:
        """End a token's access half now, as if its time were over."""
        self._post(f"tokens/{token_id}/expire", {})

    def delete_token(self, token_id: int) -> None:
        """End a token as an administrator does in the admin center: what a DELETE of it would end."""
        self._post(f"tokens/{token_id}/delete", {})

    def whose(self, access_token: str) -> dict[str, Any] | None:
        """`token_id`, `user_id`, `client`, `scopes` and both halves' states; None where it is no token."""
        try:
            return self._post("whose", {"access_token": access_token})
        except ControlRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def tokens(self, *, alive: bool = False, after: int = 0) -> list[dict[str, Any]]:
        """Tokens with an id above `after` and the state of both halves.

        Every one there ever was; with `alive`, those of which one half works.
        """
        found: list[dict[str, Any]] = []
        while True:
            page = self._get(f"tokens?alive={int(alive)}&after={after}")
            found += page["tokens"]
            if not page["has_more"]:
                return found
            after = found[-1]["id"]

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
            raise ControlRefused(answer.text.strip(), answer.status_code)
        found: dict[str, Any] = answer.json()
        return found
