"""One fault at each place of a whole life, one place at a time: it settles, nothing is left over or done twice.

The places are the calls, writes and commits of asking, connecting, fetching, refreshing and ending: each call,
every fortieth write and every twentieth commit; where every test must run every thirteenth and sixth, in a soak
every third and each. The deaths here are exceptions that nothing catches; real processes are really killed in
`test_storm.py`.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.models import AuditEvent
from tests.fakes import FakeConnector, Pair
from tests.world import World
from tokens.connectors.base import GiveUp
from tokens.models import (
    AccessRequest,
    Credential,
    Decision,
    Emergency,
    Fetch,
    Grant,
    Helpdesk,
    Job,
)
from tokens.operations import credentials, emergencies, keys, requests, sweeps
from tokens.queries import emergencies as emergency_queries
from tokens.queries import verification
from tokens.refusals import Refusal, StaleState
from tokens.states import CredentialState, GrantState

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 40
"""How often everybody tries again before it counts as never."""
PACE = timedelta(seconds=61)
"""From one round to the next: longer than a claim."""


class Death(BaseException):
    """The process ends here: nothing it still does reaches the database or the helpdesk."""


@dataclass
class Fault:
    """What goes wrong, and at which place of its kind; at most once (`lasts`: at so many in a row)."""

    place: str
    act: Callable[["Fault"], None]
    world: World | None = None
    at: int | None = None
    lasts: int = 1
    seen: int = 0
    is_dead: bool = False

    def reach(self, place: str) -> None:
        """One of the places was come to; a dead process comes to none."""
        if self.is_dead:
            raise Death
        if place != self.place:
            return
        self.seen += 1
        if self.at is not None and self.at < self.seen <= self.at + self.lasts:
            self.act(self)


def die(fault: Fault) -> None:
    fault.is_dead = True
    raise Death


def fill_up(_: Fault) -> None:
    raise OperationalError("database or disk is full")


def cut_off(_: Fault) -> None:
    raise OperationalError("server closed the connection unexpectedly")


def deadlock(_: Fault) -> None:
    raise OperationalError("deadlock detected")


def end_everything(fault: Fault) -> None:
    """An admin orders the end of all access of ada, in a process of his own, and it is begun at once."""
    assert fault.world is not None
    world, now = fault.world, fault.world.clock()
    subject = emergency_queries.find(f"person:{world.people['ada'].pk}")
    assert subject is not None
    with suppress(StaleState):  # nothing to end yet, or any more
        emergencies.order(subject=subject, reason="A drill.", by=world.people["omar"], now=now)
    emergencies.carry_on_all(now=now)


KINDS: dict[str, Callable[[], Fault]] = {
    "killed before a call": lambda: Fault("before a call", die),
    "killed after a call": lambda: Fault("after a call", die),
    "killed before a commit": lambda: Fault("before a commit", die),
    "killed after a commit": lambda: Fault("after a commit", die),
    "disk full": lambda: Fault("a write", fill_up, lasts=4),
    "deadlock": lambda: Fault("a write", deadlock),
    "connection lost before a commit": lambda: Fault("before a commit", cut_off),
    "connection lost after a commit": lambda: Fault("after a commit", cut_off),
    "emergency before a call": lambda: Fault("before a call", end_everything),
    "emergency after a call": lambda: Fault("after a call", end_everything),
}

LEAST = {"before a call": 12, "after a call": 12, "a write": 60, "before a commit": 30}
LEAST["after a commit"] = LEAST["before a commit"]
"""How many places an undisturbed life has at the least."""


# --- The seams ---------------------------------------------------------------------------------------


@contextmanager
def seams(world: World, fault: Fault) -> Iterator[None]:
    """Every call, write and commit of this process passes the fault."""
    commit = BaseDatabaseWrapper.commit

    def committing(self: Any) -> None:
        try:
            fault.reach("before a commit")
        except Death:
            self.rollback()  # as the database does for who is gone
            raise
        commit(self)
        fault.reach("after a commit")

    def writing(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("INSERT", "UPDATE", "DELETE")):
            return execute(sql, params, many, context)
        fault.reach("a write")
        if connection.in_atomic_block:
            return execute(sql, params, many, context)
        fault.reach("before a commit")
        found = execute(sql, params, many, context)
        fault.reach("after a commit")
        return found

    with pytest.MonkeyPatch.context() as patched, connection.execute_wrapper(writing):
        patched.setattr(BaseDatabaseWrapper, "commit", committing)
        patched.setattr(
            world, "_connect", lambda _, gate: Calls(FakeConnector(world.desk, gate), fault, world)
        )
        yield


@dataclass
class Calls:
    """The connector, with the fault before and after each call; notes which codes and refresh tokens were sent."""

    connector: FakeConnector
    fault: Fault
    world: World

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.connector, name)

        def passing(**terms: Any) -> Any:
            self.fault.reach("before a call")
            moment = self.world.now
            try:
                found = call(**terms)
            except GiveUp:
                sent.append((secret_in(terms), moment, True))
                raise
            sent.append((secret_in(terms), moment, False))
            self.fault.reach("after a call")
            return found

        return passing


sent: list[tuple[str, datetime, bool]] = []
"""Which code or refresh token left for the helpdesk, when, and whether it was certainly of no use."""


def secret_in(terms: dict[str, Any]) -> str:
    return str(terms.get("code") or terms.get("refresh_token") or "")


# --- A life ------------------------------------------------------------------------------------------


@dataclass
class Life:
    """One script's access from the wish to its end. Whoever met an error tries again, as people and sweeps do."""

    world: World
    fault: Fault
    name: str

    def live(self) -> None:
        self.until(self.is_active, self.get_connected)
        self.until(lambda: self.credential.secrets.exists(), self.show_key)
        self.until(self.was_fetched, self.fetch)
        if not self.has_ended():
            generation = self.pair.generation
            self.world.now = self.pair.serve_until or self.world.now
            self.until(
                lambda: self.is_active() and self.pair.generation > generation, self.get_refreshed
            )
        self.until(self.is_gone, self.end)
        if self.credential.state == CredentialState.REVOKED:
            assert not self.world.desk.living(), "it is called ended, and something of it lives"
        self.until(self.is_at_rest, self.sweep)

    def until(self, is_so: Callable[[], bool], act: Callable[[], object]) -> None:
        """Everybody tries until it is so: whoever asks here, the workers, the sweeps."""
        for _ in range(ROUNDS):
            if is_so() or (act in self.wanted_alive and self.has_ended()):
                return
            for one in (act, self.sweep, self.world.work):
                self._try(one)
            self.world.now += PACE
        raise AssertionError(f"It never came to {act.__name__}: {self.found()}")

    @property
    def wanted_alive(self) -> tuple[Callable[[], object], ...]:
        """What nobody tries any more once it has been ended."""
        return (self.get_connected, self.show_key, self.fetch, self.get_refreshed)

    def _try(self, act: Callable[[], object]) -> None:
        with suppress(Death, OperationalError, Refusal):
            act()
        self.fault.is_dead = False

    def sweep(self) -> None:
        sweeps.sweep(now=self.world.clock())

    def found(self) -> str:
        jobs = Job.objects.filter(done_at=None).values_list("key", "tries", "error")
        return f"{Credential.objects.filter(script_name=self.name).values()} {list(jobs)}"

    # What people do.

    def get_connected(self) -> None:
        row = requests.submit(
            wish=self.world.wish(script_name=self.name), by=self.world.people["ada"],
            key=f"key-{self.name}", now=self.world.clock(),
        )  # fmt: skip
        if row.state == "pending":
            row = self.world.approve(row)
        if row.credential and row.credential.state in ("awaiting_consent", "lost"):
            self.world.consent(row.credential)

    def show_key(self) -> None:
        keys.issue_secret(
            credential=self.credential, by=self.credential.owner, now=self.world.clock()
        )

    def fetch(self) -> None:
        """A client gets its token; one that was not proved is never among them."""
        now = self.world.clock()
        given = keys.hand_out(
            credential_id=self.credential.pk,
            secret=self.credential.secrets.get(), address=None, now=now,
        )  # fmt: skip
        assert given is not None
        assert self.pair.proved_at is not None
        made = next(pair for pair in self.world.desk.living() if pair.access == given.access_token)
        assert made.record.user_id == self.credential.acts_as.remote_id

    def was_fetched(self) -> bool:
        return Fetch.objects.filter(credential=self.credential).exists()

    def get_refreshed(self) -> None:
        if self.credential.state == CredentialState.LOST:
            self.world.consent(self.credential)
        elif self.is_active():
            keys.order_refresh(self.credential, now=self.world.clock())

    def end(self) -> None:
        held = self.credential
        credentials.revoke(credential=held, by=held.owner, reason="", now=self.world.clock())

    # How it stands.

    @property
    def credential(self) -> Credential:
        rows = Credential.objects.select_related("helpdesk", "owner", "acts_as")
        return rows.get(script_name=self.name)

    @property
    def pair(self) -> Grant:
        return self.credential.grants.get(state=GrantState.LIVE)

    def is_active(self) -> bool:
        rows = Credential.objects.filter(script_name=self.name)
        return rows.filter(state="active", grants__state="live").exists()

    def has_ended(self) -> bool:
        rows = Credential.objects.filter(script_name=self.name)
        return rows.filter(state__in=("revoking", "revoked", "cancelled")).exists()

    def is_gone(self) -> bool:
        return self.credential.state in (CredentialState.REVOKED, CredentialState.CANCELLED)

    def is_at_rest(self) -> bool:
        """Nothing lives on the helpdesk, and nobody owes anything but the next list."""
        owed = Job.objects.filter(done_at=None).exclude(kind=Job.Kind.INVENTORY)
        return not self.world.desk.living() and not owed.exists()


# --- What must hold after each ------------------------------------------------------------------------


def judge(life: Life, made: list[Pair]) -> None:
    """Asked, decided and ordered once; each pair recorded before it was made; no secret sent where it may not."""
    assert AccessRequest.objects.filter(script_name=life.name).count() == 1
    assert Decision.objects.filter(access_request__script_name=life.name).count() == 1
    assert Credential.objects.filter(script_name=life.name).count() == 1
    assert not Grant.objects.exclude(state__in=SETTLED).exists()
    calls = Grant.objects.filter(credential=life.credential, sent_at__isnull=False)
    recorded = AuditEvent.objects.filter(
        event="grant.sent", target_id__in=[str(pk) for pk in calls.values_list("pk", flat=True)]
    )
    assert recorded.count() == calls.count() >= len(made)
    for emergency in Emergency.objects.filter(newest_credential_id=life.credential.pk):
        late = Fetch.objects.filter(credential=life.credential, at__gt=emergency.ordered_at)
        assert emergency.finished_at is not None
        assert not late.exists(), "handed out after the emergency was ordered"
    _judge_sent()


SETTLED = ("refused", "abandoned", "written_off", "replaced", "gone")


def _judge_sent() -> None:
    """A code leaves once; a refresh token again a minimum age after a call nobody heard the answer of."""
    unheard: dict[str, datetime] = {}
    for secret, moment, was_refused in sent:
        if before := unheard.get(secret):
            assert secret.startswith("refresh-"), f"{secret} was sent twice"
            assert moment - before >= settings.MINIMUM_AGE, f"{secret} was sent again too soon"
        if secret and not was_refused:
            unheard[secret] = moment
    sent.clear()


@pytest.fixture
def world() -> World:
    made = World()
    made.person("ada"), made.person("ben"), made.person("omar")
    return made


def go_through(world: World, fault: Fault, name: str) -> None:
    before = len(world.desk.pairs)
    Helpdesk.objects.update(service_token="")
    fault.world, life = world, Life(world, fault, name)
    with seams(world, fault):
        life.live()
    judge(life, world.desk.pairs[before:])


WRITES = 3 if os.environ.get("KEYDESK_SOAK") else 13 if os.environ.get("KEYDESK_TEST_ALL") else 40
STEP = {"before a call": 1, "after a call": 1, "a write": WRITES}
STEP["before a commit"] = STEP["after a commit"] = WRITES // 2
"""How far apart the places are that are tried; a life has half as many commits as writes."""


@pytest.mark.parametrize(("kind", "least"), [(kind, LEAST[KINDS[kind]().place]) for kind in KINDS])
def test_a_fault_anywhere_in_a_life_leaves_nothing_and_does_nothing_twice(
    world: World, kind: str, least: int
) -> None:
    """From the first place on, until a life has gone by that did not come so far."""
    sent.clear()
    for at in itertools.count(0, STEP[KINDS[kind]().place]):
        fault = KINDS[kind]()
        fault.at = at
        go_through(world, fault, f"script-{at}")
        if fault.seen <= at:
            break
    assert at >= least, "A life has more places than this."
    assert [found.text for found in verification.of_rows()] == []
