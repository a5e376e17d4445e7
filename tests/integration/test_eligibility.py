"""Whoever may not have it any more gets no token, no renewal and no decision, whichever way they come."""

from datetime import timedelta

import pytest

from accounts.models import Membership
from accounts.operations import deactivate
from demo.people import BY_KEY
from tests import people
from tests.world import World
from tokens.models import ClientSecret, Fetch, HelpdeskLink, ProfileVersion
from tokens.operations import credentials, decisions, keys, requests
from tokens.refusals import Denied, Invalid, StaleState
from tokens.states import CredentialState, RequestState

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def suspend(world: World, key: str) -> None:
    HelpdeskLink.objects.filter(user=world.people[key]).update(problem="Suspended.")


def test_an_approver_nobody_has_looked_up_cannot_decide(world):
    row = world.ask()
    ben = world.people["ben"] = people.make("ben", now=world.now)
    with pytest.raises(Denied, match="not yet looked you up"):
        world.approve(row, "ben")
    people_link = world.helpdesk
    assert not HelpdeskLink.objects.filter(user=ben, helpdesk=people_link).exists()


@pytest.mark.parametrize("address", ["ada@acme.test", "Ada@Acme.TEST"])
def test_a_second_account_with_the_requesters_address_cannot_decide(world, address):
    row = world.ask()
    ben = world.person("ben")
    type(ben).objects.filter(pk=ben.pk).update(email=address)
    with pytest.raises(Denied, match="same helpdesk user"):
        world.approve(row, "ben")


def test_an_approver_who_lost_the_role_since_the_page_was_made_cannot_decide(world):
    row = world.ask()
    ben = world.person("ben")
    assert ben.memberships.count()
    from accounts.roles import roles_of

    assert roles_of(ben)
    Membership.objects.filter(user=ben).delete()
    with pytest.raises(Denied):
        decisions.approve(
            access_request_id=row.pk, revision=1, scopes=row.scopes, days=1, reason="", by=ben,
            now=world.clock(),
        )  # fmt: skip


def test_amending_asks_again_whether_one_may_ask(world):
    row = world.ask()
    suspend(world, "ada")
    with pytest.raises(Denied, match="Suspended"):
        requests.amend(
            access_request=row,
            revision=1,
            wish=world.wish(days=7),
            by=row.requester,
            now=world.clock(),
        )
    row.refresh_from_db()
    assert row.state == RequestState.PENDING


def test_a_renewal_of_somebody_who_may_not_have_it_is_refused_at_the_decision(world):
    credential = world.active(days=7)
    row = world.ask(scopes=credential.scopes, renews=credential, days=30)
    suspend(world, "ada")
    before = credential.lives_until
    with pytest.raises(StaleState, match="cannot be renewed"):
        world.approve(row)
    credential.refresh_from_db()
    assert credential.lives_until == before


def test_a_refresh_for_somebody_who_may_not_have_it_ends_the_access(world):
    credential = world.active()
    suspend(world, "ada")
    world.now = credential.grants.get().serve_until
    keys.order_refresh(credential, now=world.now)
    for _ in range(2):
        world.work()
        world.wait(seconds=5)
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert "no longer that user" in credential.end_reason
    assert world.desk.living() == []


def test_who_may_not_have_it_any_more_gets_no_new_secret_and_can_still_kill_the_old(world):
    credential = world.active()
    keys.issue_secret(credential=credential, by=credential.owner, now=world.clock())
    first = credential.secrets.get()
    suspend(world, "ada")
    with pytest.raises(StaleState, match="no longer that user"):
        keys.issue_secret(
            credential=credential, by=credential.owner, now=world.clock(), seen=first.pk
        )
    keys.replace_now(credential=credential, by=credential.owner, now=world.clock(), seen=first.pk)
    first.refresh_from_db()
    assert first.ends_at is not None and first.ends_at <= world.now


def test_leaving_a_group_the_access_is_for_ends_it_at_the_next_refresh(world):
    credential = world.active()
    ProfileVersion.objects.filter(pk=credential.profile_version_id).update(
        ask_groups=frozenset({"emea-tier-2"})
    )
    Membership.objects.filter(user=credential.owner, group="emea-tier-2").delete()
    world.now = credential.grants.get().serve_until
    keys.order_refresh(credential, now=world.now)
    world.work()
    credential.refresh_from_db()
    assert credential.state in (CredentialState.REVOKING, CredentialState.REVOKED)


def test_somebody_who_left_is_served_nothing_from_that_moment(world):
    credential = world.active()
    deactivate(user=credential.owner, by=None, reason="Left.", now=world.clock())
    with pytest.raises(StaleState):
        keys.hand_out(credential_id=credential.pk, secret=None, address=None, now=world.clock())
    assert not Fetch.objects.exists()


def test_nothing_is_asked_for_once_the_lease_is_over(world):
    credential = world.active()
    keys.order_refresh(credential, now=world.now, not_before=credential.lives_until)
    world.now = credential.lives_until + timedelta(minutes=30)
    world.work()
    assert "refresh" not in world.desk.calls
    credential.refresh_from_db()
    assert credential.state in (CredentialState.REVOKING, CredentialState.REVOKED)


def test_a_lease_that_ends_while_it_is_connected_again_gives_no_token(world):
    credential = world.active()
    credentials.lose(credential=credential, reason="Gone.", now=world.clock())
    world.work()
    world.consent(credential)
    world.now = credential.lives_until
    before = world.desk.calls.count("exchange")
    world.work()
    assert world.desk.calls.count("exchange") == before


def test_a_caller_who_waits_with_an_old_secret_is_not_given_the_new_token(world):
    credential = world.active()
    new = keys.issue_secret(credential=credential, by=credential.owner, now=world.clock())
    old = keys.find_secret(
        client_id=new.client_id, client_secret=new.client_secret, now=world.clock()
    )
    keys.replace_now(credential=credential, by=credential.owner, seen=old.pk, now=world.clock())
    world.work()
    with pytest.raises(Denied, match="ended"):
        keys.hand_out(credential_id=credential.pk, secret=old, address=None, now=world.clock())
    assert not Fetch.objects.exists()


def test_a_leaked_secret_can_be_killed_while_disconnected(world):
    credential = world.active()
    first = keys.issue_secret(credential=credential, by=credential.owner, now=world.clock())
    seen = ClientSecret.objects.get(ends_at=None).pk
    credentials.lose(credential=credential, reason="Gone.", now=world.clock())
    keys.replace_now(credential=credential, by=credential.owner, seen=seen, now=world.clock())
    found = keys.find_secret(
        client_id=first.client_id, client_secret=first.client_secret, now=world.clock()
    )
    assert found is None


def test_two_people_cannot_both_take_the_first_secret(world):
    credential = world.active()
    keys.issue_secret(credential=credential, by=credential.owner, now=world.clock())
    with pytest.raises(StaleState, match="made already"):
        keys.issue_secret(credential=credential, by=credential.owner, now=world.clock())
    assert ClientSecret.objects.count() == 1


def test_a_deputy_is_somebody_else(world):
    with pytest.raises(Invalid, match="somebody else"):
        world.ask(deputy=world.person("ada"))


def test_codes_and_verifiers_are_wiped_when_a_connection_is_cut_short(world):
    credential = world.ordered()
    world.consent(credential)
    assert credential.connections.exclude(code="").exists()
    credential.refresh_from_db()
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    assert not credential.connections.exclude(code="", verifier="").exists()


def test_a_denied_second_trip_leaves_working_access_alone(world):
    from tokens.operations import connections

    credential = world.ordered()
    trip = connections.start(
        credential=credential, by=credential.owner, session_key="s", now=world.clock()
    )
    world.consent(credential)
    world.work()
    connections.come_back(
        came=connections.Return(trip.state, "", "access_denied"), slug="production",
        by=credential.owner, session_key="s", now=world.clock(),
    )  # fmt: skip
    credential.refresh_from_db()
    assert (credential.state, credential.problem) == (CredentialState.ACTIVE, "")


def test_the_cast_has_different_addresses():
    assert len({person.email for person in BY_KEY.values()}) == len(BY_KEY)
