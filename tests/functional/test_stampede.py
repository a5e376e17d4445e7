"""Two hundred clients when a refresh is due: one refresh, one token for all, at most one 503 tried again."""

import pytest

from tests import stampede
from tests.story import Actor

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("stack")]


def test_one_refresh_serves_two_hundred_clients(stack):
    portal = stack.address("portal")
    lena, june = Actor(portal, "lena").sign_in(), Actor(portal, "june").sign_in()
    asked = lena.ask("stampede", "production/read-tickets", days=30)
    june.approve(asked)
    credential = lena.credential_of(asked)
    key = lena.connect(credential).take_key(credential)
    stampede.wait_until_due(key)
    outcome = stampede.run(stack, key, june)
    assert outcome.refused == []
    assert len(outcome.tokens) == 200
    assert len(set(outcome.tokens)) == 1
    assert outcome.refreshes == 1
    assert outcome.most_tries <= 2
    assert len(outcome.page_seconds) >= 2, "no page was read during the stall"
