"""How soon the first remote call is made after everything was killed with ten thousand jobs open."""

import time
from pathlib import Path

from bench.stage import now, staged, until

PER_MINUTE = 2500


def first_call(folder: Path) -> float:
    """Seconds from starting broker, worker, web and beat again (the exec of the first) to the first answered request."""
    with staged(folder, per_minute=PER_MINUTE) as stage:
        stage.fill(due_in=86_400, jobs=True)
        began = now()
        stage.stack.start_portal()
        until(lambda: stage.served(since=began, until=now()) > 100, seconds=60)
        stage.kill("web", "worker", "beat", "broker")
        time.sleep(2)  # what was under way on the helpdesk has been answered by then
        started = now()
        stage.stack.start_broker()
        stage.stack.start_worker()
        stage.stack.start_web()
        stage.stack.start_beat()
        until(lambda: stage.first_request(since=started) is not None, seconds=60, every=0.05)
        first = stage.first_request(since=started)
        assert first is not None
        return (first - started).total_seconds()
