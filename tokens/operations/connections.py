"""Connecting: going to the helpdesk's consent page and coming back."""

import base64
import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.models import User
from tokens import outbox, permissions, policies
from tokens.models import Connection, Credential, Helpdesk, Job
from tokens.operations import capabilities, credentials
from tokens.operations.moves import move
from tokens.refusals import Invalid, Refusal, StaleState, insist
from tokens.sealing import Place, portal_ring
from tokens.states import CREDENTIAL, CredentialState, sources

STATE_REFUSED = "This answer does not belong to a connection you started. Connect again."


@dataclass(frozen=True)
class Trip:
    """What the consent page is to be told."""

    state: str
    code_challenge: str


@dataclass(frozen=True)
class Return:
    """What the consent page sent back, as it stood in the address."""

    state: str
    code: str
    error: str


def callback_address(slug: str) -> str:
    """Where the consent page of a helpdesk sends people back to: as its client knows it, word for word."""
    return f"{settings.PORTAL_URL}/helpdesks/{slug}/callback"


def start(
    *,
    credential: Credential,
    by: User,
    session_key: str,
    now: datetime,
    replaces: Collection[int] = (),
) -> Trip:
    """Begin a trip to the consent page: state and verifier are random, single-use and end in ten minutes.

    Where the helpdesk keeps one access per person, `replaces` names each access the owner agreed to end;
    nobody is sent on with one missing. Raises `Denied` and `StaleState`.
    """
    insist(permissions.may_own(by, credential))
    if not (answer := permissions.may_connect(by, credential, now=now)):
        raise StaleState(answer.reason, href=f"/credentials/{credential.pk}", label="Open it")
    ended = policies.ended_by_connecting(credential)
    if unnamed := [other for other in ended if other.pk not in replaces]:
        raise _not_agreed(credential, unnamed)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    with transaction.atomic():
        connection = Connection.objects.create(
            credential=credential, user=by, state_digest=_digest(state),
            session_digest=_digest(session_key), started_at=now,
            expires_at=now + settings.CONNECT_WITHIN, replaces_others=bool(ended),
        )  # fmt: skip
        connection.verifier = _seal(connection, verifier)
        connection.save(update_fields=["verifier"])
        audit.record("connection.started", by=by, target=credential, now=now)
    return Trip(state, _challenge(verifier))


def _not_agreed(credential: Credential, ended: list[Credential]) -> StaleState:
    words = policies.one_per_person_words(credential.helpdesk, ended, how="connecting this")
    return StaleState(
        f"{words} You have to agree to that first.",
        href=f"/credentials/{credential.pk}/connect",
        label="See what would end",
    )


def come_back(*, came: Return, slug: str, by: User, session_key: str, now: datetime) -> Credential:
    """Take what the consent page sent. A code makes the credential issuing; a denial changes nothing.

    Raises `Invalid` for a state that is unknown, used, too old or somebody else's (with an audit row),
    and `StaleState` when the credential cannot be connected any more.
    """
    try:
        connection = _find(came.state, slug=slug, by=by, session_key=session_key, now=now)
    except Refusal as refusal:
        with transaction.atomic():
            audit.record(
                "connection.rejected", by=by, target=by, now=now,
                helpdesk=slug, reason=refusal.sentence,
            )  # fmt: skip
        raise
    if came.code and not came.error:
        return _accept(connection, came.code, by=by, now=now)
    return _decline(connection, came.error, by=by, now=now)


def _find(state: str, *, slug: str, by: User, session_key: str, now: datetime) -> Connection:
    """The connection `state` belongs to, now used up. Everything it is bound to must fit."""
    with transaction.atomic():
        used = Connection.objects.filter(
            state_digest=_digest(state), session_digest=_digest(session_key), user=by,
            credential__helpdesk__slug=slug, used_at=None, expires_at__gt=now,
        ).update(used_at=now)  # fmt: skip
        if not used:
            raise Invalid(STATE_REFUSED)
    return Connection.objects.select_related("credential__helpdesk").get(
        state_digest=_digest(state)
    )


def _accept(connection: Connection, code: str, *, by: User, now: datetime) -> Credential:
    credential = connection.credential
    answer = permissions.is_spared(credential) and policies.takes_code(credential, by, now=now)
    if not answer:
        raise StaleState(answer.reason, href=f"/credentials/{credential.pk}", label="Open it")
    with transaction.atomic():
        _end_others(connection, by=by, now=now)
        move(
            credential, CREDENTIAL, "connect", CredentialState.ISSUING,
            expect={"state": credential.state}, came_from=credential.state, problem="",
        )  # fmt: skip
        connection.code = _seal(connection, code)
        connection.outcome = "consented"
        connection.save(update_fields=["code", "outcome"])
        audit.record("connection.consented", by=by, target=credential, now=now)
        outbox.order(Job.Kind.EXCHANGE, credential.pk, helpdesk=credential.helpdesk, now=now)
    return credential


def _end_others(connection: Connection, *, by: User, now: datetime) -> None:
    """What the owner agreed to end by this consent ends with it; what he was not told of stops it."""
    credential = connection.credential
    if not policies.keeps_one_per_person(credential.helpdesk):
        return
    capabilities.hold(credential.helpdesk)
    ended = policies.ended_by_connecting(credential)
    since = _connected_since(connection)
    if unnamed := [one for one in ended if not connection.replaces_others or one.pk in since]:
        raise _not_agreed(credential, unnamed)
    if ended:
        _must_take_new_access(credential)
    reason = f"Replaced by “{credential.script_name}”: {credential.helpdesk} keeps one access per person."
    for other in ended:
        actor = by if other.owner_id == by.pk else None
        credentials.revoke(credential=other, by=actor, reason=reason, now=now)


def _must_take_new_access(credential: Credential) -> None:
    """Nothing is ended for access that cannot be issued now. The helpdesk's row is held, so this stays so."""
    helpdesk = Helpdesk.objects.get(pk=credential.helpdesk_id)
    if not (answer := policies.takes_new_access(helpdesk)):
        raise StaleState(
            f"{answer.reason} Nothing was ended.",
            href=f"/credentials/{credential.pk}",
            label="Open it",
        )


def _connected_since(connection: Connection) -> set[int]:
    """Access of the same user that was connected after its owner saw what this one would end."""
    later = Connection.objects.filter(
        credential__acts_as=connection.credential.acts_as_id,
        outcome="consented", used_at__gt=connection.started_at,
    )  # fmt: skip
    return set(later.values_list("credential_id", flat=True))


def _decline(connection: Connection, error: str, *, by: User, now: datetime) -> Credential:
    credential = connection.credential
    reason = (
        f"You chose not to allow it on {credential.helpdesk}. Nothing has changed."
        if error == "access_denied"
        else f"{credential.helpdesk} did not give its consent. Nothing has changed; connect again."
    )
    with transaction.atomic():
        Connection.objects.filter(pk=connection.pk).update(outcome=reason, verifier="")
        unconnected = sources(CREDENTIAL, "connect")
        Credential.objects.filter(pk=credential.pk, state__in=unconnected).update(problem=reason)
        audit.record("connection.declined", by=by, target=credential, now=now, reason=reason)
    credential.refresh_from_db()
    return credential


def open_sealed(connection: Connection, sealed: str) -> str:
    """The code or the verifier of a connection, for the worker that needs it."""
    return portal_ring().open(sealed, Place(*connection.place))


def _seal(connection: Connection, plain: str) -> str:
    return portal_ring().seal(plain, Place(*connection.place))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _challenge(verifier: str) -> str:
    """RFC 7636, S256."""
    raw = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
