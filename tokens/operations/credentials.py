"""The life of a credential between its order and its confirmed end. Issuing stands in grants.py."""

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts import audit
from accounts.models import User
from tokens import notifications, outbox, permissions, policies
from tokens.models import (
    AccessRequest,
    Credential,
    Grant,
    Helpdesk,
    Job,
)
from tokens.operations import grants
from tokens.operations.moves import move, stale, try_move
from tokens.operations.profiles import hold
from tokens.queries import inventories as lists
from tokens.queries.calendar import calendar
from tokens.refusals import StaleState, insist
from tokens.states import (
    ACCESS_REQUEST,
    CREDENTIAL,
    GRANT_OPEN,
    CredentialState,
    GrantState,
    RequestState,
)

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def order(*, access_request: AccessRequest, now: datetime) -> Credential:
    """Make the credential an approved request stands for. Runs inside the approving transaction."""
    version = access_request.profile_version
    assert access_request.granted_days is not None
    hold_subjects(access_request)
    credential = Credential.objects.create(
        client_id=_new_client_id(version.profile.helpdesk.slug),
        helpdesk=version.profile.helpdesk, owner=access_request.requester,
        acts_as=access_request.acts_as, profile_version=version,
        script_name=access_request.script_name, runs_where=access_request.runs_where,
        rhythm=access_request.rhythm, deputy=access_request.deputy,
        scopes=access_request.granted_scopes, days=access_request.granted_days,
        access_token_seconds=version.access_token_seconds,
        state=CredentialState.AWAITING_CONSENT, ordered_at=now,
        connect_by=calendar().later(now, settings.CONNECT_BY_WITHIN),
    )  # fmt: skip
    AccessRequest.objects.filter(pk=access_request.pk).update(credential=credential)
    access_request.credential = credential
    audit.record(
        "credential.ordered", by=None, target=credential, now=now,
        scopes=credential.scopes, days=credential.days, request=access_request.pk,
    )  # fmt: skip
    return credential


def hold_subjects(access_request: AccessRequest) -> None:
    """Hold every row an emergency can be about until the commit: its order then comes wholly before or after."""
    profile = access_request.profile_version.profile
    User.objects.filter(pk=access_request.requester_id).update(email=F("email"))
    hold(profile.pk)
    Helpdesk.objects.filter(pk=profile.helpdesk_id).update(kind=F("kind"))


def _new_client_id(slug: str) -> str:
    """Recognisable and unique: `kd_`, the helpdesk, ten random characters (50 bits, no secret)."""
    return f"kd_{slug.replace('-', '_')}_{''.join(secrets.choice(_ALPHABET) for _ in range(10))}"


def renew(*, access_request: AccessRequest, now: datetime) -> None:
    """Move *lives until* by an approved renewal: same client id, same secret, no new consent."""
    credential = access_request.credential
    assert credential is not None and access_request.granted_days is not None
    if not policies.is_renewable(credential, now=now) or credential.lives_until is None:
        raise StaleState("The access ended meanwhile, so there is nothing to renew.")
    if not (answer := permissions.may_keep(credential)):
        raise StaleState(f"It cannot be renewed. {answer.reason}")
    until = max(credential.lives_until, now + timedelta(days=access_request.granted_days))
    move(
        credential, CREDENTIAL, "renew", CredentialState(credential.state),
        expect={"lives_until": credential.lives_until, "state": credential.state},
        lives_until=until,
    )  # fmt: skip
    audit.record("credential.renewed", by=None, target=credential, now=now, lives_until=until)


def cancel(*, credential: Credential, by: User | None, reason: str, now: datetime) -> None:
    """End access that was never connected. `by` None: Keydesk itself."""
    if by is not None:
        insist(permissions.may_revoke(by, credential))
    with transaction.atomic():
        move(
            credential, CREDENTIAL, "cancel", CredentialState.CANCELLED,
            end_reason=reason, ended_at=now,
        )  # fmt: skip
        _wipe(credential)
        audit.record("credential.cancelled", by=by, target=credential, now=now, reason=reason)
        notifications.access_revoked(credential, by=by, now=now)


def lapse(*, credential: Credential, now: datetime) -> None:
    """End access that nobody connected in time."""
    reason = "It was not connected in time."
    with transaction.atomic():
        move(
            credential, CREDENTIAL, "lapse", CredentialState.LAPSED,
            expect={"connect_by__lte": now}, end_reason=reason, ended_at=now,
        )  # fmt: skip
        _wipe(credential)
        audit.record("credential.lapsed", by=None, target=credential, now=now, reason=reason)
        notifications.access_ended(credential, now=now)


def revoke(*, credential: Credential, by: User | None, reason: str, now: datetime) -> None:
    """End access now: nothing is handed out from this commit on; workers delete and confirm.

    Raises `Denied` (neither owner nor admin) and `StaleState` (ending or ended since when).
    """
    if credential.state in (CredentialState.REVOKING, CredentialState.REVOKED):
        raise stale(credential)
    if by is not None:
        insist(permissions.may_revoke(by, credential))
    if credential.state == CredentialState.AWAITING_CONSENT:
        return cancel(credential=credential, by=by, reason=reason, now=now)
    _begin_end(credential, "revoke", by=by, reason=reason, now=now)


def expire(*, credential: Credential, now: datetime) -> None:
    """End access that has reached *lives until*."""
    _begin_end(credential, "expire", by=None, reason="It reached its end.", now=now)


def _begin_end(
    credential: Credential, action: str, *, by: User | None, reason: str, now: datetime
) -> None:
    expect = {"lives_until__lte": now} if action == "expire" else {}
    with transaction.atomic():
        move(
            credential, CREDENTIAL, action, CredentialState.REVOKING,
            expect=expect, end_reason=reason, ending_since=now,
        )  # fmt: skip
        _wipe(credential)
        doomed = grants.doom_all(credential, reason=reason, now=now, at_once=action == "revoke")
        _close_renewals(credential, now=now)
        audit.record(f"credential.{action}d", by=by, target=credential, now=now, reason=reason)
        if action == "revoke":
            notifications.access_revoked(credential, by=by, now=now)
        if not doomed:  # else each burial asks for it
            outbox.order(Job.Kind.CONFIRM, credential.pk, helpdesk=credential.helpdesk, now=now)


def _close_renewals(credential: Credential, *, now: datetime) -> None:
    reason = "The access it was to renew has ended."
    for renewal in credential.access_requests.filter(state=RequestState.PENDING, is_renewal=True):
        move(renewal, ACCESS_REQUEST, "close", RequestState.CLOSED, ended_at=now, end_reason=reason)
        audit.record("request.closed", by=None, target=renewal, now=now, reason=reason)
        notifications.request_ended(renewal, now=now)


def lose(*, credential: Credential, reason: str, now: datetime) -> None:
    """The helpdesk no longer honours the consent: what lived is doomed in the same transaction."""
    with transaction.atomic():
        if not try_move(credential, CREDENTIAL, "lose", CredentialState.LOST, problem=reason):
            return
        grants.doom_all(credential, reason=reason, now=now)
        audit.record("credential.lost", by=None, target=credential, now=now, reason=reason)
        notifications.access_lost(credential, now=now)


def refuse(*, credential: Credential, reason: str, now: datetime) -> None:
    """Connecting did not work: back to where it came from, with the reason; the owner may try again."""
    with transaction.atomic():
        back = CredentialState(credential.came_from)
        if not try_move(credential, CREDENTIAL, "refuse", back, problem=reason, came_from=""):
            return
        _wipe(credential)
        audit.record("credential.refused", by=None, target=credential, now=now, reason=reason)
        notifications.connect_failed(credential, now=now)


def activate(*, credential: Credential, grant: Grant, now: datetime) -> None:
    """The pair is proved: the access works. The lease counts from the first issue."""
    with transaction.atomic():
        credential = grants.locked(grant)
        if credential.state not in (CredentialState.ISSUING, CredentialState.ACTIVE):
            raise stale(credential)
        issued_at = credential.issued_at or now
        lives_until = credential.lives_until or issued_at + timedelta(days=credential.days)
        grants.go_live(grant, lives_until=lives_until, now=now)
        if credential.state == CredentialState.ISSUING:
            move(
                credential, CREDENTIAL, "activate", CredentialState.ACTIVE,
                problem="", came_from="", issued_at=issued_at, lives_until=lives_until,
            )  # fmt: skip
            _wipe(credential)
            audit.record(
                "credential.activated", by=None, target=credential, now=now,
                lives_until=lives_until, remote_id=grant.remote_id, scopes=credential.scopes,
            )  # fmt: skip
            notifications.access_works(credential, now=now)
        else:
            audit.record(
                "credential.refreshed", by=None, target=credential, now=now,
                remote_id=grant.remote_id, generation=grant.generation,
            )  # fmt: skip


def _wipe(credential: Credential) -> None:
    credential.connections.exclude(code="", verifier="").update(code="", verifier="")


def confirm_ended(*, credential: Credential, now: datetime) -> str:
    """Call it ended once nothing of it can live. Returns what is still in the way, or ""."""
    with transaction.atomic():
        if in_the_way := _still_there(credential):
            return in_the_way
        if try_move(credential, CREDENTIAL, "confirm", CredentialState.REVOKED, ended_at=now):
            audit.record(
                "credential.ended", by=None, target=credential, now=now,
                reason=credential.end_reason,
            )  # fmt: skip
            notifications.access_ended(credential, now=now)
    return ""


def _still_there(credential: Credential) -> str:
    held = (*GRANT_OPEN, GrantState.LIVE, GrantState.DOOMED)
    if credential.grants.filter(state__in=held).exists():
        return "A token is not confirmed gone yet."
    written_off = credential.grants.filter(state=GrantState.WRITTEN_OFF).order_by("-settled_at")
    if (last := written_off.first()) is None:
        return ""
    run = lists.newest(credential.helpdesk, begun_after=last.settled_at)
    if run is None:
        return "A call without an answer is being looked for in the list of all tokens."
    if lists.may_be_of(credential, run).exists():
        return "A token that nobody owns and that may be its is still on the helpdesk."
    return ""
