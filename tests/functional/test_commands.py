"""The operator's read-only checks against the real demo processes, and what unfit processes say."""

import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
import requests

from tests.stack import ROOT, manage
from tests.story import until
from tokens.connectors.base import RemoteUser
from tokens.management.commands import check_helpdesk

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("stack")]


def without(stack, *names: str) -> dict[str, str]:
    return {name: value for name, value in stack.environment.items() if name not in names}


@pytest.mark.parametrize("command", ["check_helpdesk", "check_sign_in"])
def test_a_complete_setup_is_said_to_be_one(stack, command):
    done = manage(dict(stack.environment), command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MISS" not in done.stdout


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HELPDESK_SANDBOX_CLIENT_SECRET", "wrong", "MISS  the agents' client secret is right"),
        (
            "HELPDESK_SANDBOX_SERVICE_CLIENT_SECRET",
            "wrong",
            "MISS  the service client gives Keydesk",
        ),
        ("HELPDESK_SANDBOX_CLIENT_ID", "nobody", "MISS  the agents' client is there"),
    ],
)
def test_what_is_missing_on_the_helpdesk_is_named(stack, name, value, said):
    done = manage({**stack.environment, name: value}, "check_helpdesk", "sandbox")
    assert done.returncode == 1
    assert said in done.stdout


@pytest.mark.parametrize(
    "name",
    ["WORKER_SEALING_KEYS", "SEALING_KEYS", "HELPDESK_PRODUCTION_CLIENT_SECRET", "REDIS_URL"],
)
def test_an_unfit_worker_does_not_start_and_names_what_it_lacks(stack, name):
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "portal", "worker", "--pool", "threads"],
        cwd=ROOT, env=without(stack, name), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert name in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DJANGO_SECRET_KEY", ""), ("DJANGO_SECRET_KEY", "short"), ("SEALING_KEYS", "abc"),
        ("HELPDESKS", "Prod!"), ("HELPDESKS", "moon"), ("PORTAL_URL", "ftp://x"), ("PORT", "many"),
        ("DATABASE_URL", "nonsense"), ("REDIS_URL", "nonsense"), ("EMAIL_URL", "nonsense"),
        ("LOG_LEVEL", "LOUD"), ("CLAIM_SECONDS", "-5"), ("OIDC_CLIENT_SECRET_FILE", "/nowhere"),
    ],
)  # fmt: skip
def test_a_senseless_value_is_one_sentence_with_its_name(stack, name, value):
    done = manage({**stack.environment, name: value}, "check")
    assert done.returncode != 0
    said = done.stderr.strip()
    assert said.count("\n") == 0, said
    assert name.removesuffix("_FILE") in said or f"HELPDESK_{value.upper()}" in said
    assert value not in said or name != "SEALING_KEYS"


@pytest.mark.parametrize(
    ("role", "active", "suspended", "said"),
    [
        ("admin", True, False, ""),
        ("admin", True, True, "It acts as Keydesk, who is admin and suspended."),
        ("admin", False, False, "It acts as Keydesk, who is admin and switched off."),
        ("agent", True, False, "It acts as Keydesk, who is agent."),
    ],
)
def test_an_administrator_who_may_not_act_is_found_out(role, active, suspended, said):
    user = RemoteUser(900, "Keydesk", "", "", role, None, None, active, suspended)
    connector = SimpleNamespace(whoami=lambda *, access_token: user)
    assert user.is_acting_admin == (said == "")
    assert check_helpdesk._admin(connector, {"token": "x"}) == said


def test_what_the_databases_address_asks_for_is_kept(stack):
    """Dropped without a word, `sslmode` would send everything in the clear."""
    address = "postgres://keydesk@db/keydesk?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    said = "from django.conf import settings; print(settings.DATABASES['default']['OPTIONS'])"
    done = manage({**stack.environment, "DATABASE_URL": address}, "shell", "-v0", "-c", said)
    assert "'sslmode': 'verify-full'" in done.stdout, done.stderr
    assert "'sslrootcert': '/etc/ca.pem'" in done.stdout
    assert "'pool'" in done.stdout


def test_pages_carry_a_strict_policy(stack):
    answer = requests.get(f"{stack.address('portal')}/accounts/login/", timeout=10)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_portal_says_how_it_is(stack):
    assert requests.get(f"{stack.address('portal')}/healthz", timeout=10).status_code == 200
    ready = requests.get(f"{stack.address('portal')}/readyz", timeout=10)
    assert ready.status_code == 200, ready.text


def test_the_seeded_environment_of_the_web_holds_no_secret_of_workers(stack):
    """What the web process was started with, as the kernel knows it."""
    import pathlib

    web = next(child for name, child in stack.supervisor.children if name == "web")
    words = pathlib.Path(f"/proc/{web.pid}/environ").read_bytes().decode().split("\0")
    names = {word.split("=", 1)[0] for word in words}
    assert "WORKER_SEALING_KEYS" not in names
    assert not [n for n in names if n.startswith("HELPDESK_") and n.endswith("_CLIENT_SECRET")]
    assert "SEALING_KEYS" in names


def test_bodies_that_trickle_in_do_not_take_the_portal_down(stack):
    """More half-sent requests than there are threads; pages are back once they are given up."""
    base, held = int(stack.environment["PORT"]), []
    half = b"POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 200\r\n\r\ngrant_type"
    try:
        for _ in range(150):
            connection = socket.create_connection(("127.0.0.1", base), timeout=5)
            connection.sendall(half)
            held.append(connection)
        until(_answers(stack), seconds=25)
    finally:
        for connection in held:
            connection.close()


def _answers(stack):
    def asked() -> bool:
        try:
            return requests.get(f"{stack.address('portal')}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    return asked
