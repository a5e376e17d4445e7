"""Slots of the helpdesk's budget: a job that asks nothing of the helpdesk takes none, so ends cost no more than their requests."""

import time

import pytest
from django.db import transaction

from tests.fakes import FreeLimiter
from tests.world import World
from tokens import outbox, worker
from tokens.limiter import LimiterDown
from tokens.models import Job, SeenToken
from tokens.operations import credentials, grants

pytestmark = pytest.mark.django_db


class Counting(FreeLimiter):
    """Counts the slots it gives, or has none to give."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.given = 0
        self.urgent: list[bool] = []
        self.in_hand: list[bool] = []
        self.is_down = is_down

    def take(self, slug, *, urgent, wait, in_hand=False):
        if self.is_down:
            raise LimiterDown("No Redis today.")
        self.given += 1
        self.urgent.append(urgent)
        self.in_hand.append(in_hand)
        return True


@pytest.fixture
def world() -> World:
    world = World()
    credential = world.active()
    Job.objects.update(done_at=world.now)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    with transaction.atomic():
        outbox.order(Job.Kind.CONFIRM, credential.pk, helpdesk=world.helpdesk, now=world.clock())
    return world


def work(world: World, limiter: Counting) -> int:
    return worker.run_due(
        slug=world.slug, clock=world.clock, limiter=limiter, connect=world._connect
    )


def test_confirming_an_end_takes_no_slot_and_needs_no_limiter(world):
    assert work(world, Counting(is_down=True)) == 1
    done = Job.objects.get(kind=Job.Kind.CONFIRM)
    assert done.done_at is not None
    assert Job.objects.get(kind=Job.Kind.CLOSE).done_at is None


def test_an_end_takes_as_many_slots_as_it_makes_calls(world):
    limiter = Counting()
    before = len(world.desk.calls)
    work(world, limiter)
    assert Job.objects.filter(done_at=None).count() == 0
    assert limiter.given == len(world.desk.calls) - before


def test_who_has_a_slot_takes_a_job_that_needs_it(world):
    job = outbox.claim(world.helpdesk, worker="w", now=world.clock())
    assert job.kind == Job.Kind.CLOSE
    ahead = outbox.ahead(world.helpdesk, world.clock())
    silent = outbox.claim_silent(ahead, world.helpdesk, worker="w", now=world.clock())
    assert silent.kind in outbox.SILENT
    assert outbox.claim_silent(ahead, world.helpdesk, worker="w", now=world.clock()) is None


def test_a_process_that_ends_while_it_waits_for_a_slot_claims_nothing(world):
    Job.objects.filter(kind=Job.Kind.CONFIRM).delete()
    limiter = Counting()
    done = worker.run_due(
        slug=world.slug, clock=world.clock, limiter=limiter, connect=world._connect,
        may_begin=lambda: False,
    )  # fmt: skip
    assert done == 0
    assert limiter.given == 1
    assert Job.objects.get(done_at=None).tries == 0


def test_an_end_that_is_ordered_while_a_worker_waits_for_its_slot_is_done_with_that_slot(world):
    """The slot comes before the job."""
    work(world, Counting())
    with transaction.atomic():
        outbox.order(
            Job.Kind.INVENTORY, world.helpdesk.pk, helpdesk=world.helpdesk, now=world.clock()
        )
    late = world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    seen = SeenToken(remote_id=late.record.id, remote_user_id=1, scopes=late.record.scopes)

    class WhileItWaits(Counting):
        def take(self, slug, *, urgent, wait, in_hand=False):
            if not self.given:
                grants.adopt(helpdesk=world.helpdesk, seen=seen, now=world.clock())
            return super().take(slug, urgent=urgent, wait=wait)

    calls = len(world.desk.calls)
    work(world, WhileItWaits())
    assert late.is_deleted
    assert world.desk.calls[calls:].index("delete") < world.desk.calls[calls:].index("list")


def test_who_waits_for_a_slot_looks_again_and_is_urgent_once_an_end_was_ordered(world, monkeypatch):
    """All slots go to pages of a list that somebody has in hand; then somebody ends an access."""
    monkeypatch.setattr(worker, "LOOK_AGAIN", 0.01)
    work(world, Counting())
    with transaction.atomic():
        outbox.order(Job.Kind.LINK, 1, helpdesk=world.helpdesk, now=world.clock())
    late = world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    seen = SeenToken(remote_id=late.record.id, remote_user_id=1, scopes=late.record.scopes)
    asked: list[bool] = []

    class InSomebodysHand(Counting):
        def take(self, slug, *, urgent, wait, in_hand=False):
            asked.append(urgent)
            if len(asked) == 1:
                time.sleep(wait)
                grants.adopt(helpdesk=world.helpdesk, seen=seen, now=world.clock())
                return False
            return super().take(slug, urgent=urgent, wait=wait)

    work(world, InSomebodysHand())
    assert asked[:2] == [False, True]
    assert late.is_deleted


def test_who_can_have_no_slot_in_time_does_not_ask_for_ever(world):
    with transaction.atomic():
        outbox.order(Job.Kind.LINK, 1, helpdesk=world.helpdesk, now=world.clock())
    Job.objects.exclude(kind=Job.Kind.LINK).delete()
    waits: list[float] = []

    class Paused(Counting):
        def take(self, slug, *, urgent, wait, in_hand=False):
            waits.append(wait)
            return False

    work(world, Paused())
    assert waits[0] == worker.LOOK_AGAIN
    assert len(waits) == 2 and waits[1] > worker.SLOT_WAIT - 1


def test_the_pages_of_a_list_are_in_no_clicks_way(world):
    """It is begun at once where an end waits for it; its calls after the first go before nobody who ends access."""
    work(world, Counting())
    with transaction.atomic():
        outbox.order(
            Job.Kind.INVENTORY, world.helpdesk.pk, helpdesk=world.helpdesk, now=world.clock(),
            urgency=0,
        )  # fmt: skip
    limiter = Counting()
    work(world, limiter)
    assert len(limiter.urgent) > 1
    assert limiter.urgent == [True, *[False] * (len(limiter.urgent) - 1)]
    assert limiter.in_hand == [False, *[True] * (len(limiter.urgent) - 1)]
