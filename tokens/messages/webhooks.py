"""Messages to destinations: one POST for each bundle, signed or in the shape a chat understands.

The address and the secret are the destination's own; neither is ever written down or shown.
"""

import re
from datetime import datetime
from urllib.parse import urlsplit

import requests
from django.conf import settings

from tokens.connectors import wire
from tokens.connectors.base import GiveUp, Retry, Unknown
from tokens.destinations import SIGNED, SLACK, TEAMS, Destination
from tokens.messages import chats, signed
from tokens.messages.sending import Away, Bundle, Clock, Refused
from tokens.messages.sending import send_due as send_from
from tokens.models import Notification, NotificationQuerySet

DEADLINE = 8.0
"""Seconds for one POST, whatever the other side does."""
TOGETHER = {SIGNED: 1, SLACK: 500, TEAMS: 500}
"""A machine gets one event at a time, under an id of its own; people in a chat one post about all of them."""
_TELLING = 6
"""Characters from which on a part of an address may be the secret in it."""
OF_THE_BUNDLE = frozenset({400, 413, 415, 422})
"""Answers that are about what was sent. Any other is about the destination."""


def send_due(name: str, *, clock: Clock, most: int = 50) -> int:
    """Try to send one destination what waits for it, at most `most` POSTs. Returns how many messages went out in them."""
    destination = settings.WEBHOOKS[name]

    def send(bundle: Bundle, now: datetime) -> None:
        _post(destination, bundle, now=now)

    together = TOGETHER[destination.shape]
    return send_from(place(name), send=send, clock=clock, together=together, most=most)


def place(name: str) -> NotificationQuerySet:
    """Everything that goes to one destination."""
    return Notification.objects.filter(destination=name)


def _post(destination: Destination, bundle: Bundle, *, now: datetime) -> None:
    prepared = _prepared(destination, bundle, now=now)
    try:
        answer = wire.perform(prepared, DEADLINE, whose=destination.name)
    except (Retry, Unknown) as error:
        raise Away(str(error)) from None
    if not answer.is_success:
        _judge(destination, answer)


def _prepared(
    destination: Destination, bundle: Bundle, *, now: datetime
) -> requests.PreparedRequest:
    if destination.missing:
        raise Away(f"{destination.missing} is not set, so nothing can be signed.")
    more: dict[str, str] = {}
    if destination.shape == SIGNED:
        body = signed.body(bundle)
        more = signed.headers(destination, bundle, body, now=now)
    else:
        body = chats.body(destination.shape, bundle.rows)
    headers = {"Content-Type": "application/json; charset=utf-8", **more}
    try:
        return wire.prepare("POST", destination.url, headers=headers, data=body)
    except GiveUp:
        raise Away(f"The address of {destination.name} cannot be used.") from None


def _judge(destination: Destination, answer: wire.Answer) -> None:
    said = " ".join(answer.body[:200].decode(errors="replace").split())
    said = "".join(character for character in said if character.isprintable())
    said = "" if _tells(said, destination.url) else said
    sentence = f"{destination.name} answered {answer.status}{f': {said}' if said else ''}."
    raise Refused(sentence) if answer.status in OF_THE_BUNDLE else Away(sentence)


def _tells(said: str, url: str) -> bool:
    """Whether an answer repeats something of the address, as "/services/T0/B0 was not found" does."""
    parts = urlsplit(url)
    words = re.split(r"[^A-Za-z0-9_-]+", f"{parts.path} {parts.query}")
    return any(word in said for word in words if len(word) >= _TELLING)
