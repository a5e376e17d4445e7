"""The terms of an access profile in words, and what differs between two versions of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.models import AuditEvent
from tokens.models import ProfileVersion
from tokens.presenters.scopes import in_words
from tokens.presenters.words import all_of, days_words
from tokens.queries.profiles import kinds_of
from tokens.queries.requests import ScopeTable, scope_table

EDITS = ("profile.changed", "profile.proposed", "profile.confirmed")
"""Events that keep the terms before and after."""


@dataclass(frozen=True)
class Change:
    """One term, before and after."""

    term: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.term}: “{self.before}” before, “{self.after}” after."


def words(version: ProfileVersion, kind: str, table: ScopeTable) -> dict[str, str]:
    """Each term by its name, as the form calls it."""
    by_itself = f"up to {days_words(version.policy_days)}" if version.policy_days else "never"
    return {
        "Name": version.name,
        "In a sentence": version.words,
        "What it gives": in_words(version.scopes, kind, table),
        "Days at most": days_words(version.longest_days),
        "Minutes of each token": str(version.access_token_seconds // 60),
        "Groups that may ask": all_of(sorted(version.ask_groups)) or "everybody",
        "Group that decides": version.approver_group,
        "Their lead decides too": "yes" if version.lead_decides else "no",
        "Approvals it takes": str(version.approvals_needed),
        "Approved by itself": by_itself,
    }


def changes(
    before: ProfileVersion, after: ProfileVersion, kind: str, table: ScopeTable
) -> list[Change]:
    """What differs between two versions, term by term."""
    was, now_is = words(before, kind, table), words(after, kind, table)
    return [Change(term, was[term], now_is[term]) for term in was if was[term] != now_is[term]]


# --- As the audit kept them --------------------------------------------------------------------------

_KEPT = {field.name for field in ProfileVersion._meta.concrete_fields} - {"id", "profile", "editor"}


def edits(told: Mapping[AuditEvent, Mapping[str, Any]]) -> dict[AuditEvent, str]:
    """What each edit changed, in sentences, from what the audit keeps of it; "" of a first version.

    Two queries, and none where there is no edit.
    """
    if not told:
        return {}
    table, kinds = scope_table(), kinds_of(event.target_id for event in told)
    return {
        event: _difference(body, kinds[int(event.target_id)], table) for event, body in told.items()
    }


def _difference(body: Mapping[str, Any], kind: str, table: ScopeTable) -> str:
    if not body.get("before"):
        return ""
    differ = changes(_version(body["before"]), _version(body["after"]), kind, table)
    return " ".join(str(one) for one in differ)


def _version(terms: Mapping[str, Any]) -> ProfileVersion:
    """Terms in the audit as a version again, to be read and never saved."""
    return ProfileVersion(**{name: value for name, value in terms.items() if name in _KEPT})
