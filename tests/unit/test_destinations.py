"""Destinations as the environment has them: every wrong value is a sentence that shows neither address nor secret."""

import base64
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from portal.env import env_slugs, env_webhook
from tests.stack import ROOT
from tokens.destinations import KINDS, fault_of_address

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
HIDDEN = "T000-hidden-B000"
URL = f"https://hooks.example.test/{HIDDEN}"


def read(monkeypatch, *, may_be_local=False, **said):
    for name, value in {"URL": URL, "SECRET": SECRET, **said}.items():
        monkeypatch.setenv(f"WEBHOOK_OPS_TEAM_{name}", value)
    return env_webhook("ops-team", may_be_local=may_be_local)


def test_a_destination_is_signed_and_hears_everything_unless_it_says_otherwise(monkeypatch):
    found = read(monkeypatch)
    assert (found.shape, found.url, found.secrets) == ("signed", URL, (b"k" * 32,))
    assert found.kinds == frozenset(KINDS)
    found = read(monkeypatch, SHAPE="slack", SECRET="", EVENTS="request.waits, access.lost")
    assert (found.shape, found.missing) == ("slack", "")
    assert found.kinds == {"request.waits", "access.lost"}


def test_what_is_a_key_is_never_shown(monkeypatch):
    shown = repr(read(monkeypatch))
    assert HIDDEN not in shown
    assert "kkkk" not in shown


def test_two_secrets_are_kept_in_their_order(monkeypatch):
    newer = "whsec_" + base64.b64encode(b"n" * 24).decode()
    assert read(monkeypatch, SECRET=f"{newer}, {SECRET}").secrets == (b"n" * 24, b"k" * 32)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"URL": ""}, "WEBHOOK_OPS_TEAM_URL is not set"),
        ({"URL": f"http://hooks.example.test/{HIDDEN}"}, "_URL is no https address"),
        ({"URL": f"http://127.0.0.1/{HIDDEN}"}, "_URL is plain http"),
        ({"URL": f"ftp://{HIDDEN}"}, "_URL is no https address"),
        ({"URL": f"https://[{HIDDEN}/"}, "_URL is no address"),
        ({"URL": f"https://host:{HIDDEN}/"}, "_URL is no address"),
        ({"URL": "https:///path"}, "_URL is no https address"),
        ({"SHAPE": "discord"}, "_SHAPE is 'discord'; it is one of: signed, slack, teams"),
        ({"SECRET": HIDDEN}, "_SECRET holds a secret that is not whsec_"),
        ({"SECRET": f"whsec_{HIDDEN}"}, "_SECRET holds a secret that is not whsec_"),
        ({"SECRET": "whsec_aaaa"}, "_SECRET holds a secret that is not whsec_"),
        ({"SECRET": f"{SECRET},{HIDDEN}"}, "_SECRET holds a secret that is not whsec_"),
        ({"EVENTS": "request.waits,coffee.ready"}, "_EVENTS is 'request.waits,coffee.ready'"),
        ({"EVENTS": ","}, "write some of: request.waits"),
    ],
)
def test_a_wrong_value_is_a_sentence_with_no_secret_in_it(monkeypatch, changes, sentence):
    with pytest.raises(ImproperlyConfigured) as caught:
        read(monkeypatch, **changes)
    assert sentence in str(caught.value)
    assert HIDDEN not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "[::1]:8080"])
def test_plain_http_is_for_this_machine_where_that_is_allowed(host):
    assert fault_of_address(f"http://{host}/x", may_be_local=True) == ""
    assert "plain http" in fault_of_address(f"http://{host}/x", may_be_local=False)
    assert fault_of_address("http://127.0.0.1.evil.test/", may_be_local=True)


@pytest.mark.parametrize("names", ["Ops", "ops team", "ops,ops", "../ops", "o" * 41])
def test_names_are_short_and_each_stands_once(monkeypatch, names):
    monkeypatch.setenv("WEBHOOKS", names)
    with pytest.raises(ImproperlyConfigured, match="WEBHOOKS names"):
        env_slugs("WEBHOOKS")


def test_a_name_that_stands_twice_is_named(monkeypatch):
    monkeypatch.setenv("WEBHOOKS", "chat,ops,ops")
    with pytest.raises(ImproperlyConfigured, match="WEBHOOKS names 'ops' more than once"):
        env_slugs("WEBHOOKS")


@pytest.mark.processes
def test_manage_py_check_says_it_in_one_sentence():
    import os

    wrong = {"WEBHOOKS": "ops", "WEBHOOK_OPS_URL": URL, "WEBHOOK_OPS_SECRET": HIDDEN}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT, env={**os.environ, **wrong}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.startswith("WEBHOOK_OPS_SECRET holds a secret that is not whsec_")
    assert "Traceback" not in done.stderr
    assert HIDDEN not in done.stdout + done.stderr
