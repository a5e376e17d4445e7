"""A worker killed while its call is out, and a helpdesk that does it all the same once nobody listens.

Real processes. That a worker dies before a call, after it or at a commit, and what the helpdesk made at once, is in
`test_faults_anywhere.py` and in the storm.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resilience.handling import Handling
from tests.stack import running
from tests.story import Actor, until

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("resilience")]
LIVES = "240"
"""Seconds of an access half: it lives when it is found and deleted, and only then its refresh half ends with it."""
LATE = 6.0
"""Seconds after which it is done: within the minimum age; half of them are left to kill who waits for the answer."""
EXCHANGE = {"method": "POST", "path": "/oauth/tokens", "grant_type": "authorization_code"}
RESTS_WITHIN = 90.0
"""Seconds for a minimum age, two lists as far apart, and a revocation."""


@pytest.fixture
def handling(tmp_path: Path) -> Iterator[Handling]:
    with running(tmp_path, ACCESS_TOKEN_MOST_SECONDS=LIVES) as stack:
        made = Handling(stack)
        yield made
        made.commands.end()


def living(handling: Handling, person: int) -> list[int]:
    """The tokens of Keydesk's client that are this person's and of which one half works."""
    return [
        token["id"]
        for token in handling.helpdesk.tokens(alive=True)
        if token["client"] == "keydesk" and token["user_id"] == person
    ]


def kill_while_it_is_out(handling: Handling, credential: int) -> None:
    """The helpdesk has the exchange in hand, the worker waits for its answer, and dies."""
    until(lambda: handling.helpdesk.faults_left() == 0)
    handling.kill("worker")
    state = handling.rows.one("SELECT state FROM tokens_grant WHERE credential_id = ?", credential)
    assert state == ("sent",), "The worker had heard something before it was killed."
    handling.start("worker")


def made_late(handling: Handling, after: int) -> int:
    """The token that the helpdesk made once who asked for it was gone."""
    issued = [
        event
        for event in handling.helpdesk.events(after=after)
        if event["kind"] == "token.issued" and event["detail"]["fault"] == "late_commit"
    ]
    assert [event["detail"]["late"] for event in issued] == [True]
    made: int = issued[0]["token_id"]
    return made


def served_from(handling: Handling, token_id: int) -> int:
    """How often it was handed out, or used on the helpdesk by anybody."""
    pairs = "SELECT id FROM tokens_grant WHERE remote_id = ?"
    fetched = f"SELECT count(*) FROM tokens_fetch WHERE grant_id IN ({pairs})"
    uses = [
        event
        for event in handling.helpdesk.events()
        if event["kind"] == "request.served"
        and event["token_id"] == token_id
        and event["detail"]["path"] != EXCHANGE["path"]
    ]
    return handling.rows.count(fetched, token_id) + len(uses)


def test_what_a_killed_workers_exchange_makes_late_is_ended_and_never_served(
    handling: Handling,
) -> None:
    actor = Actor(handling.portal, "piotr").sign_in()
    credential = actor.credential_of(actor.ask("cut-off", "production/read-tickets", days=7))
    person = actor.person.helpdesk_id or 0
    last = max((event["id"] for event in handling.helpdesk.events()), default=0)
    handling.helpdesk.order_faults({**EXCHANGE, "kind": "late_commit", "seconds": LATE, "times": 1})
    actor.consent(credential)
    kill_while_it_is_out(handling, credential)
    assert living(handling, person) == []
    until(lambda: living(handling, person) != [])
    made = made_late(handling, last)
    until(lambda: not actor.is_connecting(credential), seconds=RESTS_WITHIN)
    assert "did not say whether it worked" in actor.text
    until(lambda: living(handling, person) == [], seconds=RESTS_WITHIN)
    assert served_from(handling, made) == 0
    actor.connect(credential)
    until(lambda: handling.commands.run("verify")[0] == 0)
    assert actor.take_key(credential).fetch().status_code == 200
    (kept,) = living(handling, person)
    owner = "SELECT credential_id FROM tokens_grant WHERE remote_id = ? AND state = 'live'"
    assert (kept != made, handling.rows.one(owner, kept)) == (True, (credential,))
