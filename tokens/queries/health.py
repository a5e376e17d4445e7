"""Whether workers and beat live, each by itself."""

from datetime import datetime, timedelta

from django.conf import settings

from tokens.models import Heartbeat

Part = tuple[str, bool, str]
"""Name, whether it is well, and a sentence."""


def heartbeats(now: datetime) -> list[Part]:
    """A worker shows by itself that it lives; beat, only through a worker that takes its messages."""
    seen = dict(Heartbeat.objects.values_list("name", "at"))
    is_working, *_ = worker = _worker(seen.get("worker"), now)
    return [("worker", *worker), ("beat", *_beat(seen.get("beat"), now, is_working=is_working))]


def _worker(at: datetime | None, now: datetime) -> tuple[bool, str]:
    if at is None:
        return False, "No worker has ever started."
    return _is_fresh(at, now), f"A worker showed that it lives {_ago(at, now)}."


def _beat(at: datetime | None, now: datetime, *, is_working: bool) -> tuple[bool, str]:
    if at is not None and _is_fresh(at, now):
        return True, f"A worker took a message of beat {_ago(at, now)}."
    if not is_working:
        return False, "Whether beat lives cannot be told while no worker does."
    last = f"the last one was taken {_ago(at, now)}" if at else "none was ever taken"
    return False, f"No message of beat comes, though a worker lives: {last}."


def _is_fresh(at: datetime, now: datetime) -> bool:
    return now - at <= max(timedelta(seconds=60), 3 * settings.DUE_SWEEP)


def _ago(at: datetime, now: datetime) -> str:
    return f"{int((now - at).total_seconds())} seconds ago"
