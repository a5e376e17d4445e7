"""The demo helpdesk as a real process over real HTTP: does it hold to Zendesk's documented facts?

Each test names one fact of sections 3 to 8 of the facts page, or one promise of the control.
"""

import concurrent.futures
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from zenpy import Zenpy
from zenpy.lib.exception import APIException

from demo.helpdesk.consent import ConsentRefused, consent
from demo.helpdesk.process import running
from demo.helpdesk.remote import ControlRefused
from demo.people import BY_KEY, INTEGRATION_USER
from tests.contracts.demo_desk import (
    ADA,
    BEN,
    CLEO,
    CLIENT,
    LIVES,
    OMAR,
    REDIRECT,
    SERVICE,
    SOME_DAY,
    VERIFIER,
    Helpdesk,
    desk_environment,
)

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helpdesk]:
    with running(desk_environment(tmp_path_factory.mktemp("helpdesk"))) as address:
        yield Helpdesk(address)


@pytest.fixture
def helpdesk(shared: Helpdesk) -> Iterator[Helpdesk]:
    """The shared process, with real time, no faults and everybody as cast."""
    yield shared
    shared.remote.set_time(None)
    shared.remote.order_faults()
    for person in (*BY_KEY.values(), INTEGRATION_USER):
        if person.helpdesk_id in shared.changed:
            shared.change_user(
                person.helpdesk_id,
                role=person.helpdesk_role,
                suspended=False,
                active=True,
                email=person.email,
                external_id=person.key,
            )
    shared.changed.clear()


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helpdesk]:
    """A helpdesk with every unknown of Zendesk turned the other way."""
    habits = {
        "current_needs": "users:read",
        "refresh_keeps_id": "1",
        "delete_spares_refresh": "0",
        "allowed_scopes": "tickets:read users:read",
        "code_life": "2",
        "access_min": "1",
        "access_default": "60",
        "refresh_min": "2",
        "refresh_default": "120",
    }
    with running(desk_environment(tmp_path_factory.mktemp("odd"), **habits)) as address:
        yield Helpdesk(address)


# --- Section 3: the consent page ------------------------------------------------------------------


def test_allow_sends_code_and_state_to_the_exact_redirect(helpdesk: Helpdesk) -> None:
    answer = consent(helpdesk.authorize_url(), person_id=ADA or 0)
    query = parse_qs(urlsplit(answer).query)
    assert answer.startswith(f"{REDIRECT}?")
    assert query["state"] == ["the state"]
    assert set(query) == {"code", "state"}


def test_deny_sends_access_denied(helpdesk: Helpdesk) -> None:
    answer = consent(helpdesk.authorize_url(), person_id=ADA or 0, allow=False)
    query = parse_qs(urlsplit(answer).query)
    assert query["error"] == ["access_denied"]
    assert query["error_description"]
    assert query["state"] == ["the state"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"client_id": "somebody-else"}, "not known"),
        ({"client_id": "keydesk-service"}, "not known"),
        ({"redirect_uri": f"{REDIRECT}/"}, "not registered"),
        ({"redirect_uri": None}, "not registered"),
    ],
)
def test_wrong_client_or_redirect_is_a_page_and_never_a_redirect(
    helpdesk: Helpdesk, changes: dict[str, Any], sentence: str
) -> None:
    answer = requests.get(helpdesk.authorize_url(**changes), allow_redirects=False, timeout=20)
    assert answer.status_code == 400
    assert sentence in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "tickets:read unknown:read"}, "invalid_scope"),
        ({"scope": "impersonate"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
def test_what_else_is_wrong_goes_back_to_the_application(
    helpdesk: Helpdesk, changes: dict[str, Any], error: str
) -> None:
    answer = requests.get(helpdesk.authorize_url(**changes), allow_redirects=False, timeout=20)
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["error"] == [error]
    assert query["state"] == ["the state"]


def test_a_scope_outside_the_clients_list_is_refused(odd: Helpdesk) -> None:
    answer = consent(odd.authorize_url("tickets:write"), person_id=ADA or 0)
    assert parse_qs(urlsplit(answer).query)["error"] == ["invalid_scope"]


def test_suspended_user_cannot_consent(helpdesk: Helpdesk) -> None:
    helpdesk.change_user(ADA, suspended=True)
    with pytest.raises(ConsentRefused, match="Ada Lindqvist is suspended"):
        helpdesk.code()


def test_user_suspended_after_signing_in_cannot_consent(helpdesk: Helpdesk) -> None:
    browser = requests.Session()
    _sign_in(helpdesk, browser, ADA)
    helpdesk.change_user(ADA, suspended=True)
    answer = browser.get(helpdesk.authorize_url(), timeout=20)
    assert answer.status_code == 403
    assert "suspended" in answer.text


def test_consent_counts_for_who_read_the_page(helpdesk: Helpdesk) -> None:
    browser = requests.Session()
    _sign_in(helpdesk, browser, BEN)
    page = browser.get(helpdesk.authorize_url(), timeout=20).text
    fields = {"csrfmiddlewaretoken": _form_token(page), "person": ADA, "decision": "allow"}
    answer = browser.post(helpdesk.authorize_url(), data=fields, timeout=20)
    assert answer.status_code == 200
    assert "Ben Achterberg" in answer.text


def test_pages_have_one_h1_equal_to_their_title_and_a_strict_policy(helpdesk: Helpdesk) -> None:
    browser = requests.Session()
    _sign_in(helpdesk, browser, ADA)
    for address in (
        f"{helpdesk.address}/",
        f"{helpdesk.address}/sign-in",
        helpdesk.authorize_url(),
        helpdesk.authorize_url(client_id="nobody"),
        f"{helpdesk.address}/nothing",
    ):
        answer = browser.get(address, timeout=20)
        titles = re.findall(r"<title>(.*?)</title>", answer.text)
        assert titles == re.findall(r"<h1>(.*?)</h1>", answer.text)
        assert len(titles) == 1
        assert "style=" not in answer.text
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_consent_page_says_who_and_what_in_words(helpdesk: Helpdesk) -> None:
    browser = requests.Session()
    _sign_in(helpdesk, browser, ADA)
    page = browser.get(helpdesk.authorize_url("read satisfaction_ratings:read"), timeout=20).text
    for words in ("Ada Lindqvist", "Read everything you can see", "Read satisfaction ratings"):
        assert words in page


def _sign_in(helpdesk: Helpdesk, browser: requests.Session, person: int | None) -> None:
    page = browser.get(f"{helpdesk.address}/sign-in", timeout=20).text
    fields = {"csrfmiddlewaretoken": _form_token(page), "person": person}
    browser.post(f"{helpdesk.address}/sign-in", data=fields, timeout=20).raise_for_status()


def _form_token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return found[1]


# --- Section 4: the token endpoint ----------------------------------------------------------------


def test_exchange_answers_200_with_a_pair_and_no_ids(helpdesk: Helpdesk) -> None:
    answer = helpdesk.exchange(helpdesk.code())
    assert answer.status_code == 200
    assert set(answer.json()) == {
        "access_token", "refresh_token", "token_type", "scope", "expires_in",
        "refresh_token_expires_in",
    }  # fmt: skip
    assert answer.json()["token_type"] == "bearer"
    assert answer.json()["scope"] == "tickets:read users:read"
    assert answer.json()["expires_in"] == 900


def test_exchange_takes_a_form_body_too(helpdesk: Helpdesk) -> None:
    fields = {
        "grant_type": "authorization_code", "code": helpdesk.code(), "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER, **CLIENT, **LIVES,
    }  # fmt: skip
    answer = requests.post(f"{helpdesk.address}/oauth/tokens", data=fields, timeout=20)
    assert answer.status_code == 200


def test_code_works_once(helpdesk: Helpdesk) -> None:
    code = helpdesk.code()
    assert helpdesk.exchange(code).status_code == 200
    again = helpdesk.exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_code_works_once_for_eight_at_the_same_time(helpdesk: Helpdesk) -> None:
    code = helpdesk.code()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: helpdesk.exchange(code), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


def test_code_lives_120_seconds(helpdesk: Helpdesk) -> None:
    start = SOME_DAY
    helpdesk.remote.set_time(start)
    early, late = helpdesk.code(), helpdesk.code()
    helpdesk.remote.set_time(start + timedelta(seconds=119))
    assert helpdesk.exchange(early).status_code == 200
    helpdesk.remote.set_time(start + timedelta(seconds=120))
    assert helpdesk.exchange(late).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "wrong"}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:8000/elsewhere"}, "invalid_grant"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        (SERVICE, "unauthorized_client"),
        ({"scope": "tickets:write"}, "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"code": ["a", "list"]}, "invalid_request"),
    ],
)
def test_wrong_exchange_is_an_oauth_error_and_leaves_the_code(
    helpdesk: Helpdesk, changes: dict[str, Any], error: str
) -> None:
    code = helpdesk.code()
    answer = helpdesk.exchange(code, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert helpdesk.exchange(code).status_code == 200


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"text"', b'{"client_id": "\\ud800"}', b"[" * 100_000]
)
def test_body_that_is_no_json_object_is_a_sentence(helpdesk: Helpdesk, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = requests.post(
        f"{helpdesk.address}/oauth/tokens", data=body, headers=headers, timeout=20
    )
    assert answer.status_code == 400
    assert answer.text.startswith("The body")


@pytest.mark.parametrize(
    "lives",
    [
        {"expires_in": 299},
        {"expires_in": 172_801},
        {"expires_in": "soon"},
        {"expires_in": -900},
        {"refresh_token_expires_in": 604_799},
        {"refresh_token_expires_in": 7_776_001},
    ],
)
def test_lifetime_out_of_bounds_is_a_400_naming_the_field(
    helpdesk: Helpdesk, lives: dict[str, Any]
) -> None:
    answer = helpdesk.exchange(helpdesk.code(), **lives)
    assert answer.status_code == 400
    assert answer.json()["error"] == "RecordInvalid"
    assert list(answer.json()["details"]) == list(lives)


@pytest.mark.parametrize("lives", [(300, 604_800), (172_800, 7_776_000)])
def test_lifetimes_at_the_bounds_are_granted(helpdesk: Helpdesk, lives: tuple[int, int]) -> None:
    access, refresh = lives
    answer = helpdesk.exchange(
        helpdesk.code(), expires_in=access, refresh_token_expires_in=refresh
    ).json()
    assert (answer["expires_in"], answer["refresh_token_expires_in"]) == lives
    token = helpdesk.token_of(answer["access_token"])
    assert _seconds(token, "expires_at") == access
    assert _seconds(token, "refresh_token_expires_at") == refresh


def test_without_lifetimes_the_defaults_hold_and_expires_in_is_left_out(helpdesk: Helpdesk) -> None:
    unsaid: dict[str, Any] = {"expires_in": None, "refresh_token_expires_in": None}
    answer = helpdesk.exchange(helpdesk.code(), **unsaid).json()
    _assert_defaults(helpdesk, answer)
    _assert_defaults(helpdesk, helpdesk.refresh(answer["refresh_token"], **unsaid).json())


def _assert_defaults(helpdesk: Helpdesk, answer: Any) -> None:
    assert "expires_in" not in answer
    token = helpdesk.token_of(answer["access_token"])
    assert _seconds(token, "expires_at") == 1_800
    assert _seconds(token, "refresh_token_expires_at") == 2_592_000


def _seconds(token: Any, field: str) -> float:
    ends, starts = (datetime.fromisoformat(token[name]) for name in (field, "created_at"))
    return (ends - starts).total_seconds()


def test_refresh_kills_the_old_pair_at_once(helpdesk: Helpdesk) -> None:
    old = helpdesk.pair()
    old_id = helpdesk.token_of(old["access_token"])["id"]
    new = helpdesk.refresh(old["refresh_token"]).json()
    assert helpdesk.call("users/me", old["access_token"]).status_code == 401
    assert helpdesk.refresh(old["refresh_token"]).json()["error"] == "invalid_grant"
    token = helpdesk.token_of(new["access_token"])
    assert token["id"] != old_id
    assert token["user_id"] == ADA
    assert helpdesk.call(f"oauth/tokens/{old_id}", helpdesk.service()).status_code == 404


def test_refresh_works_once_for_eight_at_the_same_time(helpdesk: Helpdesk) -> None:
    old = helpdesk.pair()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: helpdesk.refresh(old["refresh_token"]), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


def test_refresh_may_keep_the_id(odd: Helpdesk) -> None:
    old = odd.pair()
    old_id = odd.token_of(old["access_token"])["id"]
    new = odd.refresh(old["refresh_token"]).json()
    assert odd.token_of(new["access_token"])["id"] == old_id
    assert odd.call("users/me", old["access_token"]).status_code == 401
    assert odd.refresh(old["refresh_token"]).json()["error"] == "invalid_grant"


def test_refresh_cannot_widen_but_may_narrow(helpdesk: Helpdesk) -> None:
    old = helpdesk.pair()
    wider = helpdesk.refresh(old["refresh_token"], scope="tickets:read tickets:write")
    assert wider.json()["error"] == "invalid_scope"
    assert (
        helpdesk.refresh(old["refresh_token"], scope="tickets:read").json()["scope"]
        == "tickets:read"
    )


def test_refresh_half_outlives_the_access_half_and_ends_by_itself(helpdesk: Helpdesk) -> None:
    start = SOME_DAY
    helpdesk.remote.set_time(start)
    pair = helpdesk.pair()
    helpdesk.remote.set_time(start + timedelta(seconds=604_799))
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 401
    pair = helpdesk.refresh(pair["refresh_token"]).json()
    helpdesk.remote.set_time(start + timedelta(seconds=604_799 + 604_800))
    assert helpdesk.refresh(pair["refresh_token"]).json()["error"] == "invalid_grant"


def test_client_credentials_acts_as_the_clients_owner_without_a_refresh_token(
    helpdesk: Helpdesk,
) -> None:
    answer = helpdesk.post(grant_type="client_credentials", scope="read", expires_in=300, **SERVICE)
    assert "refresh_token" not in answer.json()
    token = helpdesk.token_of(answer.json()["access_token"])
    assert token["user_id"] == INTEGRATION_USER.helpdesk_id
    assert token["refresh_token_expires_at"] is None


def test_agents_client_may_not_use_client_credentials(helpdesk: Helpdesk) -> None:
    answer = helpdesk.post(grant_type="client_credentials", scope="read", **CLIENT)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


def test_access_tokens_share_their_first_ten_characters(helpdesk: Helpdesk) -> None:
    secrets = [helpdesk.service() for _ in range(5)]
    assert len({secret[:10] for secret in secrets}) == 1
    assert len(set(secrets)) == 5
    assert min(len(secret) for secret in secrets) > 100


# --- Section 5: the tokens ------------------------------------------------------------------------


def test_current_describes_the_token_that_asks(helpdesk: Helpdesk) -> None:
    pair = helpdesk.pair()
    token = helpdesk.token_of(pair["access_token"])
    assert token["user_id"] == ADA
    assert token["scopes"] == ["tickets:read", "users:read"]
    assert token["token"] == pair["access_token"][:10]
    assert token["used_at"]
    assert set(token) == {
        "id", "url", "client_id", "user_id", "scopes", "token", "created_at", "expires_at",
        "refresh_token_expires_at", "used_at",
    }  # fmt: skip


def test_current_may_need_a_scope(odd: Helpdesk) -> None:
    narrow, enough = odd.pair("tickets:read"), odd.pair("users:read")
    answer = odd.call("oauth/tokens/current", narrow["access_token"])
    assert answer.status_code == 403
    assert answer.json() == {
        "error": "Forbidden",
        "description": "You are missing the following required scopes: users:read",
    }
    assert odd.call("oauth/tokens/current", enough["access_token"]).status_code == 200


def test_admin_lists_all_tokens_of_a_client_in_cursor_pages(helpdesk: Helpdesk) -> None:
    for _ in range(3):
        helpdesk.pair()
    service = helpdesk.service()
    number = _client_number(helpdesk, service)
    seen: list[int] = []
    query = {"all": "true", "client_id": number, "page[size]": 2}
    while True:
        page = helpdesk.call("oauth/tokens", service, params=query).json()
        assert len(page["tokens"]) <= 2
        assert {token["client_id"] for token in page["tokens"]} == {number}
        seen += [token["id"] for token in page["tokens"]]
        if not page["meta"]["has_more"]:
            break
        query["page[after]"] = page["meta"]["after_cursor"]
    living = [
        token["id"]
        for token in helpdesk.remote.tokens()
        if token["client"] == "keydesk" and "live" in {token["access"], token["refresh"]}
    ]
    assert len(living) >= 3
    assert seen == [number for number in living if number in seen] == living


def test_links_next_leads_to_the_following_page(helpdesk: Helpdesk) -> None:
    helpdesk.pair()
    service = helpdesk.service()
    first = helpdesk.call("oauth/tokens?all=true&page[size]=1", service).json()
    headers = {"Authorization": f"Bearer {service}"}
    second = requests.get(first["links"]["next"], headers=headers, timeout=20).json()
    assert second["tokens"][0]["id"] > first["tokens"][0]["id"]


@pytest.mark.parametrize(
    "query",
    [
        "page[size]=101",
        "page[size]=0",
        "page[size]=x",
        "page[after]=nonsense",
        "page[after]=%00",
        "client_id=x",
        "client_id=99999999999999999999",
        "page[size]=1&page=1",
    ],
)
def test_senseless_page_is_a_400(helpdesk: Helpdesk, query: str) -> None:
    answer = helpdesk.call(f"oauth/tokens?all=true&{query}", helpdesk.service())
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "InvalidParameter"


def test_demoted_service_user_still_gets_200_with_own_tokens_only(helpdesk: Helpdesk) -> None:
    pair = helpdesk.pair()
    token = helpdesk.token_of(pair["access_token"])
    service = helpdesk.service()
    helpdesk.change_user(INTEGRATION_USER.helpdesk_id, role="agent")
    listed = helpdesk.call("oauth/tokens?all=true", service)
    assert listed.status_code == 200
    owners = {one["user_id"] for one in listed.json()["tokens"]}
    assert owners == {INTEGRATION_USER.helpdesk_id}
    assert helpdesk.call(f"oauth/tokens/{token['id']}", service).status_code == 404
    assert helpdesk.call(f"oauth/tokens/{token['id']}", service, "DELETE").status_code == 404
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 200


def test_narrow_token_sees_itself_alone(helpdesk: Helpdesk) -> None:
    own, other = helpdesk.pair(person=OMAR), helpdesk.pair()
    own_id, other_id = (helpdesk.token_of(pair["access_token"])["id"] for pair in (own, other))
    assert helpdesk.call("oauth/tokens?all=true", own["access_token"]).status_code == 403
    assert helpdesk.call(f"oauth/tokens/{other_id}", own["access_token"]).status_code == 403
    assert (
        helpdesk.call(f"oauth/tokens/{other_id}", own["access_token"], "DELETE").status_code == 403
    )
    assert helpdesk.call(f"oauth/tokens/{own_id}", own["access_token"]).status_code == 200


def test_delete_of_a_living_token_kills_both_halves(helpdesk: Helpdesk) -> None:
    pair, service = helpdesk.pair(), helpdesk.service()
    path = f"oauth/tokens/{helpdesk.token_of(pair['access_token'])['id']}"
    assert helpdesk.call(path, service, "DELETE").status_code == 204
    assert helpdesk.call(path, service, "DELETE").status_code == 404
    assert helpdesk.call(path, service).json() == {
        "error": "RecordNotFound",
        "description": "Not found",
    }
    dead = helpdesk.call("users/me", pair["access_token"])
    assert (dead.status_code, dead.json()["error"]) == (401, "invalid_token")
    assert helpdesk.refresh(pair["refresh_token"]).json()["error"] == "invalid_grant"


def test_delete_of_an_expired_token_may_leave_its_refresh_half(helpdesk: Helpdesk) -> None:
    assert _refresh_after_deleting_an_expired_token(helpdesk).status_code == 200


def test_delete_of_an_expired_token_may_take_its_refresh_half(odd: Helpdesk) -> None:
    assert _refresh_after_deleting_an_expired_token(odd).json()["error"] == "invalid_grant"


def _refresh_after_deleting_an_expired_token(helpdesk: Helpdesk) -> requests.Response:
    pair, service = helpdesk.pair(), helpdesk.service()
    number = helpdesk.token_of(pair["access_token"])["id"]
    helpdesk.remote.expire_token(number)
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 401
    assert helpdesk.call(f"oauth/tokens/{number}", service).status_code == 200
    assert helpdesk.call(f"oauth/tokens/{number}", service, "DELETE").status_code == 204
    assert helpdesk.call(f"oauth/tokens/{number}", service).status_code == 404
    return helpdesk.refresh(pair["refresh_token"])


def test_a_token_deleted_in_the_admin_center_is_gone_in_both_halves(helpdesk: Helpdesk) -> None:
    pair, service = helpdesk.pair(), helpdesk.service()
    number = helpdesk.token_of(pair["access_token"])["id"]
    helpdesk.remote.delete_token(number)
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 401
    assert helpdesk.call(f"oauth/tokens/{number}", service).status_code == 404
    assert helpdesk.refresh(pair["refresh_token"]).json()["error"] == "invalid_grant"


def test_delete_current_answers_204_without_effect(helpdesk: Helpdesk) -> None:
    pair = helpdesk.pair()
    assert helpdesk.call("oauth/tokens/current", pair["access_token"], "DELETE").status_code == 204
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 200


def test_token_may_end_itself_by_id(helpdesk: Helpdesk) -> None:
    pair = helpdesk.pair()
    path = f"oauth/tokens/{helpdesk.token_of(pair['access_token'])['id']}"
    assert helpdesk.call(path, pair["access_token"], "DELETE").status_code == 204
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 401


def test_second_consent_leaves_the_first_token_alive(helpdesk: Helpdesk) -> None:
    first, second = helpdesk.pair(), helpdesk.pair()
    for pair in (first, second):
        assert helpdesk.call("users/me", pair["access_token"]).status_code == 200


@pytest.mark.parametrize("change", [{"role": "end-user"}, {"active": False}])
def test_demoting_or_deleting_an_agent_ends_the_tokens(
    helpdesk: Helpdesk, change: dict[str, Any]
) -> None:
    pair = helpdesk.pair()
    helpdesk.change_user(ADA, **change)
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 401
    assert helpdesk.refresh(pair["refresh_token"]).json()["error"] == "invalid_grant"


def test_clients_list_has_the_numeric_id_for_admins_alone(helpdesk: Helpdesk) -> None:
    clients = helpdesk.call("oauth/clients", helpdesk.service()).json()["clients"]
    agents = next(client for client in clients if client["identifier"] == "keydesk")
    assert agents["redirect_uri"] == [REDIRECT]
    assert "secret" not in agents
    wide = helpdesk.pair("read")
    answer = helpdesk.call("oauth/clients", wide["access_token"])
    assert answer.status_code == 403
    assert answer.json()["error"]["title"] == "Forbidden"


def _client_number(helpdesk: Helpdesk, service: str) -> int:
    clients = helpdesk.call("oauth/clients", service).json()["clients"]
    number: int = next(one["id"] for one in clients if one["identifier"] == "keydesk")
    return number


# --- Section 6: scopes and roles ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "path", "method", "missing"),
    [
        ("tickets:read", "tickets/1", "GET", None),
        ("tickets", "tickets/1", "GET", None),
        ("read", "tickets/1", "GET", None),
        ("users:read", "tickets/1", "GET", "tickets:read"),
        ("tickets:write", "tickets/1", "GET", "tickets:read"),
        ("write", "tickets/1", "GET", "tickets:read"),
        ("tickets:read", "tickets/1", "PUT", "tickets:write"),
        ("tickets:write", "tickets/1", "PUT", None),
        ("tickets:read", "users/me", "GET", "users:read"),
        ("tickets:read", "ticket_fields", "GET", "read"),
        ("tickets:read", "search?query=box", "GET", "read"),
        ("read", "search?query=box", "GET", None),
        ("read", "ticket_fields", "GET", None),
        ("macros:read", "macros", "GET", None),
        ("groups:read", "groups", "GET", None),
        ("groups:read", "macros", "GET", "macros:read"),
    ],
)
def test_scopes_are_enforced(
    helpdesk: Helpdesk, scope: str, path: str, method: str, missing: str | None
) -> None:
    token = helpdesk.pair(scope)["access_token"]
    answer = helpdesk.call(path, token, method, json={"ticket": {"tags": ["seen"]}})
    if missing is None:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 403
        assert answer.json() == {
            "error": "Forbidden",
            "description": f"You are missing the following required scopes: {missing}",
        }


def test_light_agent_reads_and_adds_private_comments_only(helpdesk: Helpdesk) -> None:
    token = helpdesk.pair("tickets:read tickets:write", CLEO)["access_token"]
    assert helpdesk.call("tickets/2", token).status_code == 200

    def put(**ticket: Any) -> int:
        return helpdesk.call("tickets/2", token, "PUT", json={"ticket": ticket}).status_code

    assert put(status="open") == 403
    assert put(comment={"body": "Hello"}) == 403
    assert put(comment={"body": "For us", "public": False}) == 200


def test_suspended_users_token_is_refused(helpdesk: Helpdesk) -> None:
    pair = helpdesk.pair()
    helpdesk.change_user(ADA, suspended=True)
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 403


# --- Section 7: limits, errors, pages -------------------------------------------------------------


def test_limit_headers_count_down_and_429_says_when(tmp_path: Path) -> None:
    with running(desk_environment(tmp_path, requests_per_minute=5)) as address:  # type: ignore[arg-type]
        _wait_for_an_early_second()
        answers = [requests.get(f"{address}/api/v2/users/me", timeout=20) for _ in range(6)]
        token_call = requests.post(f"{address}/oauth/tokens", json={}, timeout=20)
        page = requests.get(f"{address}/", timeout=20)
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["X-Rate-Limit-Remaining"] for answer in answers] == list("432100")
    assert {answer.headers["X-Rate-Limit"] for answer in answers} == {"5"}
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert token_call.status_code == 429
    assert page.status_code == 200


def _wait_for_an_early_second() -> None:
    """The window is a minute of real time, and the test must fit into one."""
    while datetime.now(UTC).second > 54:
        time.sleep(0.5)


def test_no_credential_is_401_and_an_unknown_address_404_in_json(helpdesk: Helpdesk) -> None:
    assert helpdesk.call("tickets/1", None).status_code == 401
    made_up = helpdesk.call("tickets/1", "made-up")
    assert (made_up.status_code, made_up.json()["error"]) == (401, "invalid_token")
    assert helpdesk.call("nothing", None).json()["error"] == "InvalidEndpoint"
    assert helpdesk.call("tickets/999999999999999999", helpdesk.service()).status_code == 404
    assert helpdesk.call("tickets/" + "9" * 40, helpdesk.service()).status_code == 404
    assert helpdesk.call("tickets/1", helpdesk.service(), "DELETE").status_code == 405


def test_offset_pages_stop_at_ten_thousand(helpdesk: Helpdesk) -> None:
    service = helpdesk.service()
    page = helpdesk.call("tickets?per_page=15&page=2", service).json()
    assert page["count"] == 40
    assert [ticket["id"] for ticket in page["tickets"]] == list(range(16, 31))
    assert page["next_page"].endswith("page=3")
    assert helpdesk.call("tickets?page=101", service).status_code == 422


def test_every_api_address_answers_with_a_json_suffix_too(helpdesk: Helpdesk) -> None:
    service = helpdesk.service()
    for path in ("users/me", "oauth/tokens", "tickets/1", "tickets/1/comments", "oauth/clients"):
        assert helpdesk.call(f"{path}.json", service).status_code == 200


# --- Section 8: users -----------------------------------------------------------------------------


def test_me_without_a_credential_is_an_anonymous_200(helpdesk: Helpdesk) -> None:
    answer = helpdesk.call("users/me", None)
    assert answer.status_code == 200
    assert answer.json()["user"]["id"] is None
    assert helpdesk.call("users/me", "made-up").status_code == 401


def test_me_is_who_consented(helpdesk: Helpdesk) -> None:
    token = helpdesk.pair(person=CLEO)["access_token"]
    user = helpdesk.call("users/me", token).json()["user"]
    assert (user["id"], user["email"]) == (CLEO, "cleo@acme.test")
    assert (user["role"], user["role_type"]) == ("agent", 1)


def test_search_by_email_is_partial_and_by_external_id_exact(helpdesk: Helpdesk) -> None:
    service = helpdesk.service()

    def found(query: str) -> set[str]:
        users = helpdesk.call(f"users/search?{query}", service).json()["users"]
        return {user["email"] for user in users}

    assert found("query=email:ada@acme.test") == {"ada@acme.test", "canada@acme.test"}
    assert found("external_id=ada") == {"ada@acme.test"}
    assert found("external_id=ad") == set()
    assert helpdesk.call("users/search", service).status_code == 400


def test_users_by_id_many_role_and_identities(helpdesk: Helpdesk) -> None:
    service = helpdesk.service()
    many = helpdesk.call(f"users/show_many?ids={ADA},{BEN},1", service).json()["users"]
    assert [user["id"] for user in many] == [ADA, BEN]
    assert helpdesk.call("users/1", service).status_code == 404
    admins = helpdesk.call("users?role[]=admin&page[size]=50", service).json()["users"]
    assert {user["role"] for user in admins} == {"admin"}
    assert OMAR in {user["id"] for user in admins}
    both = helpdesk.call("users?role[]=admin&role[]=agent", service).json()["users"]
    assert {user["role"] for user in both} == {"admin", "agent"}
    assert helpdesk.call("users?role[]=king", service).status_code == 400
    identity = helpdesk.call(f"users/{ADA}/identities", service).json()["identities"][0]
    assert (identity["type"], identity["value"]) == ("email", "ada@acme.test")
    assert identity["verified"] is True


def test_person_without_a_helpdesk_user_is_not_there(helpdesk: Helpdesk) -> None:
    users = helpdesk.call("users/search?external_id=zoe", helpdesk.service()).json()["users"]
    assert users == []


# --- Tickets, by hand and by zenpy ----------------------------------------------------------------


def test_ticket_is_changed_and_the_change_is_seen(helpdesk: Helpdesk) -> None:
    token = helpdesk.pair("tickets:read tickets:write")["access_token"]
    change = {"status": "pending", "tags": ["b", "a"], "comment": {"body": "Asked.\nTwice."}}
    answer = helpdesk.call("tickets/3", token, "PUT", json={"ticket": change})
    assert answer.status_code == 200
    assert [event["type"] for event in answer.json()["audit"]["events"]][-1] == "Comment"
    ticket = helpdesk.call("tickets/3", token).json()["ticket"]
    assert (ticket["status"], ticket["tags"]) == ("pending", ["a", "b"])
    comment = helpdesk.call("tickets/3/comments", token).json()["comments"][-1]
    assert (comment["author_id"], comment["body"]) == (ADA, "Asked.\nTwice.")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ticket": []},
        {"ticket": {"status": "sleeping"}},
        {"ticket": {"status": ["open"]}},
        {"ticket": {"tags": "a"}},
        {"ticket": {"tags": ["a b"]}},
        {"ticket": {"comment": "text"}},
        {"ticket": {"comment": {"body": " "}}},
        {"ticket": {"comment": {"body": "x" * 70_000}}},
    ],
)
def test_senseless_change_is_a_422(helpdesk: Helpdesk, body: dict[str, Any]) -> None:
    token = helpdesk.pair("tickets:write")["access_token"]
    answer = helpdesk.call("tickets/4", token, "PUT", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"] == "RecordInvalid"


def test_zenpy_reads_and_writes_tickets(
    helpdesk: Helpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZENPY_FORCE_NETLOC", urlsplit(helpdesk.address).netloc)
    monkeypatch.setenv("ZENPY_FORCE_SCHEME", "http")
    token = helpdesk.pair("read tickets:write")["access_token"]
    zenpy = Zenpy(subdomain="acme", oauth_token=token, disable_cache=True)
    ticket = zenpy.tickets(id=1)
    assert ticket.subject.startswith("Delivery arrived")
    assert ticket.requester.email.endswith(".test")
    assert len(list(zenpy.tickets())) == 40
    assert len(list(zenpy.tickets.comments(ticket=1))) >= 1
    assert [group.name for group in zenpy.groups()] == ["Support", "Billing", "EMEA tier 2"]
    assert zenpy.users.me().id == ADA
    found = list(zenpy.search(type="ticket", tags="vat"))
    assert found
    assert all("vat" in one.tags for one in found)
    ticket.tags = ["by-zenpy"]
    zenpy.tickets.update(ticket)
    assert zenpy.tickets(id=1).tags == ["by-zenpy"]
    helpdesk.remote.expire_token(helpdesk.token_of(token)["id"])
    with pytest.raises(APIException):
        zenpy.tickets(id=2)


# --- The event log and the control ----------------------------------------------------------------


def test_event_log_tells_the_whole_story(helpdesk: Helpdesk) -> None:
    before = helpdesk.last_event()
    pair = helpdesk.pair()
    number = helpdesk.token_of(pair["access_token"])["id"]
    new = helpdesk.refresh(pair["refresh_token"]).json()
    new_id = helpdesk.token_of(new["access_token"])["id"]
    helpdesk.remote.expire_token(new_id)
    helpdesk.call("users/me", new["access_token"])
    helpdesk.call(f"oauth/tokens/{new_id}", helpdesk.service(), "DELETE")
    events = list(helpdesk.remote.events(after=before))
    story = [event["kind"] for event in events if event["kind"] != "request.served"]
    assert story == [
        "authorization.allowed", "code.issued", "code.used", "token.issued", "token.refreshed",
        "token.expired", "token.expired_on_use", "token.issued", "token.deleted",
    ]  # fmt: skip
    refreshed = next(event for event in events if event["kind"] == "token.refreshed")
    assert (refreshed["token_id"], refreshed["detail"]["replaces"]) == (new_id, number)
    served = [event for event in events if event["kind"] == "request.served"]
    last = served[-1]
    assert last["detail"]["method"] == "DELETE"
    assert last["detail"]["status"] == 204
    assert last["user_id"] == INTEGRATION_USER.helpdesk_id
    assert pair["access_token"] not in str(events)
    assert pair["refresh_token"] not in str(events)


def test_event_log_is_append_only(helpdesk: Helpdesk, tmp_path: Path) -> None:
    import sqlite3

    with running(desk_environment(tmp_path)) as address:
        requests.get(f"{address}/api/v2/users/me", timeout=20)
    with sqlite3.connect(tmp_path / "helpdesk.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM demo_helpdesk_event").fetchone() == (1,)
        for change in ("DELETE FROM demo_helpdesk_event", "UPDATE demo_helpdesk_event SET kind=''"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(change)
    database.close()


def test_control_is_closed_without_its_header(helpdesk: Helpdesk) -> None:
    for path in ("events", "tokens", "time", "faults"):
        answer = requests.get(f"{helpdesk.address}/control/{path}", timeout=20)
        assert answer.status_code == 403
    answer = requests.post(f"{helpdesk.address}/control/time", json={"now": None}, timeout=20)
    assert answer.status_code == 403


def test_set_time_stands_still_or_runs_on(helpdesk: Helpdesk) -> None:
    moment = SOME_DAY
    helpdesk.remote.set_time(moment)
    pair = helpdesk.pair()
    assert helpdesk.token_of(pair["access_token"])["created_at"] == "2026-10-01T08:30:00Z"
    helpdesk.remote.set_time(moment, runs=True)
    time.sleep(1.1)
    assert helpdesk.token_of(pair["access_token"])["used_at"] > "2026-10-01T08:30:00Z"
    helpdesk.remote.set_time(None)
    assert helpdesk.call("users/me", pair["access_token"]).status_code == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("time", {}),
        ("time", {"now": "soon"}),
        ("time", {"now": "2026-10-01T08:30:00"}),
        ("time", {"now": None, "runs": "yes"}),
        ("faults", {}),
        ("faults", [{"kind": "unheard of"}]),
        ("faults", [{"kind": "html", "times": 0}]),
        ("faults", [{"kind": "html", "colour": "red"}]),
        ("faults", [{"kind": "stall", "seconds": "long"}]),
        (f"users/{ADA}", {"role": "king"}),
        (f"users/{ADA}", {"suspended": "yes"}),
        (f"users/{ADA}", {"id": 1}),
    ],
)
def test_control_refuses_nonsense_in_a_sentence(
    helpdesk: Helpdesk, path: str, body: object
) -> None:
    answer = requests.post(
        f"{helpdesk.address}/control/{path}", json=body, headers={"X-Demo-Control": "1"}, timeout=20
    )
    assert answer.status_code == 400
    assert answer.text.strip().endswith(".")


def test_control_says_why_not(helpdesk: Helpdesk) -> None:
    with pytest.raises(ControlRefused, match="Another user has that email"):
        helpdesk.change_user(ADA, email="ben@acme.test")


def test_tokens_can_change_behind_everybodys_back(helpdesk: Helpdesk) -> None:
    pair = helpdesk.pair()
    number = helpdesk.token_of(pair["access_token"])["id"]
    helpdesk.remote.change_token(number, scopes=["read"], user_id=BEN)
    token = helpdesk.token_of(pair["access_token"])
    assert (token["scopes"], token["user_id"]) == (["read"], BEN)


# --- The process ----------------------------------------------------------------------------------


def test_restart_keeps_tokens_and_changes(tmp_path: Path) -> None:
    told = desk_environment(tmp_path)
    with running(told) as address:
        first = Helpdesk(address)
        pair = first.pair()
        first.change_user(BEN, suspended=True)
        count = len(first.remote.tokens())
    with running(told) as address:
        second = Helpdesk(address)
        assert second.call("users/me", pair["access_token"]).json()["user"]["id"] == ADA
        assert len(second.remote.tokens()) == count
        with pytest.raises(ConsentRefused, match="suspended"):
            second.code(person=BEN)


def test_missing_variable_is_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told = desk_environment(tmp_path)
    del told["DEMO_HELPDESK_CLIENT_SECRET"]
    with pytest.raises(RuntimeError, match="ended"), running(told):
        pass
    assert "DEMO_HELPDESK_CLIENT_SECRET is not set." in capfd.readouterr().err
