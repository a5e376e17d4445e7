"""The Zendesk connector against the demo helpdesk as a process of its own: both must mean the same by the facts."""

import base64
import hashlib
import secrets
import socket
import subprocess
import time
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from demo.helpdesk.process import command, environment
from demo.people import BY_KEY, INTEGRATION_USER
from tests.plain_browser import PlainBrowser
from tests.unit.connector_server import OpenGate
from tokens.connectors.base import Broken, Connector, GiveUp, HelpdeskConfig, Retry, Unknown
from tokens.connectors.registry import authorize_url_for, connector_for

pytestmark = pytest.mark.processes

CALLBACK = "http://127.0.0.1:9/helpdesks/production/callback"
SCOPES = frozenset({"tickets:read", "users:read"})
WEEK = 604_800


@dataclass
class Desk:
    """The running helpdesk and a connector to it."""

    config: HelpdeskConfig
    gate: OpenGate = field(default_factory=OpenGate)

    @property
    def connector(self) -> Connector:
        return connector_for(self.config, self.gate)

    def control(self, path, body=None):
        """Order something over the control, or read it."""
        url, headers = f"{self.config.url}/control/{path}", {"X-Demo-Control": "1"}
        if body is None:
            answer = requests.get(url, headers=headers, timeout=10)
        else:
            answer = requests.post(url, headers=headers, json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def fault(self, kind, path="/oauth/tokens", **more):
        self.control("faults", [{"method": "*", "path": path, "kind": kind, **more}])

    def row(self, token_id):
        """What the helpdesk itself knows of a token."""
        return next(row for row in self.control("tokens")["tokens"] if row["id"] == token_id)

    def consent(self, key="ada", scopes=SCOPES):
        """A person allows it in a browser: the code and the verifier that belongs to it."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        url = authorize_url_for(
            self.config, redirect_uri=CALLBACK, scopes=scopes, state="a state",
            code_challenge=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        )  # fmt: skip
        browser = PlainBrowser("http://127.0.0.1:9")
        browser.open(url)
        browser.press(BY_KEY[key].name)
        browser.session.max_redirects = 0
        try:
            browser.press("Allow")
        except requests.TooManyRedirects as stopped:
            back = parse_qs(urlsplit(stopped.response.headers["Location"]).query)
        assert back["state"] == ["a state"]
        return {"code": back["code"][0], "code_verifier": verifier}

    def exchange(self, consent=None, scopes=SCOPES, **changes):
        terms = {"redirect_uri": CALLBACK, "expires_in": 3600, "refresh_expires_in": WEEK}
        given = consent or self.consent(scopes=scopes)
        return self.connector.exchange(**{**terms, **given, "scopes": scopes, **changes})

    def refresh(self, pair, **changes):
        terms = {"scopes": SCOPES, "expires_in": 900, "refresh_expires_in": WEEK}
        return self.connector.refresh(refresh_token=pair.refresh_token, **{**terms, **changes})

    def service(self):
        return self.connector.mint_service_token(expires_in=3600).access_token


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = HelpdeskConfig(
        slug="production", name="Acme production", kind="zendesk", url=f"http://127.0.0.1:{port}",
        client_id="keydesk", client_secret=secrets.token_hex(), service_client_id="keydesk-service",
        service_client_secret=secrets.token_hex(), requests_per_minute=100_000,
    )  # fmt: skip
    told = environment(
        tmp_path_factory.mktemp("helpdesk"), name=config.name, redirect_uri=CALLBACK,
        client_id=config.client_id, client_secret=config.client_secret,
        service_client_id=config.service_client_id,
        service_client_secret=config.service_client_secret,
        requests_per_minute=config.requests_per_minute,
    )  # fmt: skip
    process = subprocess.Popen(command(port), env=told)
    try:
        _wait(config.url, process)
        yield config
    finally:
        process.terminate()
        process.wait(20)


def _wait(url, process):
    end = time.monotonic() + 40
    while time.monotonic() < end and process.poll() is None:
        try:
            return requests.get(url, timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("The demo helpdesk did not start.")


@pytest.fixture
def desk(running):
    found = Desk(running)
    yield found
    found.control("faults", [])


def test_a_consent_becomes_a_pair_that_says_whose_it_is(desk):
    pair = desk.exchange()
    assert (pair.scopes, pair.expires_in) == (SCOPES, 3600)
    record = desk.connector.current(access_token=pair.access_token)
    assert record.user_id == BY_KEY["ada"].helpdesk_id
    assert record.scopes == SCOPES
    assert record.client_id == desk.connector.client_number(access_token=desk.service())
    assert record.expires_at - record.created_at == timedelta(seconds=3600)
    assert record.refresh_expires_at - record.created_at == timedelta(seconds=WEEK)
    assert desk.connector.whoami(access_token=pair.access_token).external_id == "ada"


def test_a_code_works_once_and_only_with_its_verifier(desk):
    consent = desk.consent()
    with pytest.raises(GiveUp) as caught:
        desk.exchange({**consent, "code_verifier": "x" * 43})
    assert caught.value.code == "invalid_grant"
    desk.exchange(consent)
    with pytest.raises(GiveUp) as caught:
        desk.exchange(consent)
    assert caught.value.code == "invalid_grant"
    assert consent["code"] not in f"{caught.value!r}"


def test_a_refresh_kills_the_old_pair_at_once(desk):
    old = desk.exchange()
    new = desk.refresh(old)
    assert new.expires_in == 900
    with pytest.raises(GiveUp) as caught:
        desk.connector.current(access_token=old.access_token)
    assert caught.value.code == "invalid_token"
    with pytest.raises(GiveUp) as caught:
        desk.refresh(old)
    assert caught.value.code == "invalid_grant"
    record = desk.connector.current(access_token=new.access_token)
    assert record.refresh_expires_at - record.created_at == timedelta(seconds=WEEK)


def test_scopes_beyond_the_grant_are_refused_by_name(desk):
    pair = desk.exchange()
    with pytest.raises(GiveUp) as caught:
        desk.refresh(pair, scopes=SCOPES | {"tickets:write"})
    assert caught.value.code == "invalid_scope"


def test_a_lifetime_out_of_bounds_is_given_up_in_a_sentence(desk):
    with pytest.raises(GiveUp, match="expires_in"):
        desk.exchange(expires_in=10)


def test_a_wrong_client_secret_is_our_own_access_broken(desk):
    pair = desk.exchange()
    desk.config = HelpdeskConfig(
        **{**vars(desk.config), "client_secret": "wrong", "service_client_secret": ""}
    )
    for call in (desk.exchange, lambda: desk.refresh(pair), desk.service):
        with pytest.raises(Broken, match="invalid_client"):
            call()
    desk.config = HelpdeskConfig(**{**vars(desk.config), "client_id": "nobody"})
    with pytest.raises(Broken):
        desk.refresh(pair)


def test_keydesks_own_access_is_an_administrator(desk):
    me = desk.connector.whoami(access_token=desk.service())
    assert me.is_acting_admin
    assert me.id == INTEGRATION_USER.helpdesk_id
    assert (me.active, me.suspended) == (True, False)


def test_show_and_delete_by_id(desk):
    pair, service = desk.exchange(), desk.service()
    record = desk.connector.current(access_token=pair.access_token)
    assert desk.connector.show(token_id=record.id, access_token=service).user_id == record.user_id
    desk.connector.delete(token_id=record.id, access_token=service)
    desk.connector.delete(token_id=record.id, access_token=service)
    assert desk.connector.show(token_id=record.id, access_token=service) is None
    row = desk.row(record.id)
    assert (row["access"], row["refresh"]) == ("dead", "dead")


def test_an_agents_token_may_not_end_anothers(desk):
    mine, other = desk.exchange(), desk.exchange(desk.consent("noor"))
    number = desk.connector.current(access_token=other.access_token).id
    with pytest.raises(GiveUp) as caught:
        desk.connector.delete(token_id=number, access_token=mine.access_token)
    assert caught.value.code == "forbidden"
    assert desk.row(number)["access"] == "live"


def test_the_list_has_every_living_token_of_the_client_and_no_other(desk):
    service = desk.service()
    number = desk.connector.client_number(access_token=service)
    made = {desk.connector.current(access_token=desk.exchange().access_token).id for _ in range(3)}
    records = desk.connector.tokens_of_client(client_number=number, access_token=service)
    assert made <= {record.id for record in records}
    assert {record.client_id for record in records} == {number}


def test_the_list_goes_over_several_pages(desk, monkeypatch):
    monkeypatch.setattr("tokens.connectors.zendesk.connector._PAGE", 2)
    service = desk.service()
    number = desk.connector.client_number(access_token=service)
    for _ in range(3):
        desk.exchange()
    before = desk.gate.entered
    records = desk.connector.tokens_of_client(client_number=number, access_token=service)
    assert desk.gate.entered - before == -(-len(records) // 2) > 1


def test_people_are_found_exactly(desk):
    service, ada = desk.service(), BY_KEY["ada"]
    by_id = desk.connector.user_by_external_id(external_id="ada", access_token=service)
    assert by_id.id == ada.helpdesk_id
    assert desk.connector.user_by_external_id(external_id="ad", access_token=service) is None
    for address in (ada.email, ada.email.upper()):
        by_email = desk.connector.users_by_email(email=address, access_token=service)
        assert [user.id for user in by_email] == [ada.helpdesk_id]
    assert desk.connector.users_by_email(email="da@acme.test", access_token=service) == []
    assert desk.connector.user(user_id=ada.helpdesk_id, access_token=service).name == ada.name
    assert desk.connector.user(user_id=1, access_token=service) is None
    lena = desk.connector.user_by_external_id(external_id="lena", access_token=service)
    assert (lena.role, lena.role_type) == ("agent", 1)


@pytest.mark.parametrize("kind", ["html", "empty", "500_before", "drop_before", "redirect"])
def test_what_nobody_can_read_is_unknown_and_nothing_was_done(desk, kind):
    pair = desk.exchange()
    desk.fault(kind, grant_type="refresh_token")
    with pytest.raises(Unknown):
        desk.refresh(pair)
    assert desk.refresh(pair).access_token


@pytest.mark.parametrize("kind", ["500_after", "drop_after", "html_after", "empty_after"])
def test_what_nobody_can_read_is_unknown_though_it_was_done(desk, kind):
    pair = desk.exchange()
    desk.fault(kind, grant_type="refresh_token")
    with pytest.raises(Unknown):
        desk.refresh(pair)
    with pytest.raises(GiveUp) as caught:
        desk.refresh(pair)
    assert caught.value.code == "invalid_grant"


def test_a_stall_ends_at_the_deadline_as_unknown(desk):
    desk.gate.deadline = 0.5
    desk.fault("stall", path="/api/v2/users/me", seconds=5)
    service, began = desk.service(), time.monotonic()
    with pytest.raises(Unknown, match="did not answer within"):
        desk.connector.whoami(access_token=service)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(("seconds", "after"), [(7, 7.0), (0, None), (None, None)])
def test_a_429_asks_for_a_pause_and_nothing_was_done(desk, seconds, after):
    pair = desk.exchange()
    wish = {} if seconds is None else {"seconds": seconds}
    desk.fault("429", grant_type="refresh_token", **wish)
    with pytest.raises(Retry) as caught:
        desk.refresh(pair)
    assert caught.value.after == after
    assert desk.gate.told[-1]["retry_after"] == after
    assert desk.refresh(pair).access_token


def test_every_answer_tells_the_budget(desk):
    desk.service()
    assert desk.gate.told[-1]["limit"] == 100_000
    assert desk.gate.told[-1]["remaining"].requests < 100_000


def test_what_a_token_answer_leaves_out_is_left_out(desk):
    desk.fault("no_expiry", grant_type="authorization_code")
    pair = desk.exchange()
    assert pair.expires_in is None
    assert desk.connector.current(access_token=pair.access_token).expires_at is None


def test_wider_scopes_are_seen(desk):
    desk.fault("wider_scopes", grant_type="authorization_code")
    pair = desk.exchange()
    assert pair.scopes > SCOPES
    assert desk.connector.current(access_token=pair.access_token).scopes == pair.scopes


def test_a_narrow_token_may_be_refused_its_own_name(desk):
    pair = desk.exchange(scopes=frozenset({"tickets:read"}))
    with pytest.raises(GiveUp) as caught:
        desk.connector.whoami(access_token=pair.access_token)
    assert caught.value.code == "forbidden"
