"""Many clients when a refresh is due: one refresh, one token for all, at most one 503 tried again, and pages for all
others."""

import pytest

from tests import stampede
from tests.stack import running

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("stack")]

LONGER = {"ACCESS_TOKEN_MOST_SECONDS": "60", "CALL_DEADLINE_SECONDS": "10", "CLAIM_SECONDS": "20"}


FEW_THREADS = {**LONGER, "WEB_THREADS": "8"}


def test_one_refresh_serves_two_hundred_clients(tmp_path):
    """A token is served for 45 s: on a slow machine two hundred clients take longer than the usual 18."""
    with running(tmp_path, **LONGER) as stack:
        outcome = stampede.run(stack, *stampede.due_key(stack, "lena", "june"))
    assert outcome.refused == []
    assert len(outcome.tokens) == 200
    assert len(set(outcome.tokens)) == 1
    assert outcome.refreshes == 1
    assert outcome.most_tries <= 2


def test_pages_are_served_while_as_many_clients_wait_as_may(tmp_path):
    with running(tmp_path, **FEW_THREADS) as stack:
        outcome = stampede.run(
            stack, *stampede.due_key(stack, "lena", "june"), clients=40, stall=8.0
        )
    assert len(set(outcome.tokens)) == 1, outcome
    assert outcome.refused == []
    assert outcome.pages_before >= 1, outcome.page_seconds
