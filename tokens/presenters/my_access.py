"""My access: what somebody's scripts may do, what waits, what is ending, and the one next step of each."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import User
from tokens import permissions, policies
from tokens.models import AccessRequest, Comment, Credential
from tokens.presenters.asking import why_unknown
from tokens.presenters.clocks import shown_state
from tokens.presenters.scopes import in_words
from tokens.presenters.who_decides import NOBODY, WhoDecides
from tokens.presenters.words import all_of
from tokens.queries import requests as queries
from tokens.queries.people import asked_by
from tokens.refusals import Answer
from tokens.states import CredentialState, RequestState

NEWS_LASTS = timedelta(days=3)


@dataclass(frozen=True)
class Row:
    """One credential in a table of one's own."""

    credential: Credential
    may_do: str
    state: str
    last_used_at: datetime | None
    renewal: AccessRequest | None
    may_renew: Answer
    may_connect: Answer
    is_connectable: bool
    has_secret: bool
    idle_words: str
    """What to ask oneself where it was not used for long; "" where it was."""

    @property
    def step(self) -> str:
        """The one obvious next step: `connect`, `reconnect`, `take_key`, or "" for none.

        Whether one may go to connect it now is `may_connect`, which says why not.
        """
        if self.credential.state == CredentialState.ACTIVE:
            return "" if self.has_secret else "take_key"
        if not self.is_connectable:
            return ""
        return "reconnect" if self.credential.state == CredentialState.LOST else "connect"


@dataclass(frozen=True)
class Waiting:
    """One request that waits, with whom, and how far it has come."""

    access_request: AccessRequest
    may_do: str
    decided_by: str
    question: Comment | None
    """The last word on it, where it is not its requester's."""


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
    """How much is over, for a small place: counted to a hundred of each kind."""


def my_access(user: User, *, now: datetime) -> MyAccess:
    """What somebody's scripts may do now, what waits, what is ending."""
    table, waiting = queries.scope_table(), queries.waiting_of(user)
    renewals = {r.credential_id: r for r in waiting if r.is_renewal}
    rows = [_row(held, user, renewals, table, now=now) for held in queries.held_by(user)]
    unknown_on = why_unknown(user)
    return MyAccess(
        steps=[row for row in rows if row.step],
        working=[row for row in rows if row.state in WORKING],
        waiting=_waiting(waiting, user, table),
        ending=[row for row in rows if row.state == CredentialState.REVOKING],
        news=[_news(row) for row in queries.turned_down_lately(user, now=now, within=NEWS_LASTS)],
        unknown_on=unknown_on,
        is_unknown_everywhere=len(unknown_on) == queries.count_helpdesks(),
        ended=queries.count_over(user),
    )


WORKING = (CredentialState.ISSUING, CredentialState.ACTIVE, CredentialState.LOST, "ends_soon")


def _row(
    held: queries.Held,
    user: User,
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
        may_renew=policies.is_renewable(credential, now=now),
        may_connect=permissions.may_connect(user, credential, now=now),
        is_connectable=bool(policies.is_connectable(credential, now=now)),
        has_secret=held.has_secret,
        idle_words=_idle_words(held, now=now),
    )


def _idle_words(held: queries.Held, *, now: datetime) -> str:
    if not policies.is_idle(held.credential, last_used_at=held.last_used_at, now=now):
        return ""
    if held.credential.rhythm and held.last_used_at:
        return "less often than it said"
    return "still needed?"


def _waiting(rows: list[AccessRequest], user: User, table: queries.ScopeTable) -> list[Waiting]:
    who, questions = WhoDecides(), queries.questions_to(user)
    return [
        Waiting(
            access_request=row,
            may_do=in_words(row.scopes, row.profile_version.profile.helpdesk.kind, table),
            decided_by=who.names(asked_by(row), but=[user.pk]) or NOBODY,
            question=questions.get(row.pk),
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
