"""Out of office: somebody decides in one's place, for a time, and never what is one's own."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail as outgoing
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from accounts import clock
from accounts.models import AuditEvent, StandIn, User
from accounts.operations import deactivate
from tests.integration._people import browser, words
from tests.world import World
from tokens.messages import mail
from tokens.models import Decision, Notification, ProfileVersion
from tokens.operations import absence
from tokens.presenters.history import sentence_of
from tokens.refusals import Denied, Invalid, StaleState

pytestmark = pytest.mark.django_db


def stand_in(world: World, away: str = "ben", instead: str = "piotr", **changes: Any) -> StandIn:
    now = clock.now()
    terms: dict[str, Any] = {
        "starts_at": now - timedelta(hours=1),
        "ends_at": now + timedelta(days=3),
    }
    return absence.name_stand_in(
        away=world.person(away), instead=world.person(instead), now=now, **(terms | changes)
    )


@pytest.fixture
def away(world: World) -> World:
    """Ben is away; Piotr, who has no role, decides in his place."""
    ProfileVersion.objects.update(policy_days=0)
    stand_in(world)
    return world


# --- Deciding ----------------------------------------------------------------------------------------


def test_who_stands_in_decides_and_it_is_written_in_whose_place(away):
    row = away.approve(away.ask(), by="piotr")
    assert row.state == "approved"
    assert Decision.objects.get().stands_in_for == away.person("ben")
    ada = browser(away, "ada")
    page = words(ada.get(f"/requests/{row.pk}"))
    assert "Piotr Wolny, standing in for Ben Achterberg, approved it" in page


def test_who_decides_by_own_right_stands_in_for_nobody(away):
    stand_in(away, away="june", instead="ben")
    away.approve(away.ask(), by="ben")
    assert Decision.objects.get().stands_in_for is None


@pytest.mark.parametrize(
    "changes",
    [
        {"starts_at": timedelta(hours=1), "ends_at": timedelta(days=1)},
        {"starts_at": timedelta(days=-2), "ends_at": timedelta(days=-1)},
        {"ended_at": timedelta(hours=-1)},
    ],
)
def test_only_while_it_lasts(away, changes):
    now = clock.now()
    StandIn.objects.update(**{name: now + span for name, span in changes.items()})
    with pytest.raises(Denied, match="Only helpdesk-leads"):
        away.approve(away.ask(), by="piotr")


def test_nobody_has_their_own_request_decided_by_who_stands_in(away):
    own = away.ask(by="ben")
    with pytest.raises(Denied, match="Only helpdesk-leads and admins"):
        away.approve(own, by="piotr")
    assert browser(away, "piotr").get(f"/requests/{own.pk}").status_code == 404


def test_who_stands_in_does_not_decide_their_own(away):
    with pytest.raises(Denied, match="your own request"):
        away.approve(away.ask(by="piotr"), by="piotr")


def test_the_database_itself_refuses_a_decision_in_the_requesters_place(away):
    row = away.approve(away.ask(by="noor"), by="june")
    decision = Decision.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Decision.objects.filter(pk=decision.pk).update(stands_in_for=row.requester)


def test_it_is_not_passed_on_further(away):
    stand_in_of_piotr = {"away": "piotr", "instead": "noor"}
    with pytest.raises(Denied, match="Nobody has to stand in for you"):
        stand_in(away, **stand_in_of_piotr)
    StandIn.objects.create(
        away=away.person("piotr"), instead=away.person("noor"), created_at=clock.now(),
        starts_at=clock.now() - timedelta(hours=1), ends_at=clock.now() + timedelta(days=1),
    )  # fmt: skip
    with pytest.raises(Denied, match="Only helpdesk-leads"):
        away.approve(away.ask(), by="noor")


@pytest.mark.parametrize("first", ["piotr", "ben"])
def test_the_two_are_one_voice(away, first):
    ProfileVersion.objects.update(approvals_needed=2)
    row = away.approve(away.ask(), by=first)
    other = {"piotr": "ben", "ben": "piotr"}[first]
    why = {"piotr": "Who stands in for you has decided it", "ben": "count once"}[first]
    with pytest.raises(StaleState, match=why):
        away.approve(row, by=other)
    page = browser(away, other).get(f"/requests/{row.pk}")
    assert why in words(page), "no button that would be refused"
    assert row.script_name not in words(browser(away, other).get("/queue")), "nor a row"
    assert away.approve(row, by="june").state == "approved"


def test_who_left_or_lost_the_role_passes_nothing_on(away):
    row = away.ask()
    ben = away.person("ben")
    ben.memberships.filter(group="helpdesk-leads").delete()
    with pytest.raises(Denied):
        away.approve(row, by="piotr")
    ben.memberships.create(group="helpdesk-leads")
    deactivate(user=ben, by=None, reason="Left.", now=away.clock())
    with pytest.raises(Denied):
        away.approve(row, by="piotr")


def test_whose_groups_nobody_has_read_for_long_passes_nothing_on(away):
    long_ago = clock.now() - timedelta(days=61)
    User.objects.filter(subject="ben").update(groups_read_at=long_ago)
    with pytest.raises(Denied):
        away.approve(away.ask(), by="piotr")


def test_an_auditor_stands_in_for_nobody(world):
    with pytest.raises(Invalid, match="An auditor changes nothing"):
        stand_in(world, instead="cleo")


def test_two_accounts_of_one_person_are_one_voice(away):
    """Piotr's address is Ben's second account: with June's approval missing it must not count."""
    ProfileVersion.objects.update(approvals_needed=2)
    stand_in(away, away="june", instead="piotr")
    away.person("ben").stand_ins.update(ended_at=clock.now())
    User.objects.filter(subject="piotr").update(email=away.person("ben").email.upper())
    away.people["piotr"].refresh_from_db()
    row = away.approve(away.ask(), by="ben")
    with pytest.raises(StaleState, match="from another account"):
        away.approve(row, by="piotr")


def test_two_accounts_that_are_one_helpdesk_user_are_one_voice(away):
    ProfileVersion.objects.update(approvals_needed=2)
    ben, june = away.person("ben"), away.person("june")
    known = ben.helpdesk_links.get(helpdesk=away.helpdesk).helpdesk_user
    june.helpdesk_links.update(problem="Taken.", helpdesk_user=known)
    row = away.approve(away.ask(), by="june")
    ben.stand_ins.update(ended_at=clock.now())
    with pytest.raises(StaleState, match="from another account"):
        away.approve(row, by="ben")


def test_of_two_absent_people_the_one_not_heard_yet_speaks(away):
    ProfileVersion.objects.update(approvals_needed=2)
    stand_in(away, away="june", instead="piotr")
    row = away.approve(away.ask(), by="ben")
    assert away.approve(row, by="piotr").state == "approved"
    assert Decision.objects.latest("pk").stands_in_for == away.person("june")


def test_what_an_admin_decides_as_an_admin_is_not_passed_on(world):
    with pytest.raises(Denied, match="Nobody has to stand in for you"):
        stand_in(world, away="omar")


def test_who_stands_in_for_a_lead_decides_for_them(world, settings):
    settings.OIDC_MANAGER_CLAIM = "manager"
    ProfileVersion.objects.update(policy_days=0, lead_decides=True)
    world.person("noor")
    User.objects.filter(pk=world.person("ada").pk).update(lead_name="noor")
    world.people["ada"].refresh_from_db()
    stand_in(world, away="noor", instead="piotr")
    row = world.ask()
    told = Notification.objects.filter(template="request_waits")
    assert set(told.values_list("recipient__subject", flat=True)) == {"noor", "piotr"}
    assert world.approve(row, by="piotr").state == "approved"


# --- Pages -------------------------------------------------------------------------------------------


def test_the_queue_of_who_stands_in(away):
    away.ask(script_name="to-decide")
    away.ask(by="ben", script_name="bens-own")
    piotr = browser(away, "piotr")
    page = words(piotr.get("/queue"))
    assert "to-decide" in page
    assert "bens-own" not in page
    assert "You decide in the place of Ben Achterberg as well." in page
    assert "Piotr Wolny" in words(browser(away, "ada").get("/"))


def test_who_stands_in_hears_of_it(away):
    mail.send_due(clock=clock.now)
    (sent,) = outgoing.outbox
    assert sent.to == [away.person("piotr").email]
    assert sent.subject == "You decide for Ben Achterberg for a while"
    assert "never their own requests, nor yours" in sent.body
    assert "http://127.0.0.1:8000/queue" in sent.body


def fields(**changes: str) -> dict[str, str]:
    today = timezone.localdate(clock.now())
    sent = {
        "instead": "piotr@acme.test", "first": today.isoformat(),
        "last": (today + timedelta(days=3)).isoformat(),
    }  # fmt: skip
    return sent | changes


def test_somebody_names_who_decides_and_is_back(world, ben):
    world.person("piotr")
    page = words(ben.post("/queue/away", fields(), follow=True))
    assert "Piotr Wolny decides in your place" in page
    row = StandIn.objects.get()
    assert row.ends_at - row.starts_at == timedelta(days=4), "the last day is included"
    assert StandIn.objects.in_force().count() == 1
    page = words(ben.post("/queue/back", follow=True))
    assert "Piotr Wolny decides in your place" not in page
    assert StandIn.objects.in_force().count() == 0
    told = AuditEvent.objects.get(event="person.stand_in_named")
    last = timezone.localdate(clock.now()) + timedelta(days=3)
    assert f"to {last.day} {last:%B %Y}; Piotr Wolny decides" in sentence_of(told).text
    events = ("person.stand_in_named", "person.stand_in_ended")
    assert AuditEvent.objects.filter(event__in=events).count() == 2
    ben.post("/queue/back")
    assert AuditEvent.objects.filter(event__in=events).count() == 2, "nothing was done"


def test_naming_somebody_else_ends_what_was(world, ben):
    world.person("piotr"), world.person("noor")
    ben.post("/queue/away", fields())
    ben.post("/queue/away", fields(instead="noor@acme.test"))
    assert StandIn.objects.get(ended_at=None).instead == world.person("noor")
    assert StandIn.objects.count() == 2


def in_days(days: int) -> str:
    return (timezone.localdate(clock.now()) + timedelta(days=days)).isoformat()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"instead": ""}, "Write a colleague's address."),
        ({"instead": "nobody@acme.test"}, "Nobody who has signed in"),
        ({"instead": "ben@acme.test"}, "Name somebody else."),
        ({"instead": "noor@acme.test"}, "The company sign-in has not verified this address."),
        ({"instead": "a\nb"}, "Write it on one line."),
        ({"instead": "x" * 300}, "Use at most 254 characters."),
        ({"first": ""}, "Choose a day."),
        ({"first": "tomorrow"}, "Write the day as year-month-day."),
        ({"last": "0001-01-01"}, "Write the day as year-month-day."),
        ({"last": "9999-12-31"}, "Write the day as year-month-day."),
        ({"first": "PAST", "last": "PAST"}, "It ends before it starts, or is over."),
        ({"last": "FAR"}, "60 days at most"),
        ({"first": "VERY FAR", "last": "VERY FAR"}, "within a year"),
    ],
)
def test_bad_input_gets_a_sentence_and_loses_nothing(world, ben, changes, sentence):
    world.person("piotr")
    User.objects.filter(pk=world.person("noor").pk).update(email_verified=False)
    days = {"PAST": -2, "FAR": 90, "VERY FAR": 500}
    sent = fields(**{k: in_days(days[v]) if v in days else v for k, v in changes.items()})
    response = ben.post("/queue/away", sent)
    assert response.status_code == 422
    page = words(response)
    assert sentence in page
    assert not StandIn.objects.exists()
    for name in set(sent) - set(changes):
        assert sent[name] in page, f"{name} is lost"


@pytest.mark.parametrize("key", ["ada", "omar", "cleo"])
def test_who_decides_nothing_themselves_has_no_such_page(world, key):
    client = browser(world, key)
    assert client.get("/queue/away").status_code == 403
    assert client.post("/queue/away", fields()).status_code == 403


def test_nobody_signed_in_has_none_either(world):
    assert Client().get("/queue/away").status_code == 302


def test_spans_that_cannot_be_are_refused_by_the_operation(world):
    now = clock.now()
    for changes in (
        {"ends_at": now - timedelta(hours=2)},
        {"ends_at": now + timedelta(days=61)},
        {"starts_at": now + timedelta(days=400), "ends_at": now + timedelta(days=401)},
        {"instead": "ben"},
    ):
        with pytest.raises(Invalid):
            stand_in(world, **changes)
