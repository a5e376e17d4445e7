"""Deciding over the pages: the queue, and approving, narrowing and denying by the right people at the right time."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import people
from tests.integration._people import browser, words
from tokens.models import AccessRequest, Decision, Fetch, HelpdeskUser
from tokens.operations import credentials, decisions, requests
from tokens.operations import people as looking_up
from tokens.states import RequestState

pytestmark = pytest.mark.django_db


def state_of(row: AccessRequest) -> str:
    row.refresh_from_db()
    return row.state


# --- Approving ---------------------------------------------------------------------------------------


def test_approving_grants_what_was_shown_and_leads_back_to_the_queue(world, ben):
    row = world.ask(scopes=frozenset({"tickets:read"}), days=30)
    sent = {"revision": 1, "back": "queue", "scopes": ["users:read", "read"], "days": 366}
    response = ben.post(f"/requests/{row.pk}/approve", sent, follow=True)
    assert response.redirect_chain == [("/queue", 302)]
    assert "Approved: weekly-csat, asked by Ada Lindqvist." in words(response)
    row.refresh_from_db()
    assert (row.state, row.granted_scopes, row.granted_days) == ("approved", {"tickets:read"}, 30)
    assert row.credential.state == "awaiting_consent"


def test_from_the_requests_page_one_comes_back_to_it(world, ben):
    row = world.ask()
    response = ben.post(f"/requests/{row.pk}/approve", {"revision": 1, "back": "https://evil.test"})
    assert response.url == f"/requests/{row.pk}"


@pytest.mark.parametrize("profile", ["help-center", "read-everything"])
def test_what_can_write_or_is_wide_takes_a_second_page(world, profile):
    june, row = browser(world, "june"), world.ask(profile=profile)
    card = words(june.get(f"/requests/{row.pk}"))
    assert f'href="/requests/{row.pk}/approve"' in card
    shown = june.post(f"/requests/{row.pk}/approve", {"revision": 1})
    assert "Approving gives <strong>Ada Lindqvist</strong>" in words(shown)
    assert state_of(row) == RequestState.PENDING
    june.post(f"/requests/{row.pk}/approve", {"revision": 1, "confirmed": "yes"})
    assert state_of(row) == RequestState.APPROVED


def test_two_of_two_say_how_far_it_is_and_the_second_grants(world, ben):
    row = world.ask(profile="update-tickets")
    sent = {"revision": 1, "confirmed": "yes"}
    first = ben.post(f"/requests/{row.pk}/approve", sent, follow=True)
    assert "Your approval counts: weekly-csat, asked by Ada Lindqvist has 1 of 2." in words(first)
    assert "You have approved it. It needs one more person." in words(first)
    assert state_of(row) == RequestState.PENDING
    june = browser(world, "june")
    page = words(june.get(f"/requests/{row.pk}"))
    assert "1 of 2 approvals" in page
    assert "Still wanted: 1 more: June Moreno." in page
    june.post(f"/requests/{row.pk}/approve", sent)
    assert state_of(row) == RequestState.APPROVED


@pytest.mark.parametrize("page", ["approve", "narrow", "deny"])
def test_nobody_decides_twice(world, ben, page):
    row = world.approve(world.ask(profile="update-tickets"), by="ben")
    sent = {
        "revision": 1,
        "confirmed": "yes",
        "reason": "No",
        "scopes": ["tickets:read"],
        "days": 1,
    }
    for response in (
        ben.get(f"/requests/{row.pk}/{page}"),
        ben.post(f"/requests/{row.pk}/{page}", sent),
    ):
        assert response.status_code == 409
        assert "You have already decided on this request, at " in words(response)
    assert Decision.objects.count() == 1


# --- Approving less ----------------------------------------------------------------------------------


def test_narrowing_grants_less_and_says_why(world, ben):
    row = world.ask(days=90)
    sent = {"revision": 1, "scopes": ["tickets:read"], "days": "14", "reason": "Enough for a trial"}
    assert ben.post(f"/requests/{row.pk}/narrow", sent).status_code == 302
    row.refresh_from_db()
    assert (row.granted_scopes, row.granted_days) == ({"tickets:read"}, 14)
    page = words(browser(world, "ada").get(f"/requests/{row.pk}"))
    assert "for 14 days, without: " in page
    assert "“Enough for a trial”" in page


def test_no_scope_is_ticked_beforehand(world, ben):
    form = ben.get(f"/requests/{world.ask().pk}/narrow").context["form"]
    assert not form["scopes"].value()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scopes": []}, "Tick at least one, or deny the request."),
        ({"scopes": ["tickets:read", "tickets:write"]}, "tickets:write was not asked for."),
        ({"scopes": ["<script>"]}, "&lt;script&gt; was not asked for."),
        ({"days": ""}, "Write how many days."),
        ({"days": "0"}, "Choose at least one day."),
        ({"days": "31"}, "Asked for: 30 days. Give at most that."),
        ({"days": "9" * 30}, "Asked for: 30 days. Give at most that."),
        ({"days": "9" * 5000}, "Write a whole number of days."),
        ({"days": "ten"}, "Write a whole number of days."),
        ({"reason": "x" * 501}, "Use at most 500 characters."),
        ({"reason": "\x1b[2J"}, "a character that cannot be seen"),
    ],
)
def test_a_bad_narrowing_decides_nothing(world, ben, changes, sentence):
    row = world.ask(days=30)
    sent = {"revision": 1, "scopes": ["tickets:read"], "days": "14", "reason": ""} | changes
    response = ben.post(f"/requests/{row.pk}/narrow", sent)
    assert response.status_code == 422
    assert sentence in words(response)
    assert state_of(row) == RequestState.PENDING
    assert not Decision.objects.exists()


def test_a_renewal_can_only_be_made_shorter(world, ben):
    held = world.active(days=7)
    row = world.ask(scopes=held.scopes, renews=held, days=60)
    page = words(ben.get(f"/requests/{row.pk}/narrow"))
    assert "A renewal keeps what the script may do." in page
    assert 'name="scopes"' not in page
    ben.post(
        f"/requests/{row.pk}/narrow", {"revision": 1, "days": "20", "scopes": ["tickets:read"]}
    )
    row.refresh_from_db()
    assert (row.state, row.granted_days, row.granted_scopes) == ("approved", 20, held.scopes)


def test_a_renewal_is_not_made_so_short_that_it_gives_nothing(world, ben):
    held = world.active(days=40)
    row = world.ask(scopes=held.scopes, renews=held, days=60)
    response = ben.post(f"/requests/{row.pk}/narrow", {"revision": 1, "days": "20"})
    assert response.status_code == 422
    assert "so this would change nothing. It takes at least 40 days" in words(response)
    assert state_of(row) == RequestState.PENDING
    ben.post(f"/requests/{row.pk}/narrow", {"revision": 1, "days": "45"})
    assert state_of(row) == RequestState.APPROVED


# --- Denying -----------------------------------------------------------------------------------------


def test_denying_takes_a_reason_that_the_requester_reads(world, ben):
    row = world.ask()
    refused = ben.post(f"/requests/{row.pk}/deny", {"revision": 1, "reason": "  "})
    assert refused.status_code == 422
    assert "Say why, so that they know what to change." in words(refused)
    ben.post(f"/requests/{row.pk}/deny", {"revision": 1, "reason": "Use the shared report."})
    assert state_of(row) == RequestState.DENIED
    ada = browser(world, "ada")
    assert "Use the shared report." in words(ada.get(f"/requests/{row.pk}"))
    assert "Use the shared report." in words(ada.get("/"))
    assert browser(world, "noor").get(f"/requests/{row.pk}").status_code == 404


# --- Too late, or not theirs -------------------------------------------------------------------------

PAGES = ["approve", "narrow", "deny"]
FILLED = {"confirmed": "yes", "reason": "No", "scopes": ["tickets:read"], "days": "1"}


@pytest.mark.parametrize("page", PAGES)
def test_a_click_on_what_was_decided_meanwhile_says_who_and_when(world, ben, page):
    row = world.ask()
    world.approve(row, by="june")
    for response in (
        ben.post(f"/requests/{row.pk}/{page}", {**FILLED, "revision": 1}),
        ben.get(f"/requests/{row.pk}/{page}"),
    ):
        assert response.status_code == 409
        assert "Already approved by June Moreno at " in words(response)
        assert f'href="/requests/{row.pk}"' in words(response)
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("page", PAGES)
def test_a_click_on_a_page_made_before_an_amendment_decides_nothing(world, ben, page):
    row = world.ask()
    requests.amend(
        access_request=row,
        revision=1,
        wish=world.wish(days=60),
        by=world.person("ada"),
        now=world.clock(),
    )
    response = ben.post(f"/requests/{row.pk}/{page}", {**FILLED, "revision": 1})
    assert response.status_code == 409
    assert "Already amended by Ada Lindqvist" in words(response)
    assert not Decision.objects.exists()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("revision", ["", "x", "0", "-1", "9" * 5000, "2.5"])
def test_a_page_without_its_revision_decides_nothing(world, ben, page, revision):
    row = world.ask()
    response = ben.post(f"/requests/{row.pk}/{page}", {**FILLED, "revision": revision})
    assert response.status_code == 400
    assert "This page was incomplete." in words(response)
    assert state_of(row) == RequestState.PENDING


@pytest.mark.parametrize("page", PAGES)
def test_after_its_time_it_cannot_be_decided(world, ben, page):
    world.now -= settings.DECIDE_WITHIN + timedelta(minutes=1)
    row = world.ask()
    response = ben.post(f"/requests/{row.pk}/{page}", {**FILLED, "revision": 1})
    assert response.status_code == 409
    assert not Decision.objects.exists()
    assert state_of(row) == RequestState.PENDING
    assert "The time to decide it is over." in words(ben.get(f"/requests/{row.pk}"))


@pytest.mark.parametrize("page", PAGES)
def test_nobody_decides_their_own_not_even_an_admin(world, page):
    for key in ("ben", "omar"):
        own = world.ask(by=key)
        response = browser(world, key).post(f"/requests/{own.pk}/{page}", {**FILLED, "revision": 1})
        assert response.status_code == 403
        assert "You cannot decide your own request." in words(response)
        assert state_of(own) == RequestState.PENDING


def test_a_second_account_of_the_same_helpdesk_user_decides_nothing(world):
    row = world.ask(by="ada")
    second = browser(world, "june")
    looking_up.link(
        user=world.person("june"), helpdesk=world.helpdesk, found=people.remote(people.BY_KEY["ada"]),
        matched_by="email", now=world.clock(),
    )  # fmt: skip
    assert f"/requests/{row.pk}" not in words(second.get("/queue"))
    response = second.post(f"/requests/{row.pk}/approve", {"revision": 1})
    assert response.status_code == 403
    assert "the same helpdesk user" in words(response)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    ("key", "profile", "status"),
    [("noor", "read-tickets", 404), ("cleo", "read-tickets", 403), ("ben", "read-everything", 404)],
)
def test_others_decide_nothing(world, page, key, profile, status):
    row = world.ask(profile=profile)
    client = browser(world, key)
    assert client.get(f"/requests/{row.pk}/{page}").status_code == status
    assert (
        client.post(f"/requests/{row.pk}/{page}", {**FILLED, "revision": 1}).status_code == status
    )
    assert state_of(row) == RequestState.PENDING


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_there_for_numbers_of_nothing(world, ben, page):
    for number in (987654, 10**30):
        assert ben.get(f"/requests/{number}/{page}").status_code == 404


def test_a_role_lost_between_page_and_click_counts(world, ben):
    row = world.ask()
    assert ben.get(f"/requests/{row.pk}").status_code == 200
    world.person("ben").memberships.filter(group="helpdesk-leads").delete()
    assert ben.post(f"/requests/{row.pk}/approve", {"revision": 1}).status_code == 404
    assert state_of(row) == RequestState.PENDING


# --- The card ----------------------------------------------------------------------------------------


def test_the_card_says_what_is_new_what_is_wider_and_what_they_hold_already(world, ben):
    world.active(scopes=frozenset({"tickets:read"}), days=7, script_name="other")
    row = world.ask(
        profile="update-tickets", scopes={"tickets:read", "tickets:write", "users:read"}
    )
    lines = {
        line.name: line.change for line in ben.get(f"/requests/{row.pk}").context["card"].scopes
    }
    assert lines == {"tickets:read": "same", "tickets:write": "wider", "users:read": "new"}


def test_the_card_says_what_a_scope_really_lets_the_role_do(world, ben):
    page = words(ben.get(f"/requests/{world.ask(by='lena', profile='update-tickets').pk}"))
    assert "Create and update tickets" in page
    assert "for this role private comments only" in page
    rules = words(ben.get(f"/requests/{world.ask(by='lena', profile='read-rules', days=60).pk}"))
    assert "<del>Read triggers</del>" in rules
    assert "a light agent cannot" in rules
    assert "<del>Read macros</del>" not in rules
    HelpdeskUser.objects.update(role_type=0, custom_role_id=12)
    custom = words(ben.get(f"/requests/{AccessRequest.objects.latest('id').pk}"))
    assert "<del>" not in custom
    assert (
        "A custom role on Acme production: what it allows is set there and may be less." in custom
    )


def test_the_card_says_where_the_ticket_is(world, ben):
    row = world.ask(ticket_url="https://elsewhere.example/browse/OPS-2291")
    assert "OPS-2291 on elsewhere.example" in words(ben.get(f"/requests/{row.pk}"))


def test_the_card_says_policy_precedent_and_who_else(world, ben):
    world.person("june")
    world.active(days=7, script_name="before")
    row = world.ask(days=60)
    page = words(ben.get(f"/requests/{row.pk}"))
    assert "Not approved by itself: longer than 7 days." in page
    assert "Second request; 1 approved before. The last access was never used." in page
    assert "of 3 days. June Moreno." in page
    first = world.ask(by="noor", days=60)
    assert "This person has never asked for this access." in words(ben.get(f"/requests/{first.pk}"))


@pytest.mark.parametrize(
    ("by", "words_of_the_end"),
    [("ada", "was used 3 times and given back early."), ("omar", "was used 3 times.")],
)
def test_precedent_says_how_often_it_was_used_and_who_gave_it_back(
    world, ben, by, words_of_the_end
):
    held = world.active(days=7, script_name="before")
    for _ in range(3):
        Fetch.objects.create(credential=held, grant=held.grants.get(), at=world.clock())
    ender = world.person(by)
    credentials.revoke(credential=held, by=ender, reason="Done.", now=world.clock())
    for _ in range(3):
        world.work()
        world.wait(seconds=5)
    row = world.ask(days=60)
    page = words(ben.get(f"/requests/{row.pk}"))
    assert f"The last access {words_of_the_end}" in page
    address = f"/queue?view=decided&amp;requester={row.requester_id}"
    assert f'href="{address}"' in page
    decided = ben.get(address.replace("&amp;", "&"))
    assert [one.asked.script_name for one in decided.context["rows"]] == ["before"]
    assert "Asked by Ada Lindqvist." in words(decided)


def test_precedent_says_who_asked_and_never_got_it(world, ben):
    decisions.deny(
        access_request_id=world.ask(days=60).pk, revision=1, reason="No.",
        by=world.person("june"), now=world.clock(),
    )  # fmt: skip
    page = words(ben.get(f"/requests/{world.ask(days=60).pk}"))
    assert "Asked once before and never got it" in page


def test_a_role_that_changed_this_week_is_said_in_red(world, ben):
    row = world.ask()
    assert "role changed" not in words(ben.get(f"/requests/{row.pk}"))
    HelpdeskUser.objects.filter(pk=row.acts_as_id).update(
        role_changed_at=world.now - timedelta(days=3)
    )
    page = words(ben.get(f"/requests/{row.pk}"))
    assert '<span class="badge tone-bad">role changed</span>' in page
    HelpdeskUser.objects.filter(pk=row.acts_as_id).update(
        role_changed_at=world.now - timedelta(days=8)
    )
    assert "role changed" not in words(ben.get(f"/requests/{row.pk}"))


def test_an_auditor_reads_the_card_without_buttons(world):
    row = world.ask()
    page = words(browser(world, "cleo").get(f"/requests/{row.pk}"))
    assert "Ada Lindqvist wants Read tickets" in page
    assert f"/requests/{row.pk}/approve" not in page
    assert "Only helpdesk-leads and admins decide this request." in page


# --- The top bar -------------------------------------------------------------------------------------


def places(response) -> dict[str, int]:
    return {place.label: place.count for place in response.context["nav"]}


def test_the_top_bar_has_the_places_of_the_person_and_counts_what_waits(world, ben):
    assert places(browser(world, "ada").get("/")) == {"My access": 0}
    world.ask(script_name="one")
    world.ask(script_name="two")
    world.ask(by="ben", script_name="own")
    assert places(ben.get("/")) == {"My access": 0, "Queue": 2}
    for key, count in (("omar", 3), ("cleo", 0)):
        found = places(browser(world, key).get("/"))
        assert found == {
            "My access": 0,
            "Queue": count,
            "Inventory": 0,
            "Audit": 0,
            "Operations": 0,
        }


def test_a_count_stops_at_a_hundred_and_reads_99_plus(world, ben):
    row = world.ask()
    copies = []
    for number in range(120):
        row.pk, row.script_name, row.submission_key = None, f"s{number}", f"k{number}"
        copies.append(
            AccessRequest(**{f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields})
        )
    AccessRequest.objects.bulk_create(copies)
    response = ben.get("/")
    assert places(response)["Queue"] == 100
    assert "99+" in words(response)


def test_nobody_signed_in_costs_no_query_for_the_top_bar(world):
    with CaptureQueriesContext(connection) as asked:
        Client().get("/no-such-page")
    assert not [
        q for q in asked.captured_queries if "accessrequest" in q["sql"] or "membership" in q["sql"]
    ]
