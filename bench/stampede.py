"""How long a page takes while two hundred clients wait for one refresh and the helpdesk stalls."""

from pathlib import Path

from tests import stampede
from tests.stack import running
from tests.story import Actor


def slowest_queue(folder: Path) -> float:
    """Seconds of the slowest `/queue` during the stall. Raises `AssertionError` if a client got nothing."""
    with running(folder) as stack:
        portal = stack.address("portal")
        ada, ben = Actor(portal, "ada").sign_in(), Actor(portal, "ben").sign_in()
        asked = ada.ask("stampede", "production/read-tickets", days=30)
        ben.approve(asked)
        credential = ada.credential_of(asked)
        key = ada.connect(credential).take_key(credential)
        stampede.wait_until_due(key)
        outcome = stampede.run(stack, key, ben, stall=3.0)
    assert len(set(outcome.tokens)) == 1, outcome
    assert not outcome.refused, outcome
    return max(outcome.page_seconds)
