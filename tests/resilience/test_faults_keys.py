"""Keys of the secrets at rest: rotated in mid-flight, missing, wrong; and a sealed text moved to another row."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as real
from django.test import Client

from accounts import clock
from tests.world import World
from tokens.models import Credential, Grant, Job
from tokens.operations import credentials, keys, sweeps
from tokens.sealing import Unsealable

pytestmark = pytest.mark.django_db

OLD, OLD_OF_WORKERS = real.SEALING_KEYS[0], real.WORKER_SEALING_KEYS[0]
NEW = b"n" * 32


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose time is the portal's."""
    made = World(now=clock.now())
    monkeypatch.setattr(clock, "now", made.clock)
    return made


def due(world: World, held: Credential) -> None:
    """A client asks for what has to be refreshed first."""
    world.now = held.grants.get(state="live").serve_until
    keys.order_refresh(held, now=world.clock())


def take(world: World, held: Credential) -> str:
    given = keys.hand_out(credential_id=held.pk, secret=None, address=None, now=world.clock())
    assert given is not None
    return given.access_token


def call(key: keys.NewSecret) -> Any:
    """A script's call of the token endpoint."""
    fields = (
        f"grant_type=client_credentials&client_id={key.client_id}&client_secret={key.client_secret}"
    )
    return Client().post("/oauth/token", fields, "application/x-www-form-urlencoded")


def error_of_open_job(kind: str) -> str:
    return Job.objects.get(kind=kind, done_at=None).error


# --- Rotated -------------------------------------------------------------------------------------------


def test_keys_rotated_between_the_call_and_its_answer_lose_nothing(world, settings):
    held = world.active()
    due(world, held)

    def rotate() -> None:
        settings.SEALING_KEYS = [NEW, OLD]
        settings.WORKER_SEALING_KEYS = [NEW, OLD_OF_WORKERS]

    world.desk.next_answers["refresh"].append(rotate)
    world.work()
    new = held.grants.get(state="live")
    assert new.purpose == Grant.Purpose.REFRESH
    assert take(world, held) == f"access-{new.remote_id}"
    due(world, held)
    world.work()
    assert held.grants.get(state="live").generation == new.generation + 1


def test_a_web_process_that_lacks_the_new_key_tells_scripts_to_come_back(world, settings, caplog):
    held = world.active()
    key = keys.issue_secret(credential=held, by=held.owner, now=world.clock())
    due(world, held)
    settings.SEALING_KEYS = [NEW, OLD]
    world.work()
    settings.SEALING_KEYS = [OLD]
    refused = call(key)
    assert refused.status_code == 503
    assert refused.json()["error"] == "temporarily_unavailable"
    assert NEW.decode() not in refused.content.decode()
    settings.SEALING_KEYS = [NEW, OLD]
    assert call(key).status_code == 200


# --- Missing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SEALING_KEYS", "WORKER_SEALING_KEYS"])
def test_without_a_key_no_code_is_spent(world, settings, name):
    """A worker refuses to start without one; should it vanish later, nothing is asked that could not be kept."""
    world.active(script_name="earlier")
    held = world.ordered()
    world.consent(held)
    kept = getattr(settings, name)
    setattr(settings, name, [])
    world.work()
    assert world.desk.calls.count("exchange") == 1, "the earlier one's"
    assert f"{name} is not set" in error_of_open_job("exchange")
    setattr(settings, name, kept)
    for _ in range(10):
        world.wait(seconds=5)
        world.work()
    held.refresh_from_db()
    assert held.state == "active"


def test_without_the_workers_key_nothing_is_refreshed_and_all_of_it_later(world, settings):
    held = world.active()
    due(world, held)
    settings.WORKER_SEALING_KEYS = []
    world.work()
    assert "refresh" not in world.desk.calls
    assert "WORKER_SEALING_KEYS is not set" in error_of_open_job("refresh")
    settings.WORKER_SEALING_KEYS = [OLD_OF_WORKERS]
    for _ in range(10):
        world.wait(seconds=5)
        world.work()
    assert held.grants.get(state="live").purpose == Grant.Purpose.REFRESH


# --- Wrong ---------------------------------------------------------------------------------------------


def test_a_wrong_workers_key_disconnects_nothing_and_says_what_does_not_open(world, settings):
    held = world.active()
    due(world, held)
    settings.WORKER_SEALING_KEYS = [NEW]
    for _ in range(5):
        world.work()
        world.wait(minutes=11)
    held.refresh_from_db()
    assert held.state == "active"
    assert "refresh" not in world.desk.calls
    assert "does not open" in error_of_open_job("refresh")


def test_with_the_workers_keys_lost_for_good_access_can_still_be_ended(world, settings):
    """Our own access is renewed within the hour; a deleted access half takes its refresh half with it."""
    held = world.active()
    settings.WORKER_SEALING_KEYS = [NEW]
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    for _ in range(40):
        sweeps.sweep(now=world.clock())
        world.work()
        world.wait(minutes=5)
    held.refresh_from_db()
    assert held.state == "revoked"
    assert world.desk.living() == []


# --- Moved to another row ------------------------------------------------------------------------------


def swap(first: Grant, second: Grant, column: str) -> None:
    """As an edit by hand, or a broken copy, would."""
    for grant, other in ((first, second), (second, first)):
        Grant.objects.filter(pk=grant.pk).update(**{column: getattr(other, column)})


def test_access_halves_that_changed_places_reach_nobody(world, caplog):
    ada, noor = world.active(by="ada"), world.active(by="noor", script_name="other")
    key = keys.issue_secret(credential=ada, by=ada.owner, now=world.clock())
    swap(ada.grants.get(), noor.grants.get(), "access_sealed")
    for held in (ada, noor):
        with pytest.raises(Unsealable):
            take(world, held)
    refused = call(key)
    assert refused.status_code == 503
    assert "access-" not in refused.content.decode()
    assert "access-" not in caplog.text
    swap(ada.grants.get(), noor.grants.get(), "access_sealed")
    assert call(key).json()["access_token"] == f"access-{ada.grants.get().remote_id}"


def test_refresh_halves_that_changed_places_are_not_sent(world):
    first, second = world.active(), world.active(script_name="other")
    swap(first.grants.get(state="live"), second.grants.get(state="live"), "refresh_sealed")
    due(world, first)
    world.wait(seconds=1)
    world.work()
    assert "refresh" not in world.desk.calls
    assert "does not open" in error_of_open_job("refresh")
    world.now += timedelta(minutes=10)
    swap(first.grants.get(state="live"), second.grants.get(state="live"), "refresh_sealed")
    world.work()
    assert first.grants.get(state="live").purpose == Grant.Purpose.REFRESH
