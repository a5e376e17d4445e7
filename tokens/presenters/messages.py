"""What the operator is told of messages: which place is away, and what waits there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from tokens.destinations import MAIL
from tokens.presenters.alarms import Thing
from tokens.queries import messages as queries


@dataclass(frozen=True)
class PlaceRow:
    """One place where messages go: mail, or a destination."""

    counts: queries.PlaceCounts
    title: str
    note: str = ""
    away_because: str = ""
    """Why nothing goes there; empty where it is well."""

    @property
    def is_well(self) -> bool:
        return not self.away_because

    @property
    def is_mail(self) -> bool:
        return self.counts.destination == MAIL


def place_rows(*, now: datetime) -> list[PlaceRow]:
    """Mail first, then the destinations."""
    return [_row(counts) for counts in queries.places(settings.WEBHOOKS, now=now)]


def _row(counts: queries.PlaceCounts) -> PlaceRow:
    name = counts.destination
    if name == MAIL:
        return PlaceRow(counts, "Mail", away_because=counts.away_error)
    known = settings.WEBHOOKS.get(name)
    if known is None:
        return PlaceRow(counts, name, "no longer in WEBHOOKS", "It is no longer in WEBHOOKS.")
    return PlaceRow(counts, name, known.shape, counts.away_error)


def things_of(found: Iterable[PlaceRow]) -> list[Thing]:
    """What of it needs somebody."""
    return [thing for row in found for thing in _things(row)]


def _things(row: PlaceRow) -> list[Thing]:
    counts, things = row.counts, []
    if counts.waiting and not row.is_well:
        name = "The mail server" if row.is_mail else row.title
        waits = f"{_messages(counts.waiting)} wait{'s' if counts.waiting == 1 else ''}"
        text = f"{row.away_because} {waits}; everything else goes on."
        things.append(_thing(f"{name} is away.", text, "places"))
    if counts.refused:
        title = f"{_messages(counts.refused)} could not be sent."
        where = "By mail" if row.is_mail else f"To {row.title}"
        things.append(_thing(title, f"{where}: {counts.refused_error}", "messages"))
    if counts.given_up:
        text = counts.given_up_error or "Nothing was sent there."
        things.append(_thing(_given_up(row), text, "places"))
    return things


def _given_up(row: PlaceRow) -> str:
    if row.is_mail:
        count = row.counts.bundles_given_up
        return "1 mail was given up." if count == 1 else f"{count} mails were given up."
    count = row.counts.given_up
    return f"{_messages(count)} to {row.title} {'was' if count == 1 else 'were'} given up."


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def _thing(title: str, text: str, where: str) -> Thing:
    return Thing(title, text, "warning", f"#{where}", "See them")
