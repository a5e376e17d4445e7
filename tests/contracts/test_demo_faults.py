"""Does every kind of fault do what it says, over real HTTP, and what does the real connector make of it?"""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from demo.helpdesk.process import running
from demo.helpdesk.remote import ControlRefused
from demo.people import INTEGRATION_USER
from tests.contracts.demo_desk import (
    ADA,
    CLIENT,
    LIVES,
    OMAR,
    SERVICE,
    Helpdesk,
    desk_environment,
)
from tests.unit.connector_server import OpenGate
from tokens.connectors.base import (
    Broken,
    Connector,
    ConnectorError,
    GiveUp,
    HelpdeskConfig,
    Retry,
    Unknown,
)
from tokens.connectors.registry import connector_for

pytestmark = pytest.mark.processes

REFRESH = {"method": "POST", "path": "/oauth/tokens", "grant_type": "refresh_token"}
LIST = {"method": "GET", "path": "/api/v2/oauth/tokens"}
SCOPES = frozenset({"tickets:read", "users:read"})
DEADLINE = 0.6


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helpdesk]:
    folder = tmp_path_factory.mktemp("faulty")
    with running(desk_environment(folder, access_min="1")) as address:
        yield Helpdesk(address)


@pytest.fixture
def helpdesk(shared: Helpdesk) -> Iterator[Helpdesk]:
    yield shared
    shared.remote.set_time(None)
    shared.remote.order_faults()
    shared.remote.clear_weather()
    shared.remote.restore_service_user()


def exchange(helpdesk: Helpdesk) -> tuple[Any, dict[str, Any]]:
    """Exchange a code with whatever fault stands ready; the answer and the helpdesk's own record."""
    answer = helpdesk.exchange(helpdesk.code())
    newest = helpdesk.remote.tokens()[-1]
    return answer.json(), newest


def bent(helpdesk: Helpdesk, kind: str, **more: object) -> tuple[Any, dict[str, Any]]:
    helpdesk.remote.order_faults({"path": "/oauth/tokens", "kind": kind, **more})
    return exchange(helpdesk)


def struck(helpdesk: Helpdesk, after: int) -> dict[str, Any]:
    """The one event of a request that met a fault."""
    (found,) = [
        event["detail"]
        for event in helpdesk.remote.events(after=after)
        if event["kind"] == "request.served" and event["detail"]["fault"]
    ]
    detail: dict[str, Any] = found
    return detail


def settled(check: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "It did not come to pass."
        time.sleep(0.05)


# --- Orders ---------------------------------------------------------------------------------------


def test_fault_strikes_the_ordered_requests_and_no_other(helpdesk: Helpdesk) -> None:
    pair = helpdesk.pair()
    helpdesk.remote.order_faults({**REFRESH, "kind": "500_before", "times": 2})
    helpdesk.service()
    assert helpdesk.refresh("whatever").status_code == 500
    assert helpdesk.remote.faults_left() == 1
    assert helpdesk.refresh("whatever").status_code == 500
    assert helpdesk.refresh(pair["refresh_token"]).status_code == 200


def test_fault_waits_for_a_request_it_fits(helpdesk: Helpdesk) -> None:
    service = helpdesk.service()
    helpdesk.remote.order_faults({"kind": "no_meta"})
    assert helpdesk.call("users/me", service).status_code == 200
    assert helpdesk.call("oauth/tokens/current", service).status_code == 200
    assert helpdesk.remote.faults_left() == 1
    assert "meta" not in helpdesk.call("oauth/tokens?all=true", service).json()
    assert helpdesk.remote.faults_left() == 0


# --- It was done or it was not, whatever the answer -----------------------------------------------

DONE_OR_NOT = {
    "html": (200, False),
    "html_after": (200, True),
    "empty": (200, False),
    "empty_after": (200, True),
    "half_json_after": (200, True),
    "500_before": (500, False),
    "500_after": (500, True),
    "502_after": (502, True),
    "503_before": (503, False),
    "429": (429, False),
    "429_date": (429, False),
    "429_bare": (429, False),
    "429_zero": (429, False),
    "redirect": (302, False),
    "redirect_after": (302, True),
    "invalid_client": (400, False),
    "drop_before": (None, False),
    "drop_after": (None, True),
    "cut_short": (None, True),
    "garbage": (None, True),
    "half_open": (None, False),
    "half_open_after": (None, True),
    "body_drip": (None, True),
    "header_drip": (None, True),
    "endless_body": (None, True),
    "late_commit": (None, True),
    "missing_tokens": (200, True),
    "token_as_object": (200, True),
    "scope_as_number": (200, True),
    "lives_as_text": (200, True),
    "list_for_object": (200, True),
    "null_for_object": (200, True),
}
VERDICTS: dict[str, type[ConnectorError]] = {
    "503_before": Unknown,
    "429": Retry,
    "429_date": Retry,
    "429_bare": Retry,
    "429_zero": Retry,
    "invalid_client": Broken,
}


@pytest.mark.parametrize(("kind", "status", "is_done"), [(k, *v) for k, v in DONE_OR_NOT.items()])
def test_connector_comes_to_its_verdict_in_time_and_the_log_knows_the_truth(
    helpdesk: Helpdesk, kind: str, status: int | None, is_done: bool
) -> None:
    """Anything but a plain refusal is unknown; the log says what the helpdesk really did."""
    pair, before = helpdesk.pair(), helpdesk.last_event()
    seconds = 60 if kind.startswith("half_open") else 1.5
    helpdesk.remote.order_faults({**REFRESH, "kind": kind, "seconds": seconds})
    start = time.monotonic()
    with pytest.raises(ConnectorError) as refusal:
        refresh_by_connector(helpdesk, pair["refresh_token"])
    took = time.monotonic() - start
    assert type(refusal.value) is VERDICTS.get(kind, Unknown), refusal.value
    assert took < 10, "A drip goes on for minutes, a half-open connection for one."
    settled(lambda: helpdesk.remote.faults_left() == 0 and has_settled(helpdesk, before))
    detail = struck(helpdesk, before)
    assert (detail["fault"], detail["status"]) == (kind, status)
    assert detail["done"] == (200 if is_done else None)
    assert (helpdesk.remote.whose(pair["access_token"]) or {})["access"] == (
        "dead" if is_done else "live"
    )


def has_settled(helpdesk: Helpdesk, before: int) -> bool:
    return any(
        event["kind"] == "request.served" and event["detail"]["fault"]
        for event in helpdesk.remote.events(after=before)
    )


def connector(helpdesk: Helpdesk, deadline: float = DEADLINE) -> Connector:
    config = HelpdeskConfig(
        slug="production", name="Acme production", kind="zendesk", url=helpdesk.address,
        client_id=CLIENT["client_id"], client_secret=CLIENT["client_secret"],
        service_client_id=SERVICE["client_id"], service_client_secret=SERVICE["client_secret"],
        requests_per_minute=100_000,
    )  # fmt: skip
    return connector_for(config, OpenGate(deadline=deadline))


def refresh_by_connector(helpdesk: Helpdesk, refresh_token: str) -> Any:
    return connector(helpdesk).refresh(
        refresh_token=refresh_token, scopes=SCOPES, expires_in=900, refresh_expires_in=604_800
    )


# --- What exactly comes over the wire -------------------------------------------------------------


def test_too_many_says_when_in_four_ways(helpdesk: Helpdesk) -> None:
    orders = [{"kind": "429", "seconds": 7}, {"kind": "429"}, {"kind": "429_bare", "seconds": 7}]
    helpdesk.remote.order_faults(*orders, {"kind": "429_zero", "seconds": 7})
    answers = [helpdesk.call("users/me", None) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429] * 4
    assert [answer.headers.get("Retry-After") for answer in answers] == ["7", None, None, "0"]


def test_too_many_says_when_as_a_date(helpdesk: Helpdesk) -> None:
    helpdesk.remote.order_faults({"kind": "429_date", "seconds": 90})
    answer = helpdesk.call("users/me", None)
    until = parsedate_to_datetime(answer.headers["Retry-After"])
    served = parsedate_to_datetime(answer.headers["Date"])
    assert 88 <= (until - served).total_seconds() <= 91


def test_connector_reads_a_date_as_seconds(helpdesk: Helpdesk) -> None:
    helpdesk.remote.order_faults({**REFRESH, "kind": "429_date", "seconds": 90})
    with pytest.raises(Retry) as refusal:
        refresh_by_connector(helpdesk, "whatever")
    assert 85 <= (refusal.value.after or 0) <= 92


def test_busy_may_say_when(helpdesk: Helpdesk) -> None:
    helpdesk.remote.order_faults({"kind": "503_before", "seconds": 4})
    assert helpdesk.call("users/me", None).headers["Retry-After"] == "4"


def test_stall_answers_late(helpdesk: Helpdesk) -> None:
    helpdesk.remote.order_faults({"path": "/api/v2/users", "kind": "stall", "seconds": 0.7})
    start = time.monotonic()
    assert helpdesk.call("users/me", None).status_code == 200
    assert time.monotonic() - start > 0.7


@pytest.mark.parametrize("kind", ["redirect", "redirect_after"])
def test_redirect_leads_to_another_host_and_is_not_followed(
    helpdesk: Helpdesk, looked_up: set[str], kind: str
) -> None:
    """Nobody so much as looks that host up, so neither a token nor a secret goes there."""
    helpdesk.remote.order_faults({"path": "/api", "kind": kind, "times": 2})
    answer = requests.get(f"{helpdesk.address}/api/v2/users/me", allow_redirects=False, timeout=20)
    led_to = urlsplit(answer.headers["Location"]).hostname
    assert led_to not in (None, urlsplit(helpdesk.address).hostname)
    with pytest.raises(Unknown, match="redirect"):
        connector(helpdesk).whoami(access_token="whatever")
    helpdesk.remote.order_faults({**REFRESH, "kind": kind})
    with pytest.raises(Unknown, match="redirect"):
        refresh_by_connector(helpdesk, helpdesk.pair()["refresh_token"])
    assert looked_up == {urlsplit(helpdesk.address).hostname}


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of every host that is looked up from now on."""
    names: set[str] = set()
    look_up = socket.getaddrinfo

    def noting(host: Any, *args: Any, **options: Any) -> Any:
        names.add(host)
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noting)
    return names


def raw_answer(helpdesk: Helpdesk, seconds: float) -> tuple[bytes, bool]:
    """What comes over the wire within so many seconds, and whether the connection was closed."""
    host, port = urlsplit(helpdesk.address).hostname, urlsplit(helpdesk.address).port
    data, end = b"", time.monotonic() + seconds
    with socket.create_connection((host or "", port or 0), timeout=seconds) as connection:
        connection.sendall(b"GET /api/v2/users/me HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        while (left := end - time.monotonic()) > 0 and len(data) < 5_000_000:
            connection.settimeout(left)
            try:
                more = connection.recv(65_536)
            except TimeoutError:
                break
            if not more:
                return data, True
            data += more
    return data, False


def test_body_drips_one_byte_a_second(helpdesk: Helpdesk) -> None:
    helpdesk.remote.order_faults({"path": "/api", "kind": "body_drip"})
    data, is_closed = raw_answer(helpdesk, 1.5)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(body) == 1
    assert not is_closed


def test_headers_drip_without_an_end(helpdesk: Helpdesk) -> None:
    helpdesk.remote.order_faults({"path": "/api", "kind": "header_drip"})
    data, is_closed = raw_answer(helpdesk, 1.5)
    assert data.startswith(b"HTTP/1.1 200 ")
    assert b"\r\n\r\n" not in data
    assert data.rpartition(b"\r\n")[2] == b"X"
    assert not is_closed


def test_body_has_no_end(helpdesk: Helpdesk) -> None:
    helpdesk.remote.order_faults({"path": "/api", "kind": "endless_body"})
    data, is_closed = raw_answer(helpdesk, 5)
    assert len(data) >= 5_000_000
    assert not is_closed


def test_half_open_connection_stays_open_for_its_seconds(helpdesk: Helpdesk) -> None:
    helpdesk.remote.order_faults({"path": "/api", "kind": "half_open", "seconds": 0.8, "times": 2})
    assert raw_answer(helpdesk, 0.4) == (b"", False)
    start = time.monotonic()
    assert raw_answer(helpdesk, 5) == (b"", True)
    assert time.monotonic() - start > 0.7


def test_half_open_connections_leave_the_helpdesk_its_threads(helpdesk: Helpdesk) -> None:
    """Who gives up frees the thread, however long the silence was ordered for."""
    helpdesk.remote.order_faults({"path": "/api", "kind": "half_open", "seconds": 60, "times": 60})
    for _ in range(60):
        raw_answer(helpdesk, 0.01)
    start = time.monotonic()
    helpdesk.remote.tokens(alive=True)
    assert time.monotonic() - start < 5


def test_answer_is_cut_short(helpdesk: Helpdesk) -> None:
    helpdesk.remote.order_faults({"path": "/api", "kind": "cut_short"})
    data, is_closed = raw_answer(helpdesk, 5)
    head, _, body = data.partition(b"\r\n\r\n")
    promised = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert is_closed
    assert 0 < len(body) < promised


def test_late_commit_comes_after_the_caller_gave_up(helpdesk: Helpdesk) -> None:
    pair, before = helpdesk.pair(), helpdesk.last_event()
    helpdesk.remote.order_faults({**REFRESH, "kind": "late_commit", "seconds": 1})
    with pytest.raises(requests.Timeout):
        requests.post(
            f"{helpdesk.address}/oauth/tokens",
            json={"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]} | CLIENT,
            timeout=0.3,
        )
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 200
    settled(lambda: helpdesk.call("users/me", pair["access_token"]).status_code == 401)
    settled(lambda: has_settled(helpdesk, before))
    assert struck(helpdesk, before)["late"] is True
    made = [e for e in helpdesk.remote.events(after=before) if e["kind"] == "token.refreshed"]
    assert [(e["detail"]["fault"], e["detail"]["late"]) for e in made] == [("late_commit", True)]


def test_late_commit_cuts_off_who_waits_too_long(helpdesk: Helpdesk) -> None:
    """Even a patient caller has heard the end before it is done."""
    pair = helpdesk.pair()
    helpdesk.remote.order_faults({**REFRESH, "kind": "late_commit", "seconds": 1})
    with pytest.raises(requests.ConnectionError):
        helpdesk.refresh(pair["refresh_token"])
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 200
    settled(lambda: helpdesk.call("users/me", pair["access_token"]).status_code == 401)


def test_stall_past_the_callers_patience_is_late_too(helpdesk: Helpdesk) -> None:
    pair, before = helpdesk.pair(), helpdesk.last_event()
    helpdesk.remote.order_faults({**REFRESH, "kind": "stall", "seconds": DEADLINE + 0.5})
    with pytest.raises(Unknown):
        refresh_by_connector(helpdesk, pair["refresh_token"])
    settled(lambda: has_settled(helpdesk, before))
    assert struck(helpdesk, before)["late"] is True


# --- Tokens that are not what was asked for -------------------------------------------------------


def test_token_may_be_another_users(helpdesk: Helpdesk) -> None:
    _, token = bent(helpdesk, "other_user")
    assert token["user_id"] not in {ADA, None}


def test_token_may_have_wider_or_narrower_scopes(helpdesk: Helpdesk) -> None:
    answer, token = bent(helpdesk, "wider_scopes")
    assert set(token["scopes"]) > SCOPES
    assert set(answer["scope"].split()) > SCOPES
    _, token = bent(helpdesk, "narrower_scopes")
    assert set(token["scopes"]) < SCOPES


def test_wider_than_wide_is_possible(helpdesk: Helpdesk) -> None:
    wide = "users:write tickets:write macros:read groups:read"
    code = helpdesk.code(wide, OMAR)
    helpdesk.remote.order_faults({"path": "/oauth/tokens", "kind": "wider_scopes"})
    assert set(helpdesk.exchange(code).json()["scope"].split()) > set(wide.split())


def test_token_may_have_no_expiry_or_a_later_one(helpdesk: Helpdesk) -> None:
    answer, token = bent(helpdesk, "no_expiry")
    assert "expires_in" not in answer
    assert token["expires_at"] is None
    answer, _ = bent(helpdesk, "later_expiry", seconds=120)
    assert answer["expires_in"] == LIVES["expires_in"] + 120
    answer, _ = bent(helpdesk, "later_refresh_expiry")
    assert answer["refresh_token_expires_in"] == LIVES["refresh_token_expires_in"] + 3_600
    _, token = bent(helpdesk, "no_refresh_expiry")
    assert token["refresh_expires_at"] is None


def test_answered_pair_may_have_an_access_half_that_works_nowhere(helpdesk: Helpdesk) -> None:
    answer, token = bent(helpdesk, "dead_access")
    for path in ("oauth/tokens/current", "users/me", "tickets"):
        assert helpdesk.call(path, answer["access_token"]).status_code == 401
    assert (token["access"], token["refresh"]) == ("dead", "live")
    with pytest.raises(GiveUp) as refusal:
        connector(helpdesk).current(access_token=answer["access_token"])
    assert refusal.value.code == "invalid_token"
    assert helpdesk.refresh(answer["refresh_token"]).status_code == 200


# --- What is told of a token ----------------------------------------------------------------------

TOLD: dict[str, Callable[[Any], object]] = {
    "ids_as_text": lambda told: isinstance(told["id"], str),
    "ids_as_objects": lambda told: isinstance(told["user_id"], dict),
    "missing_id": lambda told: "id" not in told,
    "scopes_as_number": lambda told: told["scopes"] == 7,
    "dates_as_numbers": lambda told: told["expires_at"] == 1_800,
}


def token_told(helpdesk: Helpdesk, kind: str) -> tuple[Any, Any]:
    """The token as `current` describes it, truly and with the fault."""
    pair = helpdesk.pair()
    true = helpdesk.token_of(pair["access_token"])
    helpdesk.remote.order_faults({**LIST, "kind": kind, "times": 2})
    return true, helpdesk.token_of(pair["access_token"])


@pytest.mark.parametrize("kind", TOLD)
def test_wrong_type_in_a_record_is_unknown(helpdesk: Helpdesk, kind: str) -> None:
    _, told = token_told(helpdesk, kind)
    assert TOLD[kind](told)
    with pytest.raises(Unknown):
        connector(helpdesk).current(access_token=helpdesk_token(helpdesk))


def helpdesk_token(helpdesk: Helpdesk) -> str:
    token: str = helpdesk.pair()["access_token"]
    return token


def test_field_left_out_of_a_record_is_none(helpdesk: Helpdesk) -> None:
    for kind in ("missing_user_id", "missing_expiry"):
        token = helpdesk_token(helpdesk)
        helpdesk.remote.order_faults({**LIST, "kind": kind})
        record = connector(helpdesk).current(access_token=token)
        is_without = record.user_id is None if kind == "missing_user_id" else not record.expires_at
        assert is_without


def test_record_may_be_about_another_token_or_user(helpdesk: Helpdesk) -> None:
    true, told = token_told(helpdesk, "other_id")
    assert told["id"] == true["id"] + 1
    with pytest.raises(Unknown, match="something else"):
        connector(helpdesk).show(token_id=true["id"], access_token=helpdesk.service())
    true, told = token_told(helpdesk, "other_user_id")
    assert told["user_id"] == true["user_id"] + 1


def test_scopes_told_as_one_text_are_the_same_scopes(helpdesk: Helpdesk) -> None:
    _, told = token_told(helpdesk, "scopes_as_text")
    assert told["scopes"] == "tickets:read users:read"
    record = connector(helpdesk).current(access_token=helpdesk_token(helpdesk))
    assert record.scopes == SCOPES


def test_lives_left_out_of_an_answer_are_none(helpdesk: Helpdesk) -> None:
    pair = helpdesk.pair()
    helpdesk.remote.order_faults({**REFRESH, "kind": "missing_lives"})
    made = refresh_by_connector(helpdesk, pair["refresh_token"])
    assert (made.expires_in, made.refresh_expires_in) == (None, None)


def test_lives_told_as_text_are_texts(helpdesk: Helpdesk) -> None:
    answer, _ = bent(helpdesk, "lives_as_text")
    assert answer["expires_in"] == "900"


# --- Refusals that are lies -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_api_may_refuse_a_good_token(helpdesk: Helpdesk, status: int) -> None:
    token = helpdesk_token(helpdesk)
    helpdesk.remote.order_faults({"kind": str(status)})
    assert helpdesk.call("users/me", token).status_code == status
    assert helpdesk.call("users/me", token).status_code == 200


@pytest.mark.parametrize("status", [401, 403])
def test_service_access_alone_may_be_refused(helpdesk: Helpdesk, status: int) -> None:
    agent, service = helpdesk_token(helpdesk), helpdesk.service()
    helpdesk.remote.order_faults({"kind": f"service_{status}"})
    assert helpdesk.call("users/me", agent).status_code == 200
    assert helpdesk.call("users/me", service).status_code == status
    assert helpdesk.call("users/me", service).status_code == 200


def test_token_looked_for_may_be_denied(helpdesk: Helpdesk) -> None:
    token, service = helpdesk.token_of(helpdesk_token(helpdesk)), helpdesk.service()
    order = {"path": "/api/v2/oauth/tokens/", "times": 2}
    helpdesk.remote.order_faults({**order, "kind": "404"}, {**order, "kind": "404_html"})
    assert connector(helpdesk).show(token_id=token["id"], access_token=service) is None
    connector(helpdesk).delete(token_id=token["id"], access_token=service)
    with pytest.raises(Unknown):
        connector(helpdesk).show(token_id=token["id"], access_token=service)
    with pytest.raises(Unknown):
        connector(helpdesk).delete(token_id=token["id"], access_token=service)
    assert helpdesk.call(f"oauth/tokens/{token['id']}", service).status_code == 200


def test_service_user_may_lose_and_regain_the_administrators_role(helpdesk: Helpdesk) -> None:
    helpdesk.pair()
    service = helpdesk.service()
    whole = len(helpdesk.call("oauth/tokens?all=true", service).json()["tokens"])
    helpdesk.remote.demote_service_user()
    assert helpdesk.call("users/me", service).json()["user"]["role"] == "agent"
    assert len(helpdesk.call("oauth/tokens?all=true", service).json()["tokens"]) < whole
    helpdesk.remote.restore_service_user()
    assert helpdesk.call("users/me", service).json()["user"]["role"] == "admin"


# --- Deletes that are none ------------------------------------------------------------------------


def test_delete_may_keep_the_token_alive(helpdesk: Helpdesk) -> None:
    pair, service = helpdesk.pair(), helpdesk.service()
    number = helpdesk.token_of(pair["access_token"])["id"]
    helpdesk.remote.order_faults({"kind": "keeps_token", "times": 2})
    for _ in range(2):
        assert helpdesk.call(f"oauth/tokens/{number}", service, "DELETE").status_code == 204
        assert helpdesk.call("users/me", pair["access_token"]).status_code == 200
    assert helpdesk.call(f"oauth/tokens/{number}", service, "DELETE").status_code == 204
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 401


def test_delete_may_spare_the_refresh_half(helpdesk: Helpdesk) -> None:
    pair, service = helpdesk.pair(), helpdesk.service()
    number = helpdesk.token_of(pair["access_token"])["id"]
    helpdesk.remote.order_faults({"kind": "spares_refresh"})
    assert helpdesk.call(f"oauth/tokens/{number}", service, "DELETE").status_code == 204
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 401
    assert helpdesk.call(f"oauth/tokens/{number}", service).status_code == 404
    assert number in {token["id"] for token in helpdesk.remote.tokens(alive=True)}
    assert helpdesk.refresh(pair["refresh_token"]).status_code == 200


# --- Lists that are none --------------------------------------------------------------------------


@dataclass
class Listed:
    """How a client reads the list, two to a page."""

    helpdesk: Helpdesk
    service: str

    def ids(self, pages: int = 50) -> list[list[int]]:
        """The ids of each page, at most so many pages."""
        found: list[list[int]] = []
        query = {"all": "true", "page[size]": "2"}
        for _ in range(pages):
            page = self.helpdesk.call("oauth/tokens", self.service, params=query).json()
            found.append([token["id"] for token in page["tokens"]])
            if not page["meta"]["has_more"]:
                break
            query["page[after]"] = page["meta"]["after_cursor"]
        return found


@pytest.fixture
def listed(helpdesk: Helpdesk) -> Listed:
    """A list of a few pages and no more."""
    service = helpdesk.service()
    for token in helpdesk.remote.tokens(alive=True)[:-6]:
        helpdesk.call(f"oauth/tokens/{token['id']}", service, "DELETE")
    for _ in range(4):
        helpdesk.pair()
    return Listed(helpdesk, helpdesk.service())


def listed_with(listed: Listed, kind: str, pages: int = 50) -> tuple[list[list[int]], Any]:
    """The pages, truly and with the fault on the first one."""
    true = listed.ids()
    assert len(true) >= 3
    listed.helpdesk.remote.order_faults({**LIST, "kind": kind})
    return true, listed.ids(pages)


def test_page_may_be_repeated(listed: Listed) -> None:
    true, told = listed_with(listed, "repeated_page")
    assert told == [true[0], *true]


def test_page_may_be_missing(listed: Listed) -> None:
    true, told = listed_with(listed, "missing_page")
    assert told == [[], *true[1:]]


def test_row_may_be_missing(listed: Listed) -> None:
    true, told = listed_with(listed, "missing_row")
    assert told == [true[0][1:], *true[1:]]


def test_list_may_change_between_pages(listed: Listed) -> None:
    true, told = listed_with(listed, "changing_page")
    assert told[0] == true[0]
    assert told[1][0] == true[0][-1]


def test_list_may_be_short(listed: Listed) -> None:
    true, told = listed_with(listed, "short_list")
    assert told == [true[0][:1]]


def test_list_may_shrink_to_the_callers_own(listed: Listed) -> None:
    listed.helpdesk.remote.order_faults({**LIST, "kind": "own_only", "times": 50})
    own = {number for page in listed.ids() for number in page}
    listed.helpdesk.remote.order_faults()
    rows = {token["id"]: token for token in listed.helpdesk.remote.tokens()}
    assert own
    assert {rows[number]["user_id"] for number in own} == {INTEGRATION_USER.helpdesk_id}


@pytest.mark.parametrize(
    "kind", ["repeated_page", "changing_page", "no_meta", "object_for_list", "ids_as_text"]
)
def test_connector_counts_no_list_it_cannot_read_to_its_end(listed: Listed, kind: str) -> None:
    helpdesk = listed.helpdesk
    number = connector(helpdesk).client_number(access_token=listed.service)
    helpdesk.remote.order_faults({**LIST, "kind": kind})
    with pytest.raises(Unknown):
        connector(helpdesk).tokens_of_client(client_number=number, access_token=listed.service)
    assert connector(helpdesk).tokens_of_client(client_number=number, access_token=listed.service)


def test_list_of_clients_may_be_an_object(helpdesk: Helpdesk) -> None:
    helpdesk.remote.order_faults({"path": "/api/v2/oauth/clients", "kind": "object_for_list"})
    with pytest.raises(Unknown):
        connector(helpdesk).client_number(access_token=helpdesk.service())


# --- The log --------------------------------------------------------------------------------------


def test_log_tells_grant_types_and_what_was_sent_twice_without_a_secret(
    helpdesk: Helpdesk,
) -> None:
    before, code = helpdesk.last_event(), helpdesk.code()
    pair = helpdesk.exchange(code).json()
    helpdesk.exchange(code)
    helpdesk.refresh(pair["refresh_token"])
    helpdesk.refresh(pair["refresh_token"])
    helpdesk.call("users/me", pair["access_token"])
    events = list(helpdesk.remote.events(after=before))
    served = [e["detail"] for e in events if e["kind"] == "request.served"]
    token_calls = [e for e in served if e["path"] == "/oauth/tokens"]
    assert [e["grant_type"] for e in token_calls] == [
        "authorization_code", "authorization_code", "refresh_token", "refresh_token",
    ]  # fmt: skip
    assert len({e["code"] for e in token_calls[:2]}) == 1
    assert len({e["refresh_token"] for e in token_calls[2:]}) == 1
    issued = next(e["detail"] for e in events if e["kind"] == "token.issued")
    assert issued["access_token"] == served[-1]["access_token"]
    assert issued["refresh_token"] == token_calls[-1]["refresh_token"]
    for secret in (code, pair["access_token"], pair["refresh_token"]):
        assert secret not in json.dumps(events)


def test_control_knows_whose_a_token_is(helpdesk: Helpdesk) -> None:
    token = helpdesk_token(helpdesk)
    number = helpdesk.token_of(token)["id"]
    found = helpdesk.remote.whose(token) or {}
    assert (found["token_id"], found["user_id"], found["access"]) == (number, ADA, "live")
    helpdesk.call(f"oauth/tokens/{number}", helpdesk.service(), "DELETE")
    assert (helpdesk.remote.whose(token) or {})["access"] == "dead"
    assert helpdesk.remote.whose("nobody's") is None


def test_living_tokens_can_be_read_alone_and_from_one_on(helpdesk: Helpdesk) -> None:
    first, second = helpdesk.pair(), helpdesk.pair()
    numbers = [helpdesk.token_of(pair["access_token"])["id"] for pair in (first, second)]
    helpdesk.call(f"oauth/tokens/{numbers[0]}", helpdesk.service(), "DELETE")
    living = {token["id"] for token in helpdesk.remote.tokens(alive=True)}
    assert numbers[0] not in living
    assert numbers[1] in living
    assert numbers[0] in {token["id"] for token in helpdesk.remote.tokens()}
    assert min(token["id"] for token in helpdesk.remote.tokens(after=numbers[0])) > numbers[0]


# --- Weather --------------------------------------------------------------------------------------


def test_weather_strikes_its_share_by_weight_and_clears(helpdesk: Helpdesk) -> None:
    service, before = helpdesk.service(), helpdesk.last_event()
    helpdesk.remote.set_weather(
        seed=7, share=0.5, kinds={"500_before": 3, "html": 1, "keeps_token": 50}
    )
    said = [helpdesk.call("oauth/tokens?all=true", service).status_code for _ in range(120)]
    counts = helpdesk.remote.struck()
    events = helpdesk.remote.events(after=before)
    faults = [e["detail"]["fault"] for e in events if e["kind"] == "request.served"]
    assert 35 <= sum(counts.values()) <= 85
    assert counts["500_before"] > counts["html"] > 0
    assert set(counts) == {"500_before", "html"}
    assert said.count(500) == counts["500_before"] == faults.count("500_before")
    helpdesk.remote.clear_weather()
    assert {helpdesk.call("oauth/tokens", service).status_code for _ in range(20)} == {200}


def test_weather_befalls_the_portals_requests_unless_asked(helpdesk: Helpdesk) -> None:
    agent, service = helpdesk_token(helpdesk), helpdesk.service()
    helpdesk.remote.set_weather(share=1, kinds={"500_before": 1})
    assert helpdesk.call("users/me", agent).status_code == 200
    assert helpdesk.call("tickets", agent).status_code == 200
    assert helpdesk.call("users/me", service).status_code == 500
    assert helpdesk.call("oauth/tokens/current", agent).status_code == 500
    assert helpdesk.refresh("whatever").status_code == 500
    assert helpdesk.code()
    helpdesk.remote.set_weather(share=1, kinds={"500_before": 1}, scripts=True)
    assert helpdesk.call("tickets", agent).status_code == 500


def test_weather_is_the_same_for_the_same_seed(helpdesk: Helpdesk) -> None:
    service, runs = helpdesk.service(), []
    for seed in (3, 3, 4):
        helpdesk.remote.set_weather(seed=seed, share=0.5, kinds={"500_before": 1, "html": 1})
        answers = [helpdesk.call("oauth/tokens", service) for _ in range(30)]
        runs.append([(answer.status_code, answer.headers["Content-Type"]) for answer in answers])
    assert runs[0] == runs[1] != runs[2]


def test_weather_waits_for_ordered_faults(helpdesk: Helpdesk) -> None:
    service = helpdesk.service()
    helpdesk.remote.set_weather(share=1, kinds={"500_before": 1})
    helpdesk.remote.order_faults({**LIST, "kind": "429"})
    assert helpdesk.call("oauth/tokens", service).status_code == 429
    assert helpdesk.call("oauth/tokens", service).status_code == 500


def test_weather_waits_but_lengthens_no_life(helpdesk: Helpdesk) -> None:
    """One number of seconds is for kinds that wait; a number for each kind is for that kind."""
    code = helpdesk.code()
    helpdesk.remote.set_weather(share=1, kinds={"later_expiry": 1}, seconds=2.5)
    assert helpdesk.exchange(code).json()["expires_in"] == LIVES["expires_in"] + 3_600
    code = helpdesk.code()
    helpdesk.remote.set_weather(share=1, kinds={"later_expiry": 1}, seconds={"later_expiry": 90})
    assert helpdesk.exchange(code).json()["expires_in"] == LIVES["expires_in"] + 90
    helpdesk.remote.set_weather(share=1, kinds={"429": 1}, seconds=4)
    assert helpdesk.refresh("whatever").headers["Retry-After"] == "4"


@pytest.mark.parametrize(
    "terms",
    [
        {"share": 2, "kinds": {"html": 1}},
        {"share": "half", "kinds": {"html": 1}},
        {"share": 0.5},
        {"share": 0.5, "kinds": {}},
        {"share": 0.5, "kinds": {"unheard of": 1}},
        {"share": 0.5, "kinds": {"html": 0}},
        {"share": 0.5, "kinds": {"html": True}},
        {"share": 0.5, "kinds": {"html": 1}, "seconds": "long"},
        {"share": 0.5, "kinds": {"html": 1}, "seconds": {"html": -1}},
        {"share": 0.5, "kinds": {"html": 1}, "seed": "x"},
        {"share": 0.5, "kinds": {"html": 1}, "scripts": 1},
        {"share": 0.5, "kinds": {"html": 1}, "colour": "red"},
    ],
)
def test_senseless_weather_is_a_sentence(helpdesk: Helpdesk, terms: dict[str, Any]) -> None:
    answer = requests.post(
        f"{helpdesk.address}/control/weather",
        json=terms, headers={"X-Demo-Control": "1"}, timeout=20,
    )  # fmt: skip
    assert answer.status_code == 400
    assert answer.text.strip().endswith(".")


# --- Habits, restarts, and the whole registry -----------------------------------------------------


def test_one_grant_per_user_ends_the_others_at_a_new_consent(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("jealous")
    with running(desk_environment(folder, one_grant_per_user="1")) as address:
        helpdesk = Helpdesk(address)
        other = helpdesk.pair(person=OMAR)
        first = helpdesk.pair()
        renewed = helpdesk.refresh(first["refresh_token"]).json()
        assert helpdesk.call("users/me", renewed["access_token"]).status_code == 200
        second = helpdesk.pair()
        assert helpdesk.call("users/me", renewed["access_token"]).status_code == 401
        assert helpdesk.refresh(renewed["refresh_token"]).json()["error"] == "invalid_grant"
        assert helpdesk.call("users/me", second["access_token"]).status_code == 200
        assert helpdesk.call("users/me", other["access_token"]).status_code == 200
        ended = helpdesk.remote.whose(renewed["access_token"]) or {}
        assert ended["ended_because"] == "another consent of this user"


def test_orders_and_weather_outlive_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    told = desk_environment(tmp_path_factory.mktemp("restarted"))
    with running(told) as address:
        helpdesk = Helpdesk(address)
        helpdesk.remote.order_faults({**REFRESH, "kind": "500_before", "times": 2})
        helpdesk.remote.set_weather(share=1, kinds={"html": 1})
        assert helpdesk.refresh("whatever").status_code == 500
    with running(told) as address:
        helpdesk = Helpdesk(address)
        assert helpdesk.refresh("whatever").status_code == 500
        assert helpdesk.refresh("whatever").text.startswith("<!doctype html>")


@pytest.mark.parametrize("bad", [{"kind": "unheard of"}, {"kind": ["html"]}])
def test_unknown_kind_is_answered_with_the_known_ones(
    helpdesk: Helpdesk, bad: dict[str, Any]
) -> None:
    with pytest.raises(ControlRefused, match="late_commit"):
        helpdesk.remote.order_faults(bad)


def test_every_kind_is_tested_here(helpdesk: Helpdesk) -> None:
    """A new kind without a test fails."""
    with pytest.raises(ControlRefused) as refusal:
        helpdesk.remote.order_faults({"kind": "?"})
    kinds = str(refusal.value).partition(": ")[2].rstrip(".").split(", ")
    words = set(Path(__file__).read_text().replace('"', " ").split())
    by_number = {"401", "403", "service_401", "service_403"}
    assert set(kinds) - words - by_number == set()


@pytest.mark.parametrize("kind", ["body_drip", "endless_body", "cut_short", "null_for_object"])
def test_what_needs_a_body_spares_a_delete(helpdesk: Helpdesk, kind: str) -> None:
    number, service = helpdesk.token_of(helpdesk_token(helpdesk))["id"], helpdesk.service()
    helpdesk.remote.order_faults({"kind": kind})
    assert helpdesk.call(f"oauth/tokens/{number}", service, "DELETE").status_code == 204
    assert helpdesk.remote.faults_left() == 1


def test_delete_dropped_after_it_was_done_is_unknown_and_done(helpdesk: Helpdesk) -> None:
    pair, service = helpdesk.pair(), helpdesk.service()
    number, before = helpdesk.token_of(pair["access_token"])["id"], helpdesk.last_event()
    helpdesk.remote.order_faults({"method": "DELETE", "kind": "drop_after"})
    with pytest.raises(Unknown):
        connector(helpdesk).delete(token_id=number, access_token=service)
    deleted = [e for e in helpdesk.remote.events(after=before) if e["kind"] == "token.deleted"]
    assert [(e["token_id"], e["detail"]["fault"]) for e in deleted] == [(number, "drop_after")]
    assert struck(helpdesk, before)["done"] == 204
