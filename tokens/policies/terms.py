"""What access may be on offer: scopes, risks and roles, the terms of a profile and their edits."""

from collections.abc import Iterable
from enum import StrEnum

from tokens.models import HelpdeskUser, ProfileVersion, Scope
from tokens.models.catalogue import RISKS, Risk, RoleKind
from tokens.refusals import YES, Answer, no

FORBIDDEN_SCOPES = ("impersonate", "unrestricted")
RISKY = (Risk.HIGH, Risk.WIDE)
"""Risks that take a second page before they are approved, and are never approved unopened."""
ROLES: list[str] = list(RoleKind)

LONGEST_NAME, LONGEST_WORDS = 60, 120
MOST_DAYS = 366
LEAST_MINUTES, MOST_MINUTES = 15, 48 * 60
MOST_APPROVALS = 5
"""What the terms of a profile may be, in a file and on the page."""


def scope_is_grantable(name: str, *, bare_write: bool) -> bool:
    """Whether a scope may stand in the catalogue at all: never impersonation, `write` only if set."""
    if name.split(":", 1)[0] in FORBIDDEN_SCOPES:
        return False
    return name != "write" or bare_write


def scopes_fit(scopes: frozenset[str], offered: frozenset[str]) -> Answer:
    """At least one scope, and none beyond what is offered."""
    if not scopes:
        return no("Choose at least one thing the script may do.")
    if beyond := scopes - offered:
        return no(f"Not part of this access: {', '.join(sorted(beyond))}.")
    return YES


class Change(StrEnum):
    """What a scope would be to somebody who holds others."""

    NEW = "new"
    WIDER = "wider"
    SAME = "same"


def change_of(scope: str, held: frozenset[str]) -> Change:
    """Wider is more of what they have: writing what they read, or everything where they have a part of it."""
    if scope in held:
        return Change.SAME
    thing, verb = _parts_of(scope)
    have = [_parts_of(other) for other in held]
    is_more = any(thing == other or (not thing and verb == by) for other, by in have)
    return Change.WIDER if is_more else Change.NEW


def _parts_of(scope: str) -> tuple[str, str]:
    """ "tickets:read" is of tickets, "read" of everything."""
    thing, _, verb = scope.rpartition(":")
    return thing, verb


def effect_of(scope: Scope, user: HelpdeskUser) -> Answer:
    """What a scope lets this user do: a token never exceeds its user's role. Yes says what is left, where less.

    What a custom role allows is unknown, so nothing is said of it.
    """
    if user.role_words not in ROLES or user.has_custom_role:
        return YES
    if ROLES.index(user.role_words) < ROLES.index(scope.least_role):
        return no(f"{_one(user.role_words)} cannot")
    return Answer(True, scope.light_words if user.role_words == RoleKind.LIGHT_AGENT else "")


def _one(role: str) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"


def days_fit(days: int, longest: int) -> Answer:
    """Between one day and the longest life."""
    if days < 1:
        return no("Choose at least one day.")
    if days > longest:
        return no(f"The longest time for this access is {longest} days.")
    return YES


def risk_of(risks: Iterable[str]) -> str:
    """The risk of a profile: that of its riskiest scope."""
    return max(risks, key=RISKS.index)


def is_risky(risks: Iterable[str]) -> bool:
    """Whether something of these risks takes a second page before it is approved."""
    return any(risk in RISKY for risk in risks)


def widening(before: ProfileVersion, after: ProfileVersion) -> list[str]:
    """In what an edit of a profile gives more than before, in words; such an edit takes a second admin."""
    more_may_ask = bool(before.ask_groups) and (
        not after.ask_groups or bool(after.ask_groups - before.ask_groups)
    )
    found = {
        "it gives more permissions": bool(after.scopes - before.scopes),
        "it lives longer": after.longest_days > before.longest_days,
        "its tokens live longer": after.access_token_seconds > before.access_token_seconds,
        "fewer people have to approve": after.approvals_needed < before.approvals_needed,
        "more is approved by itself": after.policy_days > before.policy_days,
        "more people may ask for it": more_may_ask,
        "other people decide": after.approver_group != before.approver_group,
        "their leads may decide too": after.lead_decides and not before.lead_decides,
    }
    return [words for words, is_so in found.items() if is_so]
