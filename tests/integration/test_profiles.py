"""Access profiles on their page: each edit is a version, and what gives more takes a second admin."""

import json
from typing import Any

import pytest
from django.test import Client

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
    response = send(omar, world, name="Read the directory", preview="yes")
    page = words(response)
    assert "As whoever asks will see it" in page
    assert "Read the directory" in page
    assert ProfileVersion.objects.filter(name="Read the directory").count() == 0


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
