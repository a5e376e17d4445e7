"""The helpdesk's own word: its event log, read on from look to look, and which tokens live now."""

import hashlib
import json
import urllib.request
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Event = dict[str, Any]
_KINDS = {"authorization_code": "exchange", "refresh_token": "refresh"}
_TOKENS = "/api/v2/oauth/tokens"
_OURS = ("/oauth/tokens", "/api/v2/oauth/", "/api/v2/users")
"""What the portal calls; scripts read tickets."""
_PLAIN = (
    "drop_", "late_commit", "stall", "half_", "5", "html", "empty", "redirect", "429", "body_drip",
    "header_drip", "endless_body", "cut_short", "garbage", "null_", "ids_as_text", "lives_as_text",
    "missing_tokens", "no_meta", "service_", "invalid_client", "keeps_token", "spares_refresh",
)  # fmt: skip
"""How the kinds of faults begin that tell nothing untrue about a living token: no answer, one that nobody can take for
one, a refusal of the portal's own access, a delete that was none."""


@dataclass(frozen=True)
class Made:
    """One pair the helpdesk made. `actor` consented to it; `user_id` is whom it acts as."""

    token_id: int
    at: float
    kind: str
    actor: int | None
    user_id: int | None
    scopes: frozenset[str]
    expires_at: float | None
    refresh_expires_at: float | None
    replaces: int | None
    fault: str
    is_late: bool
    digest: str

    @property
    def is_bent(self) -> bool:
        """Whether a fault made its end another than was asked for."""
        return "expiry" in self.fault


@dataclass(frozen=True)
class Death:
    """One way a token ended before its time: `refreshed`, `deleted`, `expired` or `changed`."""

    token_id: int
    at: float
    how: str
    because: str = ""
    spares_refresh: bool = False


@dataclass(frozen=True)
class Sent:
    """One request to the token endpoint that showed a code or a refresh token.

    It `arrived` some time before it is in the log, which has it when it is done: seconds later where it is committed late.
    """

    at: float
    arrived: float
    status: int | None
    done: int | None
    fault: str
    token_id: int | None


@dataclass(frozen=True)
class Living:
    """A token of which at least one half lives."""

    id: int
    client: str
    user_id: int
    scopes: frozenset[str]
    created_at: float
    expires_at: float | None
    refresh_expires_at: float | None
    has_access: bool
    has_refresh: bool


@dataclass
class Desk:
    """The helpdesk at `address`, such as http://127.0.0.1:8002, and one OAuth client of it."""

    address: str
    client_id: str
    window: float
    made: list[Made] = field(default_factory=list)
    made_by_id: dict[int, list[Made]] = field(default_factory=lambda: defaultdict(list))
    by_digest: dict[str, Made] = field(default_factory=dict)
    deaths: dict[int, list[Death]] = field(default_factory=lambda: defaultdict(list))
    changed_users: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[tuple[str, str], list[Sent]] = field(default_factory=lambda: defaultdict(list))
    answered: dict[int, Sent] = field(default_factory=dict)
    refusals: Counter[int] = field(default_factory=Counter)
    others: Counter[int] = field(default_factory=Counter)
    looks: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When a token was asked whose it is, or shown by its id, and answered."""
    lists: list[float] = field(default_factory=list)
    """When a page of the list of all tokens was read."""
    service_taken: list[float] = field(default_factory=list)
    """When workers got access of the portal's own: an hour's. Commands take ten minutes' and say so themselves."""
    addresses: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[float] = field(default_factory=list)
    """When requests went wrong, since these were last taken away."""
    lies: list[float] = field(default_factory=list)
    """When an answer read well and was not true about a token, in order."""
    alive: dict[int, Living] = field(default_factory=dict)
    _last: int = 0
    _consents: dict[str, int | None] = field(default_factory=dict)

    def read_events(self) -> None:
        """Take in what happened since the last time."""
        for event in self._events():
            self._last = event["id"]
            take = getattr(self, "_take_" + event["kind"].replace(".", "_"), None)
            if take:
                take(event, _moment(event["at"]) or 0.0, event["detail"])

    def read_tokens(self) -> None:
        """Which tokens of the client live now."""
        answer = self._call("GET", "tokens?alive=1")
        rows = [row for row in answer["tokens"] if "live" in (row["access"], row["refresh"])]
        self.alive = {row["id"]: _living(row) for row in rows if row["client"] == self.client_id}

    def whose(self, access_token: str) -> Made | None:
        """Which pair an access token is the half of; None: none the helpdesk ever made."""
        return self.by_digest.get(hashlib.sha256(access_token.encode()).hexdigest()[:16])

    def was_looked_at(self, token_id: int, *, since: float, until: float) -> bool:
        """Whether the helpdesk was asked about a token in that time: by itself, by its id, or in the list."""
        first = bisect_left(self.lists, since)
        moments = (*self.looks.get(token_id, ()), *self.lists[first : first + 1])
        return any(since <= at <= until for at in moments)

    def died(self, token_id: int, *, before: float) -> Death | None:
        """The first end of a token before a moment."""
        ends = [death for death in self.deaths.get(token_id, []) if death.at < before]
        return min(ends, key=lambda death: death.at, default=None)

    # --- Events -------------------------------------------------------------------------------

    def _take_code_used(self, event: Event, _at: float, _detail: Event) -> None:
        """Comes right before the token the code is swapped for, and says who consented."""
        self._consents[event["client"]] = event["user_id"]

    def _take_token_issued(self, event: Event, at: float, detail: Event) -> None:
        kind = _KINDS.get(str(detail.get("grant_type")))
        if event["client"] == self.client_id and kind:
            actor = self._consents.pop(self.client_id, event["user_id"])
            self._keep(_made(event, at, kind, actor, None))
        ends = _moment(detail.get("expires_at"))
        if detail.get("grant_type") == "client_credentials" and ends and ends - at > 1_800:
            self.service_taken.append(at)

    def _take_token_refreshed(self, event: Event, at: float, detail: Event) -> None:
        if event["client"] != self.client_id:
            return
        old = self.made_by_id.get(detail["replaces"])
        actor = old[-1].actor if old else event["user_id"]
        self.deaths[detail["replaces"]].append(Death(detail["replaces"], at, "refreshed"))
        self._keep(_made(event, at, "refresh", actor, detail["replaces"]))

    def _keep(self, made: Made) -> None:
        self.made.append(made)
        self.made_by_id[made.token_id].append(made)
        self.counts["tokens_made"] += 1
        self.counts["late"] += made.is_late
        if made.digest:
            self.by_digest[made.digest] = made

    def _take_token_deleted(self, event: Event, at: float, detail: Event) -> None:
        if event["client"] == self.client_id:
            self.counts["tokens_deleted"] += 1
            because, spares = str(detail.get("because")), bool(detail.get("refresh_lives_on"))
            self._end(Death(event["token_id"], at, "deleted", because, spares))

    def _take_token_expired(self, event: Event, at: float, _detail: Event) -> None:
        self._end(Death(event["token_id"], at, "expired"))

    def _take_token_changed(self, event: Event, at: float, _detail: Event) -> None:
        self._end(Death(event["token_id"], at, "changed"))

    def _end(self, death: Death) -> None:
        self.deaths[death.token_id].append(death)

    def _take_user_changed(self, event: Event, at: float, _detail: Event) -> None:
        self.changed_users[event["user_id"]].append(at)

    def _take_request_served(self, event: Event, at: float, detail: Event) -> None:
        path, fault = str(detail.get("path", "")), str(detail.get("fault") or "")
        self.counts["faulted"] += bool(fault)
        self.faults += [at] if fault else []
        self.lies += [at] if fault and not fault.startswith(_PLAIN) else []
        window = int(at // self.window)
        if detail.get("method") == "GET" and detail.get("status") == 200:
            self._take_look(event, at, path)
        if path.startswith(_OURS):
            self.counts["calls"] += 1
            self.refusals[window] += detail.get("status") == 429 and not fault
        elif path.startswith("/api/"):
            self.others[window] += 1
        if not path.startswith("/oauth/authorizations"):
            self.addresses.append(path)
        self._take_showing(event, at, detail, fault)

    def _take_look(self, event: Event, at: float, path: str) -> None:
        if path == _TOKENS:
            self.lists.append(at)
        elif path == f"{_TOKENS}/current" and event["token_id"]:
            self.looks[event["token_id"]].append(at)
        elif path.startswith(f"{_TOKENS}/") and path.rsplit("/", 1)[1].isdigit():
            self.looks[int(path.rsplit("/", 1)[1])].append(at)

    def _take_showing(self, event: Event, at: float, detail: Event, fault: str) -> None:
        for what in ("code", "refresh_token"):
            if digest := detail.get(what):
                status, done = detail.get("status"), detail.get("done")
                arrived = _moment(detail.get("arrived")) or at
                sent = Sent(at, arrived, status, done, fault, event["token_id"])
                self.sent[what, digest].append(sent)
                if event["token_id"] and not fault and status in (200, 201):
                    self.answered[event["token_id"]] = sent

    # --- The control --------------------------------------------------------------------------

    def _events(self) -> Iterator[Event]:
        has_more = True
        while has_more:
            page = self._call("GET", f"events?after={self._last}")
            yield from page["events"]
            has_more = page["has_more"]

    def _call(self, method: str, path: str) -> Event:
        address = f"{self.address}/control/{path}"
        request = urllib.request.Request(address, method=method, headers={"X-Demo-Control": "1"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            found: Event = json.loads(answer.read())
        return found


def _made(event: Event, at: float, kind: str, actor: int | None, replaces: int | None) -> Made:
    detail = event["detail"]
    return Made(
        token_id=event["token_id"], at=at, kind=kind, actor=actor, user_id=event["user_id"],
        scopes=frozenset(detail["scopes"]), expires_at=_moment(detail["expires_at"]),
        refresh_expires_at=_moment(detail["refresh_expires_at"]), replaces=replaces,
        fault=str(detail.get("fault") or ""), is_late=bool(detail.get("late")),
        digest=str(detail.get("access_token") or ""),
    )  # fmt: skip


def _living(row: Event) -> Living:
    return Living(
        id=row["id"], client=row["client"], user_id=row["user_id"],
        scopes=frozenset(row["scopes"]), created_at=_moment(row["created_at"]) or 0.0,
        expires_at=_moment(row["expires_at"]),
        refresh_expires_at=_moment(row["refresh_expires_at"]),
        has_access=row["access"] == "live", has_refresh=row["refresh"] == "live",
    )  # fmt: skip


def _moment(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
