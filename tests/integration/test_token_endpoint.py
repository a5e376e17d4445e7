"""`POST /oauth/token`: what it takes, what it gives, how it says no, and how it waits for a refresh."""

import base64
import json
import threading
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client

from accounts import clock
from tests.story import until
from tests.world import World
from tokens.connectors.base import Retry
from tokens.models import ClientSecret, Credential, Fetch, Grant, Job
from tokens.operations import credentials, keys
from tokens.operations.keys import NewSecret
from tokens.states import CredentialState
from tokens.views import token_calls, waiting
from tokens.views.waiting import Busy, Nudge, Waits

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"
PATH = "/oauth/token"


def current(held) -> int | None:
    """The id of the secret that is current, as the page would show it."""
    found = held.secrets.filter(ends_at=None).first()
    return found.pk if found else None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose time is the portal's."""
    made = World(now=clock.now())
    monkeypatch.setattr(clock, "now", made.clock)
    return made


@pytest.fixture
def held(world: World) -> Credential:
    return world.active()


@pytest.fixture
def key(world: World, held: Credential) -> NewSecret:
    return keys.issue_secret(credential=held, by=held.owner, now=world.clock())


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def send(body: str | bytes, *, kind: str = FORM, path: str = PATH, **headers: str):
    return Client().post(path, body, content_type=kind, headers=headers)


def fetch(key: NewSecret, **fields: str):
    """The call a well-behaved client makes."""
    body = urlencode({"grant_type": "client_credentials", **fields})
    return send(body, Authorization=basic(key.client_id, key.client_secret))


def refused(response, status: int, error: str) -> str:
    """Check the shape of an error; its description."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    assert (response["Cache-Control"], response["Pragma"]) == ("no-store", "no-cache")
    answer = response.json()
    assert answer["error"] == error
    words = answer["error_description"]
    assert words.isascii()
    assert not set(words) & {'"', "\\"}
    assert words.endswith(".") or "/credentials/" in words
    return words


# --- What it gives -----------------------------------------------------------------------------------


def test_a_key_is_swapped_for_the_current_access_token(world, held, key):
    response = fetch(key)
    assert response.status_code == 200
    answer = response.json()
    grant = held.grants.get()
    assert answer["access_token"] == world.desk.living()[0].access
    assert answer["token_type"] == "bearer"
    assert answer["scope"].split() == sorted(held.scopes)
    left = grant.serve_until - world.now - settings.SERVE_MARGIN
    assert 0 <= left.total_seconds() - answer["expires_in"] < 1.1
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope"}
    assert (response["Cache-Control"], response["Pragma"]) == ("no-store", "no-cache")
    assert not response.cookies


def test_a_token_is_told_to_live_three_quarters_of_its_life(world, held, key):
    grant = held.grants.get()
    life = grant.access_expires_at - grant.sent_at
    assert grant.serve_until == grant.sent_at + life * 3 / 4


def test_each_fetch_is_one_row_that_says_when_whence_and_with_which_secret(world, held, key):
    fetch(key)
    fetch(key)
    first, second = Fetch.objects.order_by("id")
    assert first.secret == second.secret == ClientSecret.objects.get()
    assert first.grant == held.grants.get()
    assert first.address == "127.0.0.1"
    assert first.at < second.at


@pytest.mark.parametrize(
    "send_it",
    [
        lambda k: send(
            urlencode({"grant_type": "client_credentials", "client_id": k.client_id,
                       "client_secret": k.client_secret})
        ),
        lambda k: send(
            json.dumps({"grant_type": "client_credentials", "client_id": k.client_id,
                        "client_secret": k.client_secret, "scope": None, "audience": [1]}),
            kind="application/json",
        ),
        lambda k: send(
            json.dumps({"grant_type": "client_credentials"}), kind="application/json; charset=utf-8",
            Authorization=basic(k.client_id, k.client_secret),
        ),
        lambda k: send(
            urlencode({"grant_type": "client_credentials", "client_id": k.client_id, "client_secret": ""}),
            Authorization=basic(k.client_id, k.client_secret),
        ),
        lambda k: send(
            "grant_type=client_credentials",
            Authorization=basic(k.client_id.replace("_", "%5F"), k.client_secret.replace("_", "%5F")),
        ),
        lambda k: send(
            "grant_type=client_credentials&resource=x&empty=",
            Authorization=basic(k.client_id, k.client_secret).replace("Basic", "bAsIc"),
        ),
    ],
    ids=["form body", "json body", "json and basic", "basic with the same id", "encoded basic", "unknown fields"],
)  # fmt: skip
def test_every_way_of_authenticating_that_is_listed_works(world, key, send_it):
    assert send_it(key).status_code == 200


@pytest.mark.parametrize("scope", ["", "tickets:read", " tickets:read  users:read "])
def test_a_narrower_or_empty_scope_gives_all_and_says_so(world, held, key, scope):
    assert fetch(key, scope=scope).json()["scope"].split() == sorted(held.scopes)


def test_no_session_is_read_and_no_cookie_is_set(world, key, django_assert_max_num_queries):
    with django_assert_max_num_queries(8) as asked:
        response = fetch(key)
    assert not response.cookies
    assert not any("session" in query["sql"] for query in asked.captured_queries)


def test_a_form_token_is_not_asked_for(world, key):
    client = Client(enforce_csrf_checks=True)
    body = urlencode({"grant_type": "client_credentials"})
    header = {"Authorization": basic(key.client_id, key.client_secret)}
    assert client.post(PATH, body, content_type=FORM, headers=header).status_code == 200


def test_the_metadata_document_says_where_and_how(client):
    answer = client.get("/.well-known/oauth-authorization-server")
    assert answer.json() == {
        "issuer": settings.PORTAL_URL,
        "token_endpoint": f"{settings.PORTAL_URL}/oauth/token",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "response_types_supported": [],
    }
    assert client.post("/.well-known/oauth-authorization-server").status_code == 405


# --- How it says no ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head", "options"])
def test_other_methods_are_405_and_say_which_is_right(method):
    response = getattr(Client(), method)(PATH)
    assert response.status_code == 405
    assert response["Allow"] == "POST"
    if method != "head":
        refused(response, 405, "invalid_request")


CALL = "grant_type=client_credentials&client_id={id}&client_secret={secret}"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("", FORM),
        ("client_id={id}&client_secret={secret}", FORM),
        ("grant_type=&client_id={id}&client_secret={secret}", FORM),
        (f"{CALL}&grant_type=client_credentials", FORM),
        (f"{CALL}&client_secret={{secret}}", FORM),
        (f"{CALL}&scope=a&scope=b", FORM),
        (f"{CALL}&a=%ff", FORM),
        (b"grant_type=client_credentials\xff", FORM),
        ("&".join(f"f{n}=1" for n in range(60)), FORM),
        (CALL + "&pad=" + "x" * 20_000, FORM),
        (CALL, "text/plain"),
        (CALL, "multipart/form-data; boundary=x"),
        ("not json", "application/json"),
        ("[]", "application/json"),
        ('"client_credentials"', "application/json"),
        ('{{"grant_type": 5}}', "application/json"),
        ('{{"grant_type": ["client_credentials"]}}', "application/json"),
        ('{{"grant_type": "client_credentials", "client_id": {{}}}}', "application/json"),
        (
            '{{"grant_type": "client_credentials", "grant_type": "client_credentials"}}',
            "application/json",
        ),
        ("[" * 8000, "application/json"),
        ("1" * 8000, "application/json"),
    ],
)
def test_what_cannot_be_read_in_one_way_only_is_an_invalid_request(world, key, body, kind):
    if isinstance(body, str):
        body = body.format(id=key.client_id, secret=key.client_secret)
    refused(send(body, kind=kind), 400, "invalid_request")
    assert not Fetch.objects.exists()


def test_parameters_in_the_address_are_refused(world, key):
    body = CALL.format(id=key.client_id, secret=key.client_secret)
    refused(send(body, path=f"{PATH}?scope=tickets:read"), 400, "invalid_request")
    refused(send("", path=f"{PATH}?{body}"), 400, "invalid_request")


def test_two_ways_of_authenticating_are_one_too_many(world, key):
    body = CALL.format(id=key.client_id, secret=key.client_secret)
    header = basic(key.client_id, key.client_secret)
    refused(send(body, Authorization=header), 400, "invalid_request")
    other = "grant_type=client_credentials&client_id=kd_other"
    refused(send(other, Authorization=header), 400, "invalid_request")


@pytest.mark.parametrize(
    "grant_type", ["authorization_code", "password", "refresh_token", "Client_Credentials"]
)
def test_other_grant_types_are_not_supported(world, key, grant_type):
    refused(fetch(key, grant_type=grant_type), 400, "unsupported_grant_type")


def wrong_clients(key: NewSecret) -> dict[str, tuple[str, str]]:
    other = keys.make_secret()
    return {
        "unknown id": ("kd_production_AAAAAAAAAA", key.client_secret),
        "wrong secret": (key.client_id, other),
        "typing error": (key.client_id, key.client_secret[:-1] + "!"),
        "no secret": (key.client_id, ""),
        "nothing": ("", ""),
        "upper case": (key.client_id.upper(), key.client_secret),
        "long": ("x" * 5000, "y" * 5000),
        "not ascii": ("kd_ö", "kds_ä"),
        "cannot be stored": ("kd_\x00", key.client_secret),
    }


@pytest.mark.parametrize("which", sorted(wrong_clients(NewSecret("a", "b"))))
def test_every_wrong_client_gets_the_same_answer(world, key, which):
    client_id, secret = wrong_clients(key)[which]
    in_header = send("grant_type=client_credentials", Authorization=basic(client_id, secret))
    in_body = send(
        urlencode(
            {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        )
    )
    assert refused(in_header, 401, "invalid_client") == token_calls.WRONG_CLIENT
    assert in_header.content == in_body.content
    assert in_header["WWW-Authenticate"] == 'Basic realm="Keydesk"'
    assert "WWW-Authenticate" not in in_body
    refused(in_body, 401, "invalid_client")


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic /w==", "Basic YQ==", "Basic Og==", "Bearer abc", "x"]
)
def test_a_header_that_names_nobody_is_a_wrong_client(world, key, header):
    response = send("grant_type=client_credentials", Authorization=header)
    refused(response, 401, "invalid_client")
    assert ("WWW-Authenticate" in response) == header.startswith("Basic")


def test_text_that_is_no_text_in_json_is_a_wrong_client(world, key):
    secret = "kds_" + "a" * 31 + "\\ud800" + "000000"
    body = f'{{"grant_type": "client_credentials", "client_id": "{key.client_id}", "client_secret": "{secret}"}}'
    refused(send(body, kind="application/json"), 401, "invalid_client")


def test_an_ended_secret_is_a_wrong_client(world, held, key):
    new = keys.replace_now(credential=held, by=held.owner, seen=current(held), now=world.clock())
    refused(fetch(key), 401, "invalid_client")
    world.work()
    assert fetch(new).status_code == 200


def test_the_old_secret_works_for_another_day(world, held, key):
    new = keys.issue_secret(credential=held, by=held.owner, seen=current(held), now=world.clock())
    assert fetch(key).status_code == fetch(new).status_code == 200


def test_a_secret_belongs_to_its_client_id(world, key):
    other = world.active(script_name="another")
    second = keys.issue_secret(credential=other, by=other.owner, now=world.clock())
    refused(fetch(NewSecret(second.client_id, key.client_secret)), 401, "invalid_client")


def test_scopes_that_were_not_approved_are_refused(world, key):
    refused(fetch(key, scope="tickets:read tickets:write"), 400, "invalid_scope")
    refused(fetch(key, scope='"<script>" \\ \u2028'), 400, "invalid_scope")


def test_disconnected_access_says_where_to_connect_it_again(world, held, key):
    credentials.lose(credential=held, reason="The consent was withdrawn.", now=world.clock())
    words = refused(fetch(key), 400, "invalid_grant")
    assert f"{settings.PORTAL_URL}/credentials/{held.pk}" in words
    assert "connect it again" in words


def test_ended_access_gives_nothing_from_the_click_on(world, held, key):
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    assert "has ended" in refused(fetch(key), 400, "invalid_grant")
    world.work()
    refused(fetch(key), 400, "invalid_grant")


def test_at_its_end_a_token_is_not_served_even_before_the_sweep(world, held, key):
    world.now = held.lives_until
    refused(fetch(key), 400, "invalid_grant")


def test_a_database_that_is_away_is_a_503_that_a_client_understands(world, key, monkeypatch):
    def away(**_):
        raise OperationalError("gone")

    monkeypatch.setattr(keys, "find_secret", away)
    response = fetch(key)
    refused(response, 503, "temporarily_unavailable")
    assert response["Retry-After"] == str(waiting.COME_BACK)


# --- How it waits ------------------------------------------------------------------------------------


def make_due(world: World, held: Credential) -> Grant:
    grant = held.grants.filter(state="live").get()
    world.now = grant.serve_until - settings.SERVE_LEAST + timedelta(milliseconds=50)
    return grant


def test_a_call_at_the_due_moment_waits_for_the_new_token(world, held, key, monkeypatch):
    """The refresh may not begin before the moment the clients were told; then a worker makes it."""
    old, nudged_at = make_due(world, held), []
    monkeypatch.setattr(waiting.WAITS, "_nudge", lambda _slug: nudged_at.append(world.now))
    began, start = time.monotonic(), world.now

    def pass_time(_: object, seconds: float) -> None:
        """The world's time is the only one that passes, so a slow machine changes nothing."""
        world.now += timedelta(seconds=seconds)
        if world.now > old.serve_until:
            world.work()

    monkeypatch.setattr(
        waiting.time, "monotonic", lambda: began + (world.now - start).total_seconds()
    )
    monkeypatch.setattr(waiting, "pause", pass_time)
    answer = fetch(key).json()
    assert answer["access_token"] == world.desk.living()[0].access
    assert world.desk.calls.count("refresh") == 1
    new = held.grants.filter(state="live").get()
    assert new.sent_at >= old.serve_until
    assert any(abs(at - old.serve_until) < timedelta(seconds=0.1) for at in nudged_at)


def test_a_call_that_gets_nothing_in_time_is_a_503_and_leaves_no_row(world, held, key, settings):
    settings.TOKEN_WAIT = timedelta(seconds=0.3)
    make_due(world, held)
    began = time.monotonic()
    response = fetch(key)
    refused(response, 503, "temporarily_unavailable")
    assert 0.25 < time.monotonic() - began < 8, "as long as everybody waits"
    assert response["Retry-After"] == str(waiting.COME_BACK)
    assert not Fetch.objects.exists()
    assert Job.objects.get(kind="refresh", done_at=None).not_before >= held.grants.get().serve_until


def test_right_before_the_end_nothing_is_waited_for_that_cannot_come(world, held, key, monkeypatch):
    """No pair is asked for in the last minute of a lease, so that none outlives it."""

    def wait(*_: object) -> None:
        raise AssertionError("It waited.")

    monkeypatch.setattr(waiting, "pause", wait)
    world.now = held.lives_until - timedelta(seconds=30)
    held.grants.update(serve_until=world.now)
    refused(fetch(key), 503, "temporarily_unavailable")
    assert not Job.objects.filter(kind="refresh", done_at=None).exists()


def test_access_that_ends_while_a_call_waits_is_said_at_once(world, held, key, monkeypatch):
    make_due(world, held)

    def end(*_: object) -> None:
        credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())

    monkeypatch.setattr(waiting, "pause", end)
    refused(fetch(key), 400, "invalid_grant")


def test_access_that_is_being_connected_again_is_waited_for(world, held, key, monkeypatch):
    credentials.lose(credential=held, reason="The consent was withdrawn.", now=world.clock())
    held.refresh_from_db()
    world.consent(held)
    monkeypatch.setattr(waiting, "pause", lambda *_: world.work())
    assert fetch(key).status_code == 200
    held.refresh_from_db()
    assert held.state == CredentialState.ACTIVE


def test_calls_do_not_hasten_a_refresh_that_has_failed(world, held, key, settings):
    settings.TOKEN_WAIT = timedelta(seconds=0.1)
    world.now = held.grants.get().serve_until
    world.desk.next_answers["refresh"].append(Retry("Away.", after=60))
    fetch(key)
    world.work()
    job = Job.objects.get(kind="refresh", done_at=None)
    fetch(key)
    assert Job.objects.get(pk=job.pk).not_before == job.not_before
    assert world.desk.calls.count("refresh") == 1


def test_a_replaced_token_is_never_served_again(world, held, key, settings):
    settings.TOKEN_WAIT = timedelta(seconds=0.1)
    new = keys.replace_now(credential=held, by=held.owner, seen=current(held), now=world.clock())
    refused(fetch(new), 503, "temporarily_unavailable")


# --- Many at once ------------------------------------------------------------------------------------


class Board:
    """What waits look at: which keys are over, who looked, and for what."""

    def __init__(self) -> None:
        self.over: set[int] = set()
        self.looks: list[list[int]] = []
        self.lookouts: set[int] = set()
        self.nudged: list[str] = []
        self.ordered: list[int] = []
        self.failures: list[Exception] = []
        """What the next orders raise."""
        self.nudges: dict[int, Nudge] = {}
        self.delay = 0.0

    def look(self, awaited: Collection[int]) -> set[int]:
        self.looks.append(sorted(awaited))
        self.lookouts.add(threading.get_ident())
        return self.over & set(awaited)

    def order(self, key: int) -> Nudge | None:
        time.sleep(self.delay)
        if self.failures:
            raise self.failures.pop(0)
        self.ordered.append(key)
        return self.nudges.get(key)

    def waits(self, most: int = 100, **changes) -> Waits:
        return Waits(
            most, **{"order": self.order, "look": self.look, "nudge": self.nudged.append, **changes}
        )


LONG = 60
"""Seconds that nobody in these tests may really wait."""
SOON = 20


def together(waits: Waits, *keys: int, seconds: float = LONG) -> tuple[ThreadPoolExecutor, list]:
    """One more call for each of these keys; returned once all of them wait."""

    def waiting_now() -> int:
        return sum(wait.waiters for wait in list(waits._awaited.values()))

    pool, wanted = ThreadPoolExecutor(len(keys)), waiting_now() + len(keys)
    calls = [pool.submit(waits.wait, key, seconds=seconds) for key in keys]
    until(lambda: waiting_now() == wanted)
    return pool, calls


def look_only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no time that passes makes anybody look or order again."""
    for name in ("POLL", "MOST_APART", "COME_BACK"):
        monkeypatch.setattr(waiting, name, LONG)


def test_of_many_who_wait_for_the_same_one_orders_one_looks_and_all_go_on():
    board = Board()
    waits = board.waits()
    pool, calls = together(waits, *[1] * 40)
    with pool:
        until(lambda: board.looks)
        board.over.add(1)
        assert all(call.result(SOON) for call in calls)
    assert board.ordered == [1]
    assert len(board.lookouts) == 1
    assert not waits._awaited


def test_for_everything_that_is_waited_for_one_looks_in_one_go():
    board = Board()
    waits = board.waits()
    pool, calls = together(waits, *range(9))
    with pool:
        until(lambda: list(range(9)) in board.looks)
        board.over.update(range(5))
        assert all(call.result(SOON) for call in calls[:5])
        assert not any(call.done() for call in calls[5:])
        board.over.update(range(5, 9))
        assert all(call.result(SOON) for call in calls[5:])
    assert sorted(board.ordered) == list(range(9))
    assert len(board.lookouts) <= 2, "The first may have been done before the last."


def test_what_somebody_begins_to_wait_for_is_looked_at_at_once(monkeypatch):
    """However seldom the lookout looks for those who have waited for long."""
    board = Board()
    waits = board.waits()
    look_only_when_told(monkeypatch)
    pool, (first,) = together(waits, 1)
    with pool:
        until(lambda: board.looks)
        board.over.add(2)
        assert waits.wait(2, seconds=SOON)
        assert not first.done()
        board.over.update((1, 3))
        assert waits.wait(3, seconds=SOON)
        assert first.result(SOON)


def test_what_is_waited_for_since_long_is_still_looked_at_now_and_then(monkeypatch):
    """Callers that overlap keep one wait alive for as long as they come."""
    board = Board()
    waits = board.waits()
    monkeypatch.setattr(waiting, "MOST_APART", 0.2)
    pool, (first,) = together(waits, 1)
    with pool:
        waits._awaited[1].began -= 3600
        until(lambda: len(board.looks) > 2)
        board.over.add(1)
        assert first.result(SOON)


def test_who_waits_longer_takes_over_when_the_first_goes_empty_handed():
    board = Board()
    waits = board.waits()
    pool, (first,) = together(waits, 1, seconds=3)
    until(lambda: board.looks)
    other, (second,) = together(waits, 1)
    with pool, other:
        assert first.result(SOON) is False
        board.over.add(1)
        assert second.result(SOON) is True
    assert len(board.lookouts) == 2
    assert not waits._awaited


def test_a_lookout_that_fails_hands_over_and_takes_nobody_along():
    board = Board()

    def look(awaited: Collection[int]) -> set[int]:
        if board.over and not board.looks:
            board.look(awaited)
            raise OperationalError("gone")
        return board.look(awaited) if board.over else set()

    waits = board.waits(look=look)
    pool, calls = together(waits, 1, 2)
    with pool:
        board.over.update((1, 2))
        outcomes = [call.exception(SOON) or call.result() for call in calls]
    assert sorted(str(outcome) for outcome in outcomes) == ["True", "gone"]
    assert not waits._awaited


def test_what_could_not_be_ordered_is_ordered_by_another_who_waits_already():
    board = Board()
    board.failures, board.delay = [OperationalError("gone")], 0.5
    waits = board.waits()
    pool, calls = together(waits, 1, 1)
    with pool:
        until(lambda: board.ordered == [1])
        board.over.add(1)
        outcomes = [call.exception(SOON) or call.result() for call in calls]
    assert sorted(str(outcome) for outcome in outcomes) == ["True", "gone"]


def test_what_does_not_come_is_ordered_again_after_a_while(monkeypatch):
    """A nudge may be lost, and what failed may be tried again by now."""
    board = Board()
    waits = board.waits()
    monkeypatch.setattr(waiting, "COME_BACK", 0.3)
    pool, calls = together(waits, 1, 2)
    with pool:
        until(lambda: board.ordered.count(1) > 2 and board.ordered.count(2) > 2)
        board.over.update((1, 2))
        assert all(call.result(SOON) for call in calls)


def test_nudges_come_at_their_moment_once_for_a_helpdesk_whoever_is_on_the_lookout(monkeypatch):
    board = Board()
    waits = board.waits()
    look_only_when_told(monkeypatch)
    at = time.monotonic() + 2
    board.nudges = {1: Nudge(at, "production"), 2: Nudge(at, "production"), 3: Nudge(at, "sandbox")}
    pool, calls = together(waits, 0, 1, 2, 3)
    with pool:
        assert board.nudged == [] or time.monotonic() >= at
        until(lambda: len(board.nudged) >= 2)
        assert time.monotonic() >= at
        board.over.update(range(9))
        assert waits.wait(5, seconds=SOON)
        assert all(call.result(SOON) for call in calls)
    assert sorted(board.nudged) == ["production", "sandbox"]


def test_beyond_the_places_a_call_is_told_at_once_to_come_back():
    board = Board()
    waits = board.waits(2)
    pool, calls = together(waits, 0, 1)
    with pool:
        began = time.monotonic()
        with pytest.raises(Busy):
            waits.wait(3, seconds=LONG)
        assert time.monotonic() - began < LONG / 2
        assert not any(call.done() for call in calls)
        board.over.update((0, 1, 3))
        assert all(call.result(SOON) for call in calls)
    assert waits.wait(3, seconds=SOON)


def test_who_finds_no_place_to_wait_finds_the_token_next_time(world, held, key, monkeypatch):
    monkeypatch.setattr(waiting, "WAITS", Board().waits(0))
    world.now = held.grants.get().serve_until
    assert fetch(key).status_code == 503
    world.work()
    assert fetch(key).status_code == 200


def test_seven_eighths_of_the_threads_may_wait():
    assert waiting.WAITS._places._initial_value == settings.WEB_THREADS * 7 // 8


@pytest.mark.django_db(transaction=True)
def test_forty_clients_at_the_due_moment_cause_one_refresh_and_hold_no_connection(
    world, held, key, monkeypatch
):
    world.now = held.grants.get().serve_until
    is_connected: list[bool] = []

    def watched(wait):
        def waiting_there(*asked):
            is_connected.append(connection.connection is not None)
            return wait(*asked)

        return waiting_there

    monkeypatch.setattr(waiting.WAITS._over, "wait", watched(waiting.WAITS._over.wait))
    monkeypatch.setattr(waiting, "pause", watched(waiting.pause))
    with ThreadPoolExecutor(40) as pool:
        calls = [pool.submit(_fetch_and_close, key) for _ in range(40)]
        until(Job.objects.filter(kind="refresh", done_at=None).exists)
        world.work()
        answers = [call.result(20) for call in calls]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["access_token"] for answer in answers} == {world.desk.living()[0].access}
    assert world.desk.calls.count("refresh") == 1
    assert Fetch.objects.count() == 40
    assert is_connected, "Nobody slept, so this proves nothing."
    assert not any(is_connected)


def _fetch_and_close(key: NewSecret):
    try:
        return fetch(key)
    finally:
        connection.close()
