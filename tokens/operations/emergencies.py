"""Ending everything of a person, a profile or a helpdesk, however long it takes and whatever is killed meanwhile.

The order is one row. What it has still to end is found from the credentials alone, each is ended in a
transaction of its own, and any number of processes may carry on the same emergency at once.
"""

import logging
from datetime import datetime
from threading import Thread

from celery import current_app
from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Exists, F, Max, Model

from accounts import audit
from accounts.models import User
from tokens import permissions
from tokens.models import AccessProfile, Credential, Emergency, Helpdesk
from tokens.operations import credentials
from tokens.queries import emergencies as queries
from tokens.queries.emergencies import Subject
from tokens.refusals import Denied, Invalid, StaleState, insist, moment_words

logger = logging.getLogger(__name__)

BATCH = 100
TASK = "tokens.carry_on_emergencies"
LONGEST_REASON = 300
HELD: dict[Emergency.Kind, tuple[type[Model], str]] = {
    Emergency.Kind.PERSON: (User, "email"),
    Emergency.Kind.PROFILE: (AccessProfile, "slug"),
    Emergency.Kind.HELPDESK: (Helpdesk, "kind"),
}
"""The row that an order, and each approval it might miss, holds until its commit."""
NOTHING = "There is nothing to end: no such access works or waits to be connected."


def order(*, subject: Subject, reason: str, by: User, now: datetime) -> Emergency:
    """Order the end of all access of `subject`. From this commit on nothing of it is handed out.

    Raises `Denied` (no admin), `Invalid` (no reason), and `StaleState` when there is nothing to end, or when
    one for the same subject is under way: the sentence says who ordered it and when.
    """
    insist(permissions.may_end_everything(by))
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise Invalid(f"Say why, in at most {LONGEST_REASON} characters.")
    try:
        with transaction.atomic():
            return _order(subject, reason=reason, by=by, now=now)
    except IntegrityError:
        raise _under_way(subject) from None


def _order(subject: Subject, *, reason: str, by: User, now: datetime) -> Emergency:
    _hold(subject)
    total = subject.credentials().filter(state__in=queries.STANDING).count()
    newest = Credential.objects.aggregate(newest=Max("pk"))["newest"]
    if not total:
        raise _under_way(subject)
    emergency = Emergency.objects.create(
        kind=subject.kind, subject_id=subject.pk, reason=reason, ordered_by=by,
        ordered_at=now, newest_credential_id=newest, total=total,
    )  # fmt: skip
    audit.record(
        "emergency.ordered", by=by, target=emergency, now=now,
        kind=subject.kind.value, subject=subject.pk, what=subject.words, total=total, reason=reason,
    )  # fmt: skip
    nudge()
    return emergency


def _hold(subject: Subject) -> None:
    """Wait for every approval that is being committed for it, and let the next ones wait for this order."""
    model, column = HELD[subject.kind]
    model._default_manager.filter(pk=subject.pk).update(**{column: F(column)})


def _under_way(subject: Subject) -> StaleState:
    first = queries.open_one(subject)
    if first is None:
        return StaleState(NOTHING, href="/emergencies", label="Emergencies")
    return StaleState(
        f"{first.ordered_by} ordered the end of {subject.words} at {moment_words(first.ordered_at)}.",
        href=f"/emergencies/{first.pk}",
        label="See how far it is",
    )


def carry_on_all(*, now: datetime, most: int = BATCH) -> int:
    """Carry on every emergency that is under way, each by at most `most`. Returns how many accesses were ended."""
    return sum(
        carry_on(emergency=emergency, now=now, most=most)
        for emergency in queries.open_emergencies()
    )


def carry_on(*, emergency: Emergency, now: datetime, most: int = BATCH) -> int:
    """End at most `most` of what is left, oldest first, and close the emergency when nothing is.

    Returns how many were ended here. May run many times at once; what somebody else ended is not ours, and
    one that cannot be ended holds up no other: it is tried again the next time.
    """
    ended, after = 0, 0
    subject = queries.subject_of(emergency)
    while ended < most:
        left = queries.left_of(emergency).filter(pk__gt=after).select_related("helpdesk")
        rows = list(left.order_by("pk")[: most - ended])
        if not rows:
            break
        ended += sum(_end(row, emergency, subject, now=now) for row in rows)
        after = rows[-1].pk
    _finish(emergency, now=now)
    return ended


def _end(credential: Credential, emergency: Emergency, subject: Subject, *, now: datetime) -> bool:
    """Whether this one was ended by us. A database that is away ends the run; anything else is one row's fault."""
    try:
        _revoke(credential, emergency, subject, now=now)
    except StaleState:
        return False
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("Emergency %s, credential %s", emergency.pk, credential.pk)
        _note(credential, emergency, error, now=now)
        return False
    return True


def _revoke(
    credential: Credential, emergency: Emergency, subject: Subject, *, now: datetime
) -> None:
    """In the name of the admin; in Keydesk's own once they are no admin any more, since the order stands."""
    reason = f"{subject.words[:1].upper()}{subject.words[1:]} was ended: {emergency.reason}"
    by = emergency.ordered_by
    try:
        credentials.revoke(credential=credential, by=by, reason=reason[:500], now=now)
    except Denied:
        reason = f"By order of {by}. {reason}"
        credentials.revoke(credential=credential, by=None, reason=reason[:500], now=now)


def _note(credential: Credential, emergency: Emergency, error: Exception, *, now: datetime) -> None:
    """Write down, once for each emergency, that this one could not be ended."""
    if queries.is_noted(emergency, credential):
        return
    with transaction.atomic():
        audit.record(
            "emergency.hindered", by=None, target=credential, now=now, emergency=emergency.pk,
            reason=f"An error of Keydesk's own ({type(error).__name__}); the log says more.",
        )  # fmt: skip


def _finish(emergency: Emergency, *, now: datetime) -> None:
    """Close it, once, when nothing of its subject works or waits."""
    is_done = ~Exists(queries.left_of(emergency))
    with transaction.atomic():
        rows = Emergency.objects.filter(is_done, pk=emergency.pk, finished_at__isnull=True)
        if rows.update(finished_at=now):
            audit.record(
                "emergency.finished", by=None, target=emergency, now=now, total=emergency.total
            )


# --- The nudge ---------------------------------------------------------------------------------------


def nudge() -> None:
    """After the commit, tell a worker to carry on. Never waits for the broker and never raises."""
    if settings.CELERY_BROKER_URL:
        thread = Thread(target=_publish, name="emergency", daemon=True)
        transaction.on_commit(thread.start, robust=True)


def _publish() -> None:
    try:
        current_app.send_task(TASK, retry=False, ignore_result=True)
    except Exception as error:
        logger.warning("No nudge for an emergency: %s. The sweep will carry it on.", error)
