"""How long a page takes while two hundred clients wait for one refresh and the helpdesk stalls."""

from pathlib import Path

from tests import stampede
from tests.stack import running


def slowest_queue(folder: Path) -> float:
    """Seconds of the slowest `/queue` during the stall. Raises `AssertionError` if a client got nothing."""
    with running(folder) as stack:
        outcome = stampede.run(stack, *stampede.due_key(stack, "ada", "ben"), stall=3.0)
    assert len(set(outcome.tokens)) == 1, outcome
    assert not outcome.refused, outcome
    return max(outcome.page_seconds)
