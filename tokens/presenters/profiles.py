"""Access profiles in words: what each gives and to whom, and how an edit of one looks."""

from dataclasses import dataclass

from tokens import policies
from tokens.models import AccessProfile, ProfileVersion
from tokens.presenters import terms
from tokens.presenters.asking import Offer, profile_key, who_would_decide
from tokens.presenters.scopes import in_words, scope_lines
from tokens.presenters.who_decides import WhoDecides
from tokens.presenters.words import all_of
from tokens.queries import requests as queries
from tokens.queries.usual_waits import usual_waits
from tokens.refusals import YES


@dataclass(frozen=True)
class Line:
    """One profile in the list."""

    profile: AccessProfile
    gives: str
    who_asks: str
    who_decides: str
    key: str


def lines(profiles: list[AccessProfile]) -> list[Line]:
    """Every profile as the list shows it."""
    table, who = queries.scope_table(), WhoDecides()
    return [_line(profile, table, who) for profile in profiles]


def _line(profile: AccessProfile, table: queries.ScopeTable, who: WhoDecides) -> Line:
    version = profile.current
    assert version is not None  # the list leaves out those without terms
    return Line(
        profile=profile,
        gives=in_words(version.scopes, profile.helpdesk.kind, table),
        who_asks=all_of(sorted(version.ask_groups)) or "everybody",
        who_decides=who_would_decide(version, who),
        key=profile_key(profile),
    )


def preview(profile: AccessProfile, version: ProfileVersion) -> Offer:
    """How whoever asks would see these terms."""
    return Offer(
        profile=profile, version=version, may=YES, ends_others="",
        scopes=scope_lines(version.scopes, profile.helpdesk.kind, queries.scope_table()),
        decided_by=who_would_decide(version, WhoDecides()),
        usual=usual_waits([version.approver_group]).get(profile.pk),
    )  # fmt: skip


@dataclass(frozen=True)
class Terms:
    """The terms of one profile in words, and what a proposal would change in them."""

    now: dict[str, str]
    who_decides: str
    changes: list[terms.Change]
    widens: str
    """Why the proposal takes a second admin, as a clause; "" where none waits."""


def terms_of(profile: AccessProfile) -> Terms:
    """What the page of a profile says of its terms."""
    current, proposed = profile.current, profile.proposed
    assert current is not None  # the page is there only for profiles with terms
    kind, table = profile.helpdesk.kind, queries.scope_table()
    return Terms(
        now=terms.words(current, kind, table),
        who_decides=who_would_decide(current, WhoDecides()),
        changes=terms.changes(current, proposed, kind, table) if proposed else [],
        widens=all_of(policies.widening(current, proposed)) if proposed else "",
    )


def saved_words(name: str, widens: list[str]) -> str:
    """What saving terms has done."""
    if not widens:
        return f"Saved: “{name}” has these terms from now on. What waits keeps the terms it was asked under."
    return f"Saved as a proposal for “{name}”, because {all_of(widens)}. Another admin has to confirm it."
