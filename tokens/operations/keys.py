"""Keys: a credential's client secret, and the access token it is swapped for."""

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from accounts import audit
from accounts.models import User
from tokens import outbox, permissions, policies
from tokens.models import ClientSecret, Credential, Fetch, Grant, Job
from tokens.operations.moves import stale
from tokens.queries import emergencies
from tokens.refusals import Answer, Denied, StaleState, insist, moment_words
from tokens.sealing import Place, portal_ring
from tokens.states import CREDENTIAL_USABLE, CredentialState, GrantState

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


@dataclass(frozen=True)
class NewSecret:
    """A secret in the only moment it exists outside its owner's hands."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return f"NewSecret({self.client_id})"


@dataclass(frozen=True)
class HandedOut:
    """An access token as a client gets it. `expires_in` in seconds."""

    access_token: str
    expires_in: int
    scopes: frozenset[str]

    def __repr__(self) -> str:
        return "HandedOut(…)"


def issue_secret(
    *, credential: Credential, by: User, now: datetime, seen: int | None = None
) -> NewSecret:
    """Make the first secret, or a new one beside the old, which works for another day.

    `seen` is the id of the current secret the person was shown, None where there was none: whoever
    comes second gets `StaleState`, and so does an owner who may not have the access any more. The caller has
    seen a recent re-authentication. Raises `Denied`.
    """
    with transaction.atomic():
        _must_be_active(credential)
        return _new_secret(
            credential, by=by, now=now, seen=seen, old_ends_at=now + settings.SECRET_OVERLAP,
            stands=permissions.may_keep(credential),
        )  # fmt: skip


def replace_now(
    *, credential: Credential, by: User, now: datetime, seen: int | None = None
) -> NewSecret:
    """Make a new secret and kill the old ones at once, with the token they could fetch: a refresh is due now.

    Also while it is disconnected, so that a leaked secret does not come back to life with it.
    """
    with transaction.atomic():
        _must_be_held(credential)
        new = _new_secret(
            credential, by=by, now=now, seen=seen, old_ends_at=now,
            stands=permissions.is_spared(credential),
        )  # fmt: skip
        Grant.objects.filter(credential=credential, state=GrantState.LIVE).update(
            serve_until=now, is_withheld=True
        )
        if credential.state == CredentialState.ACTIVE:
            order_refresh(credential, now=now, not_before=now)
    return new


def _new_secret(
    credential: Credential, *, by: User, now: datetime, seen: int | None, old_ends_at: datetime,
    stands: Answer,
) -> NewSecret:  # fmt: skip
    """Runs with the credential's row held, so that two reveals at once come one after the other."""
    insist(permissions.may_own(by, credential))
    if not stands:
        raise StaleState(stands.reason)
    current = ClientSecret.objects.filter(credential=credential, ends_at=None).first()
    if (current.pk if current else None) != seen:
        when = f" at {moment_words(current.created_at)}" if current else ""
        raise StaleState(f"A new secret was made already{when}, so none was made now.")
    secret = make_secret()
    with transaction.atomic():
        old = ClientSecret.objects.filter(credential=credential)
        rest = Q(ends_at=None) | Q(ends_at__gt=old_ends_at)
        old.filter(rest).update(ends_at=old_ends_at)
        ClientSecret.objects.create(
            credential=credential, digest=digest(secret), hint=secret[:8], created_at=now
        )
        event = "key.replaced" if current and old_ends_at <= now else "key.issued"
        audit.record(
            event, by=by, target=credential, now=now, hint=secret[:8], old_ends_at=old_ends_at
        )
    return NewSecret(credential.client_id, secret)


def _must_be_active(credential: Credential) -> None:
    """Hold the row until the commit, so that two reveals at once come one after the other."""
    if not Credential.objects.filter(pk=credential.pk, state=CredentialState.ACTIVE).update(
        state=CredentialState.ACTIVE
    ):
        credential.refresh_from_db()
        if credential.state in (CredentialState.AWAITING_CONSENT, CredentialState.ISSUING):
            raise StaleState("Connect it first; there is no key yet.")
        if credential.state == CredentialState.LOST:
            raise StaleState("It is disconnected. Connect it again first.")
        raise stale(credential)


def _must_be_held(credential: Credential) -> None:
    """Active or disconnected; its row is held until the commit."""
    rows = Credential.objects.filter(pk=credential.pk, state__in=CREDENTIAL_USABLE)
    if not rows.update(state=F("state")):
        raise stale(credential)


def make_secret() -> str:
    """`kds_`, 32 random characters (190 bits), and 6 of a checksum that tells a typing error or a leak scanner's find."""
    body = "".join(secrets.choice(_BASE62) for _ in range(32))
    return f"kds_{body}{_checksum(body)}"


def is_well_formed(secret: str) -> bool:
    """Whether a text can be one of our secrets at all."""
    body = secret[4:-6]
    return secret.startswith("kds_") and len(body) == 32 and secret[-6:] == _checksum(body)


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return digits


def digest(secret: str) -> str:
    """How a secret is kept: SHA-256, which is enough for 190 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def find_secret(*, client_id: str, client_secret: str, now: datetime) -> ClientSecret | None:
    """The secret a client authenticates with, if it is right and has not ended. Says nothing of the state."""
    return (
        working_secrets(now)
        .select_related("credential__helpdesk")
        .filter(digest=digest(client_secret), credential__client_id=client_id)
        .first()
    )


def hand_out(
    *,
    credential_id: int,
    secret: ClientSecret | None,
    address: str | None,
    now: datetime,
    by: User | None = None,
) -> HandedOut | None:
    """The current access token, if one may be served now, and one row that it was. None: wait for a refresh.

    `by` is the owner who takes it by hand. Raises `StaleState` when the credential is not active, and
    `Denied` when the secret has ended, be it while its caller waited.
    """
    rows = Credential.objects.select_related("helpdesk", "owner")
    credential = rows.filter(~emergencies.over_a_credential(), pk=credential_id).first()
    if credential is None:
        raise StaleState("An admin is ending all access like this one.")
    if not _works(credential, now):
        raise StaleState("This access is not connected, or it has ended.")
    grant = credential.grants.filter(state=GrantState.LIVE).first()
    seconds = policies.seconds_to_tell(grant, now=now) if grant else None
    if grant is None or seconds is None:
        return None
    token = portal_ring().open(
        grant.access_sealed, Place("grant", grant.pk, credential.helpdesk.slug)
    )
    with transaction.atomic():
        Fetch.objects.create(
            credential=credential, secret=secret, grant=grant, at=now, address=address
        )
        _still_holds(grant, secret, now)
        if by is not None:
            audit.record("token.shown", by=by, target=credential, now=now, grant=grant.generation)
    return HandedOut(token, seconds, credential.scopes)


def _works(credential: Credential, now: datetime) -> bool:
    """Active, before its end, and its owner has not left."""
    is_over = credential.lives_until is not None and credential.lives_until <= now
    return credential.state == CredentialState.ACTIVE and not is_over and credential.owner.is_active


def _still_holds(grant: Grant, secret: ClientSecret | None, now: datetime) -> None:
    """Look once more, last: *Replace now*, an emergency or the end may have come while the caller waited."""
    if secret is not None and not working_secrets(now).filter(pk=secret.pk).exists():
        raise Denied("This secret has ended.")
    served = Grant.objects.filter(
        ~emergencies.over_a_credential("credential__"),
        pk=grant.pk, is_withheld=False, state=GrantState.LIVE,
    )  # fmt: skip
    if not served.filter(credential__state=CredentialState.ACTIVE).exists():
        raise StaleState("This access has just changed. Ask again.")


def working_secrets(now: datetime) -> QuerySet[ClientSecret]:
    """The secrets that have not ended."""
    return ClientSecret.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now))


def order_refresh(
    credential: Credential, *, now: datetime, not_before: datetime | None = None
) -> None:
    """Owe a refresh, not before the token in clients' hands may die; one job however many ask."""
    live = credential.grants.filter(state=GrantState.LIVE).first()
    due = not_before or max(now, live.serve_until if live and live.serve_until else now)
    with transaction.atomic():
        outbox.order(
            Job.Kind.REFRESH, credential.pk,
            helpdesk=credential.helpdesk, now=now, not_before=due,
        )  # fmt: skip
