"""What a complete list of all tokens settles: what is gone, what nobody owns, what vanished or changed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.models import User
from tokens import findings, outbox, permissions, policies
from tokens.connectors.base import TokenRecord
from tokens.findings import THROWN_AWAY, VANISHED
from tokens.models import Credential, Grant, Helpdesk, InventoryRun, Job, SeenToken
from tokens.models.catalogue import RESTORED
from tokens.operations import capabilities, credentials, grants, helpdesks
from tokens.operations.moves import stale
from tokens.queries import inventories as lists
from tokens.queries.credentials import needing_a_list
from tokens.refusals import StaleState, insist
from tokens.states import GrantState

OVERTAKEN = "A newer list was complete first."
LEFT_OUT = "Left alone, as nobody says which application they belong to: {} in the list."


@dataclass(frozen=True)
class Settled:
    """How much a list settled, and how much of what it shows waits for a person."""

    buried: int = 0
    strays: int = 0
    vanished: int = 0
    changed: int = 0
    held_back: int = 0


# --- Keeping a list ------------------------------------------------------------------------------------


def begin(*, helpdesk: Helpdesk, now: datetime) -> InventoryRun:
    """A reading of the list begins: whatever it shows was so after this moment."""
    return InventoryRun.objects.create(helpdesk=helpdesk, started_at=now)


def discard(*, run: InventoryRun, reason: str, now: datetime) -> None:
    """A reading that does not count, and why."""
    run.is_complete, run.error, run.finished_at = False, reason[:300], now
    run.save(update_fields=["is_complete", "error", "finished_at"])


def note(
    *, run: InventoryRun, records: Sequence[TokenRecord], now: datetime, left_out: int = 0
) -> bool:
    """Write down what a reading shows, before it counts. False, and discarded: a later one is noted already.

    `left_out`: how many tokens were, because nobody says that they are our application's.
    """
    with transaction.atomic():
        capabilities.hold(run.helpdesk)
        if lists.is_overtaken(run) or _newer(run) is not None:
            discard(run=run, reason=OVERTAKEN, now=now)
            return False
        _note_seen(run, records)
        run.token_count, run.error = len(records), LEFT_OUT.format(left_out) if left_out else ""
        run.save(update_fields=["token_count", "error"])
    return True


def keep(
    *, run: InventoryRun, now: datetime, records: Sequence[TokenRecord] | None = None
) -> InventoryRun:
    """Let a reading count; `records` where it is not noted yet.

    Returns the list that counts: a newer one, where that was complete first.
    """
    with transaction.atomic():
        capabilities.hold(run.helpdesk)
        if (newer := _newer(run)) is not None:
            discard(run=run, reason=OVERTAKEN, now=now)
            return newer
        if records is not None:
            _note_seen(run, records)
            run.token_count = len(records)
        run.finished_at, run.is_complete = now, True
        run.save(update_fields=["finished_at", "is_complete", "token_count"])
    return run


def _newer(run: InventoryRun) -> InventoryRun | None:
    newest = lists.newest(run.helpdesk)
    return newest if newest is not None and newest.pk > run.pk else None


def _note_seen(run: InventoryRun, records: Sequence[TokenRecord]) -> None:
    seen = [
        SeenToken(
            helpdesk=run.helpdesk, remote_id=record.id, remote_user_id=record.user_id,
            scopes=record.scopes or frozenset(), expires_at=record.expires_at,
            refresh_expires_at=record.refresh_expires_at, first_run=run, last_run=run,
        )
        for record in records
    ]  # fmt: skip
    SeenToken.objects.bulk_create(
        seen,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["helpdesk", "remote_id"],
        update_fields=[
            "remote_user_id", "scopes", "expires_at", "refresh_expires_at", "last_run",
        ],
    )  # fmt: skip


# --- Acting on it --------------------------------------------------------------------------------------


def settle(
    *,
    run: InventoryRun,
    now: datetime,
    looks: Mapping[int, TokenRecord | None] | None = None,
    standing: Collection[int] = (),
) -> Settled:
    """Act on a complete list, within the share.

    The deleted that it lacks are buried; strays that were looked at by id and stand there (`standing`,
    their ids) ended, and suspects that were looked at lost (`looks`: grant → what the helpdesk shows,
    None for a 404). What waits for a list is asked again.
    """
    if not run.is_complete:
        return Settled()
    absent = _confirmed_absent(run)
    for grant in absent:
        grants.bury(grant, now=now)
    found, held_back = findings.allowed(run, findings.of(run, now=now), now=now)
    _note_held_back(run, held_back)
    sure = [seen for seen in found.strays if seen.remote_id in standing]
    strays = sum(_end_stray(run, seen, now=now) for seen in sure)
    vanished, changed = _end_suspects(run, found.suspects, looks or {}, now=now)
    _ask_again(run, now=now)
    return Settled(len(absent), strays, vanished, changed, held_back)


def _confirmed_absent(run: InventoryRun) -> list[Grant]:
    """Doomed pairs deleted before the list began, dead in both halves, that the list lacks.

    The deletion of one that the list has was none, nor did the refresh half end by it.
    """
    shown = lists.listed(run).values("remote_id")
    doomed = Grant.objects.filter(
        helpdesk=run.helpdesk, state=GrantState.DOOMED, deleted_at__lt=run.started_at
    ).select_related("helpdesk")
    absent = list(doomed.exclude(remote_id__in=shown))
    for grant in doomed.filter(remote_id__in=shown):
        with transaction.atomic():
            Grant.objects.filter(pk=grant.pk, state=GrantState.DOOMED).update(
                deleted_at=None, is_refresh_dead=grants.is_refresh_half_refused(grant)
            )
            audit.record("grant.found_alive", by=None, target=grant, now=run.started_at)
            outbox.order(Job.Kind.CLOSE, grant.pk, helpdesk=grant.helpdesk, now=run.started_at)
    return [grant for grant in absent if is_refresh_half_dead(grant, at=run.started_at)]


def is_refresh_half_dead(grant: Grant, *, at: datetime) -> bool:
    """Whether the refresh half can make nothing any more: proved dead, or past its expiry."""
    ends = grant.refresh_expires_at
    return grant.is_refresh_dead or (ends is not None and ends <= at)


def _note_held_back(run: InventoryRun, held_back: int) -> None:
    """What an older list held back is judged anew by this one."""
    error = f"{held_back} differences are too many to act on alone: a person must look."
    with transaction.atomic():
        InventoryRun.objects.filter(
            helpdesk=run.helpdesk, pk__lt=run.pk, held_back__gt=0, confirmed_at=None
        ).update(held_back=0)
        run.held_back, run.error = held_back, error if held_back else run.error
        run.save(update_fields=["held_back", "error"])


def _end_stray(run: InventoryRun, seen: SeenToken, *, now: datetime) -> bool:
    """Doom a token of nobody, unless somebody has turned out to own it since the list was judged."""
    with transaction.atomic():
        capabilities.hold(run.helpdesk)
        if not lists.strays(run, only=seen.pk).exists():
            return False
        grants.adopt(helpdesk=run.helpdesk, seen=seen, now=now)
    return True


def _end_suspects(
    run: InventoryRun,
    suspects: Sequence[Grant],
    looks: Mapping[int, TokenRecord | None],
    *,
    now: datetime,
) -> tuple[int, int]:
    vanished = changed = 0
    for grant in suspects:
        record = looks.get(grant.pk)
        if record is not None:
            changed += _end_changed(run, grant, record, now=now)
        elif grant.pk in looks:
            vanished += _end_vanished(run, grant, now=now)
    return vanished, changed


def _end_vanished(run: InventoryRun, grant: Grant, *, now: datetime) -> bool:
    """Absent from the list and 404 by id, while it should live: the owner connects it again."""
    reason = f"{VANISHED}{run.helpdesk}. Connect it again."
    with transaction.atomic():
        credential = grants.locked(grant)
        if not lists.expected(run, now=now).filter(pk=grant.pk).exists():
            return False
        credentials.lose(credential=credential, reason=reason, now=now)
    return True


def _end_changed(run: InventoryRun, grant: Grant, record: TokenRecord, *, now: datetime) -> bool:
    """Another user, other scopes or a later end than was proved: revoked, not only logged."""
    if answer := policies.is_as_proved(record, grant):
        return False
    with transaction.atomic():
        credential = grants.locked(grant)
        if not lists.judged(run).filter(pk=grant.pk).exists():
            return False
        reason = f"{answer.reason.removesuffix('.')}{THROWN_AWAY}"
        credentials.lose(credential=credential, reason=reason, now=now)
    return True


def _ask_again(run: InventoryRun, *, now: datetime) -> None:
    """Ends that wait for a list: a call of theirs was written off."""
    for credential in needing_a_list(Credential.objects.filter(helpdesk=run.helpdesk)):
        with transaction.atomic():
            outbox.order(Job.Kind.CONFIRM, credential.pk, helpdesk=run.helpdesk, now=now)


# --- A person's word -----------------------------------------------------------------------------------


def confirm(
    *,
    run: InventoryRun,
    by: User,
    now: datetime,
    shown: Mapping[str, Collection[int]],
) -> None:
    """An admin says that what this list shows is right: the next one may act on it, and at once.

    The word is about what stood on the page (`shown`, as `findings.ids_of` has it) and still is so, and
    about nothing else; the audit row keeps it.
    Ends a freeze that began with a restored backup before the list did. Raises `Denied` (no admin) and
    `StaleState` (confirmed already, no complete list, or a newer one shows what is true now).
    """
    insist(permissions.may_operate(by))
    helpdesk = run.helpdesk
    with transaction.atomic():
        capabilities.hold(helpdesk)
        unconfirmed = InventoryRun.objects.filter(pk=run.pk, is_complete=True, confirmed_at=None)
        if _is_overtaken(run) or not unconfirmed.update(confirmed_at=now, confirmed_by=by):
            raise _why_stale(run)
        audit.record(
            "inventory.confirmed", by=by, target=run, now=now,
            helpdesk=helpdesk.slug, held_back=run.held_back, **_agreed(run, shown, now=now),
        )  # fmt: skip
        _end_restored_freeze(run, by=by, now=now)
        outbox.order_list(helpdesk, now=now, is_awaited=True)
    run.refresh_from_db()


def _agreed(
    run: InventoryRun, shown: Mapping[str, Collection[int]], *, now: datetime
) -> dict[str, list[int]]:
    """What a later reading has written over this list meanwhile nobody has seen, so nobody has agreed to it."""
    ids = findings.ids_of(findings.of(run, now=now))
    return {kind: sorted({*ids[kind]} & {*shown.get(kind, ())}) for kind in ids}


def _is_overtaken(run: InventoryRun) -> bool:
    """Whether a newer list was settled; one that only proved a token in between says nothing new."""
    newer = InventoryRun.objects.filter(helpdesk=run.helpdesk, pk__gt=run.pk, is_complete=True)
    later = run.started_at + settings.INVENTORY_EVERY
    if newer.filter(held_back__gt=0).exists() or newer.filter(confirmed_at__isnull=False).exists():
        return True
    is_waiting = InventoryRun.objects.filter(pk=run.pk, held_back__gt=0).exists()
    return not is_waiting and newer.filter(started_at__gte=later).exists()


def _why_stale(run: InventoryRun) -> StaleState:
    run.refresh_from_db()
    if run.confirmed_at:
        return stale(run)
    if not run.is_complete:
        return StaleState("This list is not complete, so there is nothing to confirm.")
    return StaleState("A newer list has been read since. Look at that one.")


def _end_restored_freeze(run: InventoryRun, *, by: User, now: datetime) -> None:
    """What an admin froze stays frozen: that is another word, and another button."""
    restored = Helpdesk.objects.filter(pk=run.helpdesk_id, restored_at__lte=run.started_at)
    thawed = restored.filter(frozen_reason=RESTORED).update(frozen_at=None, frozen_reason="")
    restored.update(restored_at=None)
    if thawed:
        audit.record("helpdesk.unfrozen", by=by, target=run.helpdesk, now=now, inventory=run.pk)
        helpdesks.carry_on(helpdesk=run.helpdesk, now=now)
