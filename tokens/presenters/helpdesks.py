"""One helpdesk on the operator's page and in a terminal: its line, its jobs, its lists, its budget, what is known of it.

What is shown is what workers wrote down, and what Redis answers at once. What both say is counted and worded here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.models import AuditEvent
from tokens import capabilities, outbox
from tokens.limiter import LimiterDown, LimiterState, shared_limiter
from tokens.models import Helpdesk, InventoryRun
from tokens.presenters.words import time_off
from tokens.queries import operations as queries

T = TypeVar("T")
REDIS_GONE = "Redis does not answer: pages and keys go on, work waits."


@dataclass(frozen=True)
class Some(Generic[T]):
    """The first of many things, and how many there are in all."""

    shown: Sequence[T]
    count: int

    @property
    def more(self) -> int:
        return max(0, self.count - len(self.shown))


@dataclass(frozen=True)
class Budget:
    """The pace of the calls to one helpdesk and what makes it so; a sentence alone where it cannot be told."""

    sentence: str
    note: str = ""


@dataclass(frozen=True)
class Known:
    """One thing workers have learned of a helpdesk, or have not yet."""

    sentence: str
    name: str = ""
    """What it is kept under; "" where nothing is known that could be forgotten."""


@dataclass(frozen=True)
class Panel:
    """Everything about one helpdesk."""

    helpdesk: Helpdesk
    watch: queries.Watch
    stopped: AuditEvent | None
    """Since when its line is stopped; `helpdesk.stopped_at` is the last try."""
    frozen: AuditEvent | None
    next_try: datetime | None
    jobs: list[queries.JobCount]
    unknown: int
    """Calls without an answer."""
    last: InventoryRun | None
    complete: InventoryRun | None
    budget: Budget
    known: list[Known]

    @property
    def tasks(self) -> str:
        """How many tasks there are, in words."""
        due, running, waiting = (
            sum(getattr(row, name) for row in self.jobs) for name in ("due", "running", "waiting")
        )
        return f"{due} due, {running} running, {waiting} waiting; {self.watch.stuck} stuck"

    @property
    def failed(self) -> InventoryRun | None:
        """The last attempt at a list, where it came to nothing."""
        run = self.last
        return run if run and run.finished_at and not run.is_complete else None


def panels_of(watched: Sequence[queries.Watch], *, now: datetime) -> list[Panel]:
    """A panel of each helpdesk, in the order given."""
    events = queries.last_events(
        w.helpdesk for w in watched if w.helpdesk.stopped_at or w.helpdesk.frozen_at
    )
    jobs, runs = queries.job_counts(now=now), queries.inventories(watched)
    unknown = queries.unknown_counts()
    budgets = _budgets([watch.helpdesk.slug for watch in watched])
    return [
        _panel(watch, events, jobs.get(pk, []), unknown.get(pk, 0), runs[pk], budget)
        for watch, budget in zip(watched, budgets, strict=True)
        for pk in [watch.helpdesk.pk]
    ]


def _panel(
    watch: queries.Watch,
    events: dict[tuple[int, str], AuditEvent],
    jobs: list[queries.JobCount],
    unknown: int,
    runs: queries.Inventories,
    budget: Budget,
) -> Panel:
    helpdesk = watch.helpdesk
    stopped_at = helpdesk.stopped_at
    return Panel(
        helpdesk=helpdesk,
        watch=watch,
        stopped=events.get((helpdesk.pk, "helpdesk.stopped")) if stopped_at else None,
        frozen=events.get((helpdesk.pk, "helpdesk.frozen")) if helpdesk.frozen_at else None,
        next_try=stopped_at + settings.PROBE_EVERY if stopped_at else None,
        jobs=jobs,
        unknown=unknown,
        last=runs.last,
        complete=runs.complete,
        budget=budget,
        known=known_of(helpdesk),
    )


def _budgets(slugs: Sequence[str]) -> list[Budget]:
    """What Redis says about each; once it does not answer, it is not asked again."""
    found: list[Budget] = []
    for slug in slugs:
        gone = next((b for b in found if b.sentence == REDIS_GONE), None)
        found.append(gone or _budget(slug))
    return found


def _budget(slug: str) -> Budget:
    if slug not in settings.HELPDESKS:
        return Budget("It is no longer set up in Keydesk.")
    try:
        pace = shared_limiter().state(slug)
    except LimiterDown:
        return Budget(REDIS_GONE)
    except ImproperlyConfigured:
        return Budget("No Redis is set up, so work is done by manage.py work alone.")
    return Budget(f"{pace.per_minute:.0f} a minute now", _pace_note(pace))


def _pace_note(pace: LimiterState) -> str:
    said = [f"{pace.configured} configured"]
    said += [] if pace.announced is None else [f"{pace.announced} announced"]
    said += [] if pace.remaining is None else [f"{pace.remaining} left of this minute"]
    line = f"{pace.waiting} waiting in line" if pace.waiting else "nobody waits in line"
    paused = f"; paused for {pace.paused_for:.0f} s" if pace.paused_for else ""
    return f"{', '.join(said)}; {line}{paused}"


def stuck(watched: Sequence[queries.Watch], *, of: Helpdesk | None = None) -> Some[queries.RedJob]:
    """What stands in red, the oldest first: of these, which are all helpdesks unless one is named."""
    red = queries.red_jobs(least_tries=outbox.TRIES_BEFORE_RED, of=of)
    return Some(red, sum(watch.stuck for watch in watched))


def standing(panel: Panel, *, now: datetime) -> Iterator[str]:
    """What the operator's page says of one helpdesk, a line for each kind of thing, for a terminal."""
    yield f"tasks: {panel.tasks}"
    red = stuck([panel.watch], of=panel.helpdesk)
    yield from (_stuck(row, now) for row in red.shown)
    if red.more:
        yield f"stuck: and {red.more} more"
    yield f"calls without an answer: {panel.unknown}"
    run = panel.complete
    listed = f"{run.token_count} at {run.started_at:%F %T}" if run else "none that is complete yet"
    yield f"list of all tokens: {listed}"
    if panel.failed:
        yield f"the last attempt, {panel.failed.started_at:%F %T}, came to nothing: {panel.failed.error}"
    budget = panel.budget
    yield f"budget of calls: {budget.sentence}" + (f", {budget.note}" if budget.note else "")


def _stuck(red: queries.RedJob, now: datetime) -> str:
    job = red.job
    about = f" ({red.about})" if red.about else ""
    last = f"; the last, {job.error_at:%F %T}: {job.error}" if job.error_at else "."
    next_try = "now" if job.not_before <= now else _when(job.not_before, now)
    return (
        f"stuck: {job.get_kind_display()}{about}: {job.tries} tries since {_when(job.created_at, now)}"
        f"{last} Next try {next_try}."
    )


def _when(moment: datetime, now: datetime) -> str:
    return f"{moment:%F %T} ({time_off(moment, now)})"


def known_of(helpdesk: Helpdesk) -> list[Known]:
    """What workers have learned of a helpdesk, a sentence each; what they have not, too.

    The usual is one sentence: a refusal makes workers forget it by themselves.
    """
    learned: dict[str, str] = helpdesk.capabilities
    usual = {name for name, word in learned.items() if capabilities.says_itself(name, word)}
    names = dict.fromkeys((*capabilities.ALWAYS_ASKED, *sorted(set(learned) - usual)))
    found = [
        Known(capabilities.sentence(name, learned.get(name, "")), name if name in learned else "")
        for name in names
    ]
    return [*found, Known(_say_themselves(len(usual)))] if usual else found


def _say_themselves(sets: int) -> str:
    many = "1 set" if sets == 1 else f"{sets} sets"
    return f"Keydesk can ask a token with {many} of permissions whose it is."
