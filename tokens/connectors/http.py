"""How a connector talks HTTP: one request, one deadline, and a verdict on what may have happened.

What an answer below 500 means is the connector's business, except for redirects and 429. How a request is
sent, and how it is known whether it was, stands in wire.py.
"""

from collections.abc import Mapping
from typing import Any

import requests

from tokens.connectors import headers, wire
from tokens.connectors.base import Gate, Retry, Unknown
from tokens.connectors.wire import Answer

_JSON = {"Accept": "application/json"}


class Transport:
    """Requests to one helpdesk. Raises only `Retry`, `Unknown` and, for a request that cannot be made, `GiveUp`.

    Nothing of the environment takes part; see wire.py.
    """

    def __init__(self, *, base_url: str, gate: Gate) -> None:
        self._base_url = base_url.rstrip("/")
        self._gate = gate

    def get(
        self, path: str, *, bearer: str, query: Mapping[str, str | int] | None = None
    ) -> Answer:
        """Read something with an access token."""
        return self._call("GET", path, headers=_JSON | _bearer(bearer), params=query)

    def post(self, path: str, *, fields: Mapping[str, str | int]) -> Answer:
        """Send a JSON object that carries its own authentication."""
        return self._call("POST", path, headers=_JSON, json=fields)

    def delete(self, path: str, *, bearer: str) -> Answer:
        """Delete something with an access token."""
        return self._call("DELETE", path, headers=_JSON | _bearer(bearer))

    def _call(self, method: str, path: str, **parts: Any) -> Answer:
        prepared = wire.prepare(method, self._base_url + path, **parts)
        self._gate.enter()
        answer = _perform(prepared, self._gate.deadline)
        wish = headers.retry_after(answer.headers) if answer.status in {429, 503} else None
        said = headers.budget(answer.headers)
        self._gate.heard(limit=said.limit, remaining=said.remaining, retry_after=wish)
        _judge(answer.status, wish)
        return answer


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _judge(status: int, wish: float | None) -> None:
    """Raise for what means the same to every call; a 408 does not say how much was taken in."""
    if status == 429:
        raise Retry("The helpdesk's limit of requests is used up.", after=wish)
    if 300 <= status < 400:
        raise Unknown(f"The helpdesk answered with a redirect ({status}), which is not followed.")
    if status >= 500 or status == 408:
        raise Unknown(f"The helpdesk answered with an error of its own ({status}).")


def _perform(prepared: requests.PreparedRequest, deadline: float) -> Answer:
    return wire.perform(prepared, deadline)
