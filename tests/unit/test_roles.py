"""Which groups give which roles. Without a database: people are built, not stored."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import AnonymousUser
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.roles import Role, groups_that_give, in_group, roles_given, roles_of
from demo.people import BY_KEY

EXPECTED = {
    "ada": {Role.AGENT},
    "ben": {Role.AGENT, Role.APPROVER},
    "june": {Role.AGENT, Role.APPROVER},
    "omar": {Role.AGENT, Role.ADMIN},
    "cleo": {Role.AGENT, Role.AUDITOR},
    "zoe": {Role.AGENT},
}


def person(key: str) -> User:
    user = User(subject=key, name=BY_KEY[key].name)
    user.known_groups = frozenset(BY_KEY[key].groups)
    return user


@pytest.mark.parametrize("key", EXPECTED)
def test_each_person_of_the_cast_has_their_roles(key: str) -> None:
    assert roles_of(person(key)) == EXPECTED[key]


def test_a_deactivated_person_has_none() -> None:
    omar = person("omar")
    omar.deactivated_at = datetime(2026, 11, 23, tzinfo=UTC)
    assert roles_of(omar) == frozenset()


def test_nobody_has_no_roles_and_no_groups() -> None:
    assert roles_of(AnonymousUser()) == frozenset()
    assert not in_group(AnonymousUser(), "agents")


def test_one_person_may_have_several_roles() -> None:
    groups = frozenset({"helpdesk-leads", "keydesk-admins", "internal-audit"})
    assert roles_given(subject="x", groups=groups) == frozenset(Role)


def test_group_names_must_match_exactly() -> None:
    for group in ("Keydesk-Admins", "keydesk-admins ", "keydesk", ""):
        assert roles_given(subject="x", groups=frozenset({group})) == {Role.AGENT}


def test_admins_may_be_named_where_no_groups_come(settings: Settings) -> None:
    settings.ROLE_ADMIN_SUBJECTS = ["omar"]
    assert roles_given(subject="omar", groups=frozenset()) == {Role.AGENT, Role.ADMIN}
    assert roles_given(subject="ada", groups=frozenset()) == {Role.AGENT}


def test_without_settings_nobody_decides(settings: Settings) -> None:
    settings.ROLE_APPROVER_GROUPS = settings.ROLE_ADMIN_GROUPS = settings.ROLE_AUDITOR_GROUPS = []
    assert roles_of(person("omar")) == {Role.AGENT}
    assert groups_that_give(Role.APPROVER) == frozenset()


def test_in_group_reads_what_came_with_the_person() -> None:
    assert in_group(person("june"), "security-reviewers")
    assert not in_group(person("ben"), "security-reviewers")
