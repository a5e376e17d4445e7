"""Showing that a process lives."""

from datetime import datetime

from tokens.models import Heartbeat


def beat(name: str, *, now: datetime) -> None:
    """Keep the moment `name` was last seen."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": now})
