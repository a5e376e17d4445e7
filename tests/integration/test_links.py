"""Who somebody is on the helpdesk: found by external id or exactly one verified address, and never two people's."""

from dataclasses import replace

import pytest

from demo.people import BY_KEY
from tests import people
from tests.fakes import FakeConnector
from tests.world import World
from tokens.connectors.base import RemoteUser
from tokens.models import HelpdeskLink
from tokens.operations import requests
from tokens.operations.people import order_links
from tokens.refusals import Denied

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def look_up(world: World, key: str = "ada") -> HelpdeskLink:
    if key not in world.people:
        world.people[key] = people.make(key, now=world.now)
    user = world.people[key]
    order_links(user=user, now=world.clock())
    world.work()
    return HelpdeskLink.objects.get(user=user, helpdesk=world.helpdesk)


def on_helpdesk(world: World, key: str = "ada", **changes) -> RemoteUser:
    found = replace(people.remote(BY_KEY[key]), **changes)
    world.desk.users[found.id] = found
    return found


def test_the_external_id_finds_a_person(world):
    on_helpdesk(world, email="another@acme.test")
    link = look_up(world)
    assert (link.problem, link.matched_by) == ("", "external id")


def test_a_verified_address_finds_a_person(world):
    on_helpdesk(world, external_id="")
    assert look_up(world).matched_by == "e-mail"


def test_an_unverified_address_finds_nobody(world):
    on_helpdesk(world, external_id="")
    user = world.people["ada"] = people.make("ada", now=world.now)
    type(user).objects.filter(pk=user.pk).update(email_verified=False)
    assert "no user on" in look_up(world).problem


def test_two_users_with_one_address_are_nobody(world):
    on_helpdesk(world, external_id="")
    on_helpdesk(world, external_id="", id=1)
    assert "no user on" in look_up(world).problem


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"suspended": True}, "suspended"),
        ({"active": False}, "suspended or deleted"),
        ({"role": "end-user"}, "no agent"),
    ],
)
def test_who_cannot_act_there_cannot_ask_and_reads_why(world, change, word):
    on_helpdesk(world, **change)
    link = look_up(world)
    assert word in link.problem
    with pytest.raises(Denied, match=word):
        requests.submit(wish=world.wish(), by=world.people["ada"], key="k", now=world.now)


def test_a_search_that_lags_behind_unlinks_nobody_who_is_still_there(world, monkeypatch):
    on_helpdesk(world, external_id="")
    look_up(world)
    monkeypatch.setattr(FakeConnector, "users_by_email", lambda *_, **__: [])
    assert (look_up(world).problem, look_up(world).matched_by) == ("", "e-mail")
    on_helpdesk(world, external_id="", email="another@acme.test")
    link = look_up(world)
    assert "no user on" in link.problem
    assert link.matched_by == ""


def test_a_search_by_external_id_that_lags_behind_unlinks_nobody_either(world, monkeypatch):
    on_helpdesk(world, email="another@acme.test")
    look_up(world)
    monkeypatch.setattr(FakeConnector, "user_by_external_id", lambda *_, **__: None)
    assert (look_up(world).problem, look_up(world).matched_by) == ("", "external id")


def test_nor_does_it_link_who_is_gone(world):
    found = on_helpdesk(world, external_id="")
    look_up(world)
    world.desk.users[found.id] = replace(found, active=False)
    assert "no user on" in look_up(world).problem
    del world.desk.users[found.id]
    assert "no user on" in look_up(world).problem


def test_a_second_account_of_the_same_helpdesk_user_is_not_linked(world):
    on_helpdesk(world)
    look_up(world)
    twin = world.people["zoe"] = people.make("zoe", now=world.now)
    type(twin).objects.filter(pk=twin.pk).update(email=BY_KEY["ada"].email, subject="ada")
    link = look_up(world, "zoe")
    assert "another person" in link.problem
    assert link.helpdesk_user.remote_id == BY_KEY["ada"].helpdesk_id


def test_a_changed_role_is_noted_with_its_time(world):
    on_helpdesk(world)
    assert look_up(world).helpdesk_user.role_changed_at is None
    world.wait(days=3)
    on_helpdesk(world, role="admin", role_type=4)
    assert look_up(world).helpdesk_user.role_changed_at > world.now.replace(microsecond=0, second=0)


def test_an_owner_who_is_no_longer_that_user_gets_no_token(world):
    credential = world.ordered()
    HelpdeskLink.objects.filter(user=credential.owner).update(problem="suspended")
    world.consent(credential)
    world.work()
    credential.refresh_from_db()
    assert credential.state == "cancelled"
    assert "no longer that user" in credential.end_reason
    assert "exchange" not in world.desk.calls


def test_an_end_user_with_somebodys_external_id_takes_nothing_from_them(world):
    """Agents can make end users with any external id; whoever it belongs to is found by their address."""
    on_helpdesk(world, external_id="")
    look_up(world)
    on_helpdesk(world, id=4711, email="other@acme.test", role="end-user", external_id="ada")
    link = look_up(world)
    assert (link.problem, link.helpdesk_user.remote_id) == ("", BY_KEY["ada"].helpdesk_id)


def test_who_is_found_as_an_end_user_alone_reads_that_they_are_no_agent(world):
    on_helpdesk(world, role="end-user", email="other@acme.test")
    assert "is no agent" in look_up(world).problem
