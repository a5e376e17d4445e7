"""What the pages about asking and deciding say: choices with reasons, cards for deciders, own access in words.

Rows come from queries, yes and no from permissions and policies; here they become what a template shows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse

from accounts.models import User
from accounts.roles import Role, groups_of, roles_of
from tokens import permissions, policies
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Credential,
    Decision,
    HelpdeskLink,
    ProfileVersion,
    Scope,
)
from tokens.models.catalogue import RISKS, Risk
from tokens.queries import deciders
from tokens.queries import requests as queries
from tokens.refusals import Answer
from tokens.states import CredentialState, RequestState

NOBODY = "nobody at the moment; ask your Keydesk admin"
ENDS_SOON = timedelta(days=7)
ROLE_IS_NEW = timedelta(days=7)
NEWS_LASTS = timedelta(days=3)
RISKY = (Risk.HIGH, Risk.WIDE)
"""Risks that take a second page before they are approved."""


# --- Scopes in words ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScopeLine:
    """One scope: in words, how risky, and whether the person would hold it anew."""

    name: str
    words: str
    risk: str
    is_new: bool = True


def scope_lines(
    scopes: Iterable[str],
    kind: str,
    table: queries.ScopeTable,
    *,
    held: frozenset[str] = frozenset(),
) -> list[ScopeLine]:
    """Scopes as people read them, the riskiest on top; one that left the table keeps its own name."""
    known = [
        table.get((kind, name)) or Scope(name=name, words=name, risk=Risk.WIDE) for name in scopes
    ]
    known.sort(key=lambda scope: (-RISKS.index(Risk(scope.risk)), scope.words))
    return [ScopeLine(s.name, s.words, s.risk, s.name not in held) for s in known]


def in_words(scopes: Iterable[str], kind: str, table: queries.ScopeTable) -> str:
    """Scopes as one line: "Read tickets and comments · Read users"."""
    return " · ".join(line.words for line in scope_lines(scopes, kind, table))


# --- Who decides -------------------------------------------------------------------------------------


class WhoDecides:
    """Looks up who decides for a group once, however many rows of a page ask."""

    def __init__(self) -> None:
        self._people: dict[str, list[User]] = {}

    def people(self, version: ProfileVersion, *, but: Iterable[int]) -> list[User]:
        """Those who decide for a profile, without the people whose ids are in `but`."""
        group = version.approver_group
        if group not in self._people:
            self._people[group] = deciders(group)
        left_out = set(but)
        return [person for person in self._people[group] if person.pk not in left_out]

    def names(self, version: ProfileVersion, *, but: Iterable[int]) -> str:
        """ "Ben Achterberg, June Moreno or an admin"; "" when there is nobody."""
        people = self.people(version, but=but)
        approvers = [str(p) for p in people if Role.ADMIN not in roles_of(p)]
        if len(approvers) < len(people):
            approvers.append("an admin")
        return one_of(approvers[:4])


def one_of(names: list[str]) -> str:
    """ "A, B or C"."""
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def all_of(names: list[str]) -> str:
    """ "A, B and C"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def who_decides(version: ProfileVersion, requester: User, who: WhoDecides) -> str:
    """The sentence that says before sending what will happen: by rule up to so many days, else by whom."""
    names = who.names(version, but=[requester.pk])
    rule = policies.approves_by_itself(
        version, days=version.policy_days or 1, requester_id=requester.pk, is_renewal=False
    )
    by_people = _by_people(version, names)
    if not rule:
        return by_people
    return f"Approved at once for at most {days_words(version.policy_days)}. Longer: {by_people}"


def _by_people(version: ProfileVersion, names: str) -> str:
    if not names:
        return "Nobody can decide this now. Ask your Keydesk admin before you send it."
    if version.approvals_needed > 1:
        return f"{version.approvals_needed} of {names} decide."
    return f"{names} decides."


# --- What can be asked for ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """One access profile as its card on the page: what, how risky, how long, who decides, or why not."""

    profile: AccessProfile
    version: ProfileVersion
    scopes: list[ScopeLine]
    may: Answer
    decided_by: str

    @property
    def key(self) -> str:
        """What a form and an address call it."""
        return profile_key(self.profile)

    @property
    def is_write(self) -> bool:
        return self.version.risk in RISKY


def profile_key(profile: AccessProfile) -> str:
    """A profile's name in forms and addresses: helpdesk and profile."""
    return f"{profile.helpdesk.slug}/{profile.slug}"


def offers(user: User) -> list[Offer]:
    """Every profile there is, with the answer whether this person may ask for it."""
    table, links, who = queries.scope_table(), queries.links_of(user), WhoDecides()
    found = [_offer(profile, user, links, table, who) for profile in queries.profiles()]
    return sorted(found, key=_what_is_safe_first)


def _what_is_safe_first(offer: Offer) -> tuple[int, int, str]:
    version = offer.version
    return offer.profile.helpdesk_id, RISKS.index(Risk(version.risk)), version.name


def offer_of(profile: AccessProfile, user: User) -> Offer | None:
    """The offer of one profile; None when it can no longer be asked for."""
    return next((offer for offer in offers(user) if offer.profile.pk == profile.pk), None)


def _offer(
    profile: AccessProfile,
    user: User,
    links: dict[int, HelpdeskLink],
    table: queries.ScopeTable,
    who: WhoDecides,
) -> Offer:
    version = profile.current
    assert version is not None  # queries.profiles leaves out those without terms
    may = permissions.may_ask(user, profile, links.get(profile.helpdesk_id))
    return Offer(
        profile=profile,
        version=version,
        scopes=scope_lines(version.scopes, profile.helpdesk.kind, table),
        may=may,
        decided_by=who_decides(version, user, who) if may else "",
    )


def why_unknown(user: User) -> list[str]:
    """Why this person cannot ask for anything on a helpdesk, a sentence for each; in the look-up's words."""
    links = queries.links_of(user)
    found = []
    for helpdesk in queries.helpdesks():
        link = links.get(helpdesk.pk)
        if link is None:
            found.append(f"Keydesk has not yet looked you up on {helpdesk}. Try again in a minute.")
        elif link.problem:
            found.append(link.problem)
    return found


@dataclass(frozen=True)
class Renewal:
    """What a renewal keeps: the access as it is, in words."""

    credential: Credential
    offer: Offer
    scopes: list[ScopeLine]


def renewal(credential: Credential, offer: Offer) -> Renewal:
    """The access somebody asks more time for."""
    kind = offer.profile.helpdesk.kind
    return Renewal(credential, offer, scope_lines(credential.scopes, kind, queries.scope_table()))


# --- My access ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One credential in a table of one's own."""

    credential: Credential
    may_do: str
    state: str
    last_used_at: datetime | None
    renewal: AccessRequest | None
    can_renew: Answer
    can_connect: Answer
    has_secret: bool

    @property
    def step(self) -> str:
        """The one obvious next step: `connect`, `reconnect`, `take_key`, or "" for none."""
        if self.credential.state == CredentialState.ACTIVE:
            return "" if self.has_secret else "take_key"
        if not self.can_connect:
            return ""
        return "reconnect" if self.credential.state == CredentialState.LOST else "connect"


@dataclass(frozen=True)
class Waiting:
    """One request that waits, with whom, and how far it has come."""

    access_request: AccessRequest
    may_do: str
    decided_by: str


@dataclass(frozen=True)
class News:
    """A request that came to nothing a short while ago, and why."""

    access_request: AccessRequest
    words: str


def _news(row: AccessRequest) -> News:
    how = {RequestState.DENIED: "was denied:", RequestState.LAPSED: "timed out."}
    return News(row, f"{how.get(RequestState(row.state), 'was closed.')} {row.end_reason}")


@dataclass(frozen=True)
class MyAccess:
    """Everything on the page My access."""

    steps: list[Row]
    working: list[Row]
    waiting: list[Waiting]
    ending: list[Row]
    news: list[News]
    unknown_on: list[str]
    is_unknown_everywhere: bool
    ended: int

    @property
    def is_empty(self) -> bool:
        return not (self.steps or self.working or self.waiting or self.ending)


def my_access(user: User, *, now: datetime) -> MyAccess:
    """What somebody's scripts may do now, what waits, what is ending."""
    table, waiting = queries.scope_table(), queries.waiting_of(user)
    renewals = {r.credential_id: r for r in waiting if r.is_renewal}
    rows = [_row(held, renewals, table, now=now) for held in queries.held_by(user)]
    unknown_on = why_unknown(user)
    return MyAccess(
        steps=[row for row in rows if row.step],
        working=[row for row in rows if row.state in WORKING],
        waiting=_waiting(waiting, user, table),
        ending=[row for row in rows if row.state == CredentialState.REVOKING],
        news=[_news(row) for row in queries.turned_down_lately(user, now=now, within=NEWS_LASTS)],
        unknown_on=unknown_on,
        is_unknown_everywhere=len(unknown_on) == queries.count_helpdesks(),
        ended=queries.ended_of(user).count() + queries.not_granted_to(user).count(),
    )


WORKING = (CredentialState.ISSUING, CredentialState.ACTIVE, CredentialState.LOST, "ends_soon")


def _row(
    held: queries.Held,
    renewals: dict[int | None, AccessRequest],
    table: queries.ScopeTable,
    *,
    now: datetime,
) -> Row:
    credential = held.credential
    return Row(
        credential=credential,
        may_do=in_words(credential.scopes, credential.helpdesk.kind, table),
        state=shown_state(credential, now=now),
        last_used_at=held.last_used_at,
        renewal=renewals.get(credential.pk),
        can_renew=policies.can_renew(credential, now=now),
        can_connect=policies.can_connect(credential, now=now),
        has_secret=held.has_secret,
    )


def shown_state(credential: Credential, *, now: datetime) -> str:
    """The state a badge shows: active access near its end "ends soon"."""
    ends = credential.lives_until
    if credential.state == CredentialState.ACTIVE and ends and ends - now < ENDS_SOON:
        return "ends_soon"
    return credential.state


def _waiting(rows: list[AccessRequest], user: User, table: queries.ScopeTable) -> list[Waiting]:
    who = WhoDecides()
    return [
        Waiting(
            access_request=row,
            may_do=in_words(row.scopes, row.profile_version.profile.helpdesk.kind, table),
            decided_by=who.names(row.profile_version, but=[user.pk]) or NOBODY,
        )
        for row in rows
    ]


@dataclass(frozen=True)
class Ended:
    """One credential that is over, and who had approved it."""

    credential: Credential
    may_do: str
    approved_by: str


def ended(credentials: list[Credential]) -> list[Ended]:
    """Access that is over, in words."""
    table, approvers = queries.scope_table(), queries.approvers_of(credentials)
    return [
        Ended(c, in_words(c.scopes, c.helpdesk.kind, table), all_of(approvers.get(c.pk, [])))
        for c in credentials
    ]


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
    decisions: list[DecisionLine]
    others: str
    may_decide: Answer
    age: timedelta
    clocks: "Clocks"
    is_open: bool

    @property
    def is_risky(self) -> bool:
        """Whether approving takes a second page."""
        return any(line.risk in RISKY for line in self.scopes)

    @property
    def ticket_words(self) -> str:
        """The last word of the ticket's address, which is mostly its number."""
        address = urlsplit(self.access_request.ticket_url)
        return (address.path.rstrip("/").rsplit("/", 1)[-1] or address.netloc)[:40]

    @property
    def is_last_approval(self) -> bool:
        """Whether one more approval grants it."""
        needed = self.access_request.profile_version.approvals_needed
        return self.access_request.approvals + 1 >= needed

    @property
    def time_to_decide(self) -> timedelta:
        """How long a decision on this revision may take in all."""
        return self.access_request.decide_by - self.access_request.revised_at


def card(access_request: AccessRequest, reader: User, *, now: datetime) -> Card:
    """Everything one page says about one request."""
    version = access_request.profile_version
    table, decisions = queries.scope_table(), queries.decisions_on(access_request)
    spoken = [d.approver_id for d in decisions if d.approver_id]
    others = WhoDecides().names(version, but=[access_request.requester_id, reader.pk, *spoken])
    changed_at = access_request.acts_as.role_changed_at
    return Card(
        access_request=access_request,
        groups=sorted(groups_of(access_request.requester)),
        role_is_new=changed_at is not None and now - changed_at < ROLE_IS_NEW,
        scopes=_asked(access_request, table),
        verdict=_verdict(access_request),
        precedent=precedent_words(queries.precedent(access_request)),
        decisions=_decision_lines(access_request, decisions, table),
        others=others,
        may_decide=_may_decide(access_request, reader, spoken, now=now),
        age=now - access_request.revised_at,
        clocks=clocks(access_request, now=now),
        is_open=access_request.state == RequestState.PENDING,
    )


def _asked(access_request: AccessRequest, table: queries.ScopeTable) -> list[ScopeLine]:
    """What is asked for, and what of it the same helpdesk user holds by other access now."""
    held = queries.held_scopes([access_request.acts_as_id])
    kind = access_request.profile_version.profile.helpdesk.kind
    already = held.get(access_request.acts_as_id, frozenset())
    return scope_lines(access_request.scopes, kind, table, held=already)


def _decision_lines(
    access_request: AccessRequest, decisions: list[Decision], table: queries.ScopeTable
) -> list[DecisionLine]:
    kind = access_request.profile_version.profile.helpdesk.kind
    return [
        DecisionLine(
            state="approved" if decision.verdict == Decision.Verdict.APPROVE else "denied",
            name=str(decision.approver or "Keydesk, by rule"),
            days=decision.days,
            left_out=in_words(access_request.scopes - decision.scopes, kind, table),
            reason=decision.reason if decision.approver else "",
            at=decision.at,
        )
        for decision in decisions
    ]


def _verdict(access_request: AccessRequest) -> Answer:
    """Policy's own words on the request as it stands."""
    return policies.approves_by_itself(
        access_request.profile_version,
        days=access_request.days,
        requester_id=access_request.requester_id,
        is_renewal=access_request.is_renewal,
    )


def _may_decide(
    access_request: AccessRequest, reader: User, spoken: list[int], *, now: datetime
) -> Answer:
    """Whether the buttons work for this reader, and if not, why."""
    if access_request.state != RequestState.PENDING:
        return Answer(False, "It has been decided.")
    if not (answer := permissions.may_decide(reader, access_request)):
        return answer
    if reader.pk in spoken:
        return Answer(False, "You have approved it. It needs one more person.")
    return policies.is_decidable(access_request, now=now)


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
        after = f"{days_words(settings.CONNECT_BY_WITHIN.days)} after"
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


def precedent_words(before: queries.Precedent) -> list[str]:
    """What became of earlier requests, as one or two sentences."""
    if not before.earlier:
        return ["This person has never asked for this access."]
    if not before.granted:
        times = "once" if before.earlier == 1 else f"{before.earlier} times"
        return [f"Asked {times} before and never got it; approving gives it for the first time."]
    return [_asked_before(before), _used_before(before)]


def _asked_before(before: queries.Precedent) -> str:
    count = before.earlier + 1
    return f"{ORDINALS.get(count, f'Request number {count}')}; {before.granted} granted before."


ORDINALS = {2: "Second request", 3: "Third request", 4: "Fourth request", 5: "Fifth request"}


def _used_before(before: queries.Precedent) -> str:
    if not before.fetches:
        return "That access was never used."
    times = "once" if before.fetches == 1 else f"{before.fetches} times"
    early = " and given back early" if before.ended_early else ""
    return f"That access was used {times}{early}."


# --- The queue ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QueueRow:
    """One waiting request in the list."""

    access_request: AccessRequest
    new_words: str
    risk: str
    age: timedelta
    time_to_decide: timedelta


def queue_rows(rows: list[AccessRequest], *, now: datetime) -> list[QueueRow]:
    """The list's rows, with what each would change for its person."""
    held = queries.held_scopes(row.acts_as_id for row in rows)
    return [_queue_row(row, held.get(row.acts_as_id, frozenset()), now=now) for row in rows]


def _queue_row(row: AccessRequest, held: frozenset[str], *, now: datetime) -> QueueRow:
    new = len(row.scopes - held)
    risk = row.profile_version.risk
    return QueueRow(
        access_request=row,
        new_words="1 new scope" if new == 1 else f"{new} new scopes" if new else "",
        risk=risk if risk in RISKY else "",
        age=now - row.revised_at,
        time_to_decide=row.decide_by - row.revised_at,
    )


def queue_reader(user: User) -> queries.Reader:
    """Whose queue a person sees: what they decide, or everything where they only read."""
    if permissions.is_approver_of(user, ""):
        return queries.Reader(user, None)  # an admin decides for every profile
    decides_for = [
        group for group in sorted(groups_of(user)) if permissions.is_approver_of(user, group)
    ]
    is_only_reading = not decides_for and bool(permissions.may_read_all(user))
    return queries.Reader(user, decides_for, is_only_reading)


def approved_words(access_request: AccessRequest) -> str:
    """What pressing *Approve* has done."""
    asked = f"{access_request.script_name}, asked by {access_request.requester}"
    if access_request.state == RequestState.APPROVED:
        return f"Approved: {asked}."
    needed = access_request.profile_version.approvals_needed
    return f"Your approval counts: {asked} has {access_request.approvals} of {needed}."


# --- What whoever asked can do next ------------------------------------------------------------------


@dataclass(frozen=True)
class OwnRequest:
    """What the person who asked can do about the request now, and what comes next."""

    is_to_connect: bool
    again_href: str = ""
    again_label: str = "Ask again"
    decided_by: str = ""


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
        again_href=_again(access_request) if access_request.state in over else "",
        decided_by=card.others or NOBODY,
    )


def _again(access_request: AccessRequest) -> str:
    """Where one asks for the same once more: a renewal of what lives, or new access."""
    if access_request.is_renewal:
        return f"{reverse('ask')}?renews={access_request.credential_id}"
    return f"{reverse('ask')}?again={access_request.pk}"


def _is_to_connect(access_request: AccessRequest) -> bool:
    held = access_request.credential
    return held is not None and held.state == CredentialState.AWAITING_CONSENT


def days_words(days: int) -> str:
    """ "1 day", "90 days"."""
    return "1 day" if days == 1 else f"{days} days"
