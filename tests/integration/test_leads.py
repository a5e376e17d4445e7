"""The requester's lead decides too: who that is, who hears first, what the lead sees, and passing on to others."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.leads import lead_of, leads_somebody
from accounts.models import User
from accounts.operations import deactivate
from accounts.roles import fresh
from tests.integration._people import browser, words
from tests.integration.test_profiles import send
from tests.world import World
from tokens.models import AccessRequest, Notification, ProfileVersion
from tokens.operations import requests, sweeps
from tokens.queries.people import asked_by, deciders
from tokens.refusals import Denied, StaleState

pytestmark = pytest.mark.django_db


@pytest.fixture
def led(world: World, settings) -> World:
    """Piotr, who has no role, leads Ada; the profiles let leads decide."""
    settings.OIDC_MANAGER_CLAIM = "manager"
    ProfileVersion.objects.update(lead_decides=True, policy_days=0)
    world.person("piotr")
    User.objects.filter(pk=world.person("ada").pk).update(lead_name="piotr")
    world.people["ada"].refresh_from_db()
    return world


def told(row: AccessRequest) -> set[str]:
    found = Notification.objects.filter(template="request_waits", target_id=row.pk)
    return set(found.values_list("recipient__subject", flat=True))


def named(person: User, lead: str) -> User:
    """The same person read again, whose claim names this lead."""
    again = fresh(person)
    again.lead_name = lead
    return again


# --- Who somebody's lead is ------------------------------------------------------------------------


def test_the_claim_names_a_subject_or_a_verified_address(led):
    ada, piotr = led.person("ada"), led.person("piotr")
    assert lead_of(ada) == piotr
    assert lead_of(named(ada, piotr.email)) == piotr
    User.objects.filter(pk=piotr.pk).update(email_verified=False)
    assert lead_of(named(ada, piotr.email)) is None, "anybody could have written that address"


def test_what_an_earlier_claim_said_counts_no_more(led, settings):
    settings.OIDC_MANAGER_CLAIM = ""
    assert lead_of(led.person("ada")) is None
    assert not leads_somebody(User.objects.get(subject="piotr"))


def test_the_map_of_groups_is_asked_where_the_claim_says_nothing(world, settings):
    settings.OIDC_MANAGER_CLAIM = "manager"
    ada, noor = world.person("ada"), world.person("noor")
    settings.GROUP_LEADS = {"nobody-is-here": "ben", "emea-tier-2": noor.email.upper()}
    assert lead_of(ada) == noor
    assert lead_of(noor) is None, "nobody is their own lead"
    assert leads_somebody(noor)
    assert lead_of(named(ada, world.person("june").subject)) == world.person("june")


def test_an_address_two_people_have_names_nobody(world, settings):
    settings.OIDC_MANAGER_CLAIM = "manager"
    ada = world.person("ada")
    ada.lead_name = world.person("piotr").email
    User.objects.filter(pk=world.person("noor").pk).update(email=ada.lead_name)
    assert lead_of(ada) is None


@pytest.mark.parametrize("manager", ["", "nobody-here", "ada", "elsewhere@acme.test"])
def test_who_is_not_here_leads_nobody(world, settings, manager):
    settings.OIDC_MANAGER_CLAIM = "manager"
    ada = world.person("ada")
    ada.lead_name = manager
    assert lead_of(ada) is None


def test_a_lead_of_another_identity_provider_is_somebody_else(led):
    User.objects.filter(subject="piotr").update(issuer="https://elsewhere.test")
    assert lead_of(led.person("ada")) is None
    assert not leads_somebody(User.objects.get(subject="piotr"))


def test_a_lead_who_has_left_is_none(led):
    deactivate(user=led.person("piotr"), by=None, reason="Left.", now=led.clock())
    assert lead_of(led.person("ada")) is None


# --- Deciding ----------------------------------------------------------------------------------------


def test_the_lead_hears_first_and_decides_without_a_role(led):
    row = led.ask()
    assert row.lead == led.person("piotr")
    assert told(row) == {"piotr"}
    assert led.approve(row, by="piotr").state == "approved"


def test_where_several_have_to_approve_all_hear_at_once(led):
    ProfileVersion.objects.update(approvals_needed=2)
    led.person("ben")
    assert {"piotr", "ben"} <= told(led.ask())


def test_the_group_may_decide_all_the_same(led):
    assert led.approve(led.ask(), by="ben").state == "approved"


def test_without_a_lead_the_group_hears(led):
    User.objects.filter(subject="ada").update(lead_name="")
    led.people["ada"].refresh_from_db()
    led.person("ben")
    row = led.ask()
    assert row.lead is None
    assert "ben" in told(row)


def test_a_lead_decides_only_where_the_terms_say_so(led):
    ProfileVersion.objects.update(lead_decides=False)
    row = led.ask()
    assert row.lead is None
    with pytest.raises(Denied):
        led.approve(row, by="piotr")


def test_a_lead_with_the_requesters_address_does_not_decide(led):
    row = led.ask()
    User.objects.filter(subject="piotr").update(email=row.acts_as.email)
    led.people["piotr"].refresh_from_db()
    with pytest.raises(Denied, match="your own request"):
        led.approve(row, by="piotr")


def test_a_lead_sees_the_queue_and_only_their_own(led):
    led.ask()
    led.ask(by="noor", script_name="somebody-elses")
    piotr = browser(led, "piotr")
    page = words(piotr.get("/queue"))
    assert "weekly-csat" in page
    assert "somebody-elses" not in page
    assert 'href="/queue"' in words(piotr.get("/"))


def test_who_leads_nobody_has_no_queue(led):
    led.ask()
    noor = browser(led, "noor")
    assert noor.get("/queue").status_code == 403


def test_a_lead_approves_on_the_page(led):
    row = led.ask()
    piotr = browser(led, "piotr")
    assert piotr.post(f"/requests/{row.pk}/approve", {"revision": 1}).status_code == 302
    row.refresh_from_db()
    assert row.state == "approved"


def test_a_lead_who_is_named_no_more_decides_what_came_to_them(led):
    row = led.ask()
    piotr = browser(led, "piotr")
    User.objects.filter(subject="ada").update(lead_name="")
    assert "Approve" in words(piotr.get(f"/requests/{row.pk}"))
    assert piotr.post(f"/requests/{row.pk}/approve", {"revision": 1}).status_code == 302
    row.refresh_from_db()
    assert row.state == "approved"


@pytest.mark.parametrize("email", ["", "ADA@acme.test"])
def test_where_the_lead_cannot_hear_or_decide_all_hear(led, email):
    led.person("ben")
    User.objects.filter(subject="piotr").update(email=email)
    assert "ben" in told(led.ask())


def test_who_asks_is_told_that_their_lead_decides(led):
    row = led.ask()
    ada = browser(led, "ada")
    User.objects.filter(subject="ada").update(lead_name="piotr")
    assert "Piotr Wolny (lead)" in words(ada.get(f"/requests/{row.pk}"))
    assert "Piotr Wolny (lead)" in words(ada.get("/requests/new"))


def test_asking_looks_the_lead_up_once_however_many_profiles_there_are(led, ada):
    User.objects.filter(subject="ada").update(lead_name="piotr")
    counts = []
    for few in (True, False):
        ProfileVersion.objects.update(lead_decides=True)
        if few:
            ProfileVersion.objects.exclude(profile__slug="read-users").update(lead_decides=False)
        with CaptureQueriesContext(connection) as asked:
            assert "(lead)" in words(ada.get("/requests/new"))
        counts.append(sum('"lead_name"' in one["sql"] and "subject" in one["sql"] for one in asked))
    assert counts[0] == counts[1]


def test_letting_leads_decide_takes_a_second_admin(world):
    page = send(browser(world, "omar"), world, lead_decides="on")
    assert "their leads may decide too" in words(page)
    profile = world.profile("read-users")
    assert profile.current is not None
    assert not profile.current.lead_decides
    assert profile.proposed is not None
    assert profile.proposed.lead_decides


# --- Passing on --------------------------------------------------------------------------------------


def test_what_a_lead_has_not_decided_goes_to_the_group(led):
    led.person("ben")
    row = led.ask()
    assert row.escalate_at is not None
    assert row.escalate_at < row.decide_by
    assert sweeps.escalate_requests(now=row.escalate_at - timedelta(seconds=1)) == 0
    assert sweeps.escalate_requests(now=row.escalate_at) == 1
    assert sweeps.escalate_requests(now=row.escalate_at) == 0
    row.refresh_from_db()
    assert row.escalate_at is None
    assert "ben" in told(row)
    assert Notification.objects.filter(recipient__subject="piotr").count() == 1, "once"


@pytest.fixture
def passing_on(world: World, settings) -> World:
    """What nobody decides goes to the security reviewers; June is one, and no other approver."""
    settings.ESCALATE_TO_GROUP = "security-reviewers"
    world.person("june").memberships.filter(group="helpdesk-leads").delete()
    return world


def passed_on(world: World) -> AccessRequest:
    row = world.ask(profile="read-users")
    requests.escalate(access_request=row, now=row.escalate_at)
    row.refresh_from_db()
    return row


def test_the_other_group_decides_only_what_was_passed_on(passing_on):
    waiting = passing_on.ask(profile="read-users", script_name="waiting")
    with pytest.raises(Denied, match="Only helpdesk-leads and admins"):
        passing_on.approve(waiting, by="june")
    row = passed_on(passing_on)
    assert row.escalated_to == "security-reviewers"
    assert "june" in told(row)
    assert passing_on.approve(row, by="june").state == "approved"


def test_what_was_passed_on_stands_in_their_queue(passing_on):
    passing_on.ask(profile="read-users", script_name="not-yet")
    row = passed_on(passing_on)
    june = Client()
    june.force_login(passing_on.person("june"))
    page = words(june.get("/queue"))
    assert row.script_name in page
    assert "not-yet" not in page
    assert "Passed on to security-reviewers" in page


def test_an_amended_request_begins_with_its_own_group_again(passing_on):
    row = passed_on(passing_on)
    wish = passing_on.wish("read-users", days=3)
    row = requests.amend(
        access_request=row, revision=1, wish=wish, by=passing_on.person("ada"),
        now=passing_on.clock(),
    )  # fmt: skip
    assert row.escalated_to == ""
    assert row.escalate_at is not None
    assert passing_on.person("june") not in deciders(asked_by(row))


def test_what_was_decided_is_not_passed_on(passing_on):
    row = passing_on.ask(profile="read-users")
    due = row.escalate_at
    passing_on.approve(row)
    assert sweeps.escalate_requests(now=due) == 0
    with pytest.raises(StaleState):
        requests.escalate(access_request=row, now=due)


def test_without_a_lead_or_another_group_nothing_is_passed_on(world):
    assert settings.ESCALATE_TO_GROUP == ""
    assert world.ask(profile="read-users").escalate_at is None


@pytest.mark.parametrize(("percent", "share"), [(25, 0.25), (75, 0.75)])
def test_it_is_passed_on_after_a_part_of_the_time(passing_on, settings, percent, share):
    settings.ESCALATE_AFTER_PERCENT = percent
    row = passing_on.ask(profile="read-users")
    assert row.escalate_at - row.revised_at == (row.decide_by - row.revised_at) * share
