"""Who can decide."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import Membership, User
from accounts.roles import Role, groups_that_give, named_admins
from tokens.queries.together import Read, Row

MOST_NAMED = 50


@dataclass(frozen=True)
class Decider:
    """Somebody who decides for a group: as one of its approvers, or as an admin."""

    pk: int
    name: str
    is_admin: bool


def deciders(approver_group: str) -> list[User]:
    """The active people who decide for profiles of a group: its approvers, then the admins, by name."""
    return list(_deciders(approver_group))


def deciding(approver_group: str) -> Read:
    """The same people, the first of them, for a page that only names them."""
    return _deciders(approver_group).values("pk", "name", "email", "is_admin")[:MOST_NAMED]


def deciders_from(rows: list[Row]) -> list[Decider]:
    """What `deciding` has found."""
    return [
        Decider(
            row["pk"],
            str(User(pk=row["pk"], name=row["name"], email=row["email"])),
            row["is_admin"],
        )
        for row in rows
    ]


def _deciders(approver_group: str) -> QuerySet[Any, Any]:
    """Approvers first; found by their groups, so that it costs as little for ten thousand people as for ten."""
    admin_groups = groups_that_give(Role.ADMIN)
    approves = {approver_group} & groups_that_give(Role.APPROVER)
    by_group = Membership.objects.filter(group__in=approves | admin_groups).values("user")
    people = Q(pk__in=by_group)
    is_named = Q(subject__in=named_admins())
    if named_admins():
        people |= is_named
    own = Membership.objects.filter(user=OuterRef("pk"))
    is_admin = Q(Exists(own.filter(group__in=admin_groups))) | is_named
    found = User.objects.filter(people, deactivated_at=None).annotate(is_admin=is_admin)
    if not approves:
        return found.order_by("name", "pk")  # admins alone
    found = found.annotate(is_approver=Exists(own.filter(group__in=approves)))
    return found.order_by("-is_approver", "name", "pk")
