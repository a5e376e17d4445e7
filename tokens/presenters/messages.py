"""What the operator is told of messages: which way out is shut, and what waits there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from tokens.presenters.alarms import Thing
from tokens.queries import messages as queries


@dataclass(frozen=True)
class Line:
    """One way out: mail, or a destination."""

    post: queries.Post
    title: str
    note: str
    is_well: bool


def lines(*, now: datetime) -> list[Line]:
    """Mail first, then the destinations."""
    return [_line(post) for post in queries.post(settings.WEBHOOKS, now=now)]


def _line(post: queries.Post) -> Line:
    if not post.destination:
        return Line(post, "Mail", "", is_well=not post.away)
    known = settings.WEBHOOKS.get(post.destination)
    note = known.shape if known else "no longer in WEBHOOKS"
    return Line(post, post.destination, note, is_well=known is not None and not post.away)


def things_of(found: Iterable[Line]) -> list[Thing]:
    """What of it needs somebody."""
    return [thing for line in found for thing in _things(line)]


def _things(line: Line) -> list[Thing]:
    post, things = line.post, []
    if post.waiting and not line.is_well:
        waits = f"{_messages(post.waiting)} wait{'s' if post.waiting == 1 else ''} for it"
        why = post.error or "It is no longer in WEBHOOKS."
        things.append(
            _thing(f"{_named(line)} is away.", f"{why} {waits}; nothing else does.", "post")
        )
    if post.refused:
        title = f"{_messages(post.refused)} could not be sent."
        things.append(_thing(title, f"{_named(line)} does not take it: {post.error}", "messages"))
    if post.given_up:
        were = "was" if post.given_up == 1 else "were"
        title = f"{_messages(post.given_up)} to {line.title} {were} given up."
        things.append(_thing(title, post.error or "Nothing was sent there.", "post"))
    return things


def _named(line: Line) -> str:
    return line.title if line.post.destination else "The mail server"


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def _thing(title: str, text: str, where: str) -> Thing:
    return Thing(title, text, "warning", f"#{where}", "See them")
