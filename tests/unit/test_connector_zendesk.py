"""The Zendesk connector against a server that answers in every shape Zendesk is known to have, and worse."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.connector_server import OpenGate, answer, serving
from tokens.connectors.base import Broken, ConnectorError, GiveUp, HelpdeskConfig, Retry, Unknown
from tokens.connectors.registry import authorize_url_for, connector_for
from tokens.connectors.zendesk import parse

SECRETS = {
    "code": "code-0123", "code_verifier": "verifier-0123", "refresh_token": "refresh-0123",
    "client_secret": "client-secret-0123", "service_client_secret": "service-secret-0123",
    "bearer": "bearer-0123",
}  # fmt: skip
PAIR = {
    "access_token": "eyJ.new.access", "refresh_token": "new-refresh", "token_type": "bearer",
    "scope": "tickets:read users:read", "expires_in": 3600, "refresh_token_expires_in": 604800,
}  # fmt: skip
TOKEN = {
    "id": 5001, "client_id": 77, "user_id": 9, "scopes": ["tickets:read"], "token": "eyJhbGciOi",
    "created_at": "2026-11-23T08:00:00Z", "expires_at": "2026-11-23T10:00:00+01:00",
    "refresh_token_expires_at": "2026-11-30T08:00:00Z", "used_at": None,
    "url": "https://acme.zendesk.example/api/v2/oauth/tokens/5001.json",
}  # fmt: skip
ADA = {
    "id": 9, "name": "Ada Lindqvist", "email": "Ada@acme.test", "external_id": "ada",
    "role": "agent", "role_type": 0, "custom_role_id": None, "active": True, "suspended": False,
}  # fmt: skip
SCOPES = frozenset({"users:read", "tickets:read"})
HTML = b"<!doctype html><title>Sign in</title>"
CONFIG = HelpdeskConfig(
    slug="production", name="Acme", kind="zendesk", url="", client_id="keydesk",
    client_secret=SECRETS["client_secret"], service_client_id="keydesk-service",
    service_client_secret=SECRETS["service_client_secret"], requests_per_minute=700,
)  # fmt: skip


def connect(server):
    return connector_for(replace(CONFIG, url=server.url), OpenGate())


def exchange(connector):
    return connector.exchange(
        code=SECRETS["code"], redirect_uri="https://keydesk.test/callback",
        code_verifier=SECRETS["code_verifier"], scopes=SCOPES,
        expires_in=3600, refresh_expires_in=604800,
    )  # fmt: skip


def refresh(connector):
    return connector.refresh(
        refresh_token=SECRETS["refresh_token"], scopes=SCOPES,
        expires_in=300, refresh_expires_in=604800,
    )  # fmt: skip


def mint(connector):
    return connector.mint_service_token(expires_in=3600)


def with_bearer(name, **arguments):
    def call(connector):
        return getattr(connector, name)(access_token=SECRETS["bearer"], **arguments)

    call.__name__ = name
    return call


TOKEN_CALLS = [exchange, refresh, mint]
READS = [
    with_bearer("current"),
    with_bearer("whoami"),
    with_bearer("show", token_id=5001),
    with_bearer("tokens_of_client", client_number=77),
    with_bearer("client_number"),
    with_bearer("user_by_external_id", external_id="ada"),
    with_bearer("users_by_email", email="ada@acme.test"),
    with_bearer("user", user_id=9),
]
DELETE = with_bearer("delete", token_id=5001)


def outcome(call, *replies):
    """What a call gives, value or error, with what was asked."""
    with serving(*replies) as server:
        try:
            return call(connect(server)), server.seen
        except ConnectorError as error:
            return error, server.seen


# --- Making tokens ---------------------------------------------------------------------------------


def test_an_exchange_sends_what_zendesk_wants_and_reads_what_it_gives():
    pair, (seen,) = outcome(exchange, answer(201, PAIR))
    assert seen.line == "POST /oauth/tokens HTTP/1.1"
    assert seen.json() == {
        "grant_type": "authorization_code", "code": "code-0123", "code_verifier": "verifier-0123",
        "redirect_uri": "https://keydesk.test/callback", "client_id": "keydesk",
        "client_secret": "client-secret-0123", "scope": "tickets:read users:read",
        "expires_in": 3600, "refresh_token_expires_in": 604800,
    }  # fmt: skip
    assert (pair.access_token, pair.refresh_token) == ("eyJ.new.access", "new-refresh")
    assert (pair.scopes, pair.expires_in, pair.refresh_expires_in) == (SCOPES, 3600, 604800)


def test_a_refresh_sends_both_lifetimes_again():
    _, (seen,) = outcome(refresh, answer(200, PAIR))
    sent = seen.json()
    assert sent["grant_type"] == "refresh_token"
    assert (sent["expires_in"], sent["refresh_token_expires_in"]) == (300, 604800)
    assert sent["refresh_token"] == "refresh-0123"


def test_keydesks_own_access_is_asked_for_with_the_service_client():
    token, (seen,) = outcome(mint, answer(200, {"access_token": "svc", "expires_in": 3600}))
    assert (token.access_token, token.expires_in) == ("svc", 3600)
    assert seen.json() == {
        "grant_type": "client_credentials", "client_id": "keydesk-service", "expires_in": 3600,
        "client_secret": "service-secret-0123", "scope": "read write",
    }  # fmt: skip


def test_what_a_token_answer_leaves_out_is_none():
    pair, _ = outcome(exchange, answer(200, {"access_token": "a", "refresh_token": "b"}))
    assert (pair.scopes, pair.expires_in, pair.refresh_expires_in) == (None, None, None)


@pytest.mark.parametrize("call", TOKEN_CALLS)
@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client"])
@pytest.mark.parametrize("status", [400, 401])
def test_a_refused_client_is_our_own_access_broken(call, code, status):
    error, _ = outcome(call, answer(status, {"error": code, "error_description": "No."}))
    assert isinstance(error, Broken)
    assert error.reason == f"The helpdesk refused ({status} {code}): No."


@pytest.mark.parametrize("call", TOKEN_CALLS)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_at_the_door_is_our_own_access_broken(call, status):
    error, _ = outcome(call, answer(status, {"error": "Couldn't authenticate you"}))
    assert isinstance(error, Broken)


@pytest.mark.parametrize("call", TOKEN_CALLS)
@pytest.mark.parametrize("code", ["invalid_grant", "invalid_scope", "invalid_request"])
@pytest.mark.parametrize("status", [400, 401])
def test_a_refused_request_is_given_up_with_its_code(call, code, status):
    error, _ = outcome(call, answer(status, {"error": code}))
    assert isinstance(error, GiveUp)
    assert error.code == code


@pytest.mark.parametrize("call", [exchange, refresh])
@pytest.mark.parametrize(
    "change",
    [
        {"access_token": None}, {"access_token": ""}, {"access_token": 7}, {"refresh_token": None},
        {"access_token": "a\r\nX: y"}, {"access_token": "a b"}, {"access_token": "é"},
        {"access_token": "a" * 8193}, {"expires_in": "soon"}, {"expires_in": True},
        {"expires_in": -1}, {"expires_in": 1.5}, {"expires_in": 10**12}, {"scope": 5},
        {"scope": [1]}, {"scope": {"a": 1}}, {"refresh_token_expires_in": []},
    ],
)  # fmt: skip
def test_a_token_answer_with_a_wrong_type_is_unknown(call, change):
    error, _ = outcome(call, answer(200, {**PAIR, **change}))
    assert isinstance(error, Unknown)


@pytest.mark.parametrize("call", [*TOKEN_CALLS, *READS, DELETE])
@pytest.mark.parametrize(
    "reply",
    [
        answer(200, HTML), answer(400, b"Bad Request"), answer(400, b""),
        answer(401, HTML), answer(403, HTML), answer(404, HTML), answer(404, b""), answer(400, []),
        answer(400, {}), answer(422, "text"), answer(302, b"", Location="/login"), answer(500, {}),
    ],
)  # fmt: skip
def test_an_answer_nobody_can_read_is_unknown(call, reply):
    error, _ = outcome(call, reply)
    assert isinstance(error, Unknown)


@pytest.mark.parametrize("call", [*TOKEN_CALLS, *READS])
@pytest.mark.parametrize("body", [b"", {}, {"error": "x"}, None, "x", 7, [1]])
def test_a_success_without_content_is_unknown(call, body):
    error, _ = outcome(call, answer(200, body))
    assert isinstance(error, Unknown)


@pytest.mark.parametrize("call", [*TOKEN_CALLS, *READS, DELETE])
def test_a_429_is_a_retry_after_what_was_asked(call):
    error, _ = outcome(call, answer(429, b"Slow down", Retry_After="4"))
    assert isinstance(error, Retry)
    assert error.after == 4


# --- Refusals of a bearer --------------------------------------------------------------------------


@pytest.mark.parametrize("call", [*READS, DELETE])
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, {"error": "invalid_token", "error_description": "Expired."}, "invalid_token"),
        (401, {"error": "Couldn't authenticate you"}, "invalid_token"),
        (403, {"error": "Forbidden", "description": "Missing scopes: read"}, "forbidden"),
        (403, {"error": {"title": "Forbidden", "message": "No."}}, "forbidden"),
        (422, {"error": "RecordInvalid", "details": {}}, "RecordInvalid"),
    ],
)
def test_a_refused_bearer_is_given_up(call, status, body, code):
    error, (seen,) = outcome(call, answer(status, body))
    assert isinstance(error, GiveUp)
    assert error.code == code
    assert seen.headers["authorization"] == "Bearer bearer-0123"


SHAPES = [
    (
        {"error": "RecordNotFound", "description": "Not found"},
        "The helpdesk refused (400 RecordNotFound): Not found.",
    ),
    (
        {"error": {"title": "Forbidden", "message": "You do not have access."}},
        "The helpdesk refused (400 Forbidden): You do not have access.",
    ),
    (
        {"errors": [{"code": "InvalidParameter", "title": "Bad", "detail": "page is wrong"}]},
        "The helpdesk refused (400 InvalidParameter): page is wrong.",
    ),
    (
        {
            "error": "RecordInvalid",
            "description": "Record validation errors",
            "details": {"expires_in": [{"error": "InvalidValue", "description": "is too long"}]},
        },
        "The helpdesk refused (400 RecordInvalid): expires_in: is too long.",
    ),
    (
        {"error": "Couldn't authenticate you"},
        "The helpdesk refused (400 status_400): Couldn't authenticate you.",
    ),
    ({"error": {"title": 5}}, "The helpdesk refused (400 status_400)."),
    ({"errors": []}, "The helpdesk refused (400 status_400)."),
    ({"error": None, "details": {"a": "b"}}, "The helpdesk refused (400 status_400)."),
    ({"error": "x", "description": "a\r\nb\x00c"}, "The helpdesk refused (400 x): a b c."),
]


@pytest.mark.parametrize(("body", "sentence"), SHAPES)
def test_each_shape_of_error_becomes_one_sentence(body, sentence):
    error, _ = outcome(with_bearer("current"), answer(400, body))
    assert error.reason == sentence


SENT = [
    *((exchange, name) for name in ("code", "code_verifier", "client_secret")),
    *((refresh, name) for name in ("refresh_token", "client_secret")),
    (mint, "service_client_secret"),
    *((call, "bearer") for call in (*READS, DELETE)),
]


@pytest.mark.parametrize(("call", "name"), SENT)
@pytest.mark.parametrize("place", ["error", "description", "error_description"])
def test_no_refusal_repeats_what_was_sent(call, name, place):
    body = {"error": "invalid_grant", place: f"No {SECRETS[name]} here"}
    error, (seen,) = outcome(call, answer(400, body))
    assert SECRETS[name].encode() in seen.body + seen.headers.get("authorization", "").encode()
    assert SECRETS[name] not in f"{error} {error!r} {error.code}"
    assert "No … here" in error.reason


@pytest.mark.parametrize("call", [*TOKEN_CALLS, *READS, DELETE])
def test_no_refusal_repeats_what_looks_like_a_token(call):
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9"
    for body in ({"error": f"No {token}"}, {"error": "x", "description": f"No {token}"}):
        error, _ = outcome(call, answer(400, body))
        assert token not in f"{error} {error!r} {error.code}"


def test_a_secret_as_the_error_code_is_not_repeated():
    error, _ = outcome(exchange, answer(400, {"error": SECRETS["code"].replace("-", "_")}))
    assert error.code == "code_0123"  # not what was sent, so a code like any other
    error, _ = outcome(exchange, answer(400, {"error": SECRETS["code"]}))
    assert SECRETS["code"] not in f"{error} {error.code}"


def test_nothing_shows_a_secret_of_the_configuration():
    connector = connector_for(replace(CONFIG, url="http://127.0.0.1:9"), OpenGate())
    assert repr(connector) == "ZendeskConnector(production)"
    assert not [secret for secret in SECRETS.values() if secret in repr(CONFIG)]


# --- Tokens described and ended --------------------------------------------------------------------


def test_a_token_is_described_in_utc():
    record, (seen,) = outcome(with_bearer("current"), answer(200, {"token": TOKEN}))
    assert seen.line == "GET /api/v2/oauth/tokens/current HTTP/1.1"
    assert (record.id, record.client_id, record.user_id) == (5001, 77, 9)
    assert record.scopes == {"tickets:read"}
    assert record.expires_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert record.expires_at.utcoffset().total_seconds() == 0
    assert record.used_at is None


def test_what_a_description_leaves_out_is_none():
    record = parse.token_record({"id": 5001})
    assert record == replace(
        record, client_id=None, user_id=None, scopes=None, created_at=None,
        expires_at=None, refresh_expires_at=None, used_at=None,
    )  # fmt: skip


@pytest.mark.parametrize("written", ["a b", ["a", "b"], "  b   a ", ["b", "a", "a"]])
def test_scopes_come_as_text_or_list(written):
    assert parse.token_record({"id": 1, "scopes": written}).scopes == {"a", "b"}


@pytest.mark.parametrize("name", ["\x00", "\ud800", "a b", "", "read\n", "é"])
def test_what_no_scope_can_be_called_is_unreadable(name):
    """RFC 6749 section 3.3; a database that cannot keep it would stop every list."""
    with pytest.raises(Unknown, match="scopes"):
        parse.token_record({"id": 1, "scopes": ["read", name]})


@pytest.mark.parametrize("written", ["", []])
def test_no_scopes_are_no_scopes_and_not_unknown_ones(written):
    assert parse.token_record({"id": 1, "scopes": written}).scopes == frozenset()


@pytest.mark.parametrize(
    "change",
    [
        {"id": None}, {"id": "5001"}, {"id": 0}, {"id": -1}, {"id": True}, {"id": 2**63},
        {"id": 1.5}, {"user_id": "9"}, {"client_id": []}, {"scopes": 1}, {"scopes": [None]},
        {"expires_at": "tomorrow"}, {"expires_at": 1764000000}, {"expires_at": "2026-11-23"},
        {"expires_at": "2026-11-23T08:00:00"}, {"expires_at": "0001-01-01T00:00:00+14:00"},
        {"created_at": {}}, {"refresh_token_expires_at": ""},
    ],
)  # fmt: skip
def test_a_description_with_a_wrong_type_is_unknown(change):
    with pytest.raises(Unknown):
        parse.token_record({**TOKEN, **change})


def test_show_is_none_for_a_404_in_the_helpdesks_own_words():
    show = with_bearer("show", token_id=5001)
    found, _ = outcome(show, answer(404, {"error": "RecordNotFound", "description": "Not found"}))
    assert found is None


def test_show_refuses_another_token_than_asked_for():
    error, _ = outcome(with_bearer("show", token_id=5002), answer(200, {"token": TOKEN}))
    assert isinstance(error, Unknown)


@pytest.mark.parametrize(
    "reply",
    [answer(204), answer(200, {}), answer(200), answer(404, {"error": "RecordNotFound"})],
)
def test_a_delete_is_done_when_it_is_gone(reply):
    found, (seen,) = outcome(DELETE, reply)
    assert found is None
    assert seen.line == "DELETE /api/v2/oauth/tokens/5001 HTTP/1.1"


# --- Lists -----------------------------------------------------------------------------------------

LIST = with_bearer("tokens_of_client", client_number=77)


def page(*ids, after=None, **changes):
    meta = {"has_more": after is not None, "after_cursor": after}
    tokens = [{**TOKEN, "id": number} for number in ids]
    return answer(200, {"tokens": tokens, "meta": meta, **changes})


def test_all_pages_of_a_list_are_read():
    records, seen = outcome(LIST, page(1, 2, after="c1"), page(3, after="c2"), page())
    assert [record.id for record in records] == [1, 2, 3]
    queries = [parse_qs(urlsplit(one.line.split()[1]).query) for one in seen]
    assert queries[0] == {"all": ["true"], "client_id": ["77"], "page[size]": ["100"]}
    assert [query.get("page[after]") for query in queries] == [None, ["c1"], ["c2"]]


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([page(1, after="c1"), page(1)], id="an id twice"),
        pytest.param([page(1, 1)], id="an id twice on one page"),
        pytest.param([page(1, after="c"), page(2, after="c")], id="a cursor that stands still"),
        pytest.param(
            [page(1, after="a"), page(2, after="b"), page(3, after="a")], id="cursors in a ring"
        ),
        pytest.param([page(1, after="")], id="more, but not where"),
        pytest.param([page(1, after="c"), answer(500)], id="a page that fails"),
        pytest.param([page(1, after="c"), answer(200, HTML)], id="a page nobody can read"),
        pytest.param([page(1, meta=None)], id="a page that does not say whether it is the last"),
        pytest.param([page(1, meta={})], id="a meta that does not say"),
        pytest.param([page(1, meta={"has_more": "false"})], id="a has_more of another type"),
        pytest.param([page(tokens={})], id="a list that is none"),
        pytest.param([page(tokens=[7])], id="a token that is none"),
    ],
)
def test_half_a_list_is_no_list(replies):
    error, _ = outcome(LIST, *replies)
    assert isinstance(error, Unknown)


def test_a_list_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr("tokens.connectors.zendesk.connector._MOST_PAGES", 5)
    numbers = itertools.count(1)
    replies = [page(n, after=f"c{n}") for n in itertools.islice(numbers, 20)]
    error, seen = outcome(LIST, *replies)
    assert isinstance(error, Unknown)
    assert len(seen) == 5


def test_a_refusal_in_the_middle_of_a_list_is_a_refusal():
    error, _ = outcome(LIST, page(1, after="c"), answer(401, {"error": "invalid_token"}))
    assert isinstance(error, GiveUp)


def test_the_clients_number_is_found_by_its_identifier():
    pages = [
        answer(200, {"clients": [{"id": 1, "identifier": "other"}], "meta": {"has_more": True, "after_cursor": "c"}}),
        answer(200, {"clients": [{"id": 77, "identifier": "keydesk"}], "meta": {"has_more": False}}),
    ]  # fmt: skip
    number, _ = outcome(with_bearer("client_number"), *pages)
    assert number == 77


def test_a_client_that_is_not_there_stops_the_line():
    empty = answer(200, {"clients": [], "meta": {"has_more": False}})
    error, _ = outcome(with_bearer("client_number"), empty)
    assert isinstance(error, Broken)
    assert "keydesk" in error.reason


# --- Users -----------------------------------------------------------------------------------------


def test_whoami_refuses_nobody_in_particular():
    nobody = {"user": {"id": None, "name": "Anonymous user", "active": True}}
    error, _ = outcome(with_bearer("whoami"), answer(200, nobody))
    assert isinstance(error, GiveUp)
    assert error.code == "anonymous"


def test_a_user_is_read():
    user, _ = outcome(with_bearer("user", user_id=9), answer(200, {"user": ADA}))
    assert (user.id, user.name, user.email, user.external_id) == (
        9, "Ada Lindqvist", "Ada@acme.test", "ada",
    )  # fmt: skip
    assert (user.role, user.role_type, user.custom_role_id) == ("agent", 0, None)
    assert user.active
    assert not user.suspended


@pytest.mark.parametrize(
    "change",
    [
        {"id": "9"}, {"active": None}, {"suspended": "no"}, {"role": 4}, {"email": ["a"]},
        {"email": "a\x00b"}, {"external_id": "x" * 256}, {"role_type": "admin"}, {"name": {}},
    ],
)  # fmt: skip
def test_a_user_with_a_wrong_type_is_unknown(change):
    with pytest.raises(Unknown):
        parse.remote_user({**ADA, **change})


def test_a_name_is_shown_on_one_line_and_cut():
    user = parse.remote_user({**ADA, "name": "Ada\r\n\x00\ud800" + "a" * 300})
    assert user.name == "Ada    " + "a" * 143


def test_a_user_that_is_gone_is_none():
    gone = answer(404, {"error": "RecordNotFound", "description": "Not found"})
    assert outcome(with_bearer("user", user_id=9), gone)[0] is None


def users(*found, **more):
    return answer(200, {"users": list(found), "next_page": None, **more})


def test_an_external_id_is_compared_exactly():
    call = with_bearer("user_by_external_id", external_id="ada")
    found, (seen,) = outcome(call, users({**ADA, "id": 8, "external_id": "ADA"}, ADA))
    assert found.id == 9
    assert "external_id=ada" in seen.line
    assert outcome(call, users({**ADA, "external_id": "adam"}))[0] is None
    assert isinstance(outcome(call, users(ADA, {**ADA, "id": 8}))[0], Unknown)


def test_nobody_has_an_empty_external_id_or_address():
    for call in (
        with_bearer("user_by_external_id", external_id=""),
        with_bearer("users_by_email", email=""),
    ):
        found, seen = outcome(call, users(ADA))
        assert not found
        assert seen == []


BY_EMAIL = with_bearer("users_by_email", email="ada@acme.test")


def identity(**changes):
    return {"type": "email", "value": "ada@acme.test", "verified": True, "user_id": 8, **changes}


def test_an_address_is_compared_exactly_but_for_case():
    found, seen = outcome(BY_EMAIL, users(ADA))
    assert [user.id for user in found] == [9]
    assert parse_qs(urlsplit(seen[0].line.split()[1]).query)["query"] == ["email:ada@acme.test"]


@pytest.mark.parametrize(
    ("known", "is_found"),
    [
        ([identity()], True),
        ([identity(value="ADA@acme.test")], True),
        ([identity(verified=False)], False),
        ([identity(verified=None)], False),
        ([identity(verified="true")], False),
        ([identity(type="twitter")], False),
        ([identity(value="xada@acme.test")], False),
        ([identity(value=None)], False),
        ([], False),
    ],
)
def test_a_second_address_counts_when_it_is_verified(known, is_found):
    other = {**ADA, "id": 8, "email": "ada@acme.testing"}
    found, seen = outcome(
        BY_EMAIL, users(other), answer(200, {"identities": known, "next_page": None})
    )
    assert bool(found) is is_found
    assert seen[1].line.startswith("GET /api/v2/users/8/identities ")


@pytest.mark.parametrize(
    "replies",
    [
        [users(ADA, next_page="https://x/?page=2")],
        [users(ADA, meta={"has_more": True})],
        [users({**ADA, "email": "b@acme.test"}), answer(200, {"identities": None})],
        [users({**ADA, "email": "b@acme.test"}), answer(200, {"identities": [], "next_page": "x"})],
    ],
)
def test_half_a_search_is_no_search(replies):
    assert isinstance(outcome(BY_EMAIL, *replies)[0], Unknown)


# --- Where to consent; kinds -----------------------------------------------------------------------


def test_the_consent_page_is_asked_for_exactly():
    url = authorize_url_for(
        replace(CONFIG, url="https://acme.zendesk.example/"),
        redirect_uri="https://keydesk.test/helpdesks/production/callback?a=b&c",
        scopes=SCOPES, state="st&te", code_challenge="ch_a-llenge",
    )  # fmt: skip
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == (
        "https://acme.zendesk.example/oauth/authorizations/new"
    )
    assert parse_qs(parts.query) == {
        "response_type": ["code"], "client_id": ["keydesk"], "state": ["st&te"],
        "redirect_uri": ["https://keydesk.test/helpdesks/production/callback?a=b&c"],
        "scope": ["tickets:read users:read"], "code_challenge": ["ch_a-llenge"],
        "code_challenge_method": ["S256"],
    }  # fmt: skip
    assert "+" not in parts.query


def test_an_unknown_kind_is_said_with_the_known_ones():
    other = replace(CONFIG, kind="freshdesk")
    with pytest.raises(ValueError, match=r"'freshdesk'; the kinds known are: zendesk\."):
        connector_for(other, OpenGate())
    with pytest.raises(ValueError, match="zendesk"):
        authorize_url_for(other, redirect_uri="", scopes=[], state="", code_challenge="")
