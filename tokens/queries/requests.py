"""What the pages about asking and deciding read. Whose rows they are is said by the caller, never decided here."""

import base64
import binascii
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet, Subquery

from accounts.models import User
from tokens.models import (
    AccessProfile,
    AccessRequest,
    ClientSecret,
    Credential,
    Decision,
    Fetch,
    Helpdesk,
    HelpdeskLink,
    Scope,
)
from tokens.states import CREDENTIAL_ENDED, CREDENTIAL_USABLE, CredentialState, RequestState

PAGE = 50
MOST_COUNTED = 100
ScopeTable = Mapping[tuple[str, str], Scope]
"""Kind of helpdesk and name of a scope → the scope in plain words."""


# --- The catalogue ---------------------------------------------------------------------------------


def scope_table() -> ScopeTable:
    """The closed table of scopes."""
    return {(scope.kind, scope.name): scope for scope in Scope.objects.all()}


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


def _readable(rows: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
    """With everything a page says about a request in the same query."""
    return rows.select_related(
        "requester", "deputy", "acts_as", "credential", "profile_version__profile__helpdesk"
    )


def request_by_id(pk: int) -> AccessRequest | None:
    """One request, for a page; whether this reader may see it is for permissions to say."""
    return _readable(AccessRequest.objects.filter(pk=pk)).first()


def waiting_of(user: User) -> list[AccessRequest]:
    """A person's requests that wait for a decision."""
    rows = _readable(AccessRequest.objects.filter(requester=user, state=RequestState.PENDING))
    return list(rows.order_by("decide_by", "id"))


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
    return list(_readable(rows.exclude(Exists(later))).order_by("-id")[:5])


def ended_of(user: User) -> QuerySet[Credential]:
    """A person's access that is over, also what was never connected."""
    rows = Credential.objects.filter(owner=user, state__in=CREDENTIAL_ENDED)
    return rows.select_related("helpdesk", "profile_version").order_by("-id")


def not_granted_to(user: User) -> QuerySet[AccessRequest]:
    """A person's requests that came to nothing."""
    over = (
        RequestState.DENIED,
        RequestState.LAPSED,
        RequestState.CLOSED,
        RequestState.WITHDRAWN,
    )
    return _readable(AccessRequest.objects.filter(requester=user, state__in=over)).order_by("-id")


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


def own_request(user: User, pk: int) -> AccessRequest | None:
    """One request of this person."""
    return _readable(AccessRequest.objects.filter(pk=pk, requester=user)).first()


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


# --- The queue -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reader:
    """Whose queue it is: the groups they decide for (None: every profile), or somebody who only reads."""

    user: User
    groups: Collection[str] | None
    is_only_reading: bool = False


@dataclass(frozen=True)
class Filters:
    """What the reader wants to see of the queue; None and "" are everything."""

    profile_id: int | None = None
    requester_id: int | None = None
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.profile_id or self.requester_id or self.text)


@dataclass(frozen=True)
class Page:
    """Up to fifty rows, and where the next ones start ("": these were the last)."""

    rows: list[AccessRequest]
    after: str


def to_decide(reader: Reader, *, now: datetime) -> QuerySet[AccessRequest]:
    """Pending requests this person may still decide; all of them for somebody who only reads."""
    rows = AccessRequest.objects.filter(state=RequestState.PENDING, decide_by__gt=now)
    if reader.is_only_reading:
        return rows
    if reader.groups is not None:
        rows = rows.filter(profile_version__approver_group__in=reader.groups)
    themselves = HelpdeskLink.objects.filter(user=reader.user, helpdesk_user=OuterRef("acts_as_id"))
    decided = Decision.objects.filter(
        access_request=OuterRef("pk"), revision=OuterRef("revision"), approver=reader.user
    )
    return rows.exclude(requester=reader.user).exclude(Exists(themselves)).exclude(Exists(decided))


def count_to_decide(reader: Reader, *, now: datetime) -> int:
    """How many wait, counted to a hundred and no further."""
    return to_decide(reader, now=now).values("pk")[:MOST_COUNTED].count()


def queue_page(reader: Reader, filters: Filters, *, after: str, now: datetime) -> Page:
    """The first rows behind a cursor, the one to be decided first on top. A bad cursor is the first page."""
    rows = _filtered(_readable(to_decide(reader, now=now)), filters)
    if (start := read_cursor(after)) is not None:
        at, pk = start
        rows = rows.filter(Q(decide_by__gt=at) | Q(decide_by=at, id__gt=pk))
    found = list(rows.order_by("decide_by", "id")[: PAGE + 1])
    more = len(found) > PAGE
    return Page(found[:PAGE], make_cursor(found[PAGE - 1]) if more else "")


def _filtered(rows: QuerySet[AccessRequest], filters: Filters) -> QuerySet[AccessRequest]:
    if filters.profile_id:
        rows = rows.filter(profile=filters.profile_id)
    if filters.requester_id:
        rows = rows.filter(requester=filters.requester_id)
    for word in filters.text.split():
        rows = rows.filter(
            Q(script_name__icontains=word)
            | Q(purpose__icontains=word)
            | Q(requester__name__icontains=word)
            | Q(requester__email__icontains=word)
        )
    return rows


@dataclass(frozen=True)
class Choices:
    """What the queue can be filtered by: ids and names of what waits in it, profiles by helpdesk."""

    profiles: dict[str, list[tuple[int, str]]]
    requesters: list[tuple[int, str]]


def queue_choices(reader: Reader, *, now: datetime) -> Choices:
    """The profiles and people of the first few hundred waiting requests."""
    rows = to_decide(reader, now=now).order_by("decide_by", "id")
    facts = rows.values_list(
        "profile_id",
        "profile_version__name",
        "profile__helpdesk__name",
        "requester_id",
        "requester__name",
    )[:500]
    profiles: dict[str, dict[int, str]] = defaultdict(dict)
    people: dict[int, str] = {}
    for profile_id, name, helpdesk, requester_id, requester in facts:
        profiles[helpdesk][profile_id] = name
        people[requester_id] = requester
    return Choices(
        {helpdesk: _by_name(named) for helpdesk, named in sorted(profiles.items())},
        _by_name(people),
    )


def _by_name(named: dict[int, str]) -> list[tuple[int, str]]:
    return sorted(named.items(), key=lambda row: row[1])


def make_cursor(row: AccessRequest) -> str:
    """Where a page ends, as one opaque word."""
    return base64.urlsafe_b64encode(f"{row.decide_by.isoformat()} {row.pk}".encode()).decode()


def read_cursor(word: str) -> tuple[datetime, int] | None:
    """What `make_cursor` wrote; None for anything else."""
    try:
        at, pk = base64.urlsafe_b64decode(word.encode()).decode().split()
        start = datetime.fromisoformat(at), int(pk)
    except (ValueError, binascii.Error):
        return None
    return start if start[0].tzinfo is not None and 0 < start[1] < 2**63 else None


# --- What a decision rests on ----------------------------------------------------------------------


def held_scopes(acts_as_ids: Iterable[int]) -> dict[int, frozenset[str]]:
    """Helpdesk user → the scopes that living credentials hold as them now."""
    found: dict[int, frozenset[str]] = defaultdict(frozenset)
    rows = Credential.objects.filter(acts_as__in=set(acts_as_ids), state__in=CREDENTIAL_USABLE)
    for acts_as_id, scopes in rows.values_list("acts_as_id", "scopes"):
        found[acts_as_id] |= frozenset(scopes)
    return found


@dataclass(frozen=True)
class Precedent:
    """What became of earlier requests of the same person for the same profile."""

    earlier: int
    granted: int
    fetches: int
    last_used_at: datetime | None
    ended_early: int


def precedent(access_request: AccessRequest) -> Precedent:
    """Count what came before: requests, how many were granted, how often the access was used."""
    before = AccessRequest.objects.filter(
        requester=access_request.requester_id,
        profile=access_request.profile_id,
        id__lt=access_request.pk,
    )
    asked = before.aggregate(
        earlier=Count("id"), granted=Count("id", filter=Q(state=RequestState.APPROVED))
    )
    used = Fetch.objects.filter(
        credential__in=before.exclude(credential=None).values("credential")
    ).aggregate(fetches=Count("id"), last=Max("at"))
    ended_early = Credential.objects.filter(
        id__in=before.exclude(credential=None).values("credential"),
        state=CredentialState.REVOKED,
        ended_at__lt=F("lives_until"),
    ).count()
    return Precedent(asked["earlier"], asked["granted"], used["fetches"], used["last"], ended_early)


def decisions_on(access_request: AccessRequest) -> list[Decision]:
    """What was decided on the request as it stands, in the order it was."""
    rows = access_request.decisions.filter(revision=access_request.revision)
    return list(rows.select_related("approver").order_by("id"))
