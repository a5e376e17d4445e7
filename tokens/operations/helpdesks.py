"""The line to one helpdesk: stopped while it refuses Keydesk's own access, frozen for new access by a person's word."""

from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.models import User
from tokens import outbox, permissions
from tokens.models import Credential, Helpdesk, Job
from tokens.models.catalogue import RESTORED
from tokens.operations.moves import stale
from tokens.refusals import Invalid, StaleState, insist
from tokens.states import CredentialState

LONGEST_REASON = 300
FREEZING = ("helpdesk.frozen", "helpdesk.unfrozen", "helpdesk.restored")
"""What says since when a helpdesk is frozen or not."""


def stop(*, helpdesk: Helpdesk, reason: str, now: datetime, of_agents: bool = False) -> None:
    """Our own access is refused: work waits, nothing fails. Said once, and kept up to date.

    `of_agents`: it was the client that gets the agents' pairs.
    """
    facts = {
        "stopped_at": now,
        "stopped_reason": reason[:LONGEST_REASON],
        "is_agents_client_refused": of_agents,
    }
    with transaction.atomic():
        is_new = Helpdesk.objects.filter(pk=helpdesk.pk, stopped_at=None).update(**facts)
        if is_new:
            audit.record(
                "helpdesk.stopped", by=None, target=helpdesk, now=now,
                reason=reason, of_agents=of_agents,
            )  # fmt: skip
        else:
            Helpdesk.objects.filter(pk=helpdesk.pk).update(**facts)
        helpdesk.refresh_from_db()


def resume(*, helpdesk: Helpdesk, now: datetime, of_agents: bool = False) -> None:
    """It works again, if what was just accepted (`of_agents`: the agents' client) is what was refused."""
    if helpdesk.stopped_at is None:
        return
    stopped = Helpdesk.objects.filter(
        pk=helpdesk.pk, stopped_at__isnull=False, is_agents_client_refused=of_agents
    )
    with transaction.atomic():
        if stopped.update(stopped_at=None, stopped_reason="", is_agents_client_refused=False):
            audit.record("helpdesk.resumed", by=None, target=helpdesk, now=now, of_agents=of_agents)
    helpdesk.refresh_from_db()


# --- Freezing: new access waits, what there is goes on -----------------------------------------------


def freeze(*, helpdesk: Helpdesk, by: User, reason: str, now: datetime) -> None:
    """Hold all new issuing and close nothing: refreshes and revocations go on.

    Raises `Denied`, `Invalid` (no reason) and `StaleState` (frozen since when and by whom).
    """
    insist(permissions.may_operate(by))
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise Invalid(f"Say why, in at most {LONGEST_REASON} characters.")
    with transaction.atomic():
        thawed = Helpdesk.objects.filter(pk=helpdesk.pk, frozen_at=None)
        if not thawed.update(frozen_at=now, frozen_reason=reason.strip()):
            raise stale(helpdesk, *FREEZING)
        audit.record("helpdesk.frozen", by=by, target=helpdesk, now=now, reason=reason.strip())
    helpdesk.refresh_from_db()


def unfreeze(*, helpdesk: Helpdesk, by: User, now: datetime) -> None:
    """Let new access be issued again, and what waited for it at once.

    Raises `Denied`, and `StaleState` where it is not frozen, or frozen since a backup was restored: that
    ends when the list of tokens is confirmed.
    """
    insist(permissions.may_operate(by))
    helpdesk.refresh_from_db()
    if helpdesk.restored_at is not None:
        raise StaleState(
            f"A backup was restored, so first an admin has to confirm the list of tokens of {helpdesk}."
        )
    with transaction.atomic():
        frozen = Helpdesk.objects.filter(
            pk=helpdesk.pk, frozen_at__isnull=False, restored_at__isnull=True
        )
        if not frozen.update(frozen_at=None, frozen_reason=""):
            raise stale(helpdesk, *FREEZING)
        audit.record("helpdesk.unfrozen", by=by, target=helpdesk, now=now)
        carry_on(helpdesk=helpdesk, now=now)
    helpdesk.refresh_from_db()


def freeze_restored(*, helpdesk: Helpdesk, now: datetime) -> None:
    """The database came back from a backup: nothing new until an admin has confirmed the list of tokens.

    One that an admin froze keeps their reason and stays frozen after that; said again, the confirmation
    has to be of a later list.
    """
    with transaction.atomic():
        thawed = Helpdesk.objects.filter(pk=helpdesk.pk, frozen_at=None)
        is_new = thawed.update(frozen_at=now, frozen_reason=RESTORED)
        Helpdesk.objects.filter(pk=helpdesk.pk).update(restored_at=now)
        if is_new:
            audit.record("helpdesk.frozen", by=None, target=helpdesk, now=now, reason=RESTORED)
        else:
            audit.record("helpdesk.restored", by=None, target=helpdesk, now=now, reason=RESTORED)
    helpdesk.refresh_from_db()


def carry_on(*, helpdesk: Helpdesk, now: datetime) -> None:
    """What waited for the end of a freeze is due now. Runs inside the transaction that ends it."""
    waiting = Credential.objects.filter(helpdesk=helpdesk, state=CredentialState.ISSUING)
    for pk in waiting.values_list("pk", flat=True):
        outbox.order(Job.Kind.EXCHANGE, pk, helpdesk=helpdesk, now=now)


def order_inventory(*, helpdesk: Helpdesk, by: User, now: datetime) -> None:
    """An admin wants the list of all tokens taken now. One that is on its way is hastened. Raises `Denied`."""
    insist(permissions.may_operate(by))
    with transaction.atomic():
        audit.record("inventory.ordered", by=by, target=helpdesk, now=now)
        outbox.order_list(helpdesk, now=now, is_awaited=True)
