"""From where is a request decided? Its seats, and the seats of a person.

A request is decided by the approvers of its group, by the requester's lead where its profile lets leads
decide, and by the group it was passed on to. Each of them is a seat; somebody who stands in for another sits
in that one's seats too. Admins need none. Who may sit there for a given request stands in permissions.py.
"""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from accounts.absence import absent_of
from accounts.leads import leads_somebody
from accounts.models import User
from accounts.roles import Role, groups_of, groups_that_give
from tokens.models import AccessRequest, HelpdeskLink


@dataclass(frozen=True)
class Seat:
    """One place from which requests are decided: a column of theirs and what it holds there."""

    column: str
    value: str | int
    holder: User
    """Whose seat it is: the person themselves, or somebody who is away."""
    is_own: bool = True

    @property
    def requests(self) -> Q:
        """The requests that are decided from here: where its holder is away, never the holder's own."""
        mine = Q(**{self.column: self.value})
        if self.is_own:
            return mine
        themselves = HelpdeskLink.objects.filter(
            user=self.holder, helpdesk_user=OuterRef("acts_as_id")
        )
        return mine & ~Q(requester=self.holder) & ~Q(Exists(themselves))


def has_seat(person: User, access_request: AccessRequest) -> bool:
    """Whether a request is decided from a seat of this person's own."""
    if not person.is_active:
        return False
    groups = {access_request.profile_version.approver_group, access_request.escalated_to}
    by_group = groups & groups_that_give(Role.APPROVER) & groups_of(person)
    return bool(by_group) or person.pk == access_request.lead_id


def seats_of(user: User) -> list[Seat]:
    """Every seat a person may decide from now, their own first; one that is theirs is nobody else's."""
    own = _seats(user, is_own=True) if user.is_active else []
    taken = {(seat.column, seat.value) for seat in own}
    for absent in absent_of(user):
        own += [s for s in _seats(absent, is_own=False) if (s.column, s.value) not in taken]
    return own


def _seats(person: User, *, is_own: bool) -> list[Seat]:
    groups = sorted(groups_of(person) & groups_that_give(Role.APPROVER))
    found = [Seat("approver_group", group, person, is_own) for group in groups]
    if settings.ESCALATE_TO_GROUP in groups:
        found.append(Seat("escalated_to", settings.ESCALATE_TO_GROUP, person, is_own))
    if leads_somebody(person):
        found.append(Seat("lead", person.pk, person, is_own))
    return found
