"""The only writer of `AuditEvent`: what happened, who did it, to what.

`record` belongs in the transaction of the change; outside one it refuses, so no change can be
committed without its row. Bodies are text with sorted keys, fit to be hashed later.
"""

import json
from contextvars import ContextVar
from datetime import datetime

from django.db import models, transaction

from accounts.models import AuditEvent, User

request_id: ContextVar[str] = ContextVar("request_id", default="")

SYSTEM = "system"


def record(
    event: str, *, by: User | None, target: models.Model, now: datetime, **body: object
) -> AuditEvent:
    """Write that `event` (`noun.past`) happened to `target` by `by` (None: Keydesk itself) at `now`.

    `body` holds plain values only and never a secret. Raises `RuntimeError` outside a transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(f"{event} was to be recorded outside the transaction of its change.")
    return AuditEvent.objects.create(
        at=now,
        event=event,
        actor=f"user:{by.pk}" if by else SYSTEM,
        actor_name=str(by) if by else "Keydesk",
        target_type=type(target).__name__,
        target_id=str(target.pk),
        request_id=request_id.get(),
        body=json.dumps(body, sort_keys=True, default=_plain),
    )


def _plain(value: object) -> object:
    """Dates and sets as JSON knows them; anything else is a programming error."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} does not belong in an audit row.")
