"""Whether workers and beat live."""

from datetime import datetime, timedelta

from django.conf import settings

from tokens.models import Heartbeat


def heartbeats(now: datetime) -> list[tuple[str, bool, str]]:
    """Name, whether it is well, and a sentence. A beat goes through beat, the broker and a worker."""
    latest = Heartbeat.objects.filter(name="worker").first()
    if latest is None:
        return [("worker", False, "No worker has ever taken a message of beat.")]
    age = now - latest.at
    bound = max(timedelta(seconds=60), 3 * settings.DUE_SWEEP)
    seconds = int(age.total_seconds())
    return [("worker", age <= bound, f"A worker took a message of beat {seconds} seconds ago.")]
