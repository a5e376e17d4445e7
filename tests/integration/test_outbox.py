"""Jobs: owed once, claimed by one, never lost to a request that comes while they run."""

from datetime import timedelta

import pytest
from django.conf import settings

from tests.world import World
from tokens import outbox
from tokens.connectors.base import Broken
from tokens.models import Job
from tokens.operations import credentials, keys
from tokens.provisioning.line import Later

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    world = World()
    Job.objects.all().delete()
    return world


def owe(world: World, target: int = 1, **more) -> Job:
    outbox.order(Job.Kind.LINK, target, helpdesk=world.helpdesk, now=world.now, **more)
    return Job.objects.get(target_id=target, done_at=None)


def test_an_open_job_is_hastened_never_doubled(world):
    owe(world, not_before=world.now + timedelta(hours=1))
    job = owe(world, not_before=world.now + timedelta(minutes=1))
    assert job.not_before == world.now + timedelta(minutes=1)
    assert owe(world, not_before=world.now + timedelta(hours=9)).not_before == job.not_before


def test_the_most_urgent_job_is_claimed_first(world):
    owe(world, 1)
    outbox.order(Job.Kind.CLOSE, 2, helpdesk=world.helpdesk, now=world.now)
    assert outbox.claim(world.helpdesk, worker="w", now=world.now).kind == Job.Kind.CLOSE


def test_what_somebody_ended_goes_before_what_time_ended(world):
    """A leaked token's click is not behind ten thousand leases that ended in one second."""
    early = [world.active(script_name=f"lease {n}") for n in range(3)]
    clicked = world.active(script_name="leaked")
    Job.objects.all().delete()
    world.now = max(row.lives_until for row in early)
    for row in early:
        credentials.expire(credential=row, now=world.now)
    world.wait(seconds=5)
    credentials.revoke(credential=clicked, by=clicked.owner, reason="It leaked.", now=world.now)
    first = outbox.claim(world.helpdesk, worker="w", now=world.clock())
    assert first.kind == Job.Kind.CLOSE
    assert first.target_id == clicked.grants.get().pk


def test_a_claim_has_an_end(world):
    owe(world)
    assert outbox.claim(world.helpdesk, worker="a", now=world.now)
    assert outbox.claim(world.helpdesk, worker="b", now=world.now) is None
    later = world.now + settings.CLAIM
    taken = outbox.claim(world.helpdesk, worker="b", now=later)
    assert taken.tries == 2


def test_a_job_that_fails_waits_though_it_was_ordered_again_while_it_ran(world):
    """Who asks for it more often does not make it work, and its tries are not forgotten."""
    owe(world)
    job = outbox.claim(world.helpdesk, worker="a", now=world.now)
    owe(world)
    outbox.fail(job, sentence="No.", now=world.now, after=30)
    row = Job.objects.get()
    assert row.not_before == world.now + timedelta(seconds=30)
    assert (row.tries, row.error) == (1, "No.")


def test_what_an_ending_process_holds_is_handed_back(world):
    for target, name in ((1, "host:1:5"), (2, "host:12:5")):
        owe(world, target)
        assert outbox.claim(world.helpdesk, worker=name, now=world.now).target_id == target
    assert outbox.release("host:1:") == 1
    assert outbox.claim(world.helpdesk, worker="b", now=world.now).target_id == 1
    assert outbox.claim(world.helpdesk, worker="b", now=world.now) is None


def test_a_worker_that_lost_its_claim_changes_nothing(world):
    owe(world)
    first = outbox.claim(world.helpdesk, worker="a", now=world.now)
    later = world.now + settings.CLAIM
    outbox.claim(world.helpdesk, worker="b", now=later)
    assert not outbox.renew_claim(first, now=later)
    outbox.finish(first, now=later)
    assert Job.objects.get().done_at is None


def test_a_job_asked_for_while_it_runs_runs_again(world):
    owe(world)
    job = outbox.claim(world.helpdesk, worker="a", now=world.now)
    owe(world)
    outbox.finish(job, now=world.now)
    again = Job.objects.get()
    assert (again.done_at, again.claimed_until) == (None, None)
    assert outbox.claim(world.helpdesk, worker="a", now=world.now)


def test_waiting_is_no_failed_try_and_failing_is_one(world):
    owe(world)
    outbox.postpone(
        outbox.claim(world.helpdesk, worker="a", now=world.now), until=world.now, now=world.now
    )
    assert Job.objects.get().tries == 0
    outbox.fail(
        outbox.claim(world.helpdesk, worker="a", now=world.now), sentence="No.", now=world.now
    )
    job = Job.objects.get()
    assert (job.tries, job.error) == (1, "No.")
    assert world.now < job.not_before <= world.now + timedelta(seconds=settings.BACKOFF[0])


@pytest.mark.parametrize(("days", "left"), [(0, "Away."), (7, "")])
def test_what_waits_for_days_no_longer_failed_at_anything(world, days, left):
    """A token of nobody that is deleted waits a week for its refresh half's end: it must not stand in red."""
    outbox.order(Job.Kind.LINK, 1, helpdesk=world.helpdesk, now=world.now)
    job = outbox.claim(world.helpdesk, worker="a", now=world.now)
    outbox.fail(job, sentence="Away.", now=world.now, after=0)
    job = outbox.claim(world.helpdesk, worker="a", now=world.now)
    outbox.postpone(job, until=world.now + timedelta(days=days), now=world.now)
    job.refresh_from_db()
    assert (job.error, bool(job.error_at), bool(job.tries)) == (left, bool(left), bool(left))


def test_backoff_grows_with_full_jitter_up_to_its_bound():
    for tries, bound in enumerate(settings.BACKOFF, start=1):
        pauses = [outbox.pause(tries) for _ in range(200)]
        assert 0.5 <= min(pauses) <= max(pauses) <= bound
        assert max(pauses) - min(pauses) > (bound - 0.5) * 0.9
    assert max(outbox.pause(99) for _ in range(200)) <= settings.BACKOFF[-1]


def test_our_own_access_refused_stops_the_line_and_it_resumes_by_itself(world):
    credential = world.active()
    world.now = credential.grants.get().serve_until
    keys.order_refresh(credential, now=world.now)
    world.desk.next_answers["refresh"].append(Broken("invalid_client"))
    world.work()
    assert world.helpdesk.stopped_reason == "invalid_client"
    assert credential.grants.filter(state="live").count() == 1
    world.wait(seconds=5)
    assert world.work() == 0
    world.wait(seconds=30)
    world.work()
    assert world.helpdesk.stopped_at is None
    assert credential.grants.get(state="live").generation == 3


def test_an_error_of_our_own_is_kept_with_the_job_and_stops_nothing(world, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setitem(__import__("tokens.worker").worker.WORK, Job.Kind.LINK, broken)
    owe(world)
    assert world.work() == 1
    assert "ZeroDivisionError" in Job.objects.get().error
    assert "Job link" in caplog.text


def test_later_is_when_it_says(world, monkeypatch):
    until = world.now + timedelta(minutes=7)

    def later(*_):
        raise Later(until)

    monkeypatch.setitem(__import__("tokens.worker").worker.WORK, Job.Kind.LINK, later)
    owe(world)
    world.work()
    assert Job.objects.get().not_before == until
