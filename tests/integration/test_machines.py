"""state × action × actor: an operation goes through exactly where its machine lists it, for exactly who may."""

import itertools
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from accounts.models import AuditEvent
from tests.world import World
from tokens import states
from tokens.connectors.base import TokenPair
from tokens.models import AccessRequest, Credential, Decision, Grant
from tokens.operations import connections, credentials, decisions, grants, requests
from tokens.refusals import Denied, Refusal, StaleState
from tokens.states import CredentialState, GrantState, RequestState

pytestmark = pytest.mark.django_db

PEOPLE = ("ada", "ben", "june", "omar", "cleo", "zoe")


@pytest.fixture
def world() -> World:
    return World()


def listed(machine, action, state) -> bool:
    return any(move.action == action and state in move.sources for move in machine)


def put(row, **columns) -> None:
    """Set a row's state directly: the one place where tests do, to try every state against every action."""
    type(row).objects.filter(pk=row.pk).update(**columns)
    row.refresh_from_db()


REQUEST_ACTS = {
    "approve": lambda w, row, by: decisions.approve(
        access_request_id=row.pk, revision=row.revision, scopes=row.scopes, days=row.days, reason="",
        by=by, now=w.clock(),
    ),
    "deny": lambda w, row, by: decisions.deny(
        access_request_id=row.pk, revision=row.revision, reason="No need.", by=by, now=w.clock()
    ),
    "amend": lambda w, row, by: requests.amend(
        access_request=row, revision=row.revision, wish=w.wish(), by=by, now=w.clock()
    ),
    "withdraw": lambda w, row, by: requests.withdraw(access_request=row, by=by, now=w.clock()),
    "close": lambda w, row, by: requests.close(access_request=row, reason="Left.", now=w.clock()),
}  # fmt: skip
WHO = {
    "approve": {"ben", "june", "omar"},
    "deny": {"ben", "june", "omar"},
    "amend": {"ada"},
    "withdraw": {"ada"},
    "close": set(PEOPLE),
}


@pytest.mark.parametrize(("state", "action"), list(itertools.product(RequestState, REQUEST_ACTS)))
def test_a_request_moves_exactly_where_listed_and_by_whom(world, state, action):
    for key in PEOPLE:
        row = world.ask(script_name=f"{action}-{key}")
        put(row, state=state)
        may = listed(states.ACCESS_REQUEST, action, state) and key in WHO[action]
        before = AuditEvent.objects.count()
        try:
            REQUEST_ACTS[action](world, row, world.person(key))
            assert may, f"{key} could {action} a request that is {state}"
            assert AuditEvent.objects.count() > before
        except Refusal as refusal:
            assert not may, f"{key} could not {action}: {refusal.sentence}"
            assert refusal.sentence.endswith(".")
            expected = Denied if key not in WHO[action] else StaleState
            assert isinstance(refusal, expected)


CREDENTIAL_ACTS = {
    "connect": lambda w, row, by: _connect(w, row, by),
    "revoke": lambda w, row, by: credentials.revoke(credential=row, by=by, reason="x", now=w.clock()),
    "cancel": lambda w, row, by: credentials.cancel(credential=row, by=by, reason="x", now=w.clock()),
}  # fmt: skip
OWNS = {"connect": {"ada"}, "revoke": {"ada", "omar"}, "cancel": {"ada", "omar"}}


def _connect(world, row, by) -> None:
    trip = connections.start(credential=row, by=by, session_key="s", now=world.clock())
    came = connections.Return(trip.state, "a-code", "")
    connections.come_back(came=came, slug="production", by=by, session_key="s", now=world.clock())


@pytest.mark.parametrize(
    ("state", "action"), list(itertools.product(CredentialState, CREDENTIAL_ACTS))
)
def test_a_credential_moves_exactly_where_listed_and_by_whom(world, state, action):
    for key in PEOPLE:
        row = world.ordered(script_name=f"{action}-{key}", days=60)
        until = world.now + timedelta(days=60)
        put(row, state=state, lives_until=until, issued_at=world.now)
        may = listed(states.CREDENTIAL, action, state) and key in OWNS[action]
        if action == "revoke" and state == CredentialState.AWAITING_CONSENT:
            may = key in OWNS["cancel"]  # revoking what was never connected cancels it
        try:
            CREDENTIAL_ACTS[action](world, row, world.person(key))
            assert may, f"{key} could {action} a credential that is {state}"
        except Refusal as refusal:
            assert not may, f"{key} could not {action}: {refusal.sentence}"


SYSTEM_ACTS = {
    "lapse": lambda w, row: credentials.lapse(credential=row, now=row.connect_by),
    "expire": lambda w, row: credentials.expire(credential=row, now=row.lives_until),
}


@pytest.mark.parametrize(("state", "action"), list(itertools.product(CredentialState, SYSTEM_ACTS)))
def test_time_moves_a_credential_exactly_where_listed(world, state, action):
    row = world.ordered()
    put(row, state=state, lives_until=world.now + timedelta(days=60))
    may = listed(states.CREDENTIAL, action, state)
    try:
        SYSTEM_ACTS[action](world, row)
        assert may
    except StaleState:
        assert not may


WORKER_ACTS = {
    "lose": lambda w, row: credentials.lose(credential=row, reason="Gone.", now=w.clock()),
    "refuse": lambda w, row: credentials.refuse(credential=row, reason="No.", now=w.clock()),
    "confirm": lambda w, row: credentials.confirm_ended(credential=row, now=w.clock()),
    "activate": lambda w, row: credentials.activate(
        credential=row, grant=answered_grant(w, row), now=w.clock()
    ),
}


def is_served(credential) -> bool:
    return credential.grants.filter(state=GrantState.LIVE).exists()


def answered_grant(world, credential) -> Grant:
    """A pair that came and was told apart, whatever state its credential is in."""
    row = world.intended(credential)
    ends = world.now + timedelta(hours=8)
    put(row, state=GrantState.ANSWERED, remote_id=9, access_expires_at=ends, sent_at=world.now)
    return row


@pytest.mark.parametrize(("state", "action"), list(itertools.product(CredentialState, WORKER_ACTS)))
def test_a_worker_moves_a_credential_exactly_where_listed(world, state, action):
    row = world.ordered()
    put(row, state=state, came_from="lost", lives_until=world.now + timedelta(days=60))
    with suppress(StaleState):
        WORKER_ACTS[action](world, row)
    row.refresh_from_db()
    assert action != "activate" or state in ("issuing", "active") or not is_served(row)
    assert (row.state != state) == listed(states.CREDENTIAL, action, state)


@pytest.mark.parametrize("state", list(CredentialState))
def test_a_renewal_moves_the_end_exactly_where_listed(world, state):
    credential = world.active()
    asked = world.ask(scopes=credential.scopes, renews=credential, days=90)
    before = credential.lives_until
    world.wait(days=50)
    AccessRequest.objects.filter(pk=asked.pk).update(decide_by=world.now + timedelta(days=1))
    put(credential, state=state)
    with suppress(StaleState):
        world.approve(asked)
    credential.refresh_from_db()
    assert (credential.lives_until > before) == listed(states.CREDENTIAL, "renew", state)


@pytest.mark.parametrize("state", list(RequestState))
def test_time_moves_a_request_exactly_where_listed(world, state):
    row = world.ask()
    put(row, state=state)
    with suppress(StaleState):
        requests.lapse(access_request=row, now=row.decide_by)
    row.refresh_from_db()
    assert (row.state != state) == listed(states.ACCESS_REQUEST, "lapse", state)


GRANT_ACTS = {
    "answer": lambda w, row: grants.answer(row, TokenPair("a", "r", None, 60, 60), now=w.clock()),
    "prove": lambda w, row: grants.go_live(
        row, lives_until=w.now + timedelta(days=9), now=w.clock()
    ),
    "abandon": lambda w, row: grants.abandon(row, now=w.clock()),
    "send": lambda w, row: grants.send(row, now=w.clock()),
    "refuse": lambda w, row: grants.refuse(row, reason="x", now=w.clock()),
    "forget": lambda w, row: grants.forget(row, reason="x", now=w.clock()),
    "write off": lambda w, row: grants.write_off(row, now=w.clock()),
    "doom": lambda w, row: grants.doom(row, reason="x", now=w.clock()),
    "bury": lambda w, row: grants.bury(row, now=w.clock()),
}


@pytest.mark.parametrize(("state", "action"), list(itertools.product(GrantState, GRANT_ACTS)))
def test_a_grant_moves_exactly_where_listed(world, state, action):
    credential = world.ordered()
    row = world.intended(credential)
    put(credential, state=CredentialState.ISSUING)
    put(row, state=state, access_expires_at=world.now + timedelta(hours=8))
    with suppress(StaleState):
        GRANT_ACTS[action](world, row)
    row.refresh_from_db()
    moved = row.state != state
    assert moved == listed(states.GRANT, action, state)


def test_the_database_refuses_self_approval_by_itself(world):
    row = world.ask()
    with pytest.raises(IntegrityError), transaction.atomic():
        Decision.objects.create(
            access_request=row, revision=1, approver=row.requester, requester=row.requester,
            verdict="approve", scopes=row.scopes, days=1, at=world.now,
        )  # fmt: skip


def test_nobody_decides_as_the_same_helpdesk_user(world):
    """A second account of the same human finds the same helpdesk user, and may not approve the first's request."""
    row = world.ask()
    ben = world.person("ben")
    ben.helpdesk_links.filter(helpdesk=world.helpdesk).update(
        helpdesk_user=row.acts_as, problem="linked to another person"
    )
    with pytest.raises(Denied, match="same helpdesk user"):
        world.approve(row, "ben")


def test_two_approvals_grant_what_they_have_in_common(world):
    row = world.ask(profile="update-tickets")
    world.approve(row, "ben", scopes=frozenset({"tickets:read", "tickets:write"}), days=20)
    row.refresh_from_db()
    assert row.state == RequestState.PENDING
    world.approve(row, "june", scopes=frozenset({"tickets:read", "users:read"}), days=40)
    row.refresh_from_db()
    credential = Credential.objects.get(pk=row.credential_id)
    assert (credential.scopes, credential.days) == (frozenset({"tickets:read"}), 20)


def test_approvals_without_a_common_scope_are_refused(world):
    row = world.ask(profile="update-tickets")
    world.approve(row, "ben", scopes=frozenset({"tickets:read"}))
    row.refresh_from_db()
    with pytest.raises(Refusal, match="no scope in common"):
        world.approve(row, "june", scopes=frozenset({"users:read"}))
    row.refresh_from_db()
    assert (row.state, row.approvals) == (RequestState.PENDING, 1)


def test_one_approver_counts_once(world):
    row = world.ask(profile="update-tickets")
    world.approve(row, "ben")
    with pytest.raises(StaleState, match="already decided"):
        world.approve(row, "ben")
    row.refresh_from_db()
    assert row.approvals == 1


def test_an_amended_request_starts_anew(world):
    row = world.ask(profile="update-tickets")
    world.approve(row, "ben")
    row.refresh_from_db()
    shown = row.revision
    requests.amend(
        access_request=row, revision=shown, wish=world.wish("update-tickets", days=10),
        by=row.requester, now=world.clock(),
    )  # fmt: skip
    assert (row.revision, row.approvals) == (shown + 1, 0)
    with pytest.raises(StaleState):
        world.approve(row, "june", revision=shown)


def test_the_same_submission_twice_is_one_request(world):
    first = requests.submit(wish=world.wish(), by=world.person("ada"), key="k", now=world.clock())
    again = requests.submit(wish=world.wish(), by=world.person("ada"), key="k", now=world.clock())
    assert first == again
    with pytest.raises(StaleState) as refused:
        requests.submit(wish=world.wish(), by=world.person("ada"), key="other", now=world.clock())
    assert refused.value.href == f"/requests/{first.pk}"
    assert AccessRequest.objects.count() == 1


def test_policy_never_approves_for_the_editor_of_the_terms(world):
    ada = world.person("ada")
    profile = world.profile("read-tickets")
    type(profile.current).objects.filter(pk=profile.current.pk).update(editor=ada)
    assert world.ask(days=7).state == RequestState.PENDING
    assert world.ask("lena", days=7).state == RequestState.APPROVED
