"""What the operator's page and the banner say: is all well, and if not, what is the one thing to do.

The web never calls the helpdesk: what is shown is what workers wrote down, and what Redis answers at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse

from accounts.models import AuditEvent
from tokens import outbox
from tokens.limiter import LimiterDown, LimiterState, shared_limiter
from tokens.models import Grant, Helpdesk, InventoryRun, Notification, SeenToken
from tokens.presenters.requests import in_words
from tokens.queries import operations as queries
from tokens.queries import verification
from tokens.queries.health import heartbeats
from tokens.queries.requests import ScopeTable, scope_table

Beat = tuple[str, bool, str]
MOST_VIOLATIONS = 50
MOST_FINDINGS = 200
LATE = 3
"""After so many times its interval without a complete inventory somebody should look."""


# --- What needs a person -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Thing:
    """One thing that is not as it should be, and where to go."""

    title: str
    text: str
    tone: str = "bad"
    href: str = ""
    label: str = ""


def watches() -> list[queries.Watch]:
    """Every helpdesk as the banner and the page look at it. One query."""
    return queries.watches(least_tries=outbox.TRIES_BEFORE_RED)


def alarms(found: Iterable[queries.Watch]) -> list[Thing]:
    """What every admin is told on every page: stopped lines, lists to confirm, freezes."""
    watched = list(found)
    stopped = [_stopped(w.helpdesk) for w in watched if w.helpdesk.stopped_at]
    to_confirm = [_to_confirm(w) for w in watched if w.to_confirm_id]
    frozen = [_frozen(w.helpdesk) for w in watched if w.helpdesk.frozen_at and not w.ends_restored]
    return stopped + to_confirm + frozen


def needs_somebody(found: Iterable[queries.Watch]) -> int:
    """How many things wait for a person, for the number in the top bar."""
    watched = list(found)
    return len(alarms(watched)) + sum(1 for watch in watched if watch.stuck)


def _stopped(helpdesk: Helpdesk) -> Thing:
    return Thing(
        f"{helpdesk} refuses Keydesk's own access.",
        f"{helpdesk.stopped_reason} Work waits and nothing is lost; it goes on by itself once the "
        "access is right again.",
        href=_place(helpdesk),
        label="See what waits",
    )


def _to_confirm(watch: queries.Watch) -> Thing:
    helpdesk = watch.helpdesk
    if watch.held_back:
        title = f"Keydesk held back ending {_things(watch.held_back)} on {helpdesk}."
        text = "That is more than it does without a person's word."
    else:
        title = f"The list of all tokens on {helpdesk} waits for your word."
        text = "No new access is issued until then, since a backup was restored."
    return Thing(
        title, text, href=reverse("confirm_inventory", args=[helpdesk.slug]), label="Look at it"
    )


def _things(count: int) -> str:
    return "1 token or access" if count == 1 else f"{count} tokens and accesses"


def _frozen(helpdesk: Helpdesk) -> Thing:
    why = helpdesk.frozen_reason.rstrip(".")
    text = f"{why}. No new access is issued; what there is goes on."
    return Thing(f"{helpdesk} is frozen.", text, "warning", _place(helpdesk), "See since when")


def _place(helpdesk: Helpdesk) -> str:
    return f"{reverse('operations')}#{helpdesk.slug}"


# --- One helpdesk --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Budget:
    """The pace of the calls to one helpdesk; a sentence where it cannot be told."""

    state: LimiterState | None
    sentence: str = ""


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
    last: InventoryRun | None
    complete: InventoryRun | None
    budget: Budget
    capabilities: list[str]

    @property
    def failed(self) -> InventoryRun | None:
        """The last attempt at a list, where it came to nothing."""
        run = self.last
        return run if run and run.finished_at and not run.is_complete else None


@dataclass(frozen=True)
class Broken:
    """One violation, as `verify` prints it, and the page of what it is about."""

    text: str
    href: str


@dataclass(frozen=True)
class Page:
    """Everything the operator's page shows."""

    things: list[Thing]
    panels: list[Panel]
    red: list[queries.RedJob]
    unknown: list[tuple[Grant, datetime]]
    """Calls without an answer, and when each is settled."""
    broken: list[Broken]
    messages: list[Notification]
    beats: list[Beat]

    @property
    def first(self) -> Thing | None:
        """The one thing to do; None where all is well."""
        return self.things[0] if self.things else None

    @property
    def others(self) -> list[Thing]:
        return self.things[1:]

    @property
    def broken_shown(self) -> list[Broken]:
        return self.broken[:MOST_VIOLATIONS]

    @property
    def broken_more(self) -> int:
        return max(0, len(self.broken) - MOST_VIOLATIONS)


def page(*, now: datetime) -> Page:
    """The operator's page, as it stands now."""
    watched = watches()
    panels = _panels(watched, now=now)
    red = queries.red_jobs(least_tries=outbox.TRIES_BEFORE_RED)
    broken, messages, beats = _broken(panels, now=now), queries.unsent_messages(), heartbeats(now)
    things = [
        *_dead(beats),
        *alarms(watched),
        *_red(red),
        *_violated(broken),
        *_unlisted(panels, now=now),
        *_without_budget(panels),
        *_unsent(messages),
    ]
    urgent_first = sorted(things, key=lambda thing: thing.tone != "bad")
    unknown = [(call, _settled_at(call)) for call in queries.unknown_calls()]
    return Page(urgent_first, panels, red, unknown, broken, messages, beats)


def _settled_at(call: Grant) -> datetime:
    return (call.sent_at or call.intended_at) + settings.MINIMUM_AGE


def _panels(watched: Sequence[queries.Watch], *, now: datetime) -> list[Panel]:
    events = queries.last_events(
        w.helpdesk for w in watched if w.helpdesk.stopped_at or w.helpdesk.frozen_at
    )
    jobs, runs = queries.job_counts(now=now), queries.inventories(watched)
    budgets = _budgets([watch.helpdesk.slug for watch in watched])
    return [
        _panel(watch, events, jobs.get(watch.helpdesk.pk, []), runs[watch.helpdesk.pk], budget)
        for watch, budget in zip(watched, budgets, strict=True)
    ]


def _panel(
    watch: queries.Watch,
    events: dict[tuple[int, str], AuditEvent],
    jobs: list[queries.JobCount],
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
        last=runs.last,
        complete=runs.complete,
        budget=budget,
        capabilities=capabilities(helpdesk),
    )


def _budgets(slugs: Sequence[str]) -> list[Budget]:
    """What Redis says about each; once it does not answer, it is not asked again."""
    found: list[Budget] = []
    for slug in slugs:
        gone = next((b for b in found if b.sentence == REDIS_GONE), None)
        found.append(gone or _budget(slug))
    return found


REDIS_GONE = "Redis does not answer: pages and keys go on, work waits."


def _budget(slug: str) -> Budget:
    if slug not in settings.HELPDESKS:
        return Budget(None, "It is no longer set up in Keydesk.")
    try:
        return Budget(shared_limiter().state(slug))
    except LimiterDown:
        return Budget(None, REDIS_GONE)
    except ImproperlyConfigured:
        return Budget(None, "No Redis is set up, so work is done by manage.py work alone.")


# --- What is known of a helpdesk -----------------------------------------------------------------------

KNOWN = {
    "several grants of one user": (
        "One person may hold several accesses.",
        "One person may hold one access at a time.",
        "Whether one person may hold several accesses is not known yet; Keydesk assumes so.",
    ),
    "service access ends tokens": (
        "Keydesk's own access may delete tokens.",
        "Keydesk's own access may not delete tokens, so each token deletes itself.",
        "Keydesk's own access deletes tokens, as far as is known.",
    ),
}
"""What may be learned: the words for yes, for no, and for not yet."""
CURRENT = "current: "


def capabilities(helpdesk: Helpdesk) -> list[str]:
    """What workers have learned of a helpdesk, a sentence each; what they have not, too."""
    learned: dict[str, str] = helpdesk.capabilities
    lines = [
        {"yes": yes, "no": no}.get(learned.get(name, ""), unknown)
        for name, (yes, no, unknown) in KNOWN.items()
    ]
    others = (n for n in sorted(learned) if n not in KNOWN and not n.startswith(CURRENT))
    lines += [f"{name.capitalize()}: {learned[name]}." for name in others]
    return lines + _proofs({n.removeprefix(CURRENT): learned[n] for n in learned if CURRENT in n})


def _proofs(learned: dict[str, str]) -> list[str]:
    """Which tokens say themselves whose they are: how many do, and each that does not."""
    able = sum(1 for word in learned.values() if word == "yes")
    sets = "1 set" if able == 1 else f"{able} sets"
    lines = [f"Tokens with {sets} of permissions say themselves whose they are."] if able else []
    return lines + [
        f"A token with {', '.join(names.split())} cannot say whose it is, so the list of all tokens does."
        for names, word in sorted(learned.items())
        if word == "no"
    ]


# --- What verify says ----------------------------------------------------------------------------------


def _broken(panels: Iterable[Panel], *, now: datetime) -> list[Broken]:
    """What `manage.py verify` would print about the last complete inventories."""
    found = [
        Broken(f"{panel.helpdesk}: {violation.text}", _page_of(violation))
        for panel in panels
        if panel.complete is not None
        for violation in _of_last_list(panel.helpdesk, panel.complete, now=now)
    ]
    return found + [Broken(v.text, _page_of(v)) for v in verification.of_rows()]


def _of_last_list(
    helpdesk: Helpdesk, run: InventoryRun, *, now: datetime
) -> Iterable[verification.Violation]:
    records = verification.last_list(run)
    books = verification.books(helpdesk, records, taken_at=run.started_at)
    return verification.of_list(books, records, now=now)


def _page_of(violation: verification.Violation) -> str:
    return f"/credentials/{violation.credential.pk}" if violation.credential else ""


# --- The rest of what may need a person ----------------------------------------------------------------


def _dead(beats: Iterable[Beat]) -> list[Thing]:
    return [
        Thing("Nothing is being worked on.", f"{sentence} Start the workers and beat.")
        for _, is_well, sentence in beats
        if not is_well
    ][:1]


def _red(red: Sequence[queries.RedJob]) -> list[Thing]:
    if not red:
        return []
    what = "1 task is" if len(red) == 1 else f"{len(red)} tasks are"
    return [
        Thing(f"{what} stuck.", f"The first: {red[0].job.error}", href="#stuck", label="See them")
    ]


def _violated(broken: Sequence[Broken]) -> list[Thing]:
    if not broken:
        return []
    what = "1 promise is" if len(broken) == 1 else f"{len(broken)} promises are"
    return [
        Thing(f"{what} broken.", f"{broken[0].text}.", href="#broken", label="See what is broken")
    ]


def _unlisted(panels: Iterable[Panel], *, now: datetime) -> list[Thing]:
    """Helpdesks without a complete list for too long, unless their line is stopped: that is said already."""
    bound = now - LATE * settings.INVENTORY_EVERY
    return [
        Thing(
            f"There is no recent list of all tokens on {panel.helpdesk}.",
            panel.failed.error if panel.failed else "Workers have not taken it.",
            href=_place(panel.helpdesk),
            label="See the last one",
        )
        for panel in panels
        if panel.helpdesk.stopped_at is None and panel.helpdesk.slug in settings.HELPDESKS
        if panel.complete is None or panel.complete.started_at < bound
    ]


def _without_budget(panels: Iterable[Panel]) -> list[Thing]:
    sentences = {panel.budget.sentence for panel in panels} & {REDIS_GONE}
    return [Thing("Redis is away.", sentence) for sentence in sentences]


def _unsent(messages: Sequence[Notification]) -> list[Thing]:
    if not messages:
        return []
    what = "1 message" if len(messages) == 1 else f"{len(messages)} messages"
    return [
        Thing(f"{what} could not be sent.", messages[0].error, "warning", "#messages", "See them")
    ]


# --- A list that waits for a person's word -------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One thing Keydesk would do about a list: to which token, whose, with which scopes, of which access."""

    what: str
    remote_id: int | None
    person: str
    may_do: str
    ends_at: datetime | None
    name: str = ""
    href: str = ""


def findings(
    helpdesk: Helpdesk, strays: Sequence[SeenToken], suspects: Sequence[Grant]
) -> list[Finding]:
    """What would be done, in words: tokens of nobody deleted, access that is not as it was proved disconnected.

    The first `MOST_FINDINGS` of it: nobody reads more.
    """
    strays = strays[:MOST_FINDINGS]
    suspects = suspects[: MOST_FINDINGS - len(strays)]
    table = scope_table()
    people = queries.people_by_number(helpdesk, [seen.remote_user_id for seen in strays])
    found = [
        Finding(
            what="Delete a token that no access of Keydesk owns",
            remote_id=seen.remote_id,
            person=people.get(seen.remote_user_id or 0, f"user {seen.remote_user_id}"),
            may_do=in_words(seen.scopes, helpdesk.kind, table),
            ends_at=seen.expires_at,
        )
        for seen in strays
    ]
    return found + [_suspected(grant, helpdesk, table) for grant in suspects]


def _suspected(grant: Grant, helpdesk: Helpdesk, table: ScopeTable) -> Finding:
    credential = grant.credential
    assert credential is not None  # strays have no access; suspects always do
    return Finding(
        what="Disconnect it, if its token is really gone or not as it was proved",
        remote_id=grant.remote_id,
        person=credential.acts_as.name,
        may_do=in_words(credential.scopes, helpdesk.kind, table),
        ends_at=grant.access_expires_at,
        name=credential.script_name,
        href=f"/credentials/{credential.pk}",
    )
