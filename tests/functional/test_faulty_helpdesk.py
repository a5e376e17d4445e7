"""Connecting to a helpdesk that misbehaves, over real HTTP: a sentence, no 500, and nothing of it left behind."""

import pytest

from demo.helpdesk.remote import Remote
from demo.stack import Stack
from tests.stack import manage, running
from tests.story import Actor, until

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("faulty")]
KINDS = {
    "other_user": "Somebody else was signed in",
    "wider_scopes": "other permissions than were approved",
    "narrower_scopes": "other permissions than were approved",
    "no_expiry": "without an end",
    "later_expiry": "lives longer than was asked for",
    "html_after": "did not say whether it worked",
    "empty_after": "did not say whether it worked",
    "500_before": "did not say whether it worked",
    "drop_after": "did not say whether it worked",
}


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory):
    with running(tmp_path_factory.mktemp("faulty")) as started:
        yield started


def test_every_fault_at_the_exchange_is_a_sentence_and_leaves_nothing(own_stack: Stack) -> None:
    """One credential a fault; all of them settle side by side."""
    helpdesk = Remote(own_stack.address("production helpdesk"))
    noor = Actor(own_stack.address("portal"), "noor").sign_in()
    held = {}
    for kind in KINDS:
        asked = noor.ask(f"fault-{kind.replace('_', '-')}", "production/read-tickets", days=7)
        held[kind] = noor.credential_of(asked)
    for kind, credential in held.items():
        helpdesk.order_faults(
            {
                "method": "POST", "path": "/oauth/tokens", "kind": kind, "times": 1, "seconds": 7200,
                "grant_type": "authorization_code",
            }
        )  # fmt: skip
        noor.open(f"/credentials/{credential}").press("Connect")
        if any(noor.person.name in text for form in noor.page.forms for text, _, _ in form.buttons):
            noor.press(noor.person.name)
        noor.press("Allow")
        assert noor.answer.status_code == 200
        until(lambda: helpdesk.faults_left() == 0)
    for kind, credential in held.items():
        until(lambda c=credential, k=kind: is_told(noor, c, KINDS[k]), seconds=60)
    until(lambda: not alive(helpdesk), seconds=90)
    done = manage(dict(own_stack.environment), "verify")
    assert done.returncode == 0, done.stdout + done.stderr


def is_told(noor: Actor, credential: int, sentence: str) -> bool:
    """Whether its page says what happened and offers to connect once more; an unknown answer takes its time."""
    text = noor.open(f"/credentials/{credential}").text
    return sentence in text and "Connect on Acme production" in text


def alive(helpdesk: Remote) -> list[int]:
    """Tokens of the agents' client of which the access half still works."""
    return [
        token["id"] for token in helpdesk.tokens()
        if token["client"] == "keydesk" and not token["is_removed"] and token["access"] == "live"
    ]  # fmt: skip


def test_a_person_who_says_no_changes_nothing(own_stack: Stack) -> None:
    lena = Actor(own_stack.address("portal"), "lena").sign_in()
    credential = lena.credential_of(lena.ask("says-no", "production/read-tickets", days=7))
    lena.connect(credential, allow=False)
    assert "You chose not to allow it" in lena.text
    lena.connect(credential)
    assert "It works." in lena.text
