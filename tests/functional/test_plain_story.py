"""The main job over plain HTTP without JavaScript, on real processes: on SQLite, and on PostgreSQL where it is."""

import time
from collections.abc import Iterator

import pytest
import requests

from demo.stack import Stack
from tests.stack import manage, own_database, running
from tests.story import Actor, Key, until

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("stack")]


def ticket(stack: Stack, token: str) -> requests.Response:
    return requests.get(
        f"{stack.address('production helpdesk')}/api/v2/tickets/1.json",
        headers={"Authorization": f"Bearer {token}"}, timeout=10,
    )  # fmt: skip


def tell_the_story(stack: Stack) -> None:
    """Ask, be approved, connect, take the key, use it across an expiry, end it: the token is gone."""
    portal = stack.address("portal")
    ada, ben = Actor(portal, "ada").sign_in(), Actor(portal, "ben").sign_in()
    asked = ada.ask("plain-story", "production/read-tickets", days=30)
    assert "Ben Achterberg" in ada.text
    ben.open("/queue")
    assert "plain-story" in ben.text
    mail = f"{stack.address('identity provider')}/mail/"
    until(lambda: "Ada Lindqvist asks for Read tickets" in requests.get(mail, timeout=10).text)
    ben.approve(asked)
    credential = ada.credential_of(asked)
    ada.connect(credential)
    assert "active" in ada.text.lower(), ada.text[:800]
    key = ada.take_key(credential)
    assert key.client_secret not in ada.open(f"/credentials/{credential}").answer.text

    first = _use(stack, key)
    second = _across_an_expiry(stack, key, first)
    ada.open(f"/credentials/{credential}/revoke").press("End this access")
    until(lambda: "</span>ended</span>" in ada.open(f"/credentials/{credential}").answer.text)
    assert ticket(stack, second).status_code == 401
    refused = key.fetch()
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert_nowhere(stack, {"secret": key.client_secret, "first": first, "second": second})
    done = manage(dict(stack.environment), "verify")
    assert done.returncode == 0, done.stdout + done.stderr


def assert_nowhere(stack: Stack, secrets: dict[str, str]) -> None:
    """No log, no message kept by the broker and no row of the database holds a secret in the clear."""
    places = [
        *stack.supervisor.logs.glob("*.log"),
        *stack.folder.glob("broker/**/*"),
        *stack.folder.glob("*.sqlite3*"),
    ]
    assert len(places) >= 8
    for place in places:
        if place.is_file():
            held = place.read_bytes()
            found = [name for name, text in secrets.items() if text.encode() in held]
            assert not found, f"{place.name} holds the {found}"


def _use(stack: Stack, key: Key) -> str:
    answer = key.fetch()
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["token_type"] == "bearer"
    assert 0 < body["expires_in"] <= 18
    read = ticket(stack, body["access_token"])
    assert read.status_code == 200, read.text
    return str(body["access_token"])


def _across_an_expiry(stack: Stack, key: Key, first: str) -> str:
    """The same client goes on; the token behind it is another one, and the first is dead."""
    time.sleep(key.fetch().json()["expires_in"] + 6)
    second = _use(stack, key)
    assert second != first
    assert ticket(stack, first).status_code == 401
    return second


def test_the_main_job_on_sqlite(stack):
    tell_the_story(stack)


@pytest.fixture
def stack_on_postgres(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with (
        own_database() as database,
        running(tmp_path_factory.mktemp("postgres"), **database) as started,
    ):
        yield started


@pytest.mark.postgres
def test_the_main_job_on_postgresql(stack_on_postgres):
    tell_the_story(stack_on_postgres)
