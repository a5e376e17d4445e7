"""`verify` names each planted violation, and finds nothing where there is none."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from demo.helpdesk.consent import consent
from demo.helpdesk.remote import Remote
from demo.people import BY_KEY
from tests.stack import manage
from tests.story import Actor, until
from tokens.connectors.zendesk.authorize import authorize_url

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("stack")]


def sandbox(stack) -> Remote:
    return Remote(stack.address("sandbox helpdesk"))


def verify(stack):
    return manage(dict(stack.environment), "verify")


@pytest.fixture(scope="module")
def token(stack):
    """A live token on the sandbox, which other stories leave alone."""
    portal = stack.address("portal")
    noor = Actor(portal, "noor").sign_in()
    credential = noor.credential_of(noor.ask("to-verify", "sandbox/read-tickets", days=7))
    noor.connect(credential)
    live = [
        t for t in sandbox(stack).tokens() if t["client"] == "keydesk" and t["access"] == "live"
    ]
    return live[-1]


def test_nothing_is_found_where_nothing_is_wrong(stack, token):
    done = verify(stack)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("verify: 0 violations\n")


@pytest.mark.parametrize(
    ("change", "back", "line"),
    [
        ({"scopes": ["tickets:read", "write"]}, "scopes", "wider scopes: write"),
        ({"user_id": 360001004}, "user_id", "wrong user 360001004"),
        ({"expires_at": "2031-01-01T00:00:00+00:00"}, "expires_at", "it outlives its lease"),
        ({"expires_at": None}, "expires_at", "it has no end"),
    ],
)
def test_a_changed_token_is_named(stack, token, change, back, line):
    with nobody_at_work(stack):
        sandbox(stack).change_token(token["id"], **change)
        try:
            done = verify(stack)
        finally:
            sandbox(stack).change_token(token["id"], **{back: token[back]})
    assert done.returncode == 1, done.stdout
    assert f"token {token['id']} of kd_sandbox_" in done.stdout
    assert line in done.stdout


@contextmanager
def nobody_at_work(stack) -> Iterator[None]:
    """The sandbox's line rests: workers would find the change in their own list and end the token first."""
    change = (
        "from datetime import timedelta; from accounts import clock; from tokens.models import *;"
        "Helpdesk.objects.filter(slug='sandbox').update(stopped_at={})"
    )
    manage(dict(stack.environment), "shell", "-v0", "-c", change.format("clock.now()+timedelta(1)"))
    try:
        yield
    finally:
        manage(dict(stack.environment), "shell", "-v0", "-c", change.format("None"))


def plant(stack) -> int:
    """A consent given to Keydesk's client behind its back an hour ago: a token that no row names."""
    base, portal = stack.address("sandbox helpdesk"), stack.address("portal")
    verifier = "a-verifier-of-the-tests-that-is-long-enough-0123456789"
    redirect = f"{portal}/helpdesks/sandbox/callback"
    address = authorize_url(
        base_url=base, client_id="keydesk", redirect_uri=redirect, scopes={"tickets:read"},
        state="planted", code_challenge=challenge(verifier),
    )  # fmt: skip
    sandbox(stack).set_time(datetime.now(UTC) - timedelta(hours=1), runs=True)
    try:
        back = consent(address, person_id=BY_KEY["piotr"].helpdesk_id)
        code = parse_qs(urlsplit(back).query)["code"][0]
        swapped = requests.post(
            f"{base}/oauth/tokens",
            json={
                "grant_type": "authorization_code", "code": code, "code_verifier": verifier,
                "client_id": "keydesk", "redirect_uri": redirect,
                "client_secret": stack.environment["HELPDESK_SANDBOX_CLIENT_SECRET"],
                "refresh_token_expires_in": 700_000, "expires_in": 20, "scope": "tickets:read",
            },
            timeout=10,
        )  # fmt: skip
        swapped.raise_for_status()
    finally:
        sandbox(stack).set_time(None)
    return max(t["id"] for t in sandbox(stack).tokens())


def challenge(verifier: str) -> str:
    raw = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_an_unknown_token_is_named_and_then_ended_by_two_lists(stack, token):
    stray = plant(stack)
    done = verify(stack)
    assert done.returncode == 1
    assert f"unknown token {stray} of user {BY_KEY['piotr'].helpdesk_id}" in done.stdout
    until(lambda: verify(stack).returncode == 0, seconds=90)


def test_an_overdue_token_is_named(stack, token):
    """A token that lives on an hour after its lease has ended: named, whether the sweep has seen it yet or not."""
    live_on = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    mine = [t for t in sandbox(stack).tokens() if t["user_id"] == token["user_id"]]
    live = next(t for t in reversed(mine) if not t["is_removed"])
    sandbox(stack).change_token(live["id"], expires_at=live_on)
    script = (
        "from datetime import timedelta; from accounts import clock; from tokens.models import *;"
        "Credential.objects.filter(script_name='to-verify').update(lives_until=clock.now()-timedelta(hours=1));"
        "from django.core.management import call_command; call_command('verify')"
    )
    with nobody_at_work(stack):
        done = manage(dict(stack.environment), "shell", "-v0", "-c", script)
    assert f"token {live['id']}" in done.stdout
    assert "overdue" in done.stdout, done.stdout + done.stderr
    until(lambda: verify(stack).returncode == 0, seconds=60)


# --- Where nothing can be looked at ------------------------------------------------------------------


@pytest.mark.parametrize("command", ["verify", "reconcile"])
@pytest.mark.parametrize("database", ["empty", "not there"])
def test_a_database_that_is_not_ready_is_one_sentence(stack, tmp_path, command, database):
    """No migrations yet, and a place where none can be."""
    place = tmp_path / "empty.sqlite3" if database == "empty" else tmp_path / "no" / "such.sqlite3"
    environment = {**stack.environment, "DATABASE_URL": f"sqlite:///{place}"}
    done = manage(environment, command)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "The database is not ready (" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().count("\n") == 0, done.stderr


def test_a_database_server_that_is_away_is_one_sentence(stack):
    environment = {**stack.environment, "DATABASE_URL": "postgres://keydesk@127.0.0.1:9/keydesk"}
    done = manage(environment, "verify")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "The database is not ready (" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_helpdesk_that_refuses_our_own_access_is_a_sentence(stack):
    environment = {**stack.environment, "HELPDESK_SANDBOX_SERVICE_CLIENT_SECRET": "wrong"}
    done = manage(environment, "verify")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "sandbox: the list of tokens could not be had" in done.stderr
    assert "Traceback" not in done.stderr


def test_reconcile_takes_the_list_itself_and_agrees_with_verify(stack, token):
    done = manage(dict(stack.environment), "reconcile", "--helpdesk", "sandbox")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("sandbox: ")
    assert verify(stack).returncode == 0
