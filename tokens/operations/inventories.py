"""What a complete list of all tokens settles: what is gone, what nobody owns, what vanished or changed.

More findings than a bad day makes may be a restored backup or a list that lies: they wait for a person's word.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.models import User
from tokens import outbox, permissions, policies
from tokens.connectors.base import TokenRecord
from tokens.models import Credential, Grant, Helpdesk, InventoryRun, Job, SeenToken
from tokens.operations import capabilities, credentials, grants, helpdesks
from tokens.operations.moves import stale
from tokens.queries import inventories as lists
from tokens.refusals import Denied, StaleState
from tokens.states import CredentialState, GrantState

OVERTAKEN = "A newer list was complete first."
LEFT_OUT = "Left alone, as nobody says which application they belong to: {} in the list."
LEAST_SHARE = 3
MOST_AGREED = 5000
"""How many findings one word can be about; the rest waits for the next."""
_VANISHED = "Its token was deleted on "
_THROWN_AWAY = ". It was thrown away. Connect it again."
"""How the reasons start and end that an inventory gives; by them its recent deeds are counted."""

Kind = Literal["vanished", "changed"]
R = TypeVar("R", SeenToken, Grant)


@dataclass(frozen=True)
class Settled:
    """How much a list settled, and how much of what it shows waits for a person."""

    buried: int = 0
    strays: int = 0
    vanished: int = 0
    changed: int = 0
    held_back: int = 0


@dataclass(frozen=True)
class Findings:
    """What stands in a list and should not, and the live pairs that it lacks or describes otherwise."""

    strays: Sequence[SeenToken] = ()
    suspects: Sequence[Grant] = ()
    kinds: Mapping[int, Kind] = field(default_factory=dict)
    """Of each suspect, what is wrong with it in the list."""

    def __len__(self) -> int:
        return len(self.strays) + len(self.suspects)


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


def as_record(seen: SeenToken) -> TokenRecord:
    """A token as the list described it; what nobody says is our client's is not kept of a list."""
    return TokenRecord(
        id=seen.remote_id, client_id=seen.helpdesk.client_number, user_id=seen.remote_user_id,
        scopes=seen.scopes, created_at=None, expires_at=seen.expires_at,
        refresh_expires_at=seen.refresh_expires_at, used_at=None,
    )  # fmt: skip


# --- What it shows, and how much of it may be acted on -------------------------------------------------


def findings(run: InventoryRun, *, now: datetime) -> Findings:
    """Everything a list shows that is not as it should be."""
    unlike = list(lists.unlike_the_list(run, now=now))
    ids = [grant.remote_id for grant in unlike if grant.remote_id is not None]
    shown = {
        seen.remote_id: seen
        for seen in lists.listed(run).filter(remote_id__in=ids).select_related("helpdesk")
    }
    kinds: dict[int, Kind] = {}
    for grant in unlike:
        if grant.remote_id not in shown:
            kinds[grant.pk] = "vanished"
        elif not policies.is_as_proved(as_record(shown[grant.remote_id]), grant):
            kinds[grant.pk] = "changed"
    suspects = [grant for grant in unlike if grant.pk in kinds]
    return Findings(list(lists.strays(run).order_by("pk")), suspects, kinds)


def share(helpdesk: Helpdesk) -> int:
    """How much of a kind may be ended within an hour without a person's word: a tenth of what lives,
    at least three. Nothing after a restored backup, until a person has looked.
    """
    if Helpdesk.objects.filter(pk=helpdesk.pk, restored_at__isnull=False).exists():
        return 0
    live = Grant.objects.filter(helpdesk=helpdesk, state=GrantState.LIVE).count()
    return max(LEAST_SHARE, live // 10)


def allowed(run: InventoryRun, found: Findings, *, now: datetime) -> tuple[Findings, int]:
    """The findings that may be acted on now, and how many are held back.

    Strays and suspects are judged apart, so that who deletes tokens of theirs keeps no stray alive.
    All of a kind within the share; beyond it only what a list showed that an admin confirmed.
    """
    agreed, most = _agreed(run, found), share(run.helpdesk)
    spent_strays, spent_pairs = _spent(run.helpdesk, now=now)
    strays, suspects = found.strays, found.suspects
    other_strays = _without(strays, agreed.strays)
    other_suspects = _without(suspects, agreed.suspects)
    held_back = 0
    if other_strays and len(other_strays) + len(spent_strays) > most:
        strays, held_back = agreed.strays, len(other_strays)
    if other_suspects and _weight(run, [*other_suspects, *spent_pairs]) > most:
        suspects, held_back = agreed.suspects, held_back + len(other_suspects)
    return Findings(strays, suspects, found.kinds), held_back


def _without(rows: Sequence[R], others: Iterable[R]) -> list[R]:
    known = {row.pk for row in others}
    return [row for row in rows if row.pk not in known]


def _spent(helpdesk: Helpdesk, *, now: datetime) -> tuple[list[Grant], list[Grant]]:
    """The strays and the pairs that lists ended in the last hour (twelve inventories) without a word."""
    since = now - 12 * settings.INVENTORY_EVERY
    words = InventoryRun.objects.filter(
        helpdesk=helpdesk, confirmed_at__gt=since - 2 * settings.INVENTORY_EVERY
    )
    agreed = lists.agreed_to(words)
    strays = lists.ended_strays(helpdesk, since=since)
    pairs = lists.ended_pairs(helpdesk, since=since, starts=_VANISHED, ends=_THROWN_AWAY)
    suspects = agreed["vanished"] | agreed["changed"]
    return (
        [stray for stray in strays if stray.remote_id not in agreed["strays"]],
        [pair for pair in pairs if pair.pk not in suspects],
    )


def _weight(run: InventoryRun, pairs: Iterable[Grant]) -> int:
    """How many findings these are: who deletes all their own tokens is one.

    Unless the list holds tokens of theirs that nobody owns: then it may be our books that are old.
    """
    puzzling = set(lists.unowned(run).values_list("remote_user_id", flat=True))
    people: set[int] = set()
    single = 0
    for grant in pairs:
        if grant.remote_user_id is None or grant.remote_user_id in puzzling:
            single += 1
        else:
            people.add(grant.remote_user_id)
    return single + len(people)


def _word(run: InventoryRun) -> InventoryRun | None:
    """The latest list an admin confirmed, while his word counts: for two inventories from then on."""
    since = run.started_at - 2 * settings.INVENTORY_EVERY
    confirmed = InventoryRun.objects.filter(
        helpdesk=run.helpdesk, confirmed_at__gt=since, pk__lt=run.pk
    )
    return confirmed.order_by("-pk").first()


def _agreed(run: InventoryRun, found: Findings) -> Findings:
    """What of it stood on the confirmed page already, and with the same thing wrong."""
    word = _word(run)
    if word is None:
        return Findings()
    kept = lists.agreed_to([word])
    return Findings(
        [seen for seen in found.strays if seen.remote_id in kept["strays"]],
        [grant for grant in found.suspects if grant.pk in kept[found.kinds[grant.pk]]],
        found.kinds,
    )


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
    found, held_back = allowed(run, findings(run, now=now), now=now)
    _note_held_back(run, held_back)
    sure = [seen for seen in found.strays if seen.remote_id in standing]
    strays = sum(_end_stray(run, seen, now=now) for seen in sure)
    vanished, changed = _end_suspects(run, found.suspects, looks or {}, now=now)
    _ask_again(run, now=now)
    return Settled(len(absent), strays, vanished, changed, held_back)


def _confirmed_absent(run: InventoryRun) -> list[Grant]:
    """Doomed pairs deleted before the list began, dead in both halves, that the list lacks."""
    shown = lists.listed(run).values("remote_id")
    doomed = Grant.objects.filter(
        helpdesk=run.helpdesk, state=GrantState.DOOMED, deleted_at__lt=run.started_at
    ).select_related("helpdesk")
    absent = list(doomed.exclude(remote_id__in=shown))
    for grant in doomed.filter(remote_id__in=shown):
        with transaction.atomic():
            Grant.objects.filter(pk=grant.pk, state=GrantState.DOOMED).update(
                deleted_at=None, is_refresh_dead=False
            )
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
        if not lists.strays(run).filter(pk=seen.pk).exists():
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
    reason = f"{_VANISHED}{run.helpdesk}. Connect it again."
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
        reason = f"{answer.reason.removesuffix('.')}{_THROWN_AWAY}"
        credentials.lose(credential=credential, reason=reason, now=now)
    return True


def _ask_again(run: InventoryRun, *, now: datetime) -> None:
    """Ends that wait for a list: a call of theirs was written off."""
    waiting = Credential.objects.filter(
        helpdesk=run.helpdesk, state=CredentialState.REVOKING,
        grants__state=GrantState.WRITTEN_OFF,
    ).distinct()  # fmt: skip
    for credential in waiting:
        with transaction.atomic():
            outbox.order(Job.Kind.CONFIRM, credential.pk, helpdesk=run.helpdesk, now=now)


# --- A person's word -----------------------------------------------------------------------------------


def confirm(*, run: InventoryRun, by: User, now: datetime) -> None:
    """An admin says that what this list shows is right: the next one may act on it, and at once.

    The audit row keeps what it showed; the word is about that and nothing else.
    Ends a freeze that began with a restored backup before the list did. Raises `Denied` (no admin) and
    `StaleState` (confirmed already, no complete list, or a newer one shows what is true now).
    """
    if not (answer := permissions.may_operate(by)):
        raise Denied(answer.reason)
    helpdesk = run.helpdesk
    with transaction.atomic():
        capabilities.hold(helpdesk)
        unconfirmed = InventoryRun.objects.filter(pk=run.pk, is_complete=True, confirmed_at=None)
        if _is_overtaken(run) or not unconfirmed.update(confirmed_at=now, confirmed_by=by):
            raise _why_stale(run)
        audit.record(
            "inventory.confirmed", by=by, target=run, now=now,
            helpdesk=helpdesk.slug, held_back=run.held_back, **_as_ids(findings(run, now=now)),
        )  # fmt: skip
        _end_restored_freeze(run, by=by, now=now)
        outbox.order(Job.Kind.INVENTORY, helpdesk.pk, helpdesk=helpdesk, now=now, urgency=0)
    run.refresh_from_db()


def _as_ids(found: Findings) -> dict[str, list[int]]:
    """What a word is about, to be kept: strays by their token, suspects by their pair and what is wrong."""
    suspects = found.suspects[:MOST_AGREED]
    return {
        "strays": [seen.remote_id for seen in found.strays[:MOST_AGREED]],
        "vanished": [grant.pk for grant in suspects if found.kinds[grant.pk] == "vanished"],
        "changed": [grant.pk for grant in suspects if found.kinds[grant.pk] == "changed"],
    }


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
    frozen = Helpdesk.objects.filter(pk=run.helpdesk_id, restored_at__lte=run.started_at)
    if frozen.update(frozen_at=None, frozen_reason="", restored_at=None):
        audit.record("helpdesk.unfrozen", by=by, target=run.helpdesk, now=now, inventory=run.pk)
        helpdesks.carry_on(helpdesk=run.helpdesk, now=now)
