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
from tokens.presenters.around import Around, around


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
    page = _Page(request, user)
    return {
        "nav": SimpleLazyObject(lambda: _places(user, request.path, page)),
        "roles": [role for role in Role if role in roles_of(user)],
        "alarms": SimpleLazyObject(lambda: _alarms(user, page)),
    }


class _Page:
    """What stands around one page: as its view has read it, else read once, if at all."""

    def __init__(self, request: HttpRequest, user: User) -> None:
        self.request, self.user = request, user

    @cached_property
    def around(self) -> Around:
        found: Around | None = getattr(self.request, "around", None)
        return found or around(self.user, now=clock.of_page(self.user))


def _alarms(user: User, page: _Page) -> list[alarms.Thing]:
    """What admins, and they alone, are told on every page."""
    return alarms.alarms(page.around.watches) if permissions.may_operate(user) else []


def _places(user: User, path: str, page: _Page) -> list[Place]:
    places = [_place("My access", "my_access", path)]
    if permissions.may_use_queue(user):
        places.append(_place("Queue", "queue", path, count=page.around.waiting))
    if permissions.may_read_all(user):
        places += [_place("Inventory", "inventory", path), _place("Audit", "audit", path)]
        wrong = alarms.needs_somebody(page.around.watches)
        places.append(_place("Operations", "operations", path, count=wrong, is_alarm=True))
    return places


def _place(label: str, name: str, path: str, *, count: int = 0, is_alarm: bool = False) -> Place:
    href = reverse(name)
    return Place(label, href, path == href, count, is_alarm)
