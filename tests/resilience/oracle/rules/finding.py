"""What a rule hands on, and what it may look at."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from tests.resilience.oracle.database import Credential, Grant, Job, Run, Snapshot
from tests.resilience.oracle.desk import Desk, Made
from tests.resilience.oracle.ledger import HandedOut, Ledger
from tests.resilience.oracle.times import EPSILON, Pauses, Times


@dataclass(frozen=True)
class Violation:
    """One broken promise: the rule's short name, and what was seen."""

    rule: str
    sentence: str


@dataclass(frozen=True)
class Finding:
    """A violation, once it has been found again for `patience` seconds: reading two places is not one moment."""

    rule: str
    sentence: str
    patience: float = 0.0


@dataclass(frozen=True)
class Served:
    """One hand-out, with all that is known of it.

    It was told between `at`, the portal's own moment where it kept one, and the answer: the moment of its row is
    the one its request was begun, and what it was told may have been read later.
    """

    entry: HandedOut
    credential: Credential | None
    made: Made | None
    grant: Grant | None
    at: float
    has_row: bool

    @property
    def told_by(self) -> float:
        """When it was told at the latest."""
        return max(self.at, self.entry.answered_at)

    @property
    def promised_until(self) -> float:
        return self.at + self.entry.expires_in


@dataclass
class View:
    """Everything at one moment. The log was read first, then the database, then the living tokens."""

    now: float
    times: Times
    pauses: Pauses
    base: Snapshot
    desk: Desk
    ledger: Ledger
    requests_per_minute: int
    horizon: float = 0.0
    """What was over before this moment was judged at earlier looks; 0: everything is judged again."""

    def late_by(self, since: float, bound: float) -> float:
        """Seconds beyond `bound` after `since`, pauses aside; 0 or less: in time."""
        return self.now - since - bound - self.pauses.lost(since, self.now)

    def makers(self, made: Made) -> list[Grant]:
        """The rows whose call can have made a pair: sent before it, of that user and kind; latest first."""
        user, rows = made.actor or 0, self.sent_for
        told = (
            rows.get(user, [])
            if made.replaces is None
            else [
                *self.refreshes_of.get((user, made.replaces), []),
                *self.refreshes_of.get((user, None), []),
            ]
        )
        found = [
            grant
            for grant in told
            if (grant.purpose == "exchange") == (made.kind == "exchange")
            and (grant.sent_at or 0.0) <= made.at + EPSILON
            and self._follows(grant, made)
        ]
        return sorted(found, key=lambda grant: grant.sent_at or 0.0, reverse=True)

    def _follows(self, grant: Grant, made: Made) -> bool:
        if made.replaces is None or grant.replaces_id is None:
            return made.replaces is None
        old = self.base.grants.get(grant.replaces_id)
        return old is not None and old.remote_id in (None, made.replaces)

    @cached_property
    def sent_for(self) -> dict[int, list[Grant]]:
        """User → the rows whose call was sent for that user's access."""
        found: dict[int, list[Grant]] = {}
        for grant in self.base.grants.values():
            user = self.base.user_of(grant)
            if grant.sent_at is not None and user is not None:
                found.setdefault(user, []).append(grant)
        return found

    @cached_property
    def refreshes_of(self) -> dict[tuple[int, int | None], list[Grant]]:
        """User, and the token that was to be refreshed (None: nobody knows its id) → those of them that name a pair."""
        found: dict[tuple[int, int | None], list[Grant]] = {}
        for user, grants in self.sent_for.items():
            for grant in grants:
                old = self.base.grants.get(grant.replaces_id or 0)
                if old is not None:
                    found.setdefault((user, old.remote_id), []).append(grant)
        return found

    @cached_property
    def asked_for(self) -> dict[int, list[Grant]]:
        """User → the rows of every call that was meant for that user's access, sent or not."""
        found: dict[int, list[Grant]] = {}
        for grant in self.base.grants.values():
            user = self.base.user_of(grant)
            if user is not None:
                found.setdefault(user, []).append(grant)
        return found

    @cached_property
    def runs(self) -> dict[int, Run]:
        return {run.id: run for run in self.base.runs}

    @cached_property
    def queued(self) -> int:
        """Pairs and credentials whose end workers still owe."""
        doomed = sum(grant.state == "doomed" for grant in self.base.grants.values())
        return doomed + sum(one.state == "revoking" for one in self.base.credentials.values())

    @cached_property
    def jobs(self) -> dict[tuple[str, int], Job]:
        return {(job.kind, job.target_id): job for job in self.base.jobs}

    def is_being_tried(self, kind: str, target_id: int) -> bool:
        """Whether a job failed so lately that its next try is not late yet."""
        job = self.jobs.get((kind, target_id))
        if job is None or job.error_at is None or not job.tries:
            return False
        times = self.times
        return self.now - job.error_at < times.backoff + times.claim + times.noise

    @cached_property
    def leases(self) -> dict[int, float]:
        """Credential → the latest end it ever had by its row and its audit; a test may have moved the row's."""
        ends = {one.id: one.lives_until or 0.0 for one in self.base.credentials.values()}
        for row in self.base.audits:
            if row.event in ("credential.activated", "credential.renewed"):
                told = row.facts.get("lives_until")
                until = datetime.fromisoformat(told).timestamp() if told else 0.0
                ends[int(row.target_id)] = max(ends.get(int(row.target_id), 0.0), until)
        return ends

    def lease_at(self, credential: Credential, moment: float) -> float | None:
        """The latest end its access had at that moment, as far as is known; a test may have moved it closer."""
        moved = self.ledger.moved_lease(credential.client_id, before=moment - EPSILON)
        return self.leases.get(credential.id) if moved is None else moved

    def may_have_been_lied_to(self, at: float) -> bool:
        """Whether the helpdesk told somebody an untruth shortly before, or was out of order as a whole."""
        start = bisect_left(self.desk.lies, at - self._lie_lasts)
        is_lied_to = start < len(self.desk.lies) and self.desk.lies[start] <= at + EPSILON
        return is_lied_to or self.pauses.is_out(at - self._lie_lasts, at)

    @property
    def _lie_lasts(self) -> float:
        """How long what was told may be acted on: the work's claim, and a list in between."""
        return self.times.noise + self.times.claim + self.times.inventory_every

    @cached_property
    def served(self) -> list[Served]:
        """The hand-outs of the ledger."""
        return [
            self._served(entry)
            for entry in self.ledger.entries
            if entry.at + entry.expires_in > self.horizon
        ]

    def _served(self, entry: HandedOut) -> Served:
        credential = self.base.by_client_id.get(entry.client_id)
        made = self.desk.whose(entry.access_token)
        named = self.base.by_remote.get(made.token_id, []) if made else []
        own = [grant for grant in named if credential and grant.credential_id == credential.id]
        grant = max(own, key=lambda grant: grant.generation, default=None)
        fetches = self.base.fetched.get(grant.id, []) if grant else []
        after = [at for at in fetches if at >= entry.at - EPSILON]
        return Served(entry, credential, made, grant, min(after, default=entry.at), bool(after))


Rule = Callable[[View], Iterator[Finding]]
