"""Which promises are broken? A helpdesk's list of our tokens and our own rows, held against each other.

Read by `manage.py verify` with a list taken that moment, and by the operator's page with the last complete
inventory; both print these sentences. It reads rows and shares nothing with the operations it judges.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import CharField, Exists, Min, OuterRef, Q
from django.db.models.functions import Cast

from accounts.models import AuditEvent
from tokens.connectors.base import TokenRecord
from tokens.models import AccessRequest, Credential, Grant, Helpdesk, InventoryRun, SeenToken
from tokens.states import (
    CREDENTIAL_ENDED,
    GRANT_OPEN,
    CredentialState,
    GrantState,
    RequestState,
)

CLOCKS_APART = settings.INVENTORY_EVERY
"""So much the clocks of two machines may differ; said here again, because what is judged must not say it."""
GRACE = timedelta(minutes=5)
"""The helpdesk's least life of an access token: how far one may reach past its lease."""
AT_ONCE = 5_000
HOLDING = (GrantState.ANSWERED, GrantState.LIVE, GrantState.DOOMED)
WORDS = {
    CredentialState.AWAITING_CONSENT: "waiting to be connected",
    CredentialState.ISSUING: "being connected",
    CredentialState.LOST: "disconnected",
    CredentialState.REVOKING: "ending",
    CredentialState.REVOKED: "ended",
    CredentialState.LAPSED: "timed out",
    CredentialState.CANCELLED: "cancelled",
}

Events = Mapping[str, tuple[str, ...]]
# Which audit row says how something came to stand where it stands.
REQUEST_EVENTS: Events = {
    RequestState.PENDING: ("request.submitted",),
    RequestState.APPROVED: ("request.approved",),
    RequestState.DENIED: ("request.denied",),
    RequestState.WITHDRAWN: ("request.withdrawn",),
    RequestState.CLOSED: ("request.closed",),
    RequestState.LAPSED: ("request.lapsed",),
}
CREDENTIAL_EVENTS: Events = {
    CredentialState.AWAITING_CONSENT: ("credential.ordered",),
    CredentialState.ISSUING: ("connection.consented",),
    CredentialState.ACTIVE: ("credential.activated",),
    CredentialState.LOST: ("credential.lost",),
    CredentialState.REVOKING: ("credential.revoked", "credential.expired"),
    CredentialState.REVOKED: ("credential.ended",),
    CredentialState.LAPSED: ("credential.lapsed",),
    CredentialState.CANCELLED: ("credential.cancelled",),
}
GRANT_EVENTS: Events = {
    GrantState.SENT: ("grant.sent",),
    GrantState.ANSWERED: ("grant.answered",),
    GrantState.UNKNOWN: ("grant.lost_track_of",),
    GrantState.WRITTEN_OFF: ("grant.written_off",),
    GrantState.LIVE: ("grant.proved",),
    GrantState.DOOMED: ("grant.doomed", "grant.adopted"),
    GrantState.GONE: ("grant.buried",),
}


@dataclass(frozen=True)
class Violation:
    """One broken promise, as a sentence, and the access it is about, if it is about one."""

    text: str
    credential: Credential | None = None


@dataclass(frozen=True)
class Books:
    """What our rows say about the tokens of one list."""

    owners: Mapping[int, Grant]
    """The pair each listed token is, where one of ours holds it or has let go of it since the list began."""
    left: Mapping[int, Grant]
    """The pair each other listed token once was: replaced, or confirmed gone, before the list began."""
    busy: Mapping[int, datetime] = field(default_factory=dict)
    """Users for whom a call that may make a token is out, and since when."""


# --- A list against the books ------------------------------------------------------------------------


def books(helpdesk: Helpdesk, records: Sequence[TokenRecord], *, taken_at: datetime) -> Books:
    """Read what is known about a list that began at `taken_at`. Read after the list: rows only get on."""
    owners: dict[int, Grant] = {}
    left: dict[int, Grant] = {}
    for grant in _pairs_of(helpdesk, [record.id for record in records]):
        assert grant.remote_id is not None
        is_ours = grant.state in HOLDING or _was_let_go_since(grant, taken_at)
        if not is_ours:
            left.setdefault(grant.remote_id, grant)
        elif grant.remote_id not in owners or grant.state == GrantState.LIVE:
            owners[grant.remote_id] = grant
    open_calls = Grant.objects.filter(
        helpdesk=helpdesk, state__in=GRANT_OPEN, credential__isnull=False
    )
    sent = open_calls.values("credential__acts_as__remote_id").annotate(at=Min("sent_at"))
    busy = sent.filter(at__isnull=False).values_list("credential__acts_as__remote_id", "at")
    return Books(owners, left, dict(busy))


def _pairs_of(helpdesk: Helpdesk, numbers: Sequence[int]) -> Iterator[Grant]:
    """Pairs with these ids, the newest first; asked for in parts, since databases bound a question's length."""
    rows = Grant.objects.filter(
        helpdesk=helpdesk, state__in=(*HOLDING, GrantState.REPLACED, GrantState.GONE)
    ).select_related("credential__acts_as")
    for start in range(0, len(numbers), AT_ONCE):
        part = numbers[start : start + AT_ONCE]
        yield from rows.filter(remote_id__in=part).order_by("-id")


def _was_let_go_since(grant: Grant, moment: datetime) -> bool:
    """Whether it was still ours when the list began."""
    ended_at = grant.gone_at or grant.settled_at
    return ended_at is not None and ended_at >= moment


def of_list(books: Books, records: Iterable[TokenRecord], *, now: datetime) -> Iterator[Violation]:
    """Each promise that a listed token breaks. Pure."""
    for record in records:
        grant = books.owners.get(record.id)
        if grant is None:
            yield from _of_unowned(record, books, now)
        elif grant.state == GrantState.LIVE and grant.credential is not None:
            yield from _of_living(record, grant.credential, now)
        elif grant.state == GrantState.DOOMED:
            yield from _of_doomed(record, grant, now)


def _of_unowned(record: TokenRecord, books: Books, now: datetime) -> Iterator[Violation]:
    before = books.left.get(record.id)
    if not _lives(record, now):
        return
    if before is not None and before.credential is not None:
        what = f"token {record.id} of {before.credential.client_id}"
        if before.state == GrantState.GONE:
            yield Violation(f"{what}: confirmed ended, and it lives", before.credential)
        else:
            yield Violation(
                f"{what}: a second living pair, it was replaced at {before.settled_at:%F %T}",
                before.credential,
            )
    elif not _may_be_under_way(record, books.busy, now):
        yield Violation(f"unknown token {record.id} of user {record.user_id}: no row names it")


def _lives(record: TokenRecord, now: datetime) -> bool:
    """Whether either half works; one whose end is not told counts as alive."""
    ends = (record.expires_at, record.refresh_expires_at)
    return any(end is None or end > now for end in ends)


def _may_be_under_way(record: TokenRecord, busy: Mapping[int, datetime], now: datetime) -> bool:
    """Younger than the minimum age and two lists, or a call that is out since before may have made it."""
    bound = settings.MINIMUM_AGE + 2 * settings.INVENTORY_EVERY
    made_at = record.created_at
    if made_at is not None and made_at > now - bound:
        return True
    since = busy.get(record.user_id or 0)
    return since is not None and (made_at is None or since <= made_at + CLOCKS_APART)


def _of_living(record: TokenRecord, credential: Credential, now: datetime) -> Iterator[Violation]:
    what = f"token {record.id} of {credential.client_id}"
    for broken in _breaches(record, credential, now):
        yield Violation(f"{what}: {broken}", credential)


def _breaches(record: TokenRecord, credential: Credential, now: datetime) -> Iterator[str]:
    if record.user_id != credential.acts_as.remote_id:
        yield f"wrong user {record.user_id}, approved for {credential.acts_as.remote_id}"
    may = record.scopes or frozenset({"(none said)"})
    if beyond := may - credential.scopes:
        yield f"wider scopes: {' '.join(sorted(beyond))}"
    elif lacking := credential.scopes - may:
        yield f"narrower scopes, it lacks: {' '.join(sorted(lacking))}"
    if credential.state != CredentialState.ACTIVE:
        yield f"the access is {WORDS[CredentialState(credential.state)]}, the token lives"
    if credential.lives_until is None or record.expires_at is None:
        yield "it has no end"
    elif record.refresh_expires_at is None:
        yield "its refresh half has no end"
    elif record.expires_at > credential.lives_until + GRACE:
        word = "overdue" if now > credential.lives_until else "too long"
        yield f"{word}, it outlives its lease, which ends at {credential.lives_until:%F %T}"


def _of_doomed(record: TokenRecord, grant: Grant, now: datetime) -> Iterator[Violation]:
    """A token that is being ended: it may live until its lease's end and the least life, no longer."""
    lease_end = grant.credential.lives_until if grant.credential else None
    ends = lease_end or grant.doomed_at
    is_alive = record.expires_at is None or record.expires_at > now
    if ends is not None and now > ends + GRACE and is_alive:
        text = f"token {record.id}: overdue, it was to end at {ends:%F %T} and still lives"
        yield Violation(text, grant.credential)


# --- The books against themselves ----------------------------------------------------------------------


def of_rows() -> Iterator[Violation]:
    """Each promise our rows alone show to be broken, on every helpdesk."""
    yield from _ended_with_tokens()
    yield from _beyond_approval()
    yield from _without_record()


def _ended_with_tokens() -> Iterator[Violation]:
    held = (*GRANT_OPEN, GrantState.LIVE, GrantState.DOOMED)
    rows = Grant.objects.filter(credential__state__in=CREDENTIAL_ENDED, state__in=held)
    for grant in rows.select_related("credential"):
        assert grant.credential is not None
        yield Violation(
            f"{grant.credential.client_id}: confirmed ended, and a token of it is not gone",
            grant.credential,
        )


def _beyond_approval() -> Iterator[Violation]:
    """Access that works with more than people or policy approved, or without their word."""
    rows = Credential.objects.filter(state=CredentialState.ACTIVE)
    for credential in rows.prefetch_related("access_requests"):
        approved = [
            asked.granted_scopes
            for asked in credential.access_requests.all()
            if asked.state == RequestState.APPROVED and asked.granted_scopes is not None
        ]
        if beyond := credential.scopes - frozenset().union(*approved):
            text = f"{credential.client_id}: more than was approved: {' '.join(sorted(beyond))}"
            yield Violation(text, credential)


def _without_record() -> Iterator[Violation]:
    """Whatever stands somewhere without an audit row that says how it came there."""
    requests = AccessRequest.objects.select_related("credential")
    for asked in requests.filter(_lacks_row("AccessRequest", REQUEST_EVENTS)):
        text = f"request {asked.pk}: no audit row says how it came to be {asked.state}"
        yield Violation(text, asked.credential)
    for credential in Credential.objects.filter(_lacks_row("Credential", CREDENTIAL_EVENTS)):
        state = WORDS.get(CredentialState(credential.state), "active")
        text = f"{credential.client_id}: no audit row says how it came to be {state}"
        yield Violation(text, credential)
    grants = Grant.objects.select_related("credential")
    for grant in grants.filter(_lacks_row("Grant", GRANT_EVENTS)):
        text = f"pair {grant.pk}: no audit row says how it came to be {grant.state}"
        yield Violation(text, grant.credential)


def _lacks_row(kind: str, events: Events) -> Q:
    lacks = Q(pk__in=[])
    for state, names in events.items():
        recorded = AuditEvent.objects.filter(
            target_type=kind, target_id=Cast(OuterRef("pk"), CharField()), event__in=names
        )
        lacks |= Q(~Exists(recorded), state=state)
    return lacks


# --- The last inventory as a list ----------------------------------------------------------------------


def last_list(run: InventoryRun) -> list[TokenRecord]:
    """What a complete inventory showed, as the helpdesk's own words; known since the list that had it first."""
    rows = SeenToken.objects.filter(helpdesk=run.helpdesk_id, last_run__gte=run.pk).select_related(
        "first_run"
    )
    return [
        TokenRecord(
            id=seen.remote_id, client_id=None, user_id=seen.remote_user_id,
            scopes=seen.scopes or None, created_at=seen.first_run.started_at,
            expires_at=seen.expires_at, refresh_expires_at=seen.refresh_expires_at, used_at=None,
        )
        for seen in rows.order_by("remote_id")
    ]  # fmt: skip
