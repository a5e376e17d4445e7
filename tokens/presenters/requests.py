"""What the pages of a request say: cards for deciders, what became of it for who asked.

Rows come from queries, yes and no from permissions and policies; here they become what a template shows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse

from accounts.models import User
from accounts.together import together
from tokens import permissions, policies
from tokens.models import (
    AccessRequest,
    Credential,
    HelpdeskUser,
    Scope,
)
from tokens.models.catalogue import RISKS, Risk
from tokens.presenters.words import days_words, one_of, span_words
from tokens.queries import deciding, people
from tokens.queries import requests as queries
from tokens.queries.usual_waits import usual_waits
from tokens.refusals import YES, Answer
from tokens.states import CredentialState, RequestState

NOBODY = "nobody at the moment; ask your Keydesk admin"


# --- Scopes in words ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScopeLine:
    """One scope: in words, how risky, what it would be to the person who asks, and what it does for their role."""

    name: str
    words: str
    risk: str
    change: policies.Change = policies.Change.NEW
    effect: Answer = YES


def scope_lines(
    scopes: Iterable[str],
    kind: str,
    table: queries.ScopeTable,
    *,
    held: frozenset[str] = frozenset(),
    acts_as: HelpdeskUser | None = None,
) -> list[ScopeLine]:
    """Scopes as people read them, the riskiest on top; one that left the table keeps its own name.

    With `acts_as`: also what each lets that user do.
    """
    known = [
        table.get((kind, name)) or Scope(name=name, words=name, risk=Risk.WIDE) for name in scopes
    ]
    known.sort(key=lambda scope: (-RISKS.index(Risk(scope.risk)), scope.words))
    return [
        ScopeLine(
            s.name,
            s.words,
            s.risk,
            policies.change_of(s.name, held),
            policies.effect_of(s, acts_as) if acts_as else YES,
        )
        for s in known
    ]


def in_words(scopes: Iterable[str], kind: str, table: queries.ScopeTable) -> str:
    """Scopes as one line: "Read tickets and comments · Read users"."""
    return " · ".join(line.words for line in scope_lines(scopes, kind, table))


# --- Who decides -------------------------------------------------------------------------------------


class WhoDecides:
    """Looks up who decides once for each lot that is asked, however many rows of a page ask."""

    def __init__(self) -> None:
        self._people: dict[people.Asked, list[people.Decider]] = {}

    def names(self, asked: people.Asked, *, but: Iterable[int]) -> str:
        """Who decides, as `names_of` says it."""
        if asked not in self._people:
            found = together({"deciders": people.deciding(asked)})
            self._people[asked] = people.deciders_from(found["deciders"])
        return names_of(self._people[asked], but=but)


def names_of(deciders: Iterable[people.Decider], *, but: Iterable[int]) -> str:
    """ "Ben Achterberg (lead), June Moreno or an admin", without those whose ids are in `but`; "" for nobody."""
    left_out = set(but)
    found = [person for person in deciders if person.pk not in left_out]
    named = [person for person in found if person.is_lead or not person.is_admin][:4]
    names = [f"{person.name} (lead)" if person.is_lead else person.name for person in named]
    if any(person.is_admin for person in found if person not in named):
        names.append("an admin")
    return one_of(names)


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
    clocks: "Clocks"
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


def shown_state(credential: Credential, *, now: datetime) -> str:
    """The state a badge shows: active access near its end "ends soon"."""
    if credential.state == CredentialState.ACTIVE and policies.ends_soon(credential, now=now):
        return "ends_soon"
    return credential.state


@dataclass(frozen=True)
class Clocks:
    """The three dates of a request: moments, or words where there is none (yet)."""

    decide_by: datetime | str
    connect_by: datetime | str
    lives_until: datetime | str


def clocks(access_request: AccessRequest, *, now: datetime) -> Clocks:
    """Until when to decide, to connect, and to live; of a pending one as if it were approved now."""
    held, is_open = access_request.credential, access_request.state == RequestState.PENDING
    days = access_request.granted_days or access_request.days
    if access_request.state not in (RequestState.PENDING, RequestState.APPROVED):
        return Clocks("ended", "not approved", "not approved")
    decide_by = access_request.decide_by if is_open else "decided"
    if is_open and held is None:
        after = f"{span_words(settings.CONNECT_BY_WITHIN)} after"
        return Clocks(decide_by, after, until(held, days, now=now))
    assert held is not None  # a renewal has its credential from the start, an approved one got it
    connect_by = held.connect_by if held.issued_at is None else "connected"
    if is_open:
        return Clocks(decide_by, "stays connected", until(held, days, now=now))
    return Clocks(decide_by, connect_by, held.lives_until or f"{days_words(days)} from connecting")


def until(credential: Credential | None, days: int, *, now: datetime) -> datetime:
    """The end that so many days from now make; what lives longer already keeps its end."""
    end = now + timedelta(days=days)
    if credential is not None and credential.lives_until is not None:
        return max(end, credential.lives_until)
    return end


def precedent_words(before: deciding.Precedent) -> list[str]:
    """What became of earlier requests, as one or two sentences."""
    if not before.earlier:
        return ["This person has never asked for this access."]
    if not before.granted:
        times = "once" if before.earlier == 1 else f"{before.earlier} times"
        return [f"Asked {times} before and never got it; approving gives it for the first time."]
    return [_asked_before(before), _used_before(before)]


def _asked_before(before: deciding.Precedent) -> str:
    if before.earlier >= deciding.MOST_EARLIER:
        return f"Asked at least {deciding.MOST_EARLIER} times before."
    count = before.earlier + 1
    return f"{ORDINALS.get(count, f'Request number {count}')}; {before.granted} approved before."


ORDINALS = {2: "Second request", 3: "Third request", 4: "Fourth request", 5: "Fifth request"}


def _used_before(before: deciding.Precedent) -> str:
    early = " and given back early" if before.given_back else ""
    if not before.fetches:
        return f"The last access was never used{early}."
    times = "once" if before.fetches == 1 else f"{before.fetches} times"
    return f"The last access was used {times}{early}."


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
