"""Showing that a process lives."""

from datetime import datetime

from tokens.models import Heartbeat

WORKER = "worker"
"""Shown by a worker itself, whether messages come or not."""
BEAT = "beat"
"""Shown by the worker that takes a message of beat's."""


def beat(name: str, *, now: datetime) -> None:
    """Keep the moment `name` was last seen."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": now})
