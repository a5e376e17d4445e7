"""The portal's database by raw SQL: SQLite or PostgreSQL, every look in one read-only snapshot."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import psycopg

TERMINAL = ("gone", "replaced", "refused", "abandoned", "written_off")
OPEN = ("intended", "sent", "answered", "unknown")
OWNING = ("answered", "live", "doomed")
_OVERLAP = 2_000
"""PostgreSQL gives ids before the commit: so many of the last rows are read again."""

Words = frozenset[str]
Told = dict[tuple[str, str], dict[str, list[tuple[float, float]]]]


@dataclass(frozen=True)
class Grant:
    """One row of a token pair. Times in seconds since 1970, as in every row here."""

    id: int
    credential_id: int | None
    connection_id: int | None
    purpose: str
    generation: int
    replaces_id: int | None
    state: str
    list_before_id: int | None
    asked_access_seconds: int
    asked_refresh_seconds: int
    intended_at: float
    sent_at: float | None
    answered_at: float | None
    settled_at: float | None
    remote_id: int | None
    proved_at: float | None
    serve_until: float | None
    access_expires_at: float | None
    doomed_at: float | None
    deleted_at: float | None
    gone_at: float | None
    refresh_sealed: str

    @property
    def closed_at(self) -> float | None:
        """When the call stopped being open; None while it is."""
        if self.state in OPEN:
            return None
        ends = (self.proved_at, self.settled_at, self.doomed_at, self.answered_at)
        return min((end for end in ends if end is not None), default=self.intended_at)


@dataclass(frozen=True)
class Credential:
    """One row of access, with the helpdesk user it acts as."""

    id: int
    client_id: str
    owner_id: int
    acts_as: int
    scopes: Words
    days: int
    state: str
    helpdesk_id: int
    profile_id: int
    issued_at: float | None
    lives_until: float | None
    ending_since: float | None
    ended_at: float | None


@dataclass(frozen=True)
class Request:
    """One wish, with what its profile's version offers."""

    id: int
    requester_id: int
    credential_id: int | None
    is_renewal: bool
    scopes: Words
    days: int
    state: str
    revision: int
    approvals: int
    granted_scopes: Words
    granted_days: int | None
    offered: Words
    needed: int


@dataclass(frozen=True)
class Decision:
    """One answer to one revision."""

    id: int
    access_request_id: int
    revision: int
    approver_id: int | None
    requester_id: int
    verdict: str
    scopes: Words
    days: int


@dataclass(frozen=True)
class Audit:
    """One line of the audit. `body` is JSON text."""

    id: int
    at: float
    event: str
    target_type: str
    target_id: str
    body: str

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(frozen=True)
class Fetch:
    """One time the portal says it handed out a token."""

    id: int
    credential_id: int
    grant_id: int
    at: float


@dataclass(frozen=True)
class Run:
    """One inventory."""

    id: int
    started_at: float
    finished_at: float | None
    is_complete: bool
    error: str


@dataclass(frozen=True)
class Job:
    """One open job."""

    id: int
    kind: str
    target_id: int
    not_before: float
    claimed_until: float | None
    tries: int
    error_at: float | None
    parked_because: str
    error: str


@dataclass(frozen=True)
class Emergency:
    """One order to end everything of a person, a profile or a helpdesk."""

    id: int
    kind: str
    subject_id: int
    newest_credential_id: int
    finished_at: float | None


@dataclass(frozen=True)
class Seen:
    """Since which and until which list a token was seen."""

    remote_id: int
    first_run_id: int
    last_run_id: int


_FROM = {
    Grant: "tokens_grant t",
    Credential: "tokens_credential t JOIN tokens_helpdeskuser u ON u.id = t.acts_as_id"
    " JOIN tokens_profileversion v ON v.id = t.profile_version_id",
    Request: "tokens_accessrequest t JOIN tokens_profileversion v ON v.id = t.profile_version_id"
    " JOIN tokens_accessprofile p ON p.id = t.profile_id",
    Decision: "tokens_decision t JOIN tokens_accessrequest r ON r.id = t.access_request_id"
    " JOIN tokens_accessprofile p ON p.id = r.profile_id",
    Audit: "accounts_auditevent t",
    Fetch: "tokens_fetch t JOIN tokens_credential c ON c.id = t.credential_id",
    Run: "tokens_inventoryrun t",
    Job: "tokens_job t",
    Emergency: "tokens_emergency t",
    Seen: "tokens_seentoken t",
}
_COLUMN = {
    "acts_as": "u.remote_id",
    "profile_id": "v.profile_id",
    "offered": "v.scopes",
    "needed": "v.approvals_needed",
}

T = TypeVar("T")


@dataclass
class Snapshot:
    """One moment of the database, for one helpdesk."""

    helpdesk_id: int
    grants: dict[int, Grant]
    credentials: dict[int, Credential]
    requests: dict[int, Request]
    decisions: list[Decision]
    audits: list[Audit]
    told: Told
    """(type, id) of a target → event → when, and no earlier than when it was written."""
    fetches: list[Fetch]
    runs: list[Run]
    jobs: list[Job]
    emergencies: list[Emergency]
    seen: dict[int, Seen]

    @cached_property
    def by_remote(self) -> dict[int, list[Grant]]:
        """The rows that name a token of the helpdesk, whatever their state."""
        found: dict[int, list[Grant]] = defaultdict(list)
        for grant in self.grants.values():
            if grant.remote_id is not None:
                found[grant.remote_id].append(grant)
        return found

    @cached_property
    def by_credential(self) -> dict[int, list[Grant]]:
        """A credential's rows, oldest first."""
        found: dict[int, list[Grant]] = defaultdict(list)
        for grant in sorted(self.grants.values(), key=lambda grant: grant.id):
            if grant.credential_id is not None:
                found[grant.credential_id].append(grant)
        return found

    @cached_property
    def by_client_id(self) -> dict[str, Credential]:
        return {credential.client_id: credential for credential in self.credentials.values()}

    @cached_property
    def successors(self) -> dict[int, list[Grant]]:
        """Grant → the rows whose call showed its refresh half."""
        found: dict[int, list[Grant]] = defaultdict(list)
        for grant in self.grants.values():
            if grant.replaces_id is not None and grant.sent_at is not None:
                found[grant.replaces_id].append(grant)
        return found

    def said(self, kind: str, target_id: int, *events: str) -> list[float]:
        """When any of `events` was recorded of a target."""
        told = self.told.get((kind, str(target_id)), {})
        return sorted(at for event in events for at, _ in told.get(event, []))

    def written(self, kind: str, target_id: int, *events: str) -> list[float]:
        """The same, but no earlier than the row can have been written: after every row with a smaller number.

        A row names the moment its request was begun, which may have waited for the database since.
        """
        told = self.told.get((kind, str(target_id)), {})
        return sorted(written for event in events for _, written in told.get(event, []))

    @cached_property
    def fetched(self) -> dict[int, list[float]]:
        """Grant → when it was handed out, in order."""
        found: dict[int, list[float]] = defaultdict(list)
        for fetch in sorted(self.fetches, key=lambda fetch: fetch.at):
            found[fetch.grant_id].append(fetch.at)
        return found

    def user_of(self, grant: Grant) -> int | None:
        """The helpdesk user a grant's credential acts as."""
        credential = self.credentials.get(grant.credential_id or 0)
        return credential.acts_as if credential else None


@dataclass
class Database:
    """Reads; keeps what can change no more from one look to the next."""

    url: str
    slug: str
    _grants: dict[int, Grant] = field(default_factory=dict)
    _audits: dict[int, Audit] = field(default_factory=dict)
    _fetches: dict[int, Fetch] = field(default_factory=dict)
    _told: Told = field(default_factory=dict)
    _newest: float = 0.0
    """The latest moment that any row of the audit names so far."""

    def forget(self) -> None:
        """Read everything anew next time."""
        self._grants, self._audits, self._fetches, self._told = {}, {}, {}, {}
        self._newest = 0.0

    def snapshot(self) -> Snapshot:
        """Everything the rules need, as of one moment."""
        with self._reading() as reading:
            return self._snapshot(reading)

    @contextmanager
    def _reading(self) -> Iterator["_Reading"]:
        if self.url.startswith("sqlite:///"):
            path = self.url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as lite:
                lite.isolation_level = None
                lite.execute("BEGIN")
                yield _Reading(lite, "?")
            return
        with closing(psycopg.connect(self.url)) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield _Reading(connection, "%s")

    def _snapshot(self, reading: "_Reading") -> Snapshot:
        desk = int(reading.value("SELECT id FROM tokens_helpdesk WHERE slug = ?", self.slug) or 0)
        if int(reading.value("SELECT max(id) FROM accounts_auditevent") or 0) < max(
            self._audits, default=0
        ):
            self.forget()  # it came back from a backup
        self._read_grants(reading, desk)
        for row in sorted(_read_on(reading, Audit, self._audits), key=lambda row: row.id):
            events = self._told.setdefault((row.target_type, row.target_id), {})
            self._newest = max(self._newest, row.at)
            events.setdefault(row.event, []).append((row.at, self._newest))
        _read_on(reading, Fetch, self._fetches, "c.helpdesk_id = ?", desk)
        runs = reading.rows(Run, "t.helpdesk_id = ? ORDER BY t.id DESC LIMIT 400", desk)
        oldest = runs[min(len(runs), 60) - 1].id if runs else 0
        seen = reading.rows(Seen, "t.helpdesk_id = ? AND t.last_run_id >= ?", desk, oldest)
        return Snapshot(
            helpdesk_id=desk,
            grants=dict(self._grants),
            credentials=_keyed(reading.rows(Credential, "t.helpdesk_id = ?", desk)),
            requests=_keyed(reading.rows(Request, "p.helpdesk_id = ?", desk)),
            decisions=reading.rows(Decision, "p.helpdesk_id = ?", desk),
            audits=list(self._audits.values()),
            told=self._told,
            fetches=list(self._fetches.values()),
            runs=sorted(runs, key=lambda run: run.id),
            jobs=reading.rows(Job, "t.helpdesk_id = ? AND t.done_at IS NULL", desk),
            emergencies=reading.rows(Emergency, "1 = 1"),
            seen={row.remote_id: row for row in seen},
        )

    def _read_grants(self, reading: "_Reading", desk: int) -> None:
        """Rows that can still change, new ones, and those that could change when last seen."""
        newest = max(self._grants, default=0) - reading.overlap
        ended = ", ".join(f"'{state}'" for state in TERMINAL)
        sql = f"t.helpdesk_id = ? AND (t.id > ? OR t.state NOT IN ({ended}))"
        found = _keyed(reading.rows(Grant, sql, desk, newest))
        moved = [
            grant.id
            for grant in self._grants.values()
            if grant.state not in TERMINAL and grant.id not in found
        ]
        for start in range(0, len(moved), 500):
            part = moved[start : start + 500]
            marks = ", ".join("?" for _ in part)
            found |= _keyed(reading.rows(Grant, f"t.id IN ({marks})", *part))
        self._grants |= found

    def texts(self) -> Iterator[tuple[str, str, str]]:
        """Every text of every table but sessions: table, column, text."""
        with self._reading() as reading:
            for table in reading.tables():
                for row in reading.dicts(f'SELECT * FROM "{table}"'):
                    for column, value in row.items():
                        if isinstance(value, str) and len(value) >= 20:
                            yield table, column, value
                        elif isinstance(value, dict | list):
                            yield table, column, json.dumps(value)


def _read_on(
    reading: "_Reading", kind: type[T], kept: dict[int, T], where: str = "1 = 1", *values: object
) -> list[T]:
    """Read on behind what is kept, keep it, and return what is new."""
    newest = max(kept, default=0) - reading.overlap
    found = _keyed(reading.rows(kind, f"{where} AND t.id > ?", *values, newest))
    new = [row for number, row in found.items() if number not in kept]
    kept |= found
    return new


def _keyed(rows: list[T]) -> dict[int, T]:
    return {row.id: row for row in rows}  # type: ignore[attr-defined]


@dataclass
class _Reading:
    """One open read-only transaction."""

    connection: Any
    mark: str

    @property
    def overlap(self) -> int:
        """How many of the last rows may have been committed after ones with a higher id."""
        return 0 if self.mark == "?" else _OVERLAP

    def _execute(self, sql: str, values: tuple[object, ...] = ()) -> Any:
        return self.connection.execute(sql.replace("?", self.mark), values)

    def value(self, sql: str, *values: object) -> Any:
        found = self._execute(sql, values).fetchone()
        return found[0] if found else None

    def rows(self, kind: type[T], where: str, *values: object) -> list[T]:
        """The rows of one kind, each column brought to its type."""
        wanted = fields(kind)  # type: ignore[arg-type]
        columns = ", ".join(_COLUMN.get(one.name, f"t.{one.name}") for one in wanted)
        found = self._execute(f"SELECT {columns} FROM {_FROM[kind]} WHERE {where}", values)
        kinds = [_shape(str(one.type), one.name) for one in wanted]
        return [
            kind(*(shape(value) for shape, value in zip(kinds, row, strict=True)))
            for row in found.fetchall()
        ]

    def tables(self) -> list[str]:
        """Every table but the one of sessions, which hold a secret on purpose."""
        sql = (
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            if self.mark == "?"
            else "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        names = [str(row[0]) for row in self._execute(sql).fetchall()]
        return [
            name for name in names if name != "django_session" and not name.startswith("sqlite_")
        ]

    def dicts(self, sql: str) -> Iterator[dict[str, Any]]:
        found = self._execute(sql)
        names = [column[0] for column in found.description]
        return (dict(zip(names, row, strict=True)) for row in found)


def _shape(type_name: str, name: str) -> Any:
    """How a column's value becomes what its field says."""
    if "float" in type_name:
        return _moment
    if "Words" in type_name or "frozenset" in type_name:
        return lambda value: frozenset((value or "").split())
    if type_name.endswith("bool'>"):
        return bool
    return lambda value: value


def _moment(value: Any) -> float | None:
    """Seconds since 1970 of what the engine gives for a time."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    aware: datetime = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.timestamp()
