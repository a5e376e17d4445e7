"""Asking over the pages: what is made, what is refused and in which words, renewing, amending, withdrawing."""

import re
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.db.models import F
from django.test import Client

from accounts import clock
from accounts.models import AuditEvent, User
from tests import people
from tests.integration._people import browser, filled, words
from tokens.models import AccessProfile, AccessRequest, HelpdeskLink, Notification, ProfileVersion
from tokens.operations import credentials, requests, sweeps
from tokens.refusals import Denied
from tokens.states import RequestState

pytestmark = pytest.mark.django_db


# --- What is made ------------------------------------------------------------------------------------


def test_asking_makes_the_request_that_was_chosen(world, ada):
    world.person("ben")
    profile = world.profile("read-tickets")
    sent = filled(
        world, **{f"scopes-{profile.pk}": ["tickets:read"]}, rhythm="weekly",
        ticket_url="https://tickets.acme.test/OPS-1", deputy="BEN@acme.test",
    )  # fmt: skip
    response = ada.post("/requests/new", sent)
    row = AccessRequest.objects.get()
    assert response.status_code == 302
    assert response.url == f"/requests/{row.pk}"
    assert (row.state, row.profile, row.scopes) == ("pending", profile, {"tickets:read"})
    assert (row.days, row.rhythm, row.runs_where) == (30, "weekly", "server")
    assert (row.deputy.subject, row.requester.subject) == ("ben", "ada")
    assert row.ticket_url == "https://tickets.acme.test/OPS-1"
    assert AuditEvent.objects.filter(event="request.submitted", target_id=row.pk).count() == 1


def test_another_number_of_days_is_taken(world, ada):
    ada.post("/requests/new", filled(world, days="other", other_days="45"))
    assert AccessRequest.objects.get().days == 45


def test_a_low_risk_request_is_approved_at_once_and_says_by_which_rule(world, ada):
    response = ada.post("/requests/new", filled(world, days="7"), follow=True)
    row = AccessRequest.objects.get()
    assert row.state == RequestState.APPROVED
    page = words(response)
    assert "for at most 7 days are approved by themselves" in page
    assert f'action="/credentials/{row.credential_id}/connect"' in page
    assert "Connect on Acme production" in page


def test_the_same_page_sent_twice_is_one_request(world, ada):
    first = ada.post("/requests/new", filled(world))
    second = ada.post("/requests/new", filled(world))
    assert first.url == second.url
    assert AccessRequest.objects.count() == 1


def test_every_rendering_has_a_key_of_its_own(ada):
    keys = {ada.get("/requests/new").context["form"]["key"].value() for _ in range(3)}
    assert len(keys) == 3


def test_a_second_open_request_is_refused_with_a_link_to_the_first(world, ada):
    ada.post("/requests/new", filled(world))
    first = AccessRequest.objects.get()
    response = ada.post(
        "/requests/new", filled(world, key="another-key-of-the-page", script_name="Weekly-CSAT")
    )
    assert response.status_code == 409
    assert f'href="/requests/{first.pk}"' in words(response)
    assert AccessRequest.objects.count() == 1


# --- What the page shows -----------------------------------------------------------------------------


def test_nothing_that_grants_is_chosen_beforehand(ada):
    page = words(ada.get("/requests/new"))
    radios = [tag for tag in page.split("<input") if 'type="radio"' in tag.split(">")[0]]
    assert len(radios) > 10
    assert not any(" checked" in tag.split(">")[0] for tag in radios)


def test_who_will_decide_is_said_before_sending(world):
    for key in ("ben", "june", "omar"):
        world.person(key)
    page = words(browser(world, "ada").get("/requests/new"))
    assert (
        "Approved at once for at most 7 days. Longer: Ben Achterberg, June Moreno or an admin decides."
        in page
    )
    assert "2 of Ben Achterberg, June Moreno or an admin decide." in page
    bens = words(browser(world, "ben").get("/requests/new"))
    assert "Longer: June Moreno or an admin decides." in bens


def test_a_profile_nobody_decides_for_says_so(ada):
    assert "nobody else who can has signed in to Keydesk yet" in words(ada.get("/requests/new"))


def test_an_address_fills_the_form_in(world, ada):
    query = {
        "profile": "production/read-tickets", "scopes": "tickets:read,users:read", "days": "45",
        "script": "from-a-link", "where": "n8n", "purpose": "As the handbook says",
        "ticket": "https://tickets.acme.test/1", "rhythm": "daily",
    }  # fmt: skip
    form = ada.get("/requests/new", query).context["form"]
    profile = world.profile("read-tickets")
    assert form["profile"].value() == "production/read-tickets"
    assert form[f"scopes-{profile.pk}"].value() == ["tickets:read", "users:read"]
    assert (form["days"].value(), form["other_days"].value()) == ("other", "45")
    assert form["script_name"].value() == "from-a-link"
    assert (form["runs_where"].value(), form["rhythm"].value()) == ("n8n", "daily")


@pytest.mark.parametrize(
    "query",
    [
        {"profile": "production/read-tickets", "scopes": "users:write,read,unrestricted"},
        {"profile": "nowhere/nothing", "scopes": "\0", "days": "9" * 5000},
        {"days": "-1", "where": "<script>alert(1)</script>", "rhythm": "x" * 9000},
        {
            "script": "<script>alert(1)</script>",
            "purpose": "\u202e" * 900,
            "ticket": "javascript:alert(1)",
        },
    ],
)
def test_an_address_never_widens_the_form_or_breaks_it(world, ada, query):
    response = ada.get("/requests/new", query)
    assert response.status_code == 200
    profile = world.profile("read-tickets")
    assert set(response.context["form"][f"scopes-{profile.pk}"].value()) <= profile.current.scopes
    assert "<script>alert(1)</script>" not in response.content.decode()


# --- What is refused ---------------------------------------------------------------------------------

BAD = [
    ({"script_name": ""}, "Say what the script is called."),
    ({"script_name": "x" * 61}, "Use at most 60 characters."),
    ({"script_name": "a\x07b"}, "a character that cannot be seen"),
    ({"script_name": "a\u202eb"}, "a character that cannot be seen"),
    ({"script_name": "a\0b"}, "a character that cannot be seen"),
    ({"script_name": "a\nb"}, "Write it on one line."),
    ({"runs_where": ""}, "Choose where it will run."),
    ({"runs_where": "the moon"}, "Choose one of the list."),
    ({"profile": None}, "Choose an access."),
    ({"profile": "production/none"}, "Choose an access from the list."),
    ({"profile": "x" * 4000}, "at most 110 characters"),
    ({"days": None}, "Choose how long."),
    ({"days": "8"}, "Choose one of the list."),
    ({"days": "other"}, "Write how many days."),
    ({"days": "other", "other_days": "0"}, "Choose at least one day."),
    ({"days": "other", "other_days": "-3"}, "Choose at least one day."),
    ({"days": "other", "other_days": "91"}, "The longest time for this access is 90 days."),
    ({"days": "other", "other_days": "9" * 40}, "Choose at most 366 days."),
    ({"days": "other", "other_days": "9" * 5000}, "Write a whole number of days."),
    ({"days": "other", "other_days": "1e3"}, "Write a whole number of days."),
    ({"purpose": ""}, "Say what the script does with it"),
    ({"purpose": "abc"}, "Use at least 5 characters."),
    ({"purpose": "x" * 501}, "Use at most 500 characters."),
    ({"purpose": "hello\x1b[31m"}, "a character that cannot be seen"),
    ({"ticket_url": "http://tickets.acme.test/1"}, "Write a link that starts with https://."),
    ({"ticket_url": "javascript:alert(1)"}, "Write a link that starts with https://."),
    ({"ticket_url": "https://"}, "Write a link that starts with https://."),
    ({"ticket_url": "https://a.test/" + "x" * 500}, "Use at most 500 characters."),
    ({"rhythm": "always"}, "Choose one of the list."),
    ({"deputy": "nobody@acme.test"}, "Nobody who has signed in to Keydesk has this address."),
    ({"deputy": "ada@acme.test"}, "Your deputy must be somebody else."),
    ({"deputy": "x" * 300}, "Use at most 254 characters."),
    ({"key": ""}, "This page was incomplete."),
    ({"key": "<script>alert(1)</script>"}, "This page was incomplete."),
]


@pytest.mark.parametrize(("changes", "sentence"), BAD)
def test_a_bad_field_is_refused_in_words_and_keeps_the_rest(world, ada, changes, sentence):
    response = ada.post("/requests/new", filled(world, **changes))
    assert response.status_code == 422
    assert sentence in words(response)
    assert AccessRequest.objects.count() == 0
    assert response.context["form"]["runs_where"].value() == changes.get("runs_where", "server")


@pytest.mark.parametrize(
    ("scopes", "sentence"),
    [
        ([], "Choose at least one thing the script may do."),
        (["tickets:read", "tickets:write"], "tickets:write is not part of this access."),
        (["unrestricted"], "unrestricted is not part of this access."),
        (["<script>"], "&lt;script&gt; is not part of this access."),
    ],
)
def test_scopes_come_from_the_profile_alone(world, ada, scopes, sentence):
    profile = world.profile("read-tickets")
    response = ada.post("/requests/new", filled(world, **{f"scopes-{profile.pk}": scopes}))
    assert response.status_code == 422
    assert sentence in words(response)
    assert AccessRequest.objects.count() == 0


def test_scopes_of_a_profile_that_was_not_chosen_do_not_count(world, ada):
    other = world.profile("read-everything")
    ada.post("/requests/new", filled(world, **{f"scopes-{other.pk}": ["read"]}))
    assert "read" not in AccessRequest.objects.get().scopes


def test_a_scope_that_is_refused_under_another_profile_does_not_stand_in_the_way(world, ada):
    other = world.profile("read-everything")
    response = ada.post("/requests/new", filled(world, **{f"scopes-{other.pk}": ["bogus"]}))
    assert response.status_code == 302


def test_text_is_shown_as_text(world, ada):
    sent = filled(world, script_name="<b>bold</b>", purpose="<script>alert(1)</script>")
    page = ada.post("/requests/new", sent, follow=True).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    assert "<b>bold" not in page


def test_somebody_without_a_helpdesk_user_reads_why_and_cannot_send(world):
    zoe = browser(world, "zoe")
    why = "You have no user on Acme production with the address zoe@acme.test"
    assert why in words(zoe.get("/requests/new"))
    refused = zoe.post("/requests/new", filled(world))
    assert refused.status_code == 422
    assert why in words(refused)
    assert AccessRequest.objects.count() == 0


def test_somebody_not_looked_up_yet_reads_so(world, ada):
    HelpdeskLink.objects.filter(user=world.person("ada")).delete()
    assert "has not yet looked you up on Acme production" in words(ada.get("/requests/new"))
    assert ada.post("/requests/new", filled(world)).status_code == 422


def test_a_profile_for_other_groups_is_shown_with_the_reason(world, ada):
    profile = world.profile("read-tickets")
    ProfileVersion.objects.filter(pk=profile.current_id).update(ask_groups=frozenset({"finance"}))
    reason = "“Read tickets” is for members of finance."
    assert reason in words(ada.get("/requests/new"))
    refused = ada.post("/requests/new", filled(world))
    assert refused.status_code == 422
    assert reason in words(refused)


def test_a_retired_profile_cannot_be_asked_for(world, ada):
    AccessProfile.objects.filter(slug="read-tickets").update(retired_at=world.now)
    assert ada.post("/requests/new", filled(world)).status_code == 422


def test_nobody_signed_in_is_led_to_the_sign_in_page_and_back(world):
    response = Client().get("/requests/new?days=30")
    assert response.status_code == 302
    assert "next=%2Frequests%2Fnew%3Fdays%3D30" in response.url.replace("/", "%2F").replace(
        "?", "%3F"
    )
    assert Client().post("/requests/new", filled(world)).status_code == 302
    assert AccessRequest.objects.count() == 0


# --- Asking again, renewing --------------------------------------------------------------------------


def test_an_old_request_of_ones_own_fills_the_form_in(world, ada):
    old = world.ask(script_name="csat", scopes=frozenset({"tickets:read"}), days=60)
    requests.withdraw(access_request=old, by=world.person("ada"), now=world.clock())
    form = ada.get("/requests/new", {"again": old.pk}).context["form"]
    assert form["script_name"].value() == "csat"
    assert form["profile"].value() == "production/read-tickets"
    assert form[f"scopes-{old.profile_id}"].value() == ["tickets:read"]
    assert form["days"].value() == "60"


def test_what_really_timed_out_is_asked_again_as_it_was(world, ada):
    """By the sweep, days later, through the link that the page offers."""
    world.now = clock.now() - settings.DECIDE_WITHIN - timedelta(hours=1)
    old = world.ask(
        script_name="csat", scopes=frozenset({"tickets:read"}), days=45, purpose="As OPS-7 says",
        ticket_url="https://tickets.acme.test/OPS-7", rhythm="monthly", runs_where="n8n",
        deputy=world.person("noor"),
    )  # fmt: skip
    sweeps.sweep(now=clock.now())
    old.refresh_from_db()
    assert old.state == RequestState.LAPSED
    page = words(ada.get(f"/requests/{old.pk}"))
    (link,) = re.findall(r'href="([^"]+)">Ask again', page)
    form = ada.get(link).context["form"]
    wanted = {
        "script_name": "csat", "profile": "production/read-tickets", "runs_where": "n8n", "rhythm": "monthly",
        f"scopes-{old.profile_id}": ["tickets:read"], "days": "other", "other_days": "45",
        "purpose": "As OPS-7 says", "ticket_url": "https://tickets.acme.test/OPS-7", "deputy": "noor@acme.test",
    }  # fmt: skip
    assert {name: form[name].value() for name in wanted} == wanted
    sent = {**wanted, "key": form["key"].value()}
    assert ada.post(link, sent).status_code == 302, "sent as it stands"
    again = AccessRequest.objects.latest("pk")
    assert (again.state, again.days, again.deputy) == ("pending", 45, old.deputy)


@pytest.mark.parametrize("number", ["1e9", "-1", "9" * 19, "9" * 400, "", "x", "²"])
@pytest.mark.parametrize("name", ["again", "renews"])
def test_a_number_that_is_none_of_ones_own_is_a_404(ada, name, number):
    assert ada.get("/requests/new", {name: number}).status_code == 404


def test_other_peoples_requests_and_access_are_a_404(world, ada):
    theirs = world.ask(by="noor")
    credential = world.active(by="piotr")
    assert ada.get("/requests/new", {"again": theirs.pk}).status_code == 404
    assert ada.get("/requests/new", {"renews": credential.pk}).status_code == 404
    assert ada.get(f"/requests/{theirs.pk}").status_code == 404
    assert ada.get(f"/requests/{theirs.pk}/amend").status_code == 404
    assert ada.post(f"/requests/{theirs.pk}/withdraw").status_code == 404
    assert ada.get(f"/requests/{10**30}").status_code == 404


def test_a_renewal_keeps_script_profile_and_scopes_whatever_is_sent(world, ada):
    held = world.active(scopes=frozenset({"tickets:read"}), days=30)
    assert "Same script, same key" in words(ada.get("/requests/new", {"renews": held.pk}))
    sent = filled(world, script_name="other", days="60", deputy="ben@acme.test")
    response = ada.post(f"/requests/new?renews={held.pk}", sent)
    row = AccessRequest.objects.get(is_renewal=True)
    assert response.url == f"/requests/{row.pk}"
    assert (row.script_name, row.scopes, row.credential) == ("weekly-csat", {"tickets:read"}, held)
    assert row.deputy is None


def test_a_renewal_within_the_rule_moves_the_end_at_once(world, ada):
    held = world.active(days=2)
    before = held.lives_until
    ada.post(f"/requests/new?renews={held.pk}", filled(world, days="7"))
    held.refresh_from_db()
    assert AccessRequest.objects.get(is_renewal=True).state == RequestState.APPROVED
    assert held.lives_until > before + timedelta(days=4)


def lengths(page: str) -> list[tuple[str, str]]:
    """The choices of *how long* on a page, each with the end it says."""
    found = re.findall(r'name="days"[^>]*value="(\w+)".*?</label>', page)
    ends = re.findall(r'name="days".*?(?:<time datetime="([^"]+)">.*?)?</span></label>', page)
    return list(zip(found, ends, strict=True))


def test_a_renewal_says_which_end_each_length_gives_and_offers_none_that_changes_nothing(
    world, ada
):
    held = world.active(days=40)
    address = f"/requests/new?renews={held.pk}"
    page = words(ada.get(address))
    assert [value for value, _ in lengths(page)] == ["60", "90", "other"]
    for value, end in lengths(page)[:2]:
        off = datetime.fromisoformat(end) - clock.now() - timedelta(days=int(value))
        assert abs(off) < timedelta(minutes=1)
    assert "At most 90 days. Fewer than 40 days would change nothing." in page
    assert "Given for 40 days last time" in page
    shorter = "Choose a shorter time than last time."
    assert shorter not in page
    held.lives_until -= timedelta(days=20)
    held.save()
    page = words(ada.get(address))
    assert [value for value, _ in lengths(page)] == ["30", "60", "90", "other"]
    assert shorter in page


@pytest.mark.parametrize("sent", [{"days": "30"}, {"days": "other", "other_days": "39"}])
def test_a_renewal_that_would_change_nothing_is_refused_and_keeps_what_was_written(
    world, ada, sent
):
    held = world.active(days=40)
    response = ada.post(f"/requests/new?renews={held.pk}", filled(world, **sent))
    assert response.status_code == 422
    page = words(response)
    assert "as it is, so this would change nothing. It takes at least 40 days from today." in page
    assert "Weekly numbers for the lead meeting" in page
    assert re.search(rf'value="{sent["days"]}" checked', page)
    assert not AccessRequest.objects.filter(is_renewal=True).exists()
    row = world.ask(scopes=held.scopes, renews=held, days=60)
    shorter = amended(row, **{"days": "other", "other_days": "", **sent})
    assert "would change nothing" in words(ada.post(f"/requests/{row.pk}/amend", shorter))
    row.refresh_from_db()
    assert (row.days, row.revision) == (60, 1)


def test_what_lives_longer_than_it_may_be_asked_for_says_from_when_on_it_is_renewed(world, ada):
    held = world.active(days=60)
    version = world.profile("read-tickets").current_id
    ProfileVersion.objects.filter(pk=version).update(longest_days=30)
    address = f"/requests/new?renews={held.pk}"
    page = words(ada.get(address))
    assert "There is nothing to renew yet." in page
    assert f'<time datetime="{(held.lives_until - timedelta(days=30)).isoformat()}">' in page
    assert 'name="days"' not in page
    assert ada.post(address, filled(world, days="30")).status_code == 422
    assert not AccessRequest.objects.filter(is_renewal=True).exists()


def test_fewer_permissions_start_with_exactly_what_is_held(world, ada):
    asked = world.ask(
        days=60, rhythm="weekly", deputy=world.person("noor"), ticket_url="https://tickets.acme.test/1"
    )  # fmt: skip
    asked = world.approve(asked, scopes=frozenset({"tickets:read", "users:read"}))
    world.consent(asked.credential)
    world.work()
    page = words(ada.get(f"/requests/new?renews={asked.credential_id}"))
    (link,) = re.findall(r'<a href="([^"]+)">Ask for fewer permissions', page)
    form = ada.get(link).context["form"]
    assert form["profile"].value() == "production/read-tickets"
    assert form[f"scopes-{asked.profile_id}"].value() == ["tickets:read", "users:read"]
    assert (form["script_name"].value(), form["rhythm"].value()) == ("weekly-csat", "weekly")
    assert form["deputy"].value() == "noor@acme.test"
    assert form["ticket_url"].value() == "https://tickets.acme.test/1"


def test_what_has_ended_cannot_be_renewed(world, ada):
    held = world.active(days=7)
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    response = ada.get("/requests/new", {"renews": held.pk})
    assert response.status_code == 409
    assert "can be renewed" in words(response)
    assert ada.post(f"/requests/new?renews={held.pk}", filled(world)).status_code == 409


# --- Amending and withdrawing ------------------------------------------------------------------------


def amended(row: AccessRequest, **changes):
    fields = {
        "revision": row.revision, "script_name": row.script_name, "runs_where": row.runs_where,
        "scopes": sorted(row.scopes), "days": "other", "other_days": row.days,
        "purpose": "Said better this time", "ticket_url": "", "rhythm": "", "deputy": "",
    }  # fmt: skip
    return fields | changes


def test_amending_makes_the_next_revision_and_starts_deciding_anew(world, ada):
    row = world.ask(profile="update-tickets")
    world.approve(row, by="ben")
    response = ada.post(
        f"/requests/{row.pk}/amend", amended(row, scopes=["tickets:read"], other_days=10)
    )
    assert response.status_code == 302
    row.refresh_from_db()
    assert (row.revision, row.approvals, row.days, row.scopes) == (2, 0, 10, {"tickets:read"})
    assert row.purpose == "Said better this time"


def test_the_amend_page_starts_with_what_was_asked(world, ada):
    row = world.ask(scopes=frozenset({"tickets:read"}), days=45)
    form = ada.get(f"/requests/{row.pk}/amend").context["form"]
    assert form["scopes"].value() == ["tickets:read"]
    assert (form["days"].value(), form["other_days"].value()) == ("other", "45")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scopes": []}, "Choose at least one thing the script may do."),
        ({"scopes": ["tickets:write"]}, "tickets:write is not part of this access."),
        ({"other_days": 91}, "The longest time for this access is 90 days."),
        ({"script_name": "a\x00b"}, "a character that cannot be seen"),
        ({"revision": ""}, "This page was incomplete."),
        ({"revision": "9" * 30}, "This page was incomplete."),
    ],
)
def test_a_bad_amendment_changes_nothing(world, ada, changes, sentence):
    row = world.ask()
    response = ada.post(f"/requests/{row.pk}/amend", amended(row, **changes))
    assert response.status_code == 422
    assert sentence in words(response)
    row.refresh_from_db()
    assert row.revision == 1


def test_an_amendment_that_changes_nothing_is_none_and_tells_nobody(world, ada):
    row = world.ask()
    told = Notification.objects.count()
    response = ada.post(f"/requests/{row.pk}/amend", amended(row, purpose=row.purpose))
    assert response.status_code == 422
    assert "Nothing is different from what you asked before." in words(response)
    row.refresh_from_db()
    assert (row.revision, Notification.objects.count()) == (1, told)


def test_how_often_one_person_asks_and_amends_within_an_hour_is_bounded(world, ada, settings):
    settings.ASKS_PER_HOUR = 3
    row = world.ask()
    for number in (2, 3):
        row.refresh_from_db()
        sent = amended(row, purpose=f"Said {number} times")
        assert ada.post(f"/requests/{row.pk}/amend", sent).status_code == 302
    row.refresh_from_db()
    with pytest.raises(Denied, match="3 times within an hour"):
        world.ask(script_name="another")
    assert ada.post(f"/requests/{row.pk}/amend", amended(row)).status_code == 403
    assert world.ask(by="noor").state == "pending"
    AuditEvent.objects.update(at=F("at") - timedelta(minutes=61))
    assert world.ask(script_name="another").state == "pending"
    assert ada.post(f"/requests/{row.pk}/amend", amended(row)).status_code == 302
    assert world.ask(script_name="a third").state == "pending", "what is long ago is not counted"
    with pytest.raises(Denied, match="3 times within an hour"):
        world.ask(script_name="a fourth")


def test_amending_what_was_amended_meanwhile_is_a_409(world, ada):
    row = world.ask()
    assert ada.post(f"/requests/{row.pk}/amend", amended(row)).status_code == 302
    response = ada.post(f"/requests/{row.pk}/amend", amended(row))
    assert response.status_code == 409
    assert "Already amended by Ada Lindqvist" in words(response)


def test_amending_a_renewal_keeps_its_scopes(world, ada):
    held = world.active(scopes=frozenset({"tickets:read"}), days=7)
    row = world.ask(scopes=held.scopes, renews=held, days=60)
    page = words(ada.get(f"/requests/{row.pk}/amend"))
    assert 'name="scopes"' not in page
    ada.post(f"/requests/{row.pk}/amend", amended(row, scopes=["users:read"], other_days=50))
    row.refresh_from_db()
    assert (row.revision, row.days, row.scopes) == (2, 50, {"tickets:read"})


def test_withdrawing_asks_first_and_then_ends_it(world, ada):
    row = world.ask()
    assert "Take this request back?" in words(ada.get(f"/requests/{row.pk}/withdraw"))
    row.refresh_from_db()
    assert row.state == RequestState.PENDING
    assert ada.post(f"/requests/{row.pk}/withdraw").url == "/"
    row.refresh_from_db()
    assert row.state == RequestState.WITHDRAWN


def test_what_was_decided_can_be_neither_amended_nor_withdrawn(world, ada):
    row = world.approve(world.ask())
    for response in (
        ada.get(f"/requests/{row.pk}/amend"),
        ada.post(f"/requests/{row.pk}/amend", amended(row)),
        ada.post(f"/requests/{row.pk}/withdraw"),
    ):
        assert response.status_code == 409
        assert "Already approved by Ben Achterberg" in words(response)
        assert f'href="/requests/{row.pk}"' in words(response)


def test_only_the_requester_changes_a_request(world):
    row, ben = world.ask(), browser(world, "ben")
    assert ben.get(f"/requests/{row.pk}").status_code == 200
    assert ben.get(f"/requests/{row.pk}/amend").status_code == 403
    assert ben.post(f"/requests/{row.pk}/withdraw").status_code == 403
    row.refresh_from_db()
    assert row.state == RequestState.PENDING


# --- One request's page ------------------------------------------------------------------------------


def test_the_requester_sees_with_whom_it_waits_and_until_when(world):
    world.person("ben")
    row = world.ask()
    page = words(browser(world, "ada").get(f"/requests/{row.pk}"))
    assert "of 3 days. With Ben Achterberg." in page
    assert f'href="/requests/{row.pk}/amend"' in page
    assert f'action="/requests/{row.pk}/approve"' not in page


def test_a_request_that_timed_out_is_asked_again_with_one_click(world, ada):
    world.now -= settings.DECIDE_WITHIN + timedelta(hours=1)
    row = world.ask()
    requests.lapse(access_request=row, now=clock.now())
    page = words(ada.get(f"/requests/{row.pk}"))
    assert "Nobody decided it in time." in page
    assert f'href="/requests/new?again={row.pk}"' in page


def test_the_history_stands_on_the_page_in_sentences(world, ada):
    row = world.approve(world.ask())
    page = words(ada.get(f"/requests/{row.pk}"))
    assert "Ada Lindqvist asked for" in page
    assert "Ben Achterberg approved" in page


def test_the_cast_of_other_issuers_is_not_the_cast(world, ada):
    """Somebody with Ada's address but another identity owns nothing of hers."""
    row = world.ask()
    stranger = people.make("noor", now=world.now)
    stranger.email = "ada@acme.test"
    stranger.save()
    client = Client()
    client.force_login(stranger)
    assert client.get(f"/requests/{row.pk}").status_code == 404


def test_without_any_access_to_ask_for_the_page_says_so(world, ada):
    AccessProfile.objects.update(retired_at=world.now)
    assert "There is no access to ask for yet." in words(ada.get("/requests/new"))


# --- Who could decide --------------------------------------------------------------------------------


def test_before_anybody_has_signed_in_the_group_is_named(world):
    page = words(browser(world, "ada").get("/requests/new"))
    assert (
        "Members of helpdesk-leads decide; nobody else who can has signed in to Keydesk yet."
        in page
    )


def test_what_could_never_be_decided_is_refused_with_the_reason(world, settings):
    settings.ROLE_APPROVER_GROUPS, settings.ROLE_ADMIN_GROUPS = ["security-reviewers"], []
    settings.ROLE_ADMIN_SUBJECTS = ["omar"]
    ada = browser(world, "ada")
    page = words(ada.get("/requests/new"))
    why = "Nobody could ever decide this: helpdesk-leads is no group of approvers"
    assert why in page
    response = ada.post("/requests/new", filled(world, "update-tickets"))
    assert response.status_code == 422
    assert why in words(response)
    assert not AccessRequest.objects.exists()
    assert ada.post("/requests/new", filled(world, "read-users")).status_code == 302, "omar can"
    settings.ROLE_ADMIN_SUBJECTS = []
    short = filled(world, key="a-key-of-the-page-0002", days="7")
    assert ada.post("/requests/new", short).status_code == 302, "policy can"
    longer = filled(world, key="a-key-of-the-page-0003", script_name="longer", days="60")
    response = ada.post("/requests/new", longer)
    assert response.status_code == 422, "policy cannot for so long"
    assert why in words(response)
    assert 'value="longer"' in words(response)


def test_admins_by_name_count_while_they_are_here_and_somebody_else(world, settings):
    settings.ROLE_APPROVER_GROUPS, settings.ROLE_ADMIN_GROUPS = ["security-reviewers"], []
    settings.ROLE_ADMIN_SUBJECTS = ["omar"]
    ada, omar = browser(world, "ada"), world.person("omar")
    asked = filled(world, "read-users")
    User.objects.filter(pk=omar.pk).update(deactivated_at=world.now)
    assert ada.post("/requests/new", asked).status_code == 422, "omar has left"
    User.objects.filter(pk=omar.pk).update(
        deactivated_at=None, email=world.person("ada").email.upper()
    )
    assert ada.post("/requests/new", asked).status_code == 422, "omar is ada"
    User.objects.filter(pk=omar.pk).update(email="omar@acme.test")
    assert ada.post("/requests/new", asked).status_code == 302


def test_the_only_named_admin_cannot_decide_for_himself(world, settings):
    settings.ROLE_APPROVER_GROUPS, settings.ROLE_ADMIN_GROUPS = ["security-reviewers"], []
    settings.ROLE_ADMIN_SUBJECTS = ["omar"]
    response = browser(world, "omar").post("/requests/new", filled(world, "read-users"))
    assert response.status_code == 422
