"""What others do meanwhile: answers that come too late, agents changed on the helpdesk, approvers who lose
their role, a sign-in provider that is slow, and clocks that people set forward and back."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from accounts import clock, identity_provider
from accounts.models import AuditEvent, Membership
from accounts.refusals import Refused
from tests.fakes import FakeConnector, Pair
from tests.integration._people import browser, words
from tests.world import World
from tokens.connectors.base import GiveUp, TokenPair, Unknown
from tokens.models import Credential, Decision, Grant, HelpdeskLink
from tokens.operations import connections, keys, sweeps
from tokens.operations.people import order_links
from tokens.refusals import Denied, Refusal, StaleState

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def go_on(world: World, *, rounds: int = 15) -> None:
    """Workers and sweeps for as many minutes."""
    for _ in range(rounds):
        sweeps.sweep(now=world.clock())
        world.work()
        world.wait(seconds=61)


def due(world: World, held: Credential) -> None:
    """A client asks for what has to be refreshed first."""
    world.now = held.grants.get(state="live").serve_until
    keys.order_refresh(held, now=world.clock())


# --- Committed after the caller has given up ------------------------------------------------------------


@contextmanager
def late(world: World, call: str) -> Iterator[Callable[[], TokenPair]]:
    """The next such call is not answered; what is yielded does it on the helpdesk all the same."""
    sent: list[dict[str, object]] = []
    real = getattr(FakeConnector, call)

    def unanswered(self: FakeConnector, **terms: object) -> TokenPair:
        if sent:
            found: TokenPair = real(self, **terms)
            return found
        sent.append(terms)
        raise Unknown("The helpdesk did not answer in time.")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FakeConnector, call, unanswered)
        yield lambda: real(FakeConnector(world.desk), **sent[0])


def test_an_exchange_committed_late_makes_a_token_that_is_ended_and_never_served(world):
    held = world.ordered()
    world.consent(held)
    with late(world, "exchange") as commit:
        world.work()
        world.wait(seconds=settings.MINIMUM_AGE.total_seconds() - 5)
        world.work()
        commit()
        (born,) = world.desk.living()
        go_on(world)
    held.refresh_from_db()
    assert held.state == "awaiting_consent"
    assert "did not say whether it worked" in held.problem
    assert born.is_deleted
    assert Grant.objects.get(remote_id=born.record.id).purpose == Grant.Purpose.STRAY
    world.consent(held)
    world.work()
    held.refresh_from_db()
    assert held.state == "active"


def test_a_refresh_committed_late_disconnects_and_leaves_nothing(world):
    """The old pair is dead and nobody has the new one: that is said, and one click mends it."""
    held = world.active()
    due(world, held)
    with late(world, "refresh") as commit:
        world.work()
        world.wait(seconds=30)
        commit()
        (born,) = world.desk.living()
        go_on(world)
    held.refresh_from_db()
    assert held.state == "lost"
    assert "no longer honours your consent" in held.problem
    assert born.is_deleted
    world.consent(held)
    world.work()
    held.refresh_from_db()
    assert held.state == "active"


def test_a_token_that_does_not_work_is_thrown_away_and_said(world):
    held = world.ordered()
    world.consent(held)
    world.desk.next_answers["current"].append(GiveUp("The token is dead.", code="invalid_token"))
    world.work()
    held.refresh_from_db()
    assert held.state == "awaiting_consent"
    assert "thrown away" in held.problem
    go_on(world)
    assert world.desk.living() == []


# --- An agent changed on the helpdesk --------------------------------------------------------------------


def gone_user(world: World, pair: Pair) -> None:
    """Who is deleted loses every token."""
    world.desk.end(pair.record.id)
    assert pair.record.user_id is not None
    world.desk.users.pop(pair.record.user_id)


def demoted_user(world: World, pair: Pair) -> None:
    """So does who is no agent any more."""
    world.desk.end(pair.record.id)
    found = world.desk.users[pair.record.user_id or 0]
    world.desk.users[found.id] = replace(found, role="end-user", role_type=None)


def suspended_user(world: World, pair: Pair) -> None:
    """Whether their tokens live on is not known: here they do."""
    found = world.desk.users[pair.record.user_id or 0]
    world.desk.users[found.id] = replace(found, suspended=True)


@pytest.mark.parametrize("change", [gone_user, demoted_user, suspended_user])
def test_an_agent_who_is_none_any_more_has_no_living_token_and_gets_no_other(world, change):
    held = world.active()
    change(world, world.desk.living()[0])
    order_links(user=held.owner, now=world.clock())
    world.work()
    assert HelpdeskLink.objects.get(user=held.owner, helpdesk=held.helpdesk).problem
    due(world, held)
    go_on(world)
    held.refresh_from_db()
    assert held.state in ("lost", "revoked")
    assert world.desk.living() == []
    with pytest.raises(StaleState):
        keys.hand_out(credential_id=held.pk, secret=None, address=None, now=world.clock())
    with suppress(Refusal):
        world.consent(held)
    go_on(world)
    assert world.desk.living() == []
    with pytest.raises(Denied):
        world.ask(script_name="another")


# --- An approver who loses the role ----------------------------------------------------------------------


def lose_role(world: World, key: str) -> None:
    Membership.objects.filter(user=world.people[key], group__in=("helpdesk-leads",)).delete()


def test_an_approver_who_loses_the_role_after_the_click_has_decided(world):
    """Decided is decided: what was granted goes on, with the name of who granted it; the next click is refused."""
    world.person("ben")
    held, open_one = world.ordered(), world.ask(script_name="another")
    lose_role(world, "ben")
    world.consent(held)
    world.work()
    held.refresh_from_db()
    assert held.state == "active"
    assert Decision.objects.get().approver == world.people["ben"]
    with pytest.raises(Denied, match="Only helpdesk-leads"):
        world.approve(open_one)
    open_one.refresh_from_db()
    assert (open_one.state, open_one.approvals) == ("pending", 0)


# --- Two tabs --------------------------------------------------------------------------------------------


def test_two_tabs_that_come_back_from_consent_spend_one_code(world):
    held = world.ordered()
    trips = [
        connections.start(credential=held, by=held.owner, session_key="s", now=world.clock())
        for _ in range(2)
    ]
    codes = [world.desk.consent(held.acts_as.remote_id, held.scopes) for _ in trips]
    refused = 0
    for trip, code in zip(trips, codes, strict=True):
        try:
            connections.come_back(
                came=connections.Return(trip.state, code, ""), slug="production",
                by=held.owner, session_key="s", now=world.clock(),
            )  # fmt: skip
        except StaleState as refusal:
            refused += "being connected" in refusal.sentence
    world.work()
    assert refused == 1
    assert world.desk.calls.count("exchange") == 1
    assert len(world.desk.living()) == 1


# --- Clocks set forward and back -------------------------------------------------------------------------

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@pytest.mark.parametrize(
    ("issued", "day"),
    [
        (datetime(2026, 10, 21, 22, 15, tzinfo=UTC), "28 Oct 2026"),
        (datetime(2027, 3, 25, 22, 30, tzinfo=UTC), "2 Apr 2027"),
    ],
    ids=["set back", "set forward"],
)
def test_a_lease_lasts_its_days_whatever_clocks_on_the_wall_do(monkeypatch, issued, day):
    """Seven days are 168 hours; the page shows the day that the reader's own calendar will show then."""
    world = World(now=issued)
    monkeypatch.setattr(clock, "now", world.clock)
    monkeypatch.setattr(clock, "of_page", lambda _: world.clock())
    ada, held = browser(world, "ada"), world.active(days=7)
    assert held.lives_until - held.issued_at == timedelta(hours=168)
    began, ends = held.issued_at.astimezone(AMSTERDAM), held.lives_until.astimezone(AMSTERDAM)
    assert began.utcoffset() != ends.utcoffset()
    assert f">{day}</time>" in words(ada.get(f"/credentials/{held.pk}"))
    assert sweeps.expire_credentials(now=held.lives_until - timedelta(milliseconds=1)) == 0
    assert sweeps.expire_credentials(now=held.lives_until) == 1


def test_a_token_taken_in_the_hour_that_comes_twice_is_told_its_true_life(world):
    """01:30 UTC is the second 02:30 of that night in Amsterdam."""
    world.now = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    held = world.active()
    grant = held.grants.get()
    first = keys.hand_out(credential_id=held.pk, secret=None, address=None, now=world.clock())
    world.wait(minutes=20)
    second = keys.hand_out(credential_id=held.pk, secret=None, address=None, now=world.clock())
    assert first is not None
    assert second is not None
    assert first.expires_in - second.expires_in == pytest.approx(1200, abs=2)
    assert grant.serve_until > world.now


# --- A sign-in provider that is slow ---------------------------------------------------------------------


@contextmanager
def provider_that(sends: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of something that takes a call and answers in a way of its own."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                caller, _ = server.accept()
                with caller, suppress(OSError):
                    caller.recv(4096)
                    sends(caller)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


def say_nothing(_: socket.socket) -> None:
    time.sleep(2)


def drip(caller: socket.socket) -> None:
    caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(100):
        caller.sendall(b" " * 16_384)
        time.sleep(0.05)


def flood(caller: socket.socket) -> None:
    caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    caller.sendall(b" " * 50_000_000)


@pytest.mark.parametrize("sends", [say_nothing, drip, flood])
def test_a_sign_in_provider_that_is_slow_or_endless_is_a_503_in_time(monkeypatch, sends):
    monkeypatch.setattr(identity_provider, "READ", 0.3)
    monkeypatch.setattr(identity_provider, "WHOLE", 0.6)
    monkeypatch.setattr(identity_provider, "MOST_BYTES", 20_000_000)
    with provider_that(sends) as address:
        began = time.monotonic()
        with pytest.raises(Refused) as refused:
            identity_provider.ask("GET", address)
        assert time.monotonic() - began < 1.9
    assert refused.value.status == 503
    assert "does not answer as it should" in refused.value.sentence
    assert not AuditEvent.objects.filter(event="person.signed_in").exists()
