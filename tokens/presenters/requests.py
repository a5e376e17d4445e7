"""What the pages of a request say: cards for deciders, what became of it for who asked.

Rows come from queries, yes and no from permissions and policies; here they become what a template shows.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.urls import reverse

from accounts.models import User
from tokens import permissions, policies
from tokens.models import AccessRequest
from tokens.presenters.clocks import Clocks, clocks
from tokens.presenters.precedent import precedent_words
from tokens.presenters.scopes import ScopeLine, in_words, scope_lines
from tokens.presenters.who_decides import NOBODY, names_of
from tokens.queries import deciding
from tokens.queries import requests as queries
from tokens.queries.usual_waits import usual_waits
from tokens.refusals import Answer
from tokens.states import CredentialState, RequestState

# --- The card a decision is made on ------------------------------------------------------------------


@dataclass(frozen=True)
class DecisionLine:
    """One decision on the request as it stands."""

    state: str
    name: str
    days: int
    left_out: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Card:
    """What an approver has to know in ten seconds, in the order they ask themselves."""

    access_request: AccessRequest
    groups: list[str]
    role_is_new: bool
    scopes: list[ScopeLine]
    verdict: Answer
    precedent: list[str]
    has_precedent: bool
    decisions: list[DecisionLine]
    others: str
    missing: str
    """Whose approvals are still wanted, where it takes several."""
    may_decide: Answer
    age: timedelta
    clocks: Clocks
    is_open: bool
    ends_others: str
    remarks: list[deciding.Remark]
    may_comment: Answer

    @property
    def is_risky(self) -> bool:
        """Whether approving takes a second page: by the terms it was asked under, and by the table of today."""
        terms = self.access_request.profile_version.risk if self.asks_for_all else ""
        return policies.is_risky([terms, *(line.risk for line in self.scopes)])

    @property
    def asks_for_all(self) -> bool:
        """Whether nothing of the profile was left out."""
        return bool(self.access_request.scopes == self.access_request.profile_version.scopes)

    @property
    def ticket_words(self) -> str:
        """The last word of the ticket's address, which is mostly its number, and where that leads."""
        address = urlsplit(self.access_request.ticket_url)
        number = address.path.rstrip("/").rsplit("/", 1)[-1][:40]
        return f"{number} on {address.netloc}" if number else address.netloc

    @property
    def is_last_approval(self) -> bool:
        """Whether one more approval grants it."""
        needed = self.access_request.profile_version.approvals_needed
        return self.access_request.approvals + 1 >= needed

    @property
    def time_to_decide(self) -> timedelta:
        """How long a decision on this revision may take in all."""
        return self.access_request.decide_by - self.access_request.revised_at


def card(
    access_request: AccessRequest,
    reader: User,
    *,
    now: datetime,
    facts: deciding.Facts | None = None,
) -> Card:
    """Everything one page says about one request; `facts` where they have been read already."""
    facts = facts or deciding.facts(access_request, reader)
    table = queries.as_table(facts.scopes)
    spoken = policies.voices(_said(facts))
    return Card(
        access_request=access_request,
        groups=facts.groups,
        role_is_new=policies.role_is_new(access_request.acts_as.role_changed_at, now=now),
        scopes=_asked(access_request, facts, table),
        verdict=_verdict(access_request),
        precedent=precedent_words(facts.precedent),
        has_precedent=bool(facts.precedent.earlier),
        decisions=[_decision_line(access_request, said, table) for said in facts.verdicts],
        others=names_of(facts.deciders, but=[access_request.requester_id, reader.pk, *spoken]),
        missing=_missing(access_request, facts, spoken),
        may_decide=_may_decide(access_request, reader, facts, now=now),
        age=now - access_request.revised_at,
        clocks=clocks(access_request, now=now),
        is_open=access_request.state == RequestState.PENDING,
        ends_others=_ends_others(access_request),
        remarks=facts.remarks,
        may_comment=permissions.may_comment(reader, access_request),
    )


def _said(facts: deciding.Facts) -> list[tuple[int | None, int | None]]:
    return [(one.approver_id, one.stands_in_for_id) for one in facts.verdicts]


def _missing(access_request: AccessRequest, facts: deciding.Facts, spoken: set[int]) -> str:
    left = access_request.profile_version.approvals_needed - access_request.approvals
    if access_request.profile_version.approvals_needed < 2 or left < 1:
        return ""
    names = names_of(facts.deciders, but=[access_request.requester_id, *spoken])
    return f"{left} more: {names or NOBODY}."


def _ends_others(access_request: AccessRequest) -> str:
    """What connecting it will end, where the helpdesk keeps one access per person."""
    if access_request.state != RequestState.PENDING or access_request.is_renewal:
        return ""
    helpdesk = access_request.profile_version.profile.helpdesk
    ended = policies.ended_by_new_access(helpdesk, access_request.acts_as_id)
    return policies.one_per_person_words(helpdesk, ended, how="connecting this later")


def _asked(
    access_request: AccessRequest, facts: deciding.Facts, table: queries.ScopeTable
) -> list[ScopeLine]:
    """What is asked for, and what of it the same helpdesk user holds by other access now."""
    kind = access_request.profile_version.profile.helpdesk.kind
    already = facts.held.get(access_request.acts_as_id, frozenset())
    acts_as = access_request.acts_as
    return scope_lines(access_request.scopes, kind, table, held=already, acts_as=acts_as)


def _decision_line(
    access_request: AccessRequest, said: deciding.Verdict, table: queries.ScopeTable
) -> DecisionLine:
    kind = access_request.profile_version.profile.helpdesk.kind
    return DecisionLine(
        state="approved" if said.is_approval else "denied",
        name=said.name,
        days=said.days,
        left_out=in_words(access_request.scopes - said.scopes, kind, table),
        reason=said.reason if said.approver_id else "",
        at=said.at,
    )


def _verdict(access_request: AccessRequest) -> Answer:
    """Policy's own words on the request as it stands."""
    return policies.approves_by_itself(
        access_request.profile_version,
        days=access_request.days,
        requester=access_request.requester,
        is_renewal=access_request.is_renewal,
    )


def _may_decide(
    access_request: AccessRequest,
    reader: User,
    facts: deciding.Facts,
    *,
    now: datetime,
) -> Answer:
    """Whether the buttons work for this reader, and if not, why."""
    if access_request.state != RequestState.PENDING:
        return Answer(False, "It has been decided.")
    if not (answer := permissions.may_decide(reader, access_request, facts.links)):
        return answer
    said = _said(facts)
    absent = permissions.in_place_of(
        reader, access_request, facts.links, heard=policies.voices(said)
    )
    if not (
        answer := policies.is_unheard(said, by=reader.pk, absent=absent.pk if absent else None)
    ):
        return answer
    return policies.is_decidable(access_request, now=now)


# --- What whoever asked can do next ------------------------------------------------------------------


@dataclass(frozen=True)
class OwnRequest:
    """What the person who asked can do about the request now, and what comes next."""

    is_to_connect: bool
    again_href: str = ""
    again_label: str = "Ask again"
    decided_by: str = ""
    usual: timedelta | None = None
    """Within how long such requests are usually decided; only while it waits."""


def own_request(access_request: AccessRequest, reader: User, card: Card) -> OwnRequest | None:
    """For the requester; None for everybody else."""
    if reader.pk != access_request.requester_id:
        return None
    over = (
        RequestState.DENIED,
        RequestState.LAPSED,
        RequestState.WITHDRAWN,
        RequestState.CLOSED,
    )
    return OwnRequest(
        is_to_connect=_is_to_connect(access_request),
        again_href=again_path(access_request) if access_request.state in over else "",
        decided_by=card.others or NOBODY,
        usual=_usual(access_request) if card.is_open else None,
    )


def _usual(access_request: AccessRequest) -> timedelta | None:
    return usual_waits([access_request.approver_group]).get(access_request.profile_id)


def again_path(access_request: AccessRequest) -> str:
    """Where one asks for the same once more: a renewal of what lives, or new access."""
    if access_request.is_renewal:
        return f"{reverse('ask')}?renews={access_request.credential_id}"
    return f"{reverse('ask')}?again={access_request.pk}"


def _is_to_connect(access_request: AccessRequest) -> bool:
    held = access_request.credential
    return held is not None and held.state == CredentialState.AWAITING_CONSENT
