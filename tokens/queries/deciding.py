"""What a decision rests on: all that a card says beside the request itself, in one statement."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache, reduce
from operator import or_
from typing import NamedTuple

from django.db.models import (
    CharField,
    Count,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
)
from django.db.models.functions import Cast, Concat

from accounts.models import AuditEvent, Membership, User
from accounts.together import Prepared, Read, Row, given, together
from tokens.models import (
    AccessRequest,
    Comment,
    Credential,
    Decision,
    Fetch,
    HelpdeskLink,
    Scope,
)
from tokens.queries import people
from tokens.queries.listed import Listed
from tokens.queries.requests import links_from, links_of_deciders
from tokens.queries.whole import REQUEST, request_from, whole_request
from tokens.states import CREDENTIAL_CONNECTED, CREDENTIAL_USABLE, RequestState

MOST_EARLIER = 20
MOST_REMARKS = 50
SCOPE = ("kind", "name", "words", "risk", "least_role", "light_words")


@dataclass(frozen=True)
class Precedent:
    """What became of earlier requests of the same person for the same profile.

    `fetches` and `given_back`, ended by its owner before its end, are of the access that was granted last.
    """

    earlier: int
    granted: int
    fetches: int
    given_back: bool


@dataclass(frozen=True)
class Verdict:
    """One decision on a request as it stands."""

    approver_id: int | None
    stands_in_for_id: int | None
    name: str
    is_approval: bool
    scopes: frozenset[str]
    days: int
    reason: str
    at: datetime


@dataclass(frozen=True)
class Remark:
    """One question about a request, or an answer."""

    name: str
    words: str
    at: datetime


@dataclass(frozen=True)
class Facts:
    """What a card needs to know beside the request.

    `links`: of the reader on that helpdesk, and of whom they stand in for.
    """

    scopes: list[Scope]
    groups: list[str]
    """Of the person who asks."""
    held: Mapping[int, frozenset[str]]
    connected: frozenset[int]
    """The helpdesk users who have access that new access may end."""
    verdicts: list[Verdict]
    remarks: list[Remark]
    precedent: Precedent
    deciders: list[people.Decider]
    links: Mapping[int, HelpdeskLink]


class About(NamedTuple):
    """What names the rows that a decision on a request rests on."""

    request: int
    revision: int
    requester: int
    profile: int
    helpdesk: int
    kind: str
    asked: people.Asked


def about(access_request: AccessRequest) -> About:
    """Those of a request that was read with its profile and helpdesk."""
    helpdesk = access_request.profile_version.profile.helpdesk
    return About(
        access_request.pk, access_request.revision, access_request.requester_id,
        access_request.profile_id, helpdesk.pk, helpdesk.kind, people.asked_by(access_request),
    )  # fmt: skip


def about_listed(row: Listed) -> About:
    """Those of a request in a list."""
    asked = people.asked(
        row.terms_group, row.escalated_to, requester_id=row.requester_id, lead_id=row.lead_id
    )
    return About(
        row.pk, row.revision, row.requester_id, row.profile_id, row.helpdesk_id, row.helpdesk_kind,
        asked,
    )  # fmt: skip


def facts(access_request: AccessRequest, reader: User) -> Facts:
    """Everything about one request beside itself."""
    return _facts(together(_reads(about(access_request), [access_request.acts_as_id], reader)))


def opened(row: Listed, reader: User, *, listed: Collection[Listed]) -> tuple[AccessRequest, Facts]:
    """One request of a list with everything about it, and what the helpdesk users of all of them hold."""
    acts_as = {one.acts_as_id for one in listed}
    whole = {name: Prepared(read, {"request": row.pk}) for name, read in whole_request().items()}
    found = together({**whole, **_reads(about_listed(row), acts_as, reader)})
    return request_from(found), _facts(found)


def _reads(one: About, acts_as_ids: Collection[int], reader: User) -> dict[str, Read | Prepared]:
    values = {
        "request": one.request, "revision": one.revision, "requester": one.requester,
        "profile": one.profile, "kind": one.kind,
    }  # fmt: skip
    return {
        **{name: Prepared(read, values) for name, read in _of_any_request().items()},
        "held": held_as(acts_as_ids),
        "deciders": people.deciding(one.asked),
        "links": links_of_deciders(reader, one.helpdesk),
    }


def _facts(found: Mapping[str, list[Row]]) -> Facts:
    return Facts(
        scopes=[Scope(**row) for row in found["scopes"]],
        groups=sorted(row["group"] for row in found["groups"]),
        held=by_helpdesk_user(found["held"]),
        connected=frozenset(
            row["acts_as_id"] for row in found["held"] if row["state"] in CREDENTIAL_CONNECTED
        ),
        verdicts=[_verdict(row) for row in found["verdicts"]],
        remarks=[_remark(row) for row in reversed(found["remarks"])],
        precedent=_precedent(found["earlier"], found["last_granted"]),
        deciders=people.deciders_from(found["deciders"]),
        links=links_from(found["links"]),
    )


REVISION, REQUESTER, PROFILE = given("revision"), given("requester"), given("profile")
KIND = given("kind", CharField())


@cache
def _of_any_request() -> Mapping[str, Read]:
    """What is read of the request itself, with places for what names it."""
    return {
        "scopes": Scope.objects.filter(kind=KIND).values(*SCOPE),
        "groups": Membership.objects.filter(user=REQUESTER).values("group"),
        "verdicts": _verdicts(),
        "remarks": _remarks(),
        "earlier": _before().values("state")[:MOST_EARLIER],
        "last_granted": _last_granted(),
    }


def held_as(acts_as_ids: Collection[int]) -> Prepared:
    """The living credentials of these helpdesk users."""
    values = {f"acts as {place}": pk for place, pk in enumerate(acts_as_ids)}
    return Prepared(_held_as(len(acts_as_ids)), values)


@lru_cache(200)
def _held_as(how_many: int) -> Read:
    one_of = reduce(or_, [Q(acts_as=given(f"acts as {place}")) for place in range(how_many)])
    rows = Credential.objects.filter(one_of, state__in=CREDENTIAL_USABLE, ended_at=None)
    return rows.values("acts_as_id", "scopes", "state")


def by_helpdesk_user(rows: list[Row]) -> Mapping[int, frozenset[str]]:
    """Helpdesk user → the scopes that living credentials hold as them now."""
    found: dict[int, frozenset[str]] = defaultdict(frozenset)
    for row in rows:
        found[row["acts_as_id"]] |= row["scopes"]
    return found


def _verdicts() -> Read:
    rows = Decision.objects.filter(access_request=REQUEST, revision=REVISION)
    return rows.order_by("id").values(
        "approver_id", "approver__name", "approver__email",
        "stands_in_for_id", "stands_in_for__name", "stands_in_for__email",
        "verdict", "scopes", "days", "reason", "at",
    )  # fmt: skip


def _verdict(row: Row) -> Verdict:
    name = _named(row, "approver") or "Keydesk, by rule"
    absent = _named(row, "stands_in_for")
    return Verdict(
        approver_id=row["approver_id"],
        stands_in_for_id=row["stands_in_for_id"],
        name=f"{name}, standing in for {absent}," if absent else name,
        is_approval=row["verdict"] == Decision.Verdict.APPROVE,
        scopes=row["scopes"],
        days=row["days"],
        reason=row["reason"],
        at=row["at"],
    )


def _named(row: Row, who: str) -> str:
    pk, name, email = row[f"{who}_id"], row[f"{who}__name"], row[f"{who}__email"]
    return str(User(pk=pk, name=name, email=email)) if pk else ""


def _remarks() -> Read:
    """The latest comments, the last one first."""
    rows = Comment.objects.filter(access_request=REQUEST).order_by("-id")
    return rows.values("author_id", "author__name", "author__email", "words", "at")[:MOST_REMARKS]


def _remark(row: Row) -> Remark:
    return Remark(_named(row, "author"), row["words"], row["at"])


def _before() -> QuerySet[AccessRequest]:
    """Requests of the same person for the same profile before this one, the latest first."""
    rows = AccessRequest.objects.filter(requester=REQUESTER, profile=PROFILE, id__lt=REQUEST)
    return rows.order_by("-id")


def _last_granted() -> Read:
    """The access that the latest of them gave, how it ended, and how often it was used."""
    granted = _before().filter(state=RequestState.APPROVED, credential__isnull=False)
    used = Fetch.objects.filter(credential=OuterRef("credential")).order_by()
    counted = used.values("credential").annotate(n=Count("pk"))
    return granted.values(
        "credential__ended_at", "credential__lives_until",
        fetches=Subquery(counted.values("n")), by_owner=Exists(_ended_by_owner()),
    )[:1]  # fmt: skip


def _ended_by_owner() -> QuerySet[AuditEvent]:
    """That whoever asked has ended the access of their request themselves."""
    return AuditEvent.objects.filter(
        event="credential.revoked", target_type=Credential.__name__,
        target_id=Cast(OuterRef("credential"), TextField()),
        actor=Concat(Value("user:"), Cast(OuterRef("requester"), TextField())),
    )  # fmt: skip


def _precedent(earlier: list[Row], last_granted: list[Row]) -> Precedent:
    last = last_granted[0] if last_granted else {}
    return Precedent(
        earlier=len(earlier),
        granted=sum(row["state"] == RequestState.APPROVED for row in earlier),
        fetches=last.get("fetches") or 0,
        given_back=_was_given_back(last),
    )


def _was_given_back(last: Row) -> bool:
    ended, until = last.get("credential__ended_at"), last.get("credential__lives_until")
    return bool(last.get("by_owner") and ended and until and ended < until)
