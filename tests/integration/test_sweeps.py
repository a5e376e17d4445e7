"""What time changes and what messages miss: each sweep finds its rows from the database alone, and twice is once."""

from datetime import datetime, timedelta
from importlib import import_module

import pytest
from django.conf import settings
from django.db import OperationalError
from django.db.models import Model

from accounts.operations import deactivate
from tests.fakes import Pair
from tests.world import World
from tokens import findings, outbox
from tokens.connectors.base import RemoteUser, Retry, Unknown
from tokens.models import (
    AccessRequest,
    Credential,
    Grant,
    Helpdesk,
    InventoryRun,
    Job,
    Notification,
    SeenToken,
)
from tokens.operations import (
    connections,
    credentials,
    grants,
    requests,
    sealed,
    sweeps,
)
from tokens.operations.moves import StaleState
from tokens.queries import messages as message_queries
from tokens.refusals import Refusal
from tokens.sealing import Place, Ring, worker_ring
from tokens.states import CredentialState, GrantState, RequestState

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def forget_jobs() -> None:
    """What a crash between a commit and a nudge, or a flushed broker, cannot do; a bug could."""
    Job.objects.all().delete()


def test_a_request_nobody_decides_times_out(world):
    row = world.ask()
    world.now = row.decide_by - timedelta(seconds=1)
    assert sweeps.lapse_requests(now=world.now) == 0
    world.now = row.decide_by
    assert sweeps.lapse_requests(now=world.now) == 1
    assert sweeps.lapse_requests(now=world.now) == 0
    row.refresh_from_db()
    assert row.state == RequestState.LAPSED
    assert (
        Notification.objects.filter(template="request_ended", recipient=row.requester).count() == 1
    )


def test_access_nobody_connects_times_out(world):
    credential = world.ordered()
    assert sweeps.lapse_credentials(now=credential.connect_by - timedelta(seconds=1)) == 0
    assert sweeps.lapse_credentials(now=credential.connect_by) == 1
    with pytest.raises(Refusal):
        connections.start(
            credential=type(credential).objects.get(pk=credential.pk), by=credential.owner,
            session_key="s", now=credential.connect_by,
        )  # fmt: skip


def test_what_belongs_to_somebody_who_left_ends(world):
    active, waiting = world.active(), world.ordered(script_name="other")
    pending = world.ask(script_name="third")
    deactivate(user=active.owner, by=None, reason="Left.", now=world.clock())
    assert sweeps.end_for_leavers(now=world.clock()) == 3
    for row, state in ((active, "revoking"), (waiting, "cancelled"), (pending, "closed")):
        row.refresh_from_db()
        assert row.state == state


def test_revoking_closes_a_renewal_that_waits_and_says_so(world):
    credential = world.active(days=7)
    row = world.ask(scopes=credential.scopes, renews=credential, days=30)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    row.refresh_from_db()
    assert row.state == RequestState.CLOSED
    assert Notification.objects.filter(event=f"request.ended:{row.pk}").exists()


@pytest.mark.parametrize("state", ["issuing", "revoking", "doomed", "refreshing"])
def test_whatever_has_lost_its_job_gets_one(world, state):
    if state == "issuing":
        credential = world.ordered()
        world.consent(credential)
    else:
        credential = world.active()
    if state in ("revoking", "doomed"):
        credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    if state == "refreshing":
        live = credential.grants.get()
        grants.intend(
            credential=credential, purpose=Grant.Purpose.REFRESH, replaces=live, now=world.now
        )
        world.wait(days=1)
    forget_jobs()
    assert sweeps.find_stuck(now=world.clock()) > 0
    for _ in range(3):
        world.work()
        world.wait(seconds=5)
    credential.refresh_from_db()
    wanted = "active" if state in ("issuing", "refreshing") else "revoked"
    assert credential.state == wanted


def test_the_end_is_told_at_fourteen_seven_and_one_days_once_each(world):
    credential = world.active()
    for days in (20, 14, 13.5, 7, 6.5, 1, 0.5):
        for _ in range(2):
            sweeps.tell_ends_soon(now=credential.lives_until - timedelta(days=days))
    told = Notification.objects.filter(template="ends_soon").values_list("event", flat=True)
    assert sorted(event.rsplit(":", 1)[1] for event in told) == ["1", "14", "7"]


def test_who_is_told_already_is_in_nobodys_way(world, monkeypatch):
    """More access ends in one day than a sweep tells of: the next sweeps tell of the rest."""
    monkeypatch.setattr(sweeps, "BATCH", 2)
    monkeypatch.setattr(message_queries, "LOOKED_UP", 2)
    held = [world.active(script_name=f"script-{n}") for n in range(5)]
    now = held[-1].lives_until - timedelta(days=14)
    counts = [sweeps.tell_ends_soon(now=now) for _ in range(4)]
    assert counts == [2, 2, 1, 0]
    told = Notification.objects.filter(template="ends_soon").order_by("id")
    assert list(told.values_list("target_id", flat=True)) == [row.pk for row in held]


def test_owner_and_deputy_both_hear_it_each_time(world):
    credential = world.active(deputy=world.person("noor"))
    for days in (14, 7, 1):
        sweeps.tell_ends_soon(now=credential.lives_until - timedelta(days=days, seconds=-1))
        told = Notification.objects.filter(template="ends_soon", event__endswith=f":{days}")
        assert {row.recipient.subject for row in told} == {"ada", "noor"}


def test_a_frozen_helpdesk_takes_no_new_connection(world):
    credential = world.ordered()
    Helpdesk.objects.update(frozen_at=world.now)
    with pytest.raises(StaleState, match="frozen"):
        connections.start(
            credential=type(credential).objects.get(pk=credential.pk), by=credential.owner,
            session_key="s", now=world.clock(),
        )  # fmt: skip


def test_a_code_that_waited_too_long_is_not_sent(world):
    credential = world.ordered()
    world.consent(credential)
    world.wait(seconds=settings.CODE_LIFE.total_seconds() + 1)
    world.work()
    credential.refresh_from_db()
    assert "exchange" not in world.desk.calls
    assert "ran out" in credential.problem


def test_an_intent_that_is_too_old_is_never_sent(world):
    credential = world.ordered()
    grant = world.intended(credential)
    world.wait(seconds=settings.SEND_WITHIN.total_seconds() + 1)
    with pytest.raises(StaleState):
        grants.send(grant, now=world.now)


def test_a_list_read_without_an_administrators_eyes_does_not_count(world):
    world.desk.next_answers["whoami"].append(
        RemoteUser(900, "Keydesk integration", "", "", "agent", 0, None, True, False)
    )
    sweeps.order_inventories(now=world.now)
    world.work()
    run = InventoryRun.objects.get()
    assert not run.is_complete
    assert "no longer an administrator" in run.error
    assert "no longer an administrator" in world.helpdesk.stopped_reason


def test_more_strays_than_a_restored_backup_may_end_wait_for_a_person(world):
    for _ in range(4):
        world.desk.make(1, frozenset({"tickets:read"}), 80_000, 700_000)
    for _ in range(2):
        world.wait(seconds=settings.INVENTORY_EVERY.total_seconds() + 1)
        sweeps.order_inventories(now=world.now)
        world.work()
    run = InventoryRun.objects.order_by("-id").first()
    assert "a person must look" in run.error
    assert len(findings.of(run, now=world.now).strays) == run.held_back == 4
    assert len(world.desk.living()) == 4


def test_an_end_that_was_looked_at_is_looked_at_again_with_the_next_list(world):
    """A thousand ends that wait for a list must not be asked for by every sweep."""
    credential = world.ended_without_an_answer()
    world.desk.next_answers["list"] += [Retry("Busy.")] * 50
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKING
    assert not Job.objects.filter(kind=Job.Kind.CONFIRM, done_at=None).exists()
    for _ in range(3):
        assert sweeps.find_stuck(now=world.clock()) == 0
        world.wait(seconds=settings.INVENTORY_EVERY.total_seconds() + 1)
    InventoryRun.objects.create(
        helpdesk=world.helpdesk, started_at=world.now, finished_at=world.now, is_complete=True
    )
    assert sweeps.find_stuck(now=world.clock()) == 1


def test_a_closing_call_left_open_by_access_that_wants_nothing_is_settled(world):
    """Else it would keep alive for ever what nobody owns and was seen after it left."""
    credential = world.active()
    grant = credential.grants.get()
    closing = grants.intend(
        credential=credential, purpose=Grant.Purpose.CLOSE, replaces=grant, now=world.clock()
    )
    grants.send(closing, now=world.clock())
    credentials.lose(credential=credential, reason="Gone.", now=world.clock())
    Job.objects.update(done_at=world.now)
    Grant.objects.filter(pk=grant.pk).update(state=GrantState.GONE)
    assert sweeps.find_stuck(now=world.clock()) == 0, "it may yet be answered"
    for _ in range(3):
        world.wait(seconds=settings.MINIMUM_AGE.total_seconds() + 1)
        sweeps.find_stuck(now=world.clock())
        world.work()
    closing.refresh_from_db()
    assert closing.state == GrantState.WRITTEN_OFF


def _a_stranger_beside_an_open_call(world: World, *, sent_after_it_was_seen: timedelta) -> Pair:
    """A token of nobody, in two lists, while a call for its user has no answer; sent so much after the first list."""
    credential = world.ordered()
    world.consent(credential)
    world.desk.next_answers["exchange"].append(Unknown("No answer."))
    world.work()
    Job.objects.filter(kind=Job.Kind.EXCHANGE).update(not_before=world.now + timedelta(days=9))
    stranger = world.desk.make(credential.acts_as.remote_id, frozenset({"read"}), 80_000, 700_000)
    for _ in range(3):
        world.wait(seconds=settings.INVENTORY_EVERY.total_seconds() + 1)
        sweeps.order_inventories(now=world.now)
        world.work()
        seen = SeenToken.objects.get(remote_id=stranger.record.id).first_run.finished_at
        open_calls = Grant.objects.filter(state=GrantState.UNKNOWN)
        assert open_calls.update(sent_at=seen + sent_after_it_was_seen) == 1
    return stranger


def test_a_token_that_an_open_call_may_have_made_is_not_judged(world):
    late = settings.INVENTORY_EVERY - timedelta(seconds=1)
    assert not _a_stranger_beside_an_open_call(world, sent_after_it_was_seen=late).is_deleted


def test_calls_that_left_after_a_list_had_it_keep_no_token_alive(world):
    """Else somebody with many scripts, of whom a call is always out, would keep every stray of theirs."""
    late = settings.INVENTORY_EVERY + timedelta(seconds=1)
    assert _a_stranger_beside_an_open_call(world, sent_after_it_was_seen=late).is_deleted


def test_the_halves_are_sealed_under_their_own_rings_and_forgotten_at_the_end(world):
    credential = world.active()
    grant = credential.grants.select_related("helpdesk").get()
    assert worker_ring().open(grant.refresh_sealed, Place(*grant.place)).startswith("refresh-")
    assert "access-" not in grant.access_sealed
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    world.work()
    grant.refresh_from_db()
    assert (grant.state, grant.access_sealed, grant.refresh_sealed) == (GrantState.GONE, "", "")


def test_keys_are_rotated_row_by_row_and_what_does_not_open_is_named(world, settings):
    first, other = world.active(), world.active(script_name="other")
    Grant.objects.filter(credential=other).update(access_sealed="v1.00000000.AAAA")
    old = settings.SEALING_KEYS
    settings.SEALING_KEYS = [b"n" * 32, *old]
    done = sealed.seal_again()
    assert done.sealed == 1
    assert len(done.unopened) == 1
    grant = first.grants.select_related("helpdesk").get()
    ring = Ring("SEALING_KEYS", [b"n" * 32])
    assert ring.open(grant.access_sealed, Place(*grant.place)).startswith("access-")
    assert grant.fingerprint == ring.fingerprint(f"access-{grant.remote_id}")


def test_a_worker_that_lost_its_claim_makes_no_call(world):
    from tokens.connectors.base import Retry
    from tokens.worker import ClaimedGate

    class Open:
        deadline = 1.0

        def enter(self) -> None:
            return None

    outbox.order(Job.Kind.LINK, 1, helpdesk=world.helpdesk, now=world.now)
    job = outbox.claim(world.helpdesk, worker="a", now=world.now)
    Job.objects.update(claimed_by="b")
    with pytest.raises(Retry, match="Another worker"):
        ClaimedGate(Open(), job, world.clock).enter()


def test_a_proof_by_list_waits_for_the_turn_of_another(world):
    Helpdesk.objects.filter(slug="production").update(
        proof_turn=0, proof_turn_until=world.now + timedelta(seconds=30)
    )
    credential = world.ordered()
    world.consent(credential)
    world.work()
    assert "exchange" not in world.desk.calls
    world.wait(seconds=31)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE


# --- The oldest first ----------------------------------------------------------------------------------

AGED = {
    # how old a row is by what column, of which kind of row, and the moment where all of them are due
    "lapse_requests": (AccessRequest, "decide_by", timedelta(0)),
    "escalate_requests": (AccessRequest, "escalate_at", timedelta(0)),
    "lapse_credentials": (Credential, "connect_by", timedelta(0)),
    "tell_connect_waiting": (Credential, "connect_by", timedelta(hours=9)),
    "expire_credentials": (Credential, "lives_until", timedelta(0)),
    "tell_ends_soon": (Credential, "lives_until", timedelta(days=14)),
    "keep_alive": (Grant, "refresh_expires_at", timedelta(hours=9)),
}


@pytest.fixture
def acted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which rows a sweep acted on, one after the other; it takes two at a time."""
    found: list[int] = []
    right = sweeps._acted
    monkeypatch.setattr(sweeps, "BATCH", 2)
    monkeypatch.setattr(sweeps, "_acted", lambda row, act: found.append(row.pk) or right(row, act))
    return found


def three(world: World, model: type[Model], *, is_connected: bool) -> list[int]:
    names = ("first", "second", "third")
    if model is AccessRequest:
        return [world.ask(script_name=name).pk for name in names]
    make = world.active if is_connected else world.ordered
    held = [make(script_name=name) for name in names]
    return [row.pk if model is Credential else row.grants.get().pk for row in held]


@pytest.mark.parametrize("name", AGED)
def test_a_sweep_takes_the_oldest_first_and_no_more_than_it_should(world, acted, name):
    """The second row is the oldest, then the third; the first is left for the next time."""
    model, column, off = AGED[name]
    first, second, third = three(world, model, is_connected=column != "connect_by")
    for pk, hours in ((second, 3), (third, 2), (first, 1)):
        at = world.now + off - timedelta(hours=hours)
        assert model.objects.filter(pk=pk).update(**{column: at}) == 1
    long_ago = world.now - timedelta(days=30)
    Credential.objects.update(ordered_at=long_ago, issued_at=long_ago)
    sweep = getattr(sweeps, name)
    assert sweep(now=world.now, **({"most": 2} if name == "expire_credentials" else {})) == 2
    assert acted == [second, third]


@pytest.mark.parametrize("is_held", [True, False])
def test_who_left_first_is_seen_to_first(world, acted, is_held):
    people = ("ada", "noor", "lena")
    rows = {key: world.ordered(by=key) if is_held else world.ask(by=key) for key in people}
    for key in ("noor", "lena", "ada"):
        world.wait(hours=1)
        deactivate(user=world.person(key), by=None, reason="Left.", now=world.now)
    assert sweeps.end_for_leavers(now=world.now) == 2
    assert acted == [rows["noor"].pk, rows["lena"].pk]


def test_what_has_waited_longest_without_a_job_gets_one_first(world, acted):
    """Its number says how long: one on which something else moved since stands where it stood."""
    held = [world.ordered(script_name=name) for name in ("first", "second", "third")]
    for credential in reversed(held):
        world.consent(credential)
    forget_jobs()
    assert sweeps.find_stuck(now=world.now) == 2
    assert sweeps.find_stuck(now=world.now) == 1
    assert acted == [credential.pk for credential in held]


# --- One that fails stops no other -------------------------------------------------------------------


def test_a_sweep_that_fails_is_named_in_the_log_and_the_others_go_on(world, monkeypatch, caplog):
    def lame(*, now: datetime) -> int:
        raise ValueError("?")

    done: list[datetime] = []

    def sound(*, now: datetime) -> int:
        done.append(now)
        return 2

    monkeypatch.setattr(sweeps, "SWEEPS", (lame, sound))
    assert sweeps.sweep(now=world.now) == 2
    assert done == [world.now]
    assert "The sweep lame" in caplog.text


def test_a_row_that_fails_is_named_in_the_log_and_the_others_go_on(world, monkeypatch, caplog):
    first, second = world.ask(script_name="first"), world.ask(script_name="second")
    right = requests.lapse

    def lapse(*, access_request: AccessRequest, now: datetime) -> None:
        if access_request.pk == first.pk:
            raise ValueError("?")
        right(access_request=access_request, now=now)

    monkeypatch.setattr(requests, "lapse", lapse)
    assert sweeps.lapse_requests(now=second.decide_by) == 1
    second.refresh_from_db()
    assert second.state == RequestState.LAPSED
    assert f"AccessRequest {first.pk}" in caplog.text


def test_a_database_that_is_away_ends_the_sweep(world, monkeypatch):
    def lame(*, now: datetime) -> int:
        raise OperationalError("gone")

    monkeypatch.setattr(sweeps, "SWEEPS", (lame,))
    with pytest.raises(OperationalError):
        sweeps.sweep(now=world.now)
    world.ask()
    monkeypatch.setattr(requests, "lapse", lambda **_: lame(now=world.now))
    with pytest.raises(OperationalError):
        sweeps.lapse_requests(now=world.now + timedelta(days=30))


def test_an_end_that_cannot_be_moved_is_not_the_next_one(world, monkeypatch):
    """Else who waits for the next end would look for it without a pause."""
    credential = world.active()
    world.now = credential.lives_until

    def lame(**_: object) -> None:
        raise ValueError("?")

    monkeypatch.setattr(credentials, "expire", lame)
    assert sweeps.expire_credentials(now=world.clock()) == 0
    assert sweeps.next_end(after=world.clock()) is None


def test_sessions_that_are_over_are_forgotten(world):
    store = import_module(settings.SESSION_ENGINE).SessionStore
    over, lasts = store(), store()
    for session, seconds in ((over, -1), (lasts, 60)):
        session["anything"] = 1
        session.set_expiry(seconds)
        session.save()
    sweeps.sweep(now=world.clock())
    assert not store().exists(over.session_key)
    assert store().exists(lasts.session_key)
