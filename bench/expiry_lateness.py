"""How late the last of ten thousand leases that end in one second is dead on the helpdesk, against arithmetic.

The bound: the requests that the ends need, each once, divided by the limit the helpdesk announces. The access
halves outlive the run, which is the case with the fewest requests, so the one in which our own work counts most.
"""

import os
import time
from datetime import datetime
from pathlib import Path

from bench.stage import ROWS, Stage, moment, now, staged, text, until

PER_MINUTE = int(os.environ.get("BENCH_PER_MINUTE", "2500"))
"""As many as the largest accounts have."""
EACH = 3
"""Requests one end needs: show (does the access half live?), delete, show (is it gone?)."""
TOGETHER = 1
"""Requests all ends need once: our own access."""
WORKERS = 2
"""Processes: one has one core to itself at most."""
_START_UP = 90.0
_DIED = """select count(*), max(at) from demo_helpdesk_event
  where kind = 'token.deleted' and at > ? and token_id <= ?"""


def lateness(folder: Path) -> float:
    """Time from the common end until the last token died, divided by the bound.

    Raises `AssertionError` when one is still alive, or not confirmed gone, after three times the bound.
    """
    with staged(folder, per_minute=PER_MINUTE) as stage:
        due_at = stage.fill(due_in=_START_UP, jobs=False)
        stage.stack.start_portal()
        for _ in range(WORKERS - 1):
            stage.stack.start_worker()
        assert now() < due_at, "The portal did not start before the leases ended."
        bound = (EACH * ROWS + TOGETHER) * stage.slot
        time.sleep((due_at - now()).total_seconds())
        until(lambda: _dead(stage, due_at)[0] == ROWS, seconds=60 + 3 * bound, every=1)
        died_at = moment(_dead(stage, due_at)[1])
        sent = stage.served(since=due_at, until=died_at)
        refused = stage.served(since=due_at, until=died_at, status=429)
        until(lambda: _unconfirmed(stage) == 0, seconds=60 + 2 * bound, every=1)
        confirmed_at = moment(stage.portal("select max(ended_at) from tokens_credential")[0][0])
    taken, confirmed = ((at - due_at).total_seconds() for at in (died_at, confirmed_at))
    print(
        f"  {ROWS} ends in {taken:.1f} s, all confirmed after {confirmed:.1f} s; the bound is "
        f"{bound:.1f} s at {PER_MINUTE} a minute; {EACH * ROWS + TOGETHER} requests needed, {sent} "
        f"sent, {refused} refused",
        flush=True,
    )
    return taken / bound


def _dead(stage: Stage, since: datetime) -> tuple[int, str]:
    """How many of the tokens the helpdesk's log calls dead, and when the last died."""
    found: tuple[int, str] = stage.helpdesk(_DIED, text(since), ROWS)[0]
    return found


def _unconfirmed(stage: Stage) -> int:
    found = stage.portal("select count(*) from tokens_credential where state <> 'revoked'")
    left: int = found[0][0]
    return left
