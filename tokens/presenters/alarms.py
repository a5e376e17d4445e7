"""What every admin is told on every page: what waits for a person, and where to go."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from django.urls import reverse

from accounts.together import Prepared, Read, together
from tokens import outbox
from tokens.models import Helpdesk
from tokens.queries import operations as queries


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
    return queries.watches_from(together({"watches": watching()})["watches"])


def watching() -> Prepared:
    """The same, for a page that reads it beside other things; `queries.watches_from` understands it."""
    return Prepared(_watching())


@cache
def _watching() -> Read:
    return queries.watching(least_tries=outbox.TRIES_BEFORE_RED)


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
        f"{helpdesk} refuses {helpdesk.what_is_refused}.",
        f"{helpdesk.stopped_reason} Work waits and nothing is lost; it goes on by itself once the "
        "access is right again.",
        href=place(helpdesk),
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
    return Thing(f"{helpdesk} is frozen.", text, "warning", place(helpdesk), "See since when")


def place(helpdesk: Helpdesk) -> str:
    """Where a helpdesk is on the operator's page."""
    return f"{reverse('operations')}#{helpdesk.slug}"
