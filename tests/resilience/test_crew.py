"""How a worker shares its threads, what /readyz says of the dead, and which broker is refused. No processes."""

from datetime import UTC, datetime, timedelta
from threading import Event, Semaphore, Thread

import pytest
from celery.beat import SchedulingError
from django.core.exceptions import ImproperlyConfigured

from portal import env
from portal.beat import Beat
from tokens import tasks
from tokens.crew import Crew
from tokens.models import Heartbeat
from tokens.queries import health

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=5)


# --- The crew ----------------------------------------------------------------------------------------


def test_no_more_than_so_many_work_at_once_and_the_rest_do_not_wait() -> None:
    crew, entered, go_on = Crew(2), Semaphore(0), Event()

    def one() -> bool:
        entered.release()
        return not go_on.wait(10)

    threads = [Thread(target=crew.work, args=("production", one)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert entered.acquire(timeout=10)
    assert entered.acquire(timeout=10)
    assert not crew.has_room("production")
    assert crew.has_room("sandbox")
    crew.work("production", lambda: pytest.fail("a third was let in"))
    go_on.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert crew.has_room("production")


def test_a_message_that_came_while_all_were_busy_makes_the_last_one_look_again() -> None:
    crew, looks = Crew(1), []

    def one() -> bool:
        looks.append(1)
        if len(looks) == 1:
            crew.work("production", lambda: pytest.fail("there was no room"))
        return False

    crew.work("production", one)
    assert len(looks) == 2


def test_an_error_gives_the_place_back() -> None:
    crew = Crew(1)

    def fails() -> bool:
        raise ValueError

    with pytest.raises(ValueError):
        crew.work("production", fails)
    assert crew.has_room("production")


def test_who_is_told_to_end_finishes_the_job_in_hand_and_begins_none() -> None:
    crew, done = Crew(1), []

    def one() -> bool:
        done.append(1)
        crew.end()
        return True

    crew.work("production", one)
    assert len(done) == 1


@pytest.mark.parametrize(("threads", "helpdesks", "each"), [(16, 1, 12), (16, 2, 6), (4, 9, 1)])
def test_a_quarter_of_the_threads_is_left_for_the_sweeps(
    threads: int, helpdesks: int, each: int
) -> None:
    assert tasks.fair_share(threads, helpdesks=helpdesks) == each


# --- Who lives ---------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("worker", "beat", "is_well", "said"),
    [
        (NOW, NOW, (True, True), "took a message of beat 0 seconds ago"),
        (NOW, LONG_AGO, (True, False), "No message of beat comes, though a worker lives"),
        (NOW, None, (True, False), "none was ever taken"),
        (LONG_AGO, LONG_AGO, (False, False), "cannot be told while no worker does"),
        (None, None, (False, False), "cannot be told while no worker does"),
    ],
)
def test_a_dead_beat_and_a_dead_worker_look_different(
    worker: datetime | None, beat: datetime | None, is_well: tuple[bool, bool], said: str
) -> None:
    for name, at in (("worker", worker), ("beat", beat)):
        if at is not None:
            Heartbeat.objects.create(name=name, at=at)
    found = health.heartbeats(NOW)
    assert [name for name, _, _ in found] == ["worker", "beat"]
    assert tuple(well for _, well, _ in found) == is_well
    assert said in found[1][2]


# --- The broker's address ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["nonsense", "amqp://here", "redis://", "redis://here:many/0", "redis://here/zero", "unix://"],
)
def test_a_senseless_broker_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", value)
    with pytest.raises(ImproperlyConfigured, match="CELERY_BROKER_URL is no Redis address"):
        env.env_broker("CELERY_BROKER_URL", "")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("", ""),
        ("redis://:word@here:6379/1", "redis://:word@here:6379/1"),
        ("rediss://here", "rediss://here"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
    ],
)
def test_a_broker_is_read_as_celery_writes_it(
    monkeypatch: pytest.MonkeyPatch, value: str, read: str
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", value)
    assert env.env_broker("CELERY_BROKER_URL", "") == read


def test_what_beat_cannot_send_is_a_line_and_not_an_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise SchedulingError("no") from ConnectionError("Nobody is there.")

    class Entry:
        task = "tokens.sweep"

    monkeypatch.setattr(Beat, "apply_async", fail)
    Beat.apply_entry(Beat.__new__(Beat), Entry())
    assert [record.getMessage() for record in caplog.records] == [
        "tokens.sweep was not sent: Nobody is there."
    ]
    assert caplog.records[0].exc_info is None
