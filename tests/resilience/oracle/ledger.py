"""What clients were handed out, and what people and the test did, as the driver wrote it: a line each.

A token: `{"at", "client_id", "access_token", "expires_in", "answered_at"}`, `at` being the moment before
the request, so that nothing a slow machine does counts as the portal's. A mark: `{"at", "event", …}` with
`replace` or `revoke` and a `client_id`; `outside` and a `token_id` (somebody ended or changed that token on the
helpdesk by hand); `kill` (a worker died, or lost its database); `lease` with a `client_id` and `until` (its end was moved).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class HandedOut:
    """One 200 of the token endpoint, asked for `at` and answered by then; unix time, as everywhere here."""

    at: float
    client_id: str
    access_token: str
    expires_in: float
    answered_at: float = 0.0


@dataclass(frozen=True)
class Mark:
    """Something the test says it did."""

    at: float
    event: str
    client_id: str = ""
    token_id: int = 0
    until: float = 0.0


@dataclass
class Ledger:
    """The file, read on from where the last reading ended."""

    path: Path
    entries: list[HandedOut] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    _offset: int = 0

    def read(self) -> None:
        """Take in what was added. A line that is still being written waits for the next time."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            if line.strip():
                self._take(json.loads(line))

    def _take(self, row: dict[str, Any]) -> None:
        event = row.get("event")
        if event:
            at, until = float(row["at"]), float(row.get("until") or 0)
            self.marks.append(
                Mark(at, event, row.get("client_id", ""), row.get("token_id", 0), until)
            )
        else:
            told = float(row["expires_in"])
            at, answered_at = float(row["at"]), float(row.get("answered_at") or row["at"])
            self.entries.append(
                HandedOut(at, row["client_id"], row["access_token"], told, answered_at)
            )

    def note_death(self, at: float) -> None:
        """The driver says it without a line."""
        self.marks.append(Mark(at, "kill"))

    def marked(self, event: str, *, client_id: str = "", token_id: int = 0) -> list[float]:
        """When `event` was done, to this credential or token where one is named."""
        return [
            mark.at
            for mark in self.marks
            if mark.event == event
            and (not client_id or mark.client_id == client_id)
            and (not token_id or mark.token_id == token_id)
        ]

    def moved_lease(self, client_id: str, *, before: float) -> float | None:
        """Where the test had moved the end of an access to by then; None: nowhere."""
        moved = [
            mark.until
            for mark in self.marks
            if mark.event == "lease" and mark.client_id == client_id and mark.at < before
        ]
        return min(moved, default=None)
