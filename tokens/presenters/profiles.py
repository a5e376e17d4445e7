"""Access profiles in words: what each gives and to whom, what an edit changes."""

from dataclasses import dataclass

from accounts.models import User
from tokens import policies
from tokens.models import AccessProfile, ProfileVersion
from tokens.presenters.asking import Offer, profile_key, who_decides
from tokens.presenters.requests import WhoDecides, in_words, scope_lines
from tokens.presenters.words import all_of, days_words
from tokens.queries import requests as queries
from tokens.refusals import YES


@dataclass(frozen=True)
class Line:
    """One profile in the list."""

    profile: AccessProfile
    gives: str
    who_asks: str
    who_decides: str
    key: str


def lines(profiles: list[AccessProfile], reader: User) -> list[Line]:
    """Every profile as the list shows it."""
    table, who = queries.scope_table(), WhoDecides()
    return [_line(profile, reader, table, who) for profile in profiles]


def _line(profile: AccessProfile, reader: User, table: queries.ScopeTable, who: WhoDecides) -> Line:
    version = profile.current
    assert version is not None  # the list leaves out those without terms
    return Line(
        profile=profile,
        gives=in_words(version.scopes, profile.helpdesk.kind, table),
        who_asks=all_of(sorted(version.ask_groups)) or "everybody",
        who_decides=who_decides(version, reader, who),
        key=profile_key(profile),
    )


def preview(profile: AccessProfile, version: ProfileVersion, reader: User) -> Offer:
    """How whoever asks would see these terms."""
    table = queries.scope_table()
    return Offer(
        profile=profile, version=version, may=YES, ends_others="", usual=None,
        scopes=scope_lines(version.scopes, profile.helpdesk.kind, table),
        decided_by=who_decides(version, reader, WhoDecides()),
    )  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One term, before and after."""

    term: str
    before: str
    after: str


def changes(profile: AccessProfile, before: ProfileVersion, after: ProfileVersion) -> list[Change]:
    """What differs between two versions, term by term."""
    kind, table = profile.helpdesk.kind, queries.scope_table()

    def words(version: ProfileVersion) -> dict[str, str]:
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
            "Approved by itself": f"up to {days_words(version.policy_days)}"
            if version.policy_days
            else "never",
        }

    was, now_is = words(before), words(after)
    return [Change(term, was[term], now_is[term]) for term in was if was[term] != now_is[term]]


def saved_words(name: str, widens: list[str]) -> str:
    """What saving terms has done."""
    if not widens:
        return f"Saved: “{name}” has these terms from now on. What waits keeps the terms it was asked under."
    return f"Saved as a proposal for “{name}”, because {all_of(widens)}. Another admin has to confirm it."


def widening(before: ProfileVersion, after: ProfileVersion) -> str:
    """Why a second admin is needed, as a clause; "" where none is."""
    return all_of(policies.widening(before, after))
