"""Who can decide."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.leads import lead_under
from accounts.models import Membership, StandIn, User
from accounts.roles import Role, groups_that_give, named_admins
from accounts.together import Prepared, Read, Row, given
from tokens.models import AccessRequest, ProfileVersion

MOST_NAMED = 50


@dataclass(frozen=True)
class Decider:
    """Somebody who decides: the lead, an approver, somebody who stands in for one, or an admin."""

    pk: int
    name: str
    is_admin: bool
    is_lead: bool = False


@dataclass(frozen=True)
class Asked:
    """Who is asked to decide: groups, perhaps a lead, on a request of this person."""

    groups: frozenset[str]
    requester_id: int
    lead_id: int | None = None


def asked_by(access_request: AccessRequest) -> Asked:
    """Who decides a request as it stands."""
    groups = access_request.profile_version.approver_group, access_request.escalated_to
    return asked(*groups, requester_id=access_request.requester_id, lead_id=access_request.lead_id)


def asked(*groups: str, requester_id: int, lead_id: int | None) -> Asked:
    """Who decides what these groups may decide; one that is "" is none."""
    return Asked(frozenset(groups) - {""}, requester_id, lead_id)


def would_be_asked(version: ProfileVersion, requester: User) -> Asked:
    """Who would decide, if this person asked under these terms now."""
    lead = lead_under(requester, lead_decides=version.lead_decides)
    return Asked(frozenset({version.approver_group}), requester.pk, lead.pk if lead else None)


def deciders(asked: Asked) -> list[User]:
    """The active people who decide: the lead, approvers, who stands in for them, then the admins, by name."""
    return list(_deciders(asked))


def first_asked(asked: Asked) -> list[User]:
    """Who hears of a request first: the lead and who stands in for them; without one, all who decide."""
    if asked.lead_id is None:
        return deciders(asked)
    lead = User.objects.filter(pk=asked.lead_id, deactivated_at=None)
    people = [*lead, *User.objects.filter(pk__in=_instead_of(lead, asked), deactivated_at=None)]
    return people or deciders(asked)


def deciding(asked: Asked) -> Prepared:
    """All who decide, the first of them, for a page that only names them."""
    read = _deciding(
        asked.groups, groups_that_give(Role.APPROVER), groups_that_give(Role.ADMIN),
        named_admins(), has_lead=asked.lead_id is not None,
    )  # fmt: skip
    return Prepared(read, {"requester": asked.requester_id, "lead": asked.lead_id})


@lru_cache(200)
def _deciding(groups: frozenset[str], *_settings: frozenset[str], has_lead: bool) -> Read:
    """`_settings`: those that `_deciders` reads; with others it is another statement."""
    asked = Asked(groups, given("requester"), given("lead") if has_lead else None)
    return _deciders(asked).values("pk", "name", "email", "is_admin", "is_lead")[:MOST_NAMED]


def deciders_from(rows: Iterable[Row]) -> list[Decider]:
    """What `deciding` has found."""
    return [
        Decider(
            pk=row["pk"], name=str(User(pk=row["pk"], name=row["name"], email=row["email"])),
            is_admin=row["is_admin"], is_lead=row["is_lead"],
        )
        for row in rows
    ]  # fmt: skip


def _deciders(asked: Asked) -> QuerySet[Any, Any]:
    """Found by their groups, so that it costs as little for ten thousand people as for ten."""
    admin_groups = groups_that_give(Role.ADMIN)
    approves = asked.groups & groups_that_give(Role.APPROVER)
    by_group = Membership.objects.filter(group__in=approves | admin_groups).values("user")
    seated = Membership.objects.filter(group__in=approves).values("user")
    is_lead, is_named = Q(pk=asked.lead_id or 0), Q(subject__in=named_admins())
    absent = User.objects.filter(Q(pk__in=seated) | is_lead, deactivated_at=None)
    is_instead = Q(pk__in=_instead_of(absent, asked))
    people = Q(pk__in=by_group) | is_instead
    people |= is_lead if asked.lead_id else Q()
    people |= is_named if named_admins() else Q()
    own = Membership.objects.filter(user=OuterRef("pk"))
    found = User.objects.filter(people, deactivated_at=None).annotate(
        is_lead=is_lead,
        is_approver=Q(Exists(own.filter(group__in=approves))),
        is_instead=is_instead,
        is_admin=Q(Exists(own.filter(group__in=admin_groups))) | is_named,
    )
    first = ["-is_approver"] if approves else []  # PostgreSQL orders by no constant
    return found.order_by("-is_lead", *first, "-is_instead", "name", "pk")


def _instead_of(absent: QuerySet[User], asked: Asked) -> Read:
    """Who stands in for some people, but for the one whose own request it is."""
    in_force = StandIn.objects.in_force().filter(away__in=absent.values("pk"))
    return in_force.exclude(away=asked.requester_id).values("instead")
