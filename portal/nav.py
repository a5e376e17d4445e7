"""Which places does this person use? The top bar's links, with how many requests wait for them."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from accounts import clock
from accounts.models import User
from accounts.roles import Role, roles_of
from tokens import permissions
from tokens.presenters.queue import queue_reader
from tokens.queries.requests import count_to_decide


@dataclass(frozen=True)
class Place:
    """One link of the top bar. `count` 0 shows none; it is counted to a hundred, which reads 99+."""

    label: str
    href: str
    current: bool
    count: int = 0


def nav(request: HttpRequest) -> dict[str, Any]:
    """For base.html: `nav` and `roles`. Nobody signed in: no places and no query."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"nav": [], "roles": []}
    return {
        "nav": SimpleLazyObject(lambda: _places(user, request.path)),
        "roles": [role for role in Role if role in roles_of(user)],
    }


def _places(user: User, path: str) -> list[Place]:
    places = [_place("My access", "my_access", path)]
    if permissions.may_use_queue(user):
        places.append(_place("Queue", "queue", path, count=_waiting(user)))
    if permissions.may_read_all(user):
        places += [_place("Inventory", "inventory", path), _place("Audit", "audit", path)]
    return places


def _place(label: str, name: str, path: str, *, count: int = 0) -> Place:
    href = reverse(name)
    return Place(label, href, path == href, count)


def _waiting(user: User) -> int:
    """How many requests wait for this person; for somebody who only reads, none does."""
    reader = queue_reader(user)
    return 0 if reader.is_only_reading else count_to_decide(reader, now=clock.now())
