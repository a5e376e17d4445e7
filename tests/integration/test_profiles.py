"""Access profiles on their page: each edit is a version, and what gives more takes a second admin."""

import json
import re
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.integration._people import browser, words
from tests.world import STARTER, World
from tokens.forms.profiles import start_of
from tokens.models import AccessProfile, ProfileVersion
from tokens.operations import catalogue

pytestmark = pytest.mark.django_db


@pytest.fixture
def second(world: World, settings: Any) -> Client:
    """June, made an admin."""
    settings.ROLE_ADMIN_SUBJECTS = ["june"]
    return browser(world, "june")


def written(world: World, slug: str = "read-users", **changes: Any) -> dict[str, Any]:
    """What the page sends, with changes; None takes a field out."""
    version = world.profile(slug).current
    assert version is not None
    return {
        name: value for name, value in (start_of(version) | changes).items() if value is not None
    }


def send(client: Client, world: World, slug: str = "read-users", **changes: Any) -> Any:
    address = f"/profiles/{world.profile(slug).pk}/edit"
    return client.post(address, written(world, slug, **changes), follow=True)


def test_narrower_terms_hold_at_once_and_what_waits_keeps_its_own(world, omar):
    row = world.ask(profile="read-users", days=90)
    response = send(omar, world, longest_days=30, approvals_needed=2)
    assert "has these terms from now on" in words(response)
    version = world.profile("read-users").current
    assert (version.number, version.longest_days, version.approvals_needed) == (2, 30, 2)
    assert version.editor == world.person("omar")
    row.refresh_from_db()
    assert row.profile_version.number == 1
    card = words(browser(world, "ben").get(f"/requests/{row.pk}"))
    assert "this request keeps version 1" in card
    audit = words(omar.get("/audit"))
    assert "The terms were changed to version 2." in audit


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"scopes": ["users:read", "organizations:read", "groups:read"]},
            "it gives more permissions",
        ),
        ({"longest_days": 120}, "it lives longer"),
        ({"token_minutes": 600}, "its tokens live longer"),
        ({"policy_days": 3}, "more is approved by itself"),
        ({"approver_group": "security-reviewers"}, "other people decide"),
    ],
)
def test_wider_terms_wait_for_a_second_admin(world, omar, second, changes, why):
    response = send(omar, world, **changes)
    assert f"because {why}. Another admin has to confirm it." in words(response)
    profile = world.profile("read-users")
    assert profile.current.number == 1
    page = f"/profiles/{profile.pk}"
    assert "another admin has to confirm them" in words(omar.get(page))
    own = omar.post(f"{page}/confirm", {"number": 2, "seen": 1})
    assert own.status_code == 403
    assert world.profile("read-users").current.number == 1
    assert why in words(second.get(page))
    second.post(f"{page}/confirm", {"number": 2, "seen": 1})
    profile = world.profile("read-users")
    assert (profile.current.number, profile.proposed) == (2, None)
    assert "confirmed version 2" in words(second.get(page))


def test_fewer_approvals_and_more_who_may_ask_are_wider(world, omar):
    assert "fewer people have to approve" in words(
        send(omar, world, "update-tickets", approvals_needed=1)
    )
    send(omar, world, ask_groups="emea, support")
    assert world.profile("read-users").current.ask_groups == {"emea", "support"}
    assert "more people may ask for it" in words(send(omar, world, ask_groups=""))


def test_policy_never_approves_for_whoever_wrote_the_terms(world, omar, second):
    send(omar, world, policy_days=10)
    second.post(f"/profiles/{world.profile('read-users').pk}/confirm", {"number": 2, "seen": 1})
    assert world.ask(by="omar", profile="read-users", days=5).state == "pending"
    assert world.ask(by="ada", profile="read-users", days=5).state == "approved"
    send(second, world, words="A trivial edit by somebody else.")
    again = world.ask(by="omar", profile="read-users", days=5, script_name="again")
    assert again.state == "pending", "the terms are still omar's"


@pytest.mark.parametrize("same", ["address", "helpdesk user"])
def test_another_account_of_whoever_wrote_the_terms_is_no_second_admin(world, omar, second, same):
    author, other = world.person("omar"), world.person("june")
    if same == "address":
        User.objects.filter(pk=other.pk).update(email=author.email.upper())
    else:
        known = author.helpdesk_links.get(helpdesk=world.helpdesk).helpdesk_user
        other.helpdesk_links.update(problem="Taken.", helpdesk_user=known)
    send(omar, world, policy_days=10)
    page = f"/profiles/{world.profile('read-users').pk}"
    refused = second.post(f"{page}/confirm", {"number": 2, "seen": 1})
    assert refused.status_code == 403
    assert "another admin has to confirm" in words(refused)
    assert world.profile("read-users").current.number == 1


def test_policy_never_approves_for_another_account_of_whoever_wrote_the_terms(world, omar, second):
    send(omar, world, policy_days=10)
    second.post(f"/profiles/{world.profile('read-users').pk}/confirm", {"number": 2, "seen": 1})
    User.objects.filter(pk=world.person("ada").pk).update(email=world.person("omar").email)
    world.person("ada").refresh_from_db()
    assert world.ask(by="ada", profile="read-users", days=5).state == "pending"


def test_a_proposal_can_be_given_up_and_a_newer_one_takes_its_place(world, omar, second):
    send(omar, world, longest_days=120)
    send(omar, world, longest_days=150)
    page = f"/profiles/{world.profile('read-users').pk}"
    assert "gave version 2 of the terms up" in words(omar.get(page))
    stale = second.post(f"{page}/confirm", {"number": 2, "seen": 1})
    assert stale.status_code == 409
    assert "no longer wait for a second admin" in words(stale)
    second.post(f"{page}/drop", {"number": 3})
    assert world.profile("read-users").proposed is None
    assert second.post(f"{page}/drop", {"number": 3}).status_code == 409
    for nonsense in ("", "x", "0", "9" * 30):
        assert second.post(f"{page}/confirm", {"number": nonsense, "seen": 1}).status_code == 400


def test_two_who_edit_at_once_do_not_undo_each_other(world, omar):
    sent = written(world, longest_days=30)
    address = f"/profiles/{world.profile('read-users').pk}/edit"
    omar.post(address, written(world, longest_days=60))
    late = omar.post(address, sent)
    assert late.status_code == 409
    assert "has been edited since you opened the page" in words(late)
    assert world.profile("read-users").current.longest_days == 60


def test_a_preview_shows_what_whoever_asks_would_see_and_saves_nothing(world, omar):
    for key in ("ben", "june"):
        world.person(key)
    response = send(
        omar, world, name="Read the directory", words="Who is who.", longest_days=45, policy_days=5,
        scopes=["users:read"], preview="yes",
    )  # fmt: skip
    page = words(response).split("As whoever asks will see it")[1].split("</section>")[0]
    assert '<fieldset class="form" disabled>' in page
    assert "Read the directory" in page
    assert "Who is who. At most 45 days." in page
    assert re.findall(r'type="checkbox" name="scopes-\d+" value="([^"]+)"', page) == ["users:read"]
    assert re.findall(r'type="radio" name="days"[^>]*value="(\w+)"', page) == ["7", "30", "other"]
    ends = re.findall(r'until <time datetime="([^"]+)">', page)
    assert (datetime.fromisoformat(ends[1]) - datetime.fromisoformat(ends[0])).days == 23
    by_whom = "Longer: Ben Achterberg, June Moreno or an admin decides."
    assert f"Untick what it does not need. Approved at once for at most 5 days. {by_whom}" in page
    assert ProfileVersion.objects.filter(name="Read the directory").count() == 0
    send(omar, world, name="Read the directory")
    seen = words(browser(world, "ada").get("/requests/new"))
    assert by_whom.removeprefix("Longer: ") in seen


def test_a_preview_names_the_admin_who_writes_it_and_the_lead_of_whoever_asks(world, omar):
    page = words(send(omar, world, lead_decides="on", preview="yes"))
    assert "an admin decides. Their lead decides too, where they have one." in page


def test_bad_terms_have_no_preview(world, omar):
    response = send(omar, world, name="", preview="yes")
    assert response.status_code == 422
    assert "As whoever asks will see it" not in words(response)


def test_the_page_has_every_term_in_words(world, omar):
    send(omar, world, ask_groups="emea, support", token_minutes=60)
    page = words(omar.get(f"/profiles/{world.profile('read-users').pk}"))
    for said in (
        "<dt>Groups that may ask</dt><dd>emea and support</dd>", "<dt>Minutes of each token</dt><dd>60</dd>",
        "<dt>What it gives</dt><dd>Read users · Read organizations</dd>", "<dt>Approved by itself</dt><dd>never</dd>",
    ):  # fmt: skip
        assert said in page


def test_history_and_audit_say_each_edit_before_and_after(world, omar, second):
    send(omar, world, longest_days=30)
    send(omar, world, scopes=["users:read"], name="Read people")
    send(omar, world, longest_days=60)
    address = f"/profiles/{world.profile('read-users').pk}"
    second.post(f"{address}/confirm", {"number": 4, "seen": 3})
    page = words(omar.get(address)).split('id="history-title"')[1]
    audit = words(browser(world, "cleo").get("/audit?kind=AccessProfile"))
    for text in (page, audit):
        assert "version 2." in text
        assert "Days at most: “90 days” before, “30 days” after." in text
        assert (
            "What it gives: “Read users · Read organizations” before, “Read users” after." in text
        )
        assert "Name: “Read users and organizations” before, “Read people” after." in text
        assert text.count("Days at most: “30 days” before, “60 days” after.") == 2, (
            "written, then confirmed"
        )
        assert "Approvals it takes" not in text, "what stayed"


def test_what_an_edit_changed_costs_the_same_for_many(world, omar):
    address = f"/profiles/{world.profile('read-users').pk}"
    send(omar, world, longest_days=80)
    costs = {}
    for edits in (1, 6):
        for page in (address, "/audit?kind=AccessProfile"):
            with CaptureQueriesContext(connection) as asked:
                omar.get(page)
            costs.setdefault(page, set()).add(len(asked))
        for n in range(5):
            send(omar, world, longest_days=70 - edits - n)
    assert all(len(found) == 1 for found in costs.values()), costs


@pytest.mark.parametrize("seen", [None, "", "x", "0", "-1", "1e9", "9" * 30, "²", "1\x00"])
def test_a_word_that_does_not_say_what_was_compared_is_a_sentence_and_confirms_nothing(
    world, omar, second, seen
):
    send(omar, world, longest_days=120)
    pk = world.profile("read-users").pk
    sent = {"number": 2} if seen is None else {"number": 2, "seen": seen}
    response = second.post(f"/profiles/{pk}/confirm", sent)
    assert response.status_code == 400
    assert "This page was incomplete. Open it again." in words(response)
    profile = world.profile("read-users")
    assert (profile.current.number, profile.proposed.number) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "Give it a name."),
        ({"name": "x" * 61}, "Use at most 60 characters."),
        ({"name": "a\nb"}, "Write it on one line."),
        ({"words": "\x1b"}, "a character that cannot be seen"),
        ({"scopes": []}, "Tick at least one."),
        ({"scopes": ["impersonate"]}, "impersonate is not in the table."),
        ({"scopes": ["write"]}, "write is not in the table."),
        ({"longest_days": "0"}, "Write a whole number from 1 to 366."),
        ({"longest_days": "9" * 40}, "Write a whole number from 1 to 366."),
        ({"token_minutes": "5"}, "Write a whole number from 15 to 2880."),
        ({"ask_groups": "two words, one"}, "has no blanks here"),
        ({"approver_group": "nobody-knows-it"}, "Choose one of the list."),
        ({"approvals_needed": "6"}, "Write a whole number from 1 to 5."),
        ({"policy_days": "91"}, "That is longer than the days at most."),
        ({"seen": "x"}, "This page was incomplete."),
        ({}, "Nothing has changed."),
    ],
)
def test_bad_terms_are_a_sentence_and_save_nothing(world, omar, changes, sentence):
    response = send(omar, world, **changes)
    assert response.status_code == 422
    assert sentence in words(response)
    assert world.profile("read-users").current.number == 1


@pytest.mark.parametrize(("key", "may_read"), [("ada", False), ("ben", False), ("cleo", True)])
def test_only_admins_edit_and_auditors_read(world, key, may_read):
    client, pk = browser(world, key), world.profile("read-users").pk
    for page in ("/profiles", f"/profiles/{pk}"):
        assert client.get(page).status_code == (200 if may_read else 403)
    assert client.get(f"/profiles/{pk}/edit").status_code == 403
    assert client.post(f"/profiles/{pk}/edit", written(world, longest_days=3)).status_code == 403
    assert world.profile("read-users").current.number == 1


def test_the_list_has_every_profile_and_a_link_for_a_team(world, omar):
    page = words(omar.get("/profiles"))
    assert page.count("version 1") == AccessProfile.objects.count()
    assert 'href="/requests/new?profile=production/read-users"' in page
    assert omar.get("/profiles/987654").status_code == 404


def test_a_file_leaves_what_was_edited_on_its_page(world, omar):
    send(omar, world, longest_days=30)
    starter = json.loads(STARTER.read_text())
    (line,) = catalogue.load(catalogue=starter, now=world.clock())
    assert line == "profile read-users on production: edited on its page since, left as it is"
    assert world.profile("read-users").current.longest_days == 30


def test_a_word_on_proposed_terms_is_about_what_was_compared(world, omar, second):
    send(omar, world, longest_days=120)
    starter = json.loads(STARTER.read_text())
    next(row for row in starter["profiles"] if row["slug"] == "read-users")["scopes"] = [
        "users:read"
    ]
    catalogue.load(catalogue=starter, now=world.clock())
    profile = world.profile("read-users")
    assert (profile.current.number, profile.proposed) == (3, None)
    late = second.post(f"/profiles/{profile.pk}/confirm", {"number": 2, "seen": 1})
    assert late.status_code == 409
    send(omar, world, longest_days=120)
    wrong = second.post(f"/profiles/{profile.pk}/confirm", {"number": 4, "seen": 1})
    assert wrong.status_code == 409
    assert world.profile("read-users").current.number == 3


def test_what_is_granted_no_more_is_not_confirmed(world, omar, second, settings):
    settings.BARE_WRITE_ALLOWED = True
    starter = json.loads(STARTER.read_text())
    catalogue.load(catalogue=starter, now=world.clock())
    send(omar, world, scopes=["users:read", "organizations:read", "write"])
    settings.BARE_WRITE_ALLOWED = False
    pk = world.profile("read-users").pk
    response = second.post(f"/profiles/{pk}/confirm", {"number": 2, "seen": 1})
    assert response.status_code == 400
    assert "write is not granted here any more." in words(response)
