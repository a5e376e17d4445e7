"""The life of one token pair on the helpdesk: the row first, then the call, then what came of it."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q

from accounts import audit
from accounts.models import AuditEvent
from tokens import outbox, policies
from tokens.connectors.base import TokenPair, TokenRecord
from tokens.models import (
    Connection,
    Credential,
    Grant,
    Helpdesk,
    InventoryRun,
    Job,
    SeenToken,
)
from tokens.operations.moves import move, try_move
from tokens.refusals import StaleState
from tokens.sealing import Place, portal_ring, worker_ring
from tokens.states import GRANT, GRANT_OPEN, CredentialState, GrantState

_WANTED_WHILE = {
    Grant.Purpose.EXCHANGE: CredentialState.ISSUING,
    Grant.Purpose.REFRESH: CredentialState.ACTIVE,
}
"""The state of a credential in which somebody waits for the pair."""


def intend(
    *,
    credential: Credential,
    purpose: Grant.Purpose,
    now: datetime,
    connection: Connection | None = None,
    replaces: Grant | None = None,
    list_before: InventoryRun | None = None,
) -> Grant:
    """Commit the intent of a call that makes a pair.

    Raises `StaleState` when another one is open, or when its credential wants none any more: the end of an
    access comes wholly before the intent, which is then none, or after it and finds it.
    """
    access = policies.access_seconds(credential, now=now)
    if purpose == Grant.Purpose.CLOSE:
        access = int(settings.ACCESS_TOKEN_LEAST.total_seconds())
    last = credential.grants.aggregate(last=Max("generation"))["last"] or 0
    try:
        with transaction.atomic():
            _must_want(credential, purpose, now=now)
            return Grant.objects.create(
                helpdesk=credential.helpdesk, credential=credential, connection=connection,
                purpose=purpose, generation=last + 1, replaces=replaces, list_before=list_before,
                state=GrantState.INTENDED, intended_at=now, asked_access_seconds=access,
                asked_refresh_seconds=policies.refresh_seconds(
                    credential, now=now, access=access
                ),
            )  # fmt: skip
    except IntegrityError as error:
        raise StaleState("Another call for this access is under way.") from error


def _must_want(credential: Credential, purpose: Grant.Purpose, *, now: datetime) -> None:
    """Hold the credential's row, which is what a pair of this purpose is for, and not about to end."""
    held = Credential.objects.filter(pk=credential.pk)
    if state := _WANTED_WHILE.get(purpose):
        has_time = Q(lives_until=None) | Q(lives_until__gt=policies.reaches_until(now))
        held = held.filter(has_time, state=state)
    if not held.update(state=F("state")):
        raise StaleState("This access needs no new token any longer.")


def send(grant: Grant, *, now: datetime) -> None:
    """The call leaves now. Raises `StaleState` if the intent is too old or was abandoned."""
    with transaction.atomic():
        move(
            grant, GRANT, "send", GrantState.SENT,
            expect={"intended_at__gte": now - settings.SEND_WITHIN}, sent_at=now,
        )  # fmt: skip
        audit.record("grant.sent", by=None, target=grant, now=now, purpose=grant.purpose)


def abandon(grant: Grant, *, now: datetime) -> None:
    """An intent that was never sent; another may take its place."""
    with transaction.atomic():
        if try_move(grant, GRANT, "abandon", GrantState.ABANDONED, settled_at=now):
            audit.record("grant.abandoned", by=None, target=grant, now=now)


def answer(grant: Grant, pair: TokenPair, *, now: datetime) -> None:
    """Keep the pair, sealed, in the first transaction after the answer. It is not proved and never served.

    When its credential is ending meanwhile, the pair is doomed in the same transaction.
    """
    place = Place(*grant.place)
    sent_at = grant.sent_at or now
    lifetimes: dict[str, Any] = {
        "access_expires_at": _after(sent_at, pair.expires_in or grant.asked_access_seconds),
        "refresh_expires_at": _after(
            sent_at, pair.refresh_expires_in or grant.asked_refresh_seconds
        ),
    }
    with transaction.atomic():
        credential = locked(grant)  # before the pair's own row, as an end takes them
        move(
            grant, GRANT, "answer", GrantState.ANSWERED, answered_at=now,
            access_sealed=portal_ring().seal(pair.access_token, place),
            refresh_sealed=worker_ring().seal(pair.refresh_token, place),
            fingerprint=portal_ring().fingerprint(pair.access_token), **lifetimes,
        )  # fmt: skip
        audit.record("grant.answered", by=None, target=grant, now=now)
        if grant.replaces_id:
            Grant.objects.filter(pk=grant.replaces_id).update(is_refresh_dead=True)
        wants = (CredentialState.ISSUING, CredentialState.ACTIVE)
        if grant.purpose == Grant.Purpose.CLOSE or credential.state not in wants:
            why, early = (
                "The access was ending when this token came.",
                policies.ended_early(credential),
            )
            doom(grant, reason=why, now=now, at_once=early)


def _after(moment: datetime, seconds: int) -> datetime:
    return moment + timedelta(seconds=seconds)


def locked(grant: Grant) -> Credential:
    """The credential's row, held until the commit, so that a revoke comes wholly before or after."""
    assert grant.credential_id is not None
    Credential.objects.filter(pk=grant.credential_id).update(state=F("state"))
    return Credential.objects.get(pk=grant.credential_id)


def refuse(grant: Grant, *, reason: str, now: datetime) -> None:
    """The helpdesk certainly made nothing."""
    with transaction.atomic():
        move(grant, GRANT, "refuse", GrantState.REFUSED, reason=reason[:500], settled_at=now)
        audit.record("grant.refused", by=None, target=grant, now=now, reason=reason)


def forget(grant: Grant, *, reason: str, now: datetime) -> datetime:
    """Nobody knows what the helpdesk did. Returns when the next step may be taken.

    Until then the token before it is served, unless somebody had it replaced.
    """
    next_step = (grant.sent_at or now) + settings.MINIMUM_AGE
    with transaction.atomic():
        move(grant, GRANT, "forget", GrantState.UNKNOWN, reason=reason[:500])
        audit.record("grant.lost_track_of", by=None, target=grant, now=now, reason=reason)
        for old in Grant.objects.filter(
            pk=grant.replaces_id or 0, state=GrantState.LIVE, is_withheld=False
        ):
            until = min(next_step, old.access_expires_at or next_step)
            Grant.objects.filter(pk=old.pk).update(serve_until=until)
    return next_step


def write_off(grant: Grant, *, now: datetime) -> None:
    """Stop waiting for an unknown answer: whatever it made is a stray for the inventory."""
    with transaction.atomic():
        move(grant, GRANT, "write off", GrantState.WRITTEN_OFF, settled_at=now)
        audit.record("grant.written_off", by=None, target=grant, now=now, reason=grant.reason)
        is_ending = bool(grant.credential and grant.credential.state == CredentialState.REVOKING)
        outbox.order_list(grant.helpdesk, now=now, is_awaited=is_ending)
        if grant.credential and is_ending:
            outbox.order(Job.Kind.CONFIRM, grant.credential.pk, helpdesk=grant.helpdesk, now=now)


def identify(grant: Grant, record: TokenRecord) -> None:
    """Keep what the helpdesk says about a pair: its id, user, scopes and ends."""
    facts: dict[str, object] = {
        "remote_id": record.id,
        "remote_user_id": record.user_id,
        "scopes": record.scopes,
        "access_expires_at": record.expires_at or grant.access_expires_at,
        "refresh_expires_at": record.refresh_expires_at or grant.refresh_expires_at,
    }
    Grant.objects.filter(pk=grant.pk).update(**facts)
    grant.refresh_from_db()


def go_live(grant: Grant, *, lives_until: datetime, now: datetime) -> None:
    """A proved pair takes the place of the one before. Runs inside the transaction that activates."""
    assert grant.access_expires_at is not None and grant.credential is not None
    for old in grant.credential.grants.filter(state=GrantState.LIVE).exclude(pk=grant.pk):
        move(old, GRANT, "replace", GrantState.REPLACED, settled_at=now)
        audit.record("grant.replaced", by=None, target=old, now=now, by_grant=grant.pk)
        _forget_secrets(old)
    serve_until = policies.serve_until(
        sent_at=grant.sent_at or now,
        access_expires_at=grant.access_expires_at,
        lives_until=lives_until,
    )
    move(grant, GRANT, "prove", GrantState.LIVE, proved_at=now, serve_until=serve_until)
    audit.record("grant.proved", by=None, target=grant, now=now, remote_id=grant.remote_id)


def doom(grant: Grant, *, reason: str, now: datetime, at_once: bool = False) -> None:
    """This pair must go: nothing of it is served from this commit on, workers delete it.

    `at_once`: before those that time ended, because its access was ended before its time.
    """
    with transaction.atomic():
        if not try_move(
            grant, GRANT, "doom", GrantState.DOOMED, reason=reason[:500], doomed_at=now
        ):
            return
        audit.record("grant.doomed", by=None, target=grant, now=now, reason=reason)
        _order_end(grant, now=now, at_once=at_once)


def _order_end(grant: Grant, *, now: datetime, at_once: bool) -> None:
    outbox.order(
        Job.Kind.CLOSE, grant.pk, helpdesk=grant.helpdesk, now=now,
        urgency=outbox.AT_ONCE if at_once else None,
    )  # fmt: skip


def doom_all(credential: Credential, *, reason: str, now: datetime, at_once: bool = False) -> int:
    """Doom what a credential holds; how many workers have to delete now. What is doomed already is hastened.

    A call that is out cannot be called back: its answer is doomed later. `at_once` as for `doom`.
    """
    doomed = 0
    for grant in credential.grants.filter(
        Q(state__in=(GrantState.LIVE, GrantState.DOOMED)) | Q(state__in=GRANT_OPEN)
    ).select_related("helpdesk"):
        if grant.state == GrantState.INTENDED:
            abandon(grant, now=now)
        elif grant.state == GrantState.DOOMED:
            _order_end(grant, now=now, at_once=at_once)
            doomed += 1
        elif grant.state in (GrantState.LIVE, GrantState.ANSWERED):
            doom(grant, reason=reason, now=now, at_once=at_once)
            doomed += 1
        else:
            later = (grant.sent_at or now) + settings.MINIMUM_AGE
            outbox.order(
                Job.Kind.CONFIRM, credential.pk,
                helpdesk=credential.helpdesk, now=now, not_before=later,
            )  # fmt: skip
    return doomed


def adopt(*, helpdesk: Helpdesk, seen: SeenToken, now: datetime) -> Grant:
    """A token of our client that nobody owns gets a row, so that it can be ended."""
    with transaction.atomic():
        stray = Grant.objects.create(
            helpdesk=helpdesk, purpose=Grant.Purpose.STRAY, generation=0,
            state=GrantState.DOOMED, intended_at=now, doomed_at=now,
            remote_id=seen.remote_id, remote_user_id=seen.remote_user_id, scopes=seen.scopes,
            access_expires_at=seen.expires_at, refresh_expires_at=seen.refresh_expires_at,
            reason="Nobody owns this token.",
        )  # fmt: skip
        audit.record(
            "grant.adopted", by=None, target=stray, now=now,
            remote_id=seen.remote_id, remote_user_id=seen.remote_user_id,
        )  # fmt: skip
        outbox.order(Job.Kind.CLOSE, stray.pk, helpdesk=helpdesk, now=now)
    return stray


def is_anothers(grant: Grant, remote_id: int) -> bool:
    """Whether a pair of ours that is not of the same credential holds a token of the helpdesk."""
    holding = (GrantState.ANSWERED, GrantState.LIVE, GrantState.DOOMED, GrantState.REPLACED)
    others = Grant.objects.filter(
        helpdesk=grant.helpdesk_id, remote_id=remote_id, state__in=holding
    ).exclude(pk=grant.pk)
    return others.exclude(credential=grant.credential_id).exists()


def deletions(grant: Grant) -> list[datetime]:
    """When it was deleted, or first found to be, oldest first."""
    events = AuditEvent.objects.filter(
        event="grant.deleted", target_type="Grant", target_id=str(grant.pk)
    )
    return list(events.order_by("id").values_list("at", flat=True))


def is_refresh_half_refused(grant: Grant) -> bool:
    """Whether the helpdesk refused its refresh half or swapped it, whatever became of the deletion."""
    said = AuditEvent.objects.filter(
        event="grant.refresh_ended", target_type="Grant", target_id=str(grant.pk)
    )
    return grant.successors.filter(answered_at__isnull=False).exists() or said.exists()


def mark_deleted(
    grant: Grant, *, is_refresh_dead: bool, now: datetime, was_there: bool = True
) -> None:
    """Deleted by id and no longer shown. A later complete list has to lack it before it is gone.

    One that was not there any more (`was_there`) and was told of before is news to nobody.
    """
    dead = {"is_refresh_dead": True} if is_refresh_dead else {}  # another worker may have said so
    with transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(deleted_at=now, **dead)
        if was_there or not deletions(grant):
            audit.record(
                "grant.deleted", by=None, target=grant, now=now, is_refresh_dead=is_refresh_dead
            )
        grant.refresh_from_db()


def note_refresh_dead(grant: Grant, *, now: datetime) -> None:
    """The helpdesk refused the refresh half, or swapped it: it can make nothing any more."""
    with transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(is_refresh_dead=True)
        audit.record("grant.refresh_ended", by=None, target=grant, now=now)
    grant.refresh_from_db()


def note_access_dead(grant: Grant, *, now: datetime) -> None:
    """The helpdesk no longer knows the access half."""
    with transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(access_expires_at=now)
        audit.record("grant.access_ended", by=None, target=grant, now=now)
    grant.refresh_from_db()


def bury(grant: Grant, *, now: datetime) -> None:
    """Confirmed gone: its secrets go with it, and what waits for that is told."""
    with transaction.atomic():
        if not try_move(grant, GRANT, "bury", GrantState.GONE, gone_at=now):
            return
        _forget_secrets(grant)
        audit.record("grant.buried", by=None, target=grant, now=now, remote_id=grant.remote_id)
        if grant.credential_id:
            outbox.order(Job.Kind.CONFIRM, grant.credential_id, helpdesk=grant.helpdesk, now=now)


def _forget_secrets(grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(access_sealed="", refresh_sealed="")
