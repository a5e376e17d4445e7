"""What the pages about asking and deciding read. Whose rows they are is said by the caller, never decided here."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, reduce
from operator import or_

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from accounts.absence import absent_of
from accounts.models import AuditEvent, User
from accounts.together import Prepared, Read, Row, given, together
from tokens.models import (
    AccessProfile,
    AccessRequest,
    ClientSecret,
    Comment,
    Credential,
    Decision,
    Fetch,
    Helpdesk,
    HelpdeskLink,
    Scope,
)
from tokens.models.catalogue import Risk
from tokens.queries.pages import count_of
from tokens.states import CREDENTIAL_ENDED, RequestState

ScopeTable = Mapping[tuple[str, str], Scope]
"""Kind of helpdesk and name of a scope → the scope in plain words."""


# --- The catalogue ---------------------------------------------------------------------------------


def scope_table() -> ScopeTable:
    """The closed table of scopes."""
    return as_table(Scope.objects.all())


def as_table(scopes: Iterable[Scope]) -> ScopeTable:
    """Scopes to be looked up by kind and name."""
    return {(scope.kind, scope.name): scope for scope in scopes}


def risks_of(scopes: Iterable[str], kind: str, table: ScopeTable) -> list[str]:
    """The risks of what is asked for, as the table has them today; what left it is wide."""
    found = [table.get((kind, name)) for name in scopes]
    return [scope.risk if scope else Risk.WIDE for scope in found]


def profiles() -> list[AccessProfile]:
    """What can be asked for now, by helpdesk and name."""
    found = AccessProfile.objects.filter(retired_at=None, current__isnull=False)
    return list(
        found.select_related("current", "helpdesk").order_by("helpdesk_id", "current__name")
    )


def links_of(user: User) -> dict[int, HelpdeskLink]:
    """Helpdesk id → what the last look-up of this person there found."""
    return {
        link.helpdesk_id: link
        for link in HelpdeskLink.objects.filter(user=user).select_related("helpdesk")
    }


def links_to_decide(user: User, helpdesk_id: int) -> dict[int, HelpdeskLink]:
    """What the last look-up on a helpdesk found of somebody and of whom they stand in for, by person."""
    return links_from(together({"links": links_of_deciders(user, helpdesk_id)})["links"])


def links_of_deciders(user: User, helpdesk_id: int) -> Prepared:
    """The read of it, for pages that read other things beside."""
    people = enumerate([user, *absent_of(user)])
    values = {f"decider {place}": one.pk for place, one in people}
    return Prepared(_links_of(len(values)), {"helpdesk": helpdesk_id, **values})


def links_from(rows: Iterable[Row]) -> dict[int, HelpdeskLink]:
    """What `links_of_deciders` has found."""
    return {row["user_id"]: HelpdeskLink(**row) for row in rows}


@lru_cache(200)
def _links_of(how_many: int) -> Read:
    one_of = reduce(or_, [Q(user=given(f"decider {place}")) for place in range(how_many)])
    rows = HelpdeskLink.objects.filter(one_of, helpdesk=given("helpdesk"))
    return rows.values("user_id", "helpdesk_user_id", "problem")


def helpdesks() -> list[Helpdesk]:
    """Every helpdesk, oldest first."""
    return list(Helpdesk.objects.order_by("id"))


def count_helpdesks() -> int:
    """How many helpdesks there are."""
    return Helpdesk.objects.count()


# --- One person's own ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """A credential of somebody, with the two facts about it that stand in other tables."""

    credential: Credential
    last_used_at: datetime | None
    has_secret: bool


def held_by(user: User) -> list[Held]:
    """Every credential of a person that has not ended, the one that ends first on top."""
    last_fetch = Fetch.objects.filter(credential=OuterRef("pk")).order_by("-at")
    rows = (
        Credential.objects.filter(owner=user)
        .exclude(state__in=CREDENTIAL_ENDED)
        .select_related("helpdesk", "profile_version", "deputy")
        .annotate(
            last_used=Subquery(last_fetch.values("at")[:1]),
            secret=Exists(ClientSecret.objects.filter(credential=OuterRef("pk"), ends_at=None)),
        )
        .order_by("lives_until", "id")
    )
    return [Held(row, row.last_used, row.secret) for row in rows]


def readable(rows: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
    """With everything a page says about a request in the same query."""
    return rows.select_related(
        "requester", "deputy", "acts_as", "credential", "profile_version__profile__helpdesk"
    )


def request_by_id(pk: int) -> AccessRequest | None:
    """One request, for a page; whether this reader may see it is for permissions to say."""
    return readable(AccessRequest.objects.filter(pk=pk)).first()


def waiting_of(user: User) -> list[AccessRequest]:
    """A person's requests that wait for a decision."""
    rows = readable(AccessRequest.objects.filter(requester=user, state=RequestState.PENDING))
    return list(rows.order_by("decide_by", "id"))


def questions_to(user: User) -> dict[int, Comment]:
    """Request → the last word on it, where somebody else has it, of those of this person that wait."""
    mine = Q(access_request__requester=user, access_request__state=RequestState.PENDING)
    later = Comment.objects.filter(access_request=OuterRef("access_request"), id__gt=OuterRef("id"))
    rows = Comment.objects.filter(mine, ~Exists(later)).exclude(author=user)
    return {row.access_request_id: row for row in rows.select_related("author")}


def turned_down_lately(user: User, *, now: datetime, within: timedelta) -> list[AccessRequest]:
    """A person's requests that ended without access a short while ago and were not asked again since."""
    ended = (RequestState.DENIED, RequestState.LAPSED, RequestState.CLOSED)
    later = AccessRequest.objects.filter(
        requester=user,
        profile=OuterRef("profile"),
        script_name__iexact=OuterRef("script_name"),
        id__gt=OuterRef("id"),
    )
    rows = AccessRequest.objects.filter(requester=user, state__in=ended, ended_at__gt=now - within)
    return list(readable(rows.exclude(Exists(later))).order_by("-id")[:5])


def ended_of(user: User) -> QuerySet[Credential]:
    """A person's access that is over, also what was never connected."""
    rows = Credential.objects.filter(owner=user, state__in=CREDENTIAL_ENDED)
    return rows.select_related("helpdesk", "profile_version")


def not_granted_to(user: User) -> QuerySet[AccessRequest]:
    """A person's requests that came to nothing."""
    over = (
        RequestState.DENIED,
        RequestState.LAPSED,
        RequestState.CLOSED,
        RequestState.WITHDRAWN,
    )
    return readable(AccessRequest.objects.filter(requester=user, state__in=over))


def count_over(user: User) -> int:
    """How much of a person's is over: access, and requests that came to nothing; to a hundred of each."""
    return count_of(ended_of(user)) + count_of(not_granted_to(user))


def approvers_of(credentials: Iterable[Credential]) -> dict[int, list[str]]:
    """Credential id → who approved the requests behind it, in the order they did; policy is "Keydesk, by rule"."""
    decisions = Decision.objects.filter(
        access_request__credential__in=list(credentials), verdict=Decision.Verdict.APPROVE
    )
    found: dict[int, list[str]] = defaultdict(list)
    for decision in decisions.select_related("approver", "access_request").order_by("id"):
        name = str(decision.approver or "Keydesk, by rule")
        names = found[decision.access_request.credential_id or 0]
        if name not in names:
            names.append(name)
    return found


ASKING = ("request.submitted", "request.amended")


def asks_since(user: User, *, since: datetime) -> int:
    """How often a person has asked, or changed what they asked, since then."""
    touched = AccessRequest.objects.filter(requester=user, revised_at__gt=since)
    ids = [str(pk) for pk in touched.values_list("pk", flat=True)]
    told = AuditEvent.objects.filter(target_type=AccessRequest.__name__, target_id__in=ids)
    return told.filter(event__in=ASKING, at__gt=since).count()


def own_request(user: User, pk: int) -> AccessRequest | None:
    """One request of this person."""
    return readable(AccessRequest.objects.filter(pk=pk, requester=user)).first()


def own_credential(user: User, pk: int) -> Credential | None:
    """One credential of this person."""
    rows = Credential.objects.filter(pk=pk, owner=user)
    return rows.select_related("profile_version__profile__helpdesk", "deputy").first()


def last_request_for(credential: Credential) -> AccessRequest | None:
    """The last request that gave or lengthened this access."""
    rows = credential.access_requests.filter(state=RequestState.APPROVED)
    return rows.order_by("-id").first()


def other_people(user: User) -> list[User]:
    """Active people somebody can name as their deputy, by name; the first few hundred."""
    rows = User.objects.filter(deactivated_at=None).exclude(pk=user.pk).exclude(email="")
    return list(rows.order_by("name", "id")[:300])


def active_by_email(email: str) -> list[User]:
    """The active people with an address, at most two: one is an answer, two are none."""
    return list(User.objects.filter(deactivated_at=None, email__iexact=email)[:2])
