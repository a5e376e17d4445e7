"""The oracle: looks while everything goes wrong, and once more at rest."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.resilience.oracle.database import Database
from tests.resilience.oracle.desk import Desk
from tests.resilience.oracle.ledger import Ledger
from tests.resilience.oracle.rules import ALWAYS, leaking
from tests.resilience.oracle.rules.finding import Finding, View, Violation
from tests.resilience.oracle.rules.resting import unsettled
from tests.resilience.oracle.times import Pauses, Times

REMEMBERS = 300.0
"""Seconds for which a look judges again what is over; at rest everything is."""


@dataclass
class Oracle:
    """Reads the helpdesk over its control, the database by SQL, the broker, logs, and the driver's ledger.

    `window`: seconds of the helpdesk's rate window. `folders`: logs and whatever else must hold no secret.
    """

    database_url: str
    helpdesk_address: str
    client_id: str
    helpdesk_slug: str
    ledger_path: Path
    times: Times
    requests_per_minute: int
    window: float
    redis_url: str = ""
    folders: list[Path] = field(default_factory=list)
    _reported: set[Violation] = field(default_factory=set)
    _suspected: dict[Finding, float] = field(default_factory=dict)
    _looks: int = 0
    _ripe: float = 0.0
    _looked_at: float = field(default_factory=time.time)
    _read_so_far: dict[Path, int] = field(default_factory=dict)
    _said: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._database = Database(self.database_url, self.helpdesk_slug)
        self._desk = Desk(self.helpdesk_address, self.client_id, self.window)
        self._ledger = Ledger(Path(self.ledger_path))
        self._pauses = Pauses(self.times.claim + self.times.backoff)
        self._marks = 0
        self._began = self._looked_at

    def outage(self, start: float, end: float) -> None:
        """Between these moments (unix time) the system could not work: bounds do not run."""
        self._pauses.outage(start, end)

    def killed(self, at: float) -> None:
        """A worker died at this moment (unix time), or could not write to its database."""
        self._ledger.note_death(at)

    def look(self, *, is_full: bool = False) -> list[Violation]:
        """What is wrong now and was not reported before. Cheap; once a second is well."""
        view = self._view(is_full=is_full)
        found = [finding for rule in ALWAYS for finding in rule(view)]
        found += leaking.in_addresses(view)
        if self.redis_url and self._looks % 5 == 1:
            found += leaking.in_broker(self.redis_url)
        if self._looks % 5 == 2:
            found += leaking.in_growth(self.folders, self._read_so_far)
        return self._judged(found)

    def at_rest(self, within: float) -> list[Violation]:
        """With the faults off: wait at most `within` seconds until nothing is left to do, then read everything.

        What is not settled by then is a violation. Sooner or later this returns in any case.
        """
        end, reported = time.monotonic() + within, []
        while (left := list(unsettled(self._view()))) and time.monotonic() < end:
            reported += self.look()
            time.sleep(0.5)
        reported += self._new(left)
        self._database.forget()
        reported += self.look(is_full=True)
        end = time.monotonic() + 4 * self.times.noise
        while self._suspected and time.monotonic() < end:
            time.sleep(0.5)
            reported += self.look(is_full=True)
        return reported + self._new(self._leaks())

    def age_suspicions(self, seconds: float) -> None:
        """As if what is suspected had been seen so much earlier: a test need not wait for patience."""
        self._suspected = {one: since - seconds for one, since in self._suspected.items()}

    def figures(self) -> dict[str, int]:
        """What was seen so far, so that a run in which too little happened can call itself void."""
        counts = self._desk.counts
        return {
            "looks": self._looks,
            "judged": int(self._ripe),
            "calls": counts["calls"],
            "faulted": counts["faulted"],
            "late": counts["late"],
            "tokens_made": counts["tokens_made"],
            "tokens_deleted": counts["tokens_deleted"],
            "tokens_alive": len(self._desk.alive),
            "handed_out": len(self._ledger.entries),
            "unknowns": self._said["grant.lost_track_of"],
            "written_off": self._said["grant.written_off"],
            "refreshed": self._said["credential.refreshed"],
            "adopted": self._said["grant.adopted"],
            "revoked": self._said["credential.ended"],
            "lost": self._said["credential.lost"],
            "refused_over_limit": sum(self._desk.refusals.values()),
            "violations": len(self._reported),
        }

    def _view(self, *, is_full: bool = False) -> View:
        """Read the ledger and the log, then the database, then the living tokens: in this order."""
        now = time.time()
        self._ledger.read()
        self._desk.read_events()
        base = self._database.snapshot()
        self._desk.read_tokens()
        self._note_pauses()
        self._note_ripe(now)
        self._looks += 1
        self._said = Counter(row.event for row in base.audits)
        return View(
            now, self.times, self._pauses, base, self._desk, self._ledger,
            self.requests_per_minute, horizon=0.0 if is_full else now - REMEMBERS,
        )  # fmt: skip

    def _note_pauses(self) -> None:
        deaths = self._ledger.marked("kill")
        for at in sorted([*self._desk.faults, *deaths[self._marks :]]):
            self._pauses.blow(at)
        self._marks = len(deaths)
        self._desk.faults.clear()

    def _note_ripe(self, now: float) -> None:
        """Of the seconds since the look before, those in which even the longest bound had run out, with no excuse."""
        ripe_since = max(self._began, self._pauses.latest()) + self.times.unowned
        self._ripe += max(0.0, now - max(ripe_since, self._looked_at))
        self._looked_at = now

    def _judged(self, findings: Iterable[Finding]) -> list[Violation]:
        """Report at once what needs no patience, and the rest when it is found again long enough after."""
        now, found = time.monotonic(), dict.fromkeys(findings)
        since = {one: self._suspected.get(one, now) for one in found}
        ripe = [one for one in found if now - since[one] >= one.patience]
        new = self._new(ripe)
        waiting = {one: moment for one, moment in since.items() if one not in ripe}
        self._suspected = waiting
        return new

    def _new(self, findings: Iterable[Finding]) -> list[Violation]:
        new = []
        for finding in findings:
            violation = Violation(finding.rule, finding.sentence)
            if violation not in self._reported:
                self._reported.add(violation)
                new.append(violation)
        return new

    def _leaks(self) -> Iterator[Finding]:
        tokens = {entry.access_token for entry in self._ledger.entries}
        yield from leaking.in_texts(self._database.texts(), tokens)
        yield from leaking.in_files(self.folders)
        if self.redis_url:
            yield from leaking.in_broker(self.redis_url)
