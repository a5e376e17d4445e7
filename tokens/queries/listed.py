"""Requests as a list shows them: plain values of a row and of what it refers to, read without making objects of it."""

from datetime import datetime
from typing import NamedTuple

from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KeyTextTransform

from accounts.models import User
from accounts.together import Read
from tokens.capabilities import SEVERAL_GRANTS, keeps_one
from tokens.models import AccessRequest, Comment


class Listed(NamedTuple):
    """One request as the list shows it, and what a look at all of it starts from."""

    pk: int
    revision: int
    state: str
    profile_id: int
    profile_version_id: int
    requester_id: int
    acts_as_id: int
    lead_id: int | None
    script_name: str
    scopes: frozenset[str]
    days: int
    approvals: int
    is_renewal: bool
    escalated_to: str
    revised_at: datetime
    decide_by: datetime
    ended_at: datetime | None
    requester_name: str
    requester_email: str
    role_changed_at: datetime | None
    version_name: str
    risk: str
    approvals_needed: int
    terms_group: str
    helpdesk_id: int
    helpdesk_name: str
    helpdesk_kind: str
    several_grants: str | None
    """What is known of whether the helpdesk lets a user have several accesses; see tokens/capabilities.py."""
    current_version_id: int | None
    last_word_by: int | None

    @property
    def has_new_terms(self) -> bool:
        """Whether the terms of this access have changed since it was asked for."""
        return self.profile_version_id != self.current_version_id

    @property
    def keeps_one_per_person(self) -> bool:
        """Whether its helpdesk is known to let a user have one access at a time."""
        return keeps_one(self.several_grants)

    @property
    def requester(self) -> str:
        """Their name."""
        return str(User(pk=self.requester_id, name=self.requester_name, email=self.requester_email))


ELSEWHERE = {
    "requester_name": "requester__name",
    "requester_email": "requester__email",
    "role_changed_at": "acts_as__role_changed_at",
    "version_name": "profile_version__name",
    "risk": "profile_version__risk",
    "approvals_needed": "profile_version__approvals_needed",
    "terms_group": "profile_version__approver_group",
    "helpdesk_id": "profile__helpdesk_id",
    "helpdesk_name": "profile__helpdesk__name",
    "helpdesk_kind": "profile__helpdesk__kind",
    "current_version_id": "profile__current_id",
}
"""What of `Listed` is read from other tables, and from where."""
LAST_WORD_BY = Subquery(
    Comment.objects.filter(access_request=OuterRef("pk")).order_by("-id").values("author_id")[:1]
)
COMPUTED = {
    "last_word_by": LAST_WORD_BY,
    "several_grants": KeyTextTransform(SEVERAL_GRANTS, F("profile__helpdesk__capabilities")),
}
"""What of it no column holds."""


def as_listed(rows: QuerySet[AccessRequest]) -> Read:
    """These requests as rows of `Listed`."""
    there = {name: F(where) for name, where in ELSEWHERE.items()} | COMPUTED
    own = [name for name in Listed.__annotations__ if name not in there]
    read: Read = rows.values(*own, **there)
    return read


def is_asked(row: Listed | AccessRequest) -> bool:
    """Whether the last word on a request that was read here is a question."""
    return getattr(row, "last_word_by", None) not in (None, row.requester_id)
