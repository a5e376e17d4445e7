"""Lifetimes and proof: what is asked for, how long it may be served, and what is thrown away."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from tokens import policies
from tokens.connectors.base import TokenRecord
from tokens.models import Credential, Grant, HelpdeskUser, Scope

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def credential(left: timedelta, wish: int = 28_800) -> Credential:
    return Credential(lives_until=NOW + left, access_token_seconds=wish, days=90)


@given(st.integers(1, 90 * 86_400), st.integers(900, 172_800))
def test_no_access_token_outlives_its_lease_by_more_than_the_least_life(left, wish):
    held = credential(timedelta(seconds=left), wish)
    seconds = policies.access_seconds(held, now=NOW)
    assert 300 <= seconds <= 172_800
    assert seconds <= max(left, 300)
    assert seconds <= max(wish, 300)


@given(st.integers(1, 400 * 86_400))
def test_a_refresh_token_lives_to_the_lease_within_the_helpdesks_bounds(left):
    held = credential(timedelta(seconds=left))
    access = policies.access_seconds(held, now=NOW)
    seconds = policies.refresh_seconds(held, now=NOW, access=access)
    assert 604_800 <= seconds <= 7_776_000
    assert seconds >= access


@given(st.integers(300, 172_800), st.integers(1, 90 * 86_400))
def test_a_token_is_served_for_three_quarters_or_to_the_end(life, left):
    ends, lease = NOW + timedelta(seconds=life), NOW + timedelta(seconds=left)
    until = policies.serve_until(sent_at=NOW, access_expires_at=ends, lives_until=lease)
    assert until <= ends
    assert until <= lease
    if ends < lease:
        assert until == NOW + timedelta(seconds=life) * 3 / 4


def test_what_a_client_is_told_ends_before_the_token_may_die():
    grant = Grant(serve_until=NOW + timedelta(seconds=100))
    assert policies.seconds_to_tell(grant, now=NOW) == 95
    nearly = NOW + timedelta(seconds=94)
    assert policies.seconds_to_tell(grant, now=nearly) == 1
    assert policies.seconds_to_tell(grant, now=nearly + timedelta(milliseconds=1)) is None


def test_a_withheld_token_is_never_served():
    grant = Grant(serve_until=NOW + timedelta(hours=1), is_withheld=True)
    assert policies.seconds_to_tell(grant, now=NOW) is None


WANT = policies.Wanted(
    77, 1, frozenset({"tickets:read"}), NOW + timedelta(hours=8), NOW + timedelta(days=30)
)
RIGHT = TokenRecord(
    5,
    77,
    1,
    frozenset({"tickets:read"}),
    NOW,
    NOW + timedelta(hours=8),
    NOW + timedelta(days=30),
    None,
)


def test_the_right_token_is_proved():
    assert policies.is_proved(RIGHT, WANT)


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": 78}, {"client_id": None}, {"user_id": 2}, {"user_id": None},
        {"scopes": frozenset()}, {"scopes": frozenset({"tickets:read", "read"})}, {"scopes": None},
        {"expires_at": None}, {"refresh_expires_at": None},
        {"expires_at": NOW + timedelta(hours=8, seconds=1)},
        {"refresh_expires_at": NOW + timedelta(days=30, seconds=1)},
    ],
)  # fmt: skip
def test_any_difference_is_refused_with_a_sentence(change):
    answer = policies.is_proved(replace(RIGHT, **change), WANT)
    assert not answer
    assert answer.reason.endswith(".")


@pytest.mark.parametrize(
    "name", ["impersonate", "impersonate:read", "unrestricted:read", "unrestricted"]
)
def test_some_scopes_are_never_grantable(name):
    assert not policies.scope_is_grantable(name, bare_write=True)


def test_bare_write_needs_the_setting():
    assert not policies.scope_is_grantable("write", bare_write=settings.BARE_WRITE_ALLOWED)
    assert policies.scope_is_grantable("write", bare_write=True)
    assert policies.scope_is_grantable("read", bare_write=False)


# --- What a scope lets a role do ---------------------------------------------------------------------

LIGHT, AGENT, ADMIN = (
    HelpdeskUser(role="agent", role_type=1),
    HelpdeskUser(role="agent"),
    HelpdeskUser(role="admin", role_type=4),
)


@pytest.mark.parametrize(
    ("user", "least", "says"),
    [
        (LIGHT, "light agent", (True, "")),
        (LIGHT, "agent", (False, "a light agent cannot")),
        (LIGHT, "admin", (False, "a light agent cannot")),
        (AGENT, "agent", (True, "")),
        (AGENT, "admin", (False, "an agent cannot")),
        (ADMIN, "admin", (True, "")),
    ],
)
def test_a_scope_beyond_a_role_has_no_effect(user, least, says):
    answer = policies.effect_of(Scope(least_role=least), user)
    assert (answer.is_yes, answer.reason) == says


def test_a_light_agent_is_told_what_is_left():
    scope = Scope(light_words="private comments only")
    assert policies.effect_of(scope, LIGHT).reason == "private comments only"
    assert policies.effect_of(scope, AGENT).reason == ""


@pytest.mark.parametrize(
    "user", [HelpdeskUser(role="agent", custom_role_id=7), HelpdeskUser(role="end-user")]
)
def test_of_roles_nobody_knows_nothing_is_said(user):
    answer = policies.effect_of(Scope(least_role="admin"), user)
    assert (answer.is_yes, answer.reason) == (True, "")


# --- Near its end, and idle --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rhythm", "days_left", "is_near"),
    [
        ("", 8, False), ("", 6, True), ("daily", 8, False), ("weekly", 6, True),
        ("monthly", 30, True), ("monthly", 32, False), ("once", 8, False),
    ],
)  # fmt: skip
def test_a_monthly_script_is_told_of_its_end_before_its_last_run(rhythm, days_left, is_near):
    held = Credential(rhythm=rhythm, lives_until=NOW + timedelta(days=days_left))
    assert policies.ends_soon(held, now=NOW) is is_near


@pytest.mark.parametrize(
    ("rhythm", "days_ago", "idle"),
    [
        ("hourly", 6, False), ("hourly", 8, True), ("weekly", 13, False), ("weekly", 15, True),
        ("monthly", 61, False), ("monthly", 63, True), ("", 29, False), ("", 31, True),
        ("once", 0, False), ("once", 2, True),
    ],
)  # fmt: skip
def test_idle_is_longer_than_twice_what_the_script_said(rhythm, days_ago, idle):
    held = Credential(rhythm=rhythm, issued_at=NOW - timedelta(days=80))
    used = NOW - timedelta(days=days_ago)
    assert policies.is_idle(held, last_used_at=used, now=NOW) is idle


def test_what_was_never_used_counts_from_its_issue():
    held = Credential(rhythm="monthly", issued_at=NOW - timedelta(days=40))
    assert not policies.is_idle(held, last_used_at=None, now=NOW)
    assert policies.is_idle(held, last_used_at=None, now=NOW + timedelta(days=30))
    assert not policies.is_idle(
        Credential(rhythm="once", issued_at=NOW), last_used_at=None, now=NOW
    )
    assert not policies.is_idle(Credential(rhythm="daily"), last_used_at=None, now=NOW)


@pytest.mark.parametrize(
    ("scope", "held", "change"),
    [
        ("tickets:read", {"tickets:read"}, "same"),
        ("tickets:read", set(), "new"),
        ("tickets:read", {"users:read"}, "new"),
        ("tickets:write", {"tickets:read"}, "wider"),
        ("tickets:read", {"tickets:write"}, "wider"),
        ("read", {"tickets:read"}, "wider"),
        ("write", {"read"}, "wider"),
        ("write", {"tickets:read"}, "new"),
        ("tickets:read", {"read"}, "new"),
    ],
)
def test_what_a_scope_would_be_to_who_holds_others(scope, held, change):
    assert policies.change_of(scope, frozenset(held)) == change
