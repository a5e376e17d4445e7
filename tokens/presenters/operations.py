"""What the operator's page says: is all well, and if not, what is the one thing to do.

The web never calls the helpdesk: what is shown is what workers wrote down, and what Redis answers at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from tokens import outbox
from tokens.models import Grant, Helpdesk, InventoryRun, Notification
from tokens.presenters.alarms import Thing, alarms, place, watches
from tokens.presenters.helpdesks import REDIS_GONE, Panel, panels_of
from tokens.presenters.messages import PlaceRow, place_rows, things_of
from tokens.queries import operations as queries
from tokens.queries import verification
from tokens.queries.health import heartbeats
from tokens.queries.messages import failed_messages

Beat = tuple[str, bool, str]
MOST_VIOLATIONS = 50
LATE = 3
"""After so many times its interval without a complete inventory somebody should look."""


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
    places: list[PlaceRow]
    """Mail and each destination: how many messages wait there."""
    messages: list[Notification]
    """Those whose sending has failed."""
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
    panels = panels_of(watched, now=now)
    red = queries.red_jobs(least_tries=outbox.TRIES_BEFORE_RED)
    broken, places, beats = _broken(panels, now=now), place_rows(now=now), heartbeats(now)
    things = [
        *_dead(beats),
        *alarms(watched),
        *_red(red),
        *_violated(broken),
        *_unlisted(panels, now=now),
        *_without_budget(panels),
        *things_of(places),
    ]
    urgent_first = sorted(things, key=lambda thing: thing.tone != "bad")
    unknown = [(call, _settled_at(call)) for call in queries.unknown_calls()]
    return Page(urgent_first, panels, red, unknown, broken, places, failed_messages(), beats)


def _settled_at(call: Grant) -> datetime:
    return (call.sent_at or call.intended_at) + settings.MINIMUM_AGE


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
    """Of two the first: without a worker nobody can tell of beat."""
    titles = {"worker": "Nothing is being worked on.", "beat": "Nobody looks for what time brings."}
    return [
        Thing(titles[name], f"{sentence} Start the workers and beat.")
        for name, is_well, sentence in beats
        if not is_well
    ][:1]


def _red(red: Sequence[queries.RedJob]) -> list[Thing]:
    if not red:
        return []
    what = "1 task is" if len(red) == 1 else f"{len(red)} tasks are"
    if len(red) == queries.MOST_SHOWN:
        what = f"At least {what}"
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
            href=place(panel.helpdesk),
            label="See the last one",
        )
        for panel in panels
        if panel.helpdesk.stopped_at is None and panel.helpdesk.slug in settings.HELPDESKS
        if panel.complete is None or panel.complete.started_at < bound
    ]


def _without_budget(panels: Iterable[Panel]) -> list[Thing]:
    sentences = {panel.budget.sentence for panel in panels} & {REDIS_GONE}
    return [Thing("Redis is away.", sentence) for sentence in sentences]
