"""Which places does this person use, and what must they be told on every page? The top bar and the banner."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject, cached_property

from accounts import clock
from accounts.models import User
from accounts.roles import Role, roles_of
from tokens import permissions
from tokens.presenters import alarms
from tokens.presenters.queue import queue_reader
from tokens.queries.operations import Watch
from tokens.queries.requests import count_to_decide


@dataclass(frozen=True)
class Place:
    """One link of the top bar. `count` 0 shows none; it is counted to a hundred, which reads 99+."""

    label: str
    href: str
    current: bool
    count: int = 0
    is_alarm: bool = False
    """Whether the count is of things that are not as they should be."""


def nav(request: HttpRequest) -> dict[str, Any]:
    """For base.html: `nav`, `roles`, and for admins `alarms`. Nobody signed in: no places and no query."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"nav": [], "roles": [], "alarms": []}
    watches = _Watches()
    return {
        "nav": SimpleLazyObject(lambda: _places(user, request.path, watches)),
        "roles": [role for role in Role if role in roles_of(user)],
        "alarms": SimpleLazyObject(lambda: _alarms(user, watches)),
    }


class _Watches:
    """The helpdesks as the top bar and the banner look at them: asked for once a page, if at all."""

    @cached_property
    def found(self) -> list[Watch]:
        return alarms.watches()


def _alarms(user: User, watches: _Watches) -> list[alarms.Thing]:
    """What admins, and they alone, are told on every page."""
    return alarms.alarms(watches.found) if permissions.may_operate(user) else []


def _places(user: User, path: str, watches: _Watches) -> list[Place]:
    places = [_place("My access", "my_access", path)]
    if permissions.may_use_queue(user):
        places.append(_place("Queue", "queue", path, count=_waiting(user)))
    if permissions.may_read_all(user):
        places += [_place("Inventory", "inventory", path), _place("Audit", "audit", path)]
        wrong = alarms.needs_somebody(watches.found)
        places.append(_place("Operations", "operations", path, count=wrong, is_alarm=True))
    return places


def _place(label: str, name: str, path: str, *, count: int = 0, is_alarm: bool = False) -> Place:
    href = reverse(name)
    return Place(label, href, path == href, count, is_alarm)


def _waiting(user: User) -> int:
    """How many requests wait for this person; for somebody who only reads, none does."""
    reader = queue_reader(user)
    return 0 if reader.is_only_reading else count_to_decide(reader, now=clock.now())
