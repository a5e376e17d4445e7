"""The catalogue file: loaded whole or not at all, and each change a new version."""

import copy
import json

import pytest
from django.core.management import CommandError, call_command

from tests.world import START, STARTER, World
from tokens.models import AccessProfile, ProfileVersion, Scope
from tokens.operations import catalogue
from tokens.refusals import Invalid

pytestmark = pytest.mark.django_db


@pytest.fixture
def starter():
    return json.loads(STARTER.read_text())


def test_the_starter_set_loads_once(starter):
    lines = catalogue.load(catalogue=starter, now=START)
    assert len(lines) > 20
    assert catalogue.load(catalogue=starter, now=START) == []
    assert not Scope.objects.filter(name__in=["write", "impersonate"]).exists()


def test_reading_everything_is_wide_with_one_approver_and_thirty_days(starter):
    catalogue.load(catalogue=starter, now=START)
    terms = AccessProfile.objects.get(helpdesk__slug="production", slug="read-everything").current
    assert terms.scopes == frozenset({"read"})
    assert (terms.risk, terms.approvals_needed, terms.longest_days, terms.policy_days) == (
        "wide",
        1,
        30,
        0,
    )


def test_bare_write_enters_only_where_a_setting_names_it(starter, settings):
    settings.BARE_WRITE_ALLOWED = True
    catalogue.load(catalogue=starter, now=START)
    assert Scope.objects.filter(name="write").exists()


def test_a_changed_profile_is_a_new_version_and_a_request_keeps_its_own(starter):
    world = World()
    row = world.ask()
    starter["profiles"][0]["longest_days"] = 60
    lines = catalogue.load(catalogue=starter, now=START)
    assert lines == [
        "profile read-tickets on production: version 2",
        "profile read-tickets on sandbox: version 2",
    ]
    row.refresh_from_db()
    assert row.profile_version.number == 1
    assert row.profile.current.number == 2


def broken(starter, change):
    wrong = copy.deepcopy(starter)
    change(wrong)
    return wrong


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.pop("kind"), "kind must be text"),
        (lambda c: c.update(scopes="all"), "scopes must be a list"),
        (
            lambda c: c["scopes"].append({"name": "impersonate", "words": "x", "risk": "low"}),
            "never granted",
        ),
        (
            lambda c: c["scopes"].append({"name": "x:read", "words": "x", "risk": "awful"}),
            "risk must be one of",
        ),
        (
            lambda c: c["profiles"][0].update(scopes=["tickets:read", "made:up"]),
            "not in the table of scopes: made:up",
        ),
        (lambda c: c["profiles"][0].update(scopes=[]), "at least one scope"),
        (lambda c: c["profiles"][0].update(longest_days=0), "longest_days must be a number"),
        (lambda c: c["profiles"][0].update(longest_days=True), "longest_days must be a number"),
        (lambda c: c["profiles"][0].update(access_token_minutes=10), "from 15 to 2880"),
        (lambda c: c["profiles"][0].update(access_token_minutes=3000), "from 15 to 2880"),
        (
            lambda c: c["profiles"][0].update(approvals_needed=0),
            "approvals_needed must be a number",
        ),
        (lambda c: c["profiles"][0].update(helpdesks=["moon"]), "no such helpdesk: moon"),
        (lambda c: c["profiles"][0].pop("approver_group"), "approver_group must be text"),
        (lambda c: c["profiles"][0].update(ask_groups=["Support Leads"]), "a blank in it"),
        (lambda c: c["profiles"][0].update(ask_groups=[""]), "or an empty one"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence_and_changes_nothing(starter, change, sentence):
    with pytest.raises(Invalid, match=sentence):
        catalogue.load(catalogue=broken(starter, change), now=START)
    assert not ProfileVersion.objects.exists()


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_the_command_refuses_a_file_that_is_no_catalogue(tmp_path, text):
    path = tmp_path / "catalogue.json"
    path.write_text(text)
    with pytest.raises(CommandError):
        call_command("load_catalogue", str(path))


def test_the_command_names_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("load_catalogue", str(tmp_path / "nothing.json"))


def test_what_a_role_can_do_with_a_scope_is_part_of_the_file(starter):
    catalogue.load(catalogue=starter, now=START)
    rows = {row.name: row for row in Scope.objects.all()}
    assert rows["triggers:read"].least_role == "admin"
    assert rows["tickets:write"].light_words == "private comments only"
    starter["scopes"][0]["role"] = "agent"
    assert len(catalogue.load(catalogue=starter, now=START)) == 1
    starter["scopes"][0]["role"] = "boss"
    with pytest.raises(Invalid, match="role must be one of light agent, agent, admin"):
        catalogue.load(catalogue=starter, now=START)
