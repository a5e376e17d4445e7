"""Stopping the line to a helpdesk that refuses Keydesk's own access, and resuming it."""

from datetime import datetime

from django.db import transaction

from accounts import audit
from tokens.models import Helpdesk


def stop(*, helpdesk: Helpdesk, reason: str, now: datetime) -> None:
    """Our own access is refused: work waits, nothing fails. Said once, and kept up to date."""
    with transaction.atomic():
        is_new = Helpdesk.objects.filter(pk=helpdesk.pk, stopped_at=None).update(
            stopped_at=now, stopped_reason=reason[:300]
        )
        if is_new:
            audit.record("helpdesk.stopped", by=None, target=helpdesk, now=now, reason=reason)
        else:
            Helpdesk.objects.filter(pk=helpdesk.pk).update(
                stopped_at=now, stopped_reason=reason[:300]
            )
        helpdesk.refresh_from_db()


def resume(*, helpdesk: Helpdesk, now: datetime) -> None:
    """It works again."""
    if helpdesk.stopped_at is None:
        return
    with transaction.atomic():
        if Helpdesk.objects.filter(pk=helpdesk.pk, stopped_at__isnull=False).update(
            stopped_at=None, stopped_reason=""
        ):
            audit.record("helpdesk.resumed", by=None, target=helpdesk, now=now)
    helpdesk.refresh_from_db()
