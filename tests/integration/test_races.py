"""Two at once: each race has one winner, and nothing stays half-done."""

import time
from datetime import timedelta

import pytest
from django.db import connection

from accounts import clock
from accounts.models import AuditEvent, StandIn
from tests.fakes import SERVICE
from tests.integration._threads import together
from tests.world import World
from tokens.models import AccessRequest, Credential, Decision, Grant, Helpdesk, Job
from tokens.operations import grants, requests
from tokens.outbox import claim, order
from tokens.provisioning import Later, open_line
from tokens.refusals import StaleState

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> World:
    return World()


def rounds() -> int:
    """SQLite has one writer at a time, so there is less to find."""
    return 300 if connection.vendor == "postgresql" else 30


def test_two_approvers_at_once_on_a_two_of_two_request_leave_none_pending(world):
    world.person("ben"), world.person("june")
    rows = [world.ask(profile="update-tickets", script_name=f"script-{n}") for n in range(rounds())]
    for row in rows:
        together(
            lambda row=row: world.approve(row, "ben"), lambda row=row: world.approve(row, "june")
        )
    assert not AccessRequest.objects.filter(state="pending").exists()
    assert Credential.objects.count() == len(rows)
    assert Decision.objects.count() == 2 * len(rows)


def test_somebody_and_who_stands_in_for_them_at_once_are_one_voice(world):
    now = clock.now()
    StandIn.objects.create(
        away=world.person("ben"), instead=world.person("piotr"), created_at=now,
        starts_at=now - timedelta(hours=1), ends_at=now + timedelta(days=1),
    )  # fmt: skip
    for n in range(20):
        row = world.ask(profile="update-tickets", script_name=f"script-{n}")
        done = together(
            lambda row=row: world.approve(row, "ben"), lambda row=row: world.approve(row, "piotr")
        )
        assert sum(isinstance(one, StaleState) for one in done) == 1
        row.refresh_from_db()
        assert (row.state, row.approvals) == ("pending", 1)
    assert Decision.objects.count() == 20


def test_approve_and_withdraw_at_once_have_one_winner(world):
    world.person("ben")
    for n in range(20):
        row = world.ask(script_name=f"script-{n}")
        results = together(
            lambda row=row: world.approve(row, "ben"),
            lambda row=row: requests.withdraw(
                access_request=row, by=world.people["ada"], now=world.clock()
            ),
        )
        losers = [r for r in results if isinstance(r, StaleState)]
        assert len(losers) == 1
        assert "Already" in losers[0].sentence


def test_a_double_click_makes_one_request(world):
    ada = world.person("ada")
    for n in range(20):
        wish, key = world.wish(script_name=f"script-{n}"), f"key-{n}"
        now = world.clock()
        act = lambda wish=wish, key=key, now=now: requests.submit(
            wish=wish, by=ada, key=key, now=now
        )
        first, second = together(act, act)
        assert first == second
    assert AccessRequest.objects.count() == 20


def test_one_open_call_however_many_want_one(world):
    credential = world.active()
    live = credential.grants.get()
    act = lambda: grants.intend(
        credential=credential, purpose=Grant.Purpose.REFRESH, replaces=live, now=world.clock()
    )
    results = together(*[act] * 6)
    assert sum(isinstance(result, Grant) for result in results) == 1


def test_a_job_is_claimed_by_one_worker(world):
    helpdesk = world.helpdesk
    now = world.clock()
    for n in range(40):
        order(Job.Kind.LINK, n, helpdesk=helpdesk, now=now)

    def drain() -> list[int]:
        taken = []
        for _ in range(60):
            job = claim(helpdesk, worker="w", now=now)
            if job is not None:
                taken.append(job.pk)
        return taken

    taken = [pk for result in together(*[drain] * 4) for pk in result]
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 40


def test_two_workers_at_once_renew_our_own_access_once(world):
    """The slower finds the turn taken and comes back later; where it only comes when all is done, it takes what there is."""
    came_later = 0
    world.desk.at_mint = lambda: time.sleep(0.02)

    def use() -> object:
        try:
            line = open_line(world.helpdesk, gate=None, clock=world.clock, connect=world._connect)
            return line.as_service(lambda token: token)
        except Later as later:
            return later

    for n in range(1, rounds() + 1):
        Helpdesk.objects.update(service_token="")
        answers = together(use, use)
        assert world.desk.calls.count("mint") == n
        late = [one for one in answers if isinstance(one, Later)]
        assert [one for one in answers if one not in late] == [SERVICE] * (2 - len(late))
        came_later += len(late)
        kept = world.helpdesk
        assert (kept.service_turn_until, kept.service_token != "") == (None, True)
    assert came_later, "they never met"
    for event in ("helpdesk.access_asked", "helpdesk.access_renewed"):
        assert AuditEvent.objects.filter(event=event).count() == n
