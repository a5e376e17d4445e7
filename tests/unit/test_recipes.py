"""The recipes beside a key: they are right in themselves, hold no secret, and the chosen one stands first."""

import ast
import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tokens.models.requests import RunsWhere
from tokens.presenters.recipes import CHOSEN, SECRET, Facts, recipes

FACTS = Facts(
    "https://keydesk.acme.test/oauth/token", "kd_production_ABCDEFGHJK", "https://acme.zendesk.com"
)
VALUE = "kds_0123456789abcdefghijABCDEFGHIJ01234567"


@pytest.mark.parametrize("where", RunsWhere.values)
def test_every_place_has_a_recipe_and_it_stands_first(where):
    made = recipes(FACTS, runs_where=where)
    assert made[0].key == CHOSEN[where]
    keys = [recipe.key for recipe in made]
    assert sorted(keys) == sorted(set(keys))
    assert set(CHOSEN.values()) <= set(keys)


def test_a_place_nobody_knows_gets_python_first():
    assert recipes(FACTS, runs_where="moon")[0].key == "python"


@pytest.mark.parametrize(
    "recipe", recipes(FACTS, runs_where="server"), ids=lambda recipe: recipe.key
)
def test_a_recipe_names_what_to_call_and_holds_no_secret(recipe):
    words = f"{recipe.text} {recipe.code} {recipe.note}"
    assert FACTS.helpdesk_url in words or "acme" in words
    assert "kds_" not in words
    if recipe.key != "by_hand":
        assert FACTS.token_address in words
        assert FACTS.client_id in words
        assert "secret" in words.lower()


def code_of(key: str, facts: Facts = FACTS) -> str:
    return next(recipe.code for recipe in recipes(facts, runs_where="server") if recipe.key == key)


def test_python_is_python_and_knows_the_subdomain():
    ast.parse(code_of("python"))
    assert 'subdomain="acme"' in code_of("python")
    assert "FORCE" not in code_of("python")


def test_python_reaches_a_helpdesk_that_is_not_at_zendesk_com():
    code = code_of("python", Facts("http://127.0.0.1:1/oauth/token", "kd", "http://127.0.0.1:8002"))
    ast.parse(code)
    assert 'os.environ["ZENPY_FORCE_NETLOC"] = "127.0.0.1:8002"' in code
    assert 'os.environ["ZENPY_FORCE_SCHEME"] = "http"' in code


class Server:
    """A token address and a helpdesk in one; tokens live one second for the client, `calls` says what came."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.tokens = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length).decode()
                server.calls.append(f"POST {body} {self.headers['Authorization']}")
                server.tokens += 1
                self.answer({"access_token": f"token-{server.tokens}", "token_type": "bearer",
                             "expires_in": 1, "scope": "tickets:read"})  # fmt: skip

            def do_GET(self) -> None:
                server.calls.append(f"GET {self.path} {self.headers['Authorization']}")
                ticket = {"id": 7, "subject": "Printer on fire", "url": "http://x/7.json"}
                self.answer({"tickets": [ticket], "next_page": None, "count": 1})

            def answer(self, content: object) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def facts(self) -> Facts:
        return Facts(f"{self.url}/oauth/token", FACTS.client_id, self.url)


@pytest.fixture
def server():
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_the_python_recipe_fetches_again_whenever_a_token_runs_out(server, monkeypatch, capsys):
    for name in ("ZENPY_FORCE_NETLOC", "ZENPY_FORCE_SCHEME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv(SECRET, VALUE)
    names: dict[str, object] = {}
    exec(code_of("python", server.facts), names)
    assert "7 Printer on fire" in capsys.readouterr().out
    before = server.tokens
    assert [ticket.id for ticket in names["zendesk"].tickets()] == [7]  # type: ignore[attr-defined]
    assert server.tokens == before + 1
    assert server.calls[-1].endswith(f"Bearer token-{server.tokens}")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_recipe_runs_and_keeps_the_secret_out_of_the_arguments(server):
    script = code_of("curl", server.facts)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env={**os.environ, SECRET: VALUE},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Printer on fire" in done.stdout
    assert server.calls[0].startswith("POST grant_type=client_credentials Basic ")
    assert server.calls[1].endswith("Bearer token-1")
