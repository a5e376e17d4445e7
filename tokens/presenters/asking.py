"""What can be asked for, as the page *Request access* shows it: offers, who will decide, or why not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import User
from tokens import permissions, policies
from tokens.models import AccessProfile, AccessRequest, Credential, HelpdeskLink, ProfileVersion
from tokens.models.catalogue import RISKS, Risk
from tokens.presenters.scopes import ScopeLine, scope_lines
from tokens.presenters.who_decides import WhoDecides
from tokens.presenters.words import days_words
from tokens.queries import requests as queries
from tokens.queries.people import asked, would_be_asked
from tokens.queries.usual_waits import usual_waits
from tokens.refusals import Answer


@dataclass(frozen=True)
class Offer:
    """One access profile as its card on the page: what, how risky, how long, who decides, or why not."""

    profile: AccessProfile
    version: ProfileVersion
    scopes: list[ScopeLine]
    may: Answer
    decided_by: str
    ends_others: str
    """What connecting it will end, as a sentence; "" where nothing."""
    usual: timedelta | None
    """Within how long four of five such requests were decided lately."""

    @property
    def key(self) -> str:
        """What a form and an address call it."""
        return profile_key(self.profile)


def profile_key(profile: AccessProfile) -> str:
    """A profile's name in forms and addresses: helpdesk and profile."""
    return f"{profile.helpdesk.slug}/{profile.slug}"


def offers(user: User) -> list[Offer]:
    """Every profile there is, with the answer whether this person may ask for it."""
    table, links, who = queries.scope_table(), queries.links_of(user), WhoDecides()
    ends = {pk: _ends_others(link) for pk, link in links.items()}
    profiles = queries.profiles()
    usual = usual_waits([p.current.approver_group for p in profiles if p.current])
    found = [_offer(profile, user, links, ends, table, who, usual) for profile in profiles]
    return sorted(found, key=_what_is_safe_first)


def _what_is_safe_first(offer: Offer) -> tuple[int, int, str]:
    version = offer.version
    return offer.profile.helpdesk_id, RISKS.index(Risk(version.risk)), version.name


def offer_of(profile: AccessProfile, user: User) -> Offer | None:
    """The offer of one profile; None when it can no longer be asked for."""
    return next((offer for offer in offers(user) if offer.profile.pk == profile.pk), None)


def _offer(
    profile: AccessProfile,
    user: User,
    links: dict[int, HelpdeskLink],
    ends: dict[int, str],
    table: queries.ScopeTable,
    who: WhoDecides,
    usual: Mapping[int, timedelta],
) -> Offer:
    version = profile.current
    assert version is not None  # queries.profiles leaves out those without terms
    may = permissions.may_ask(user, profile, links.get(profile.helpdesk_id))
    return Offer(
        profile=profile,
        version=version,
        scopes=scope_lines(version.scopes, profile.helpdesk.kind, table),
        may=may,
        decided_by=who_decides(version, user, who) if may else "",
        ends_others=ends.get(profile.helpdesk_id, "") if may else "",
        usual=usual.get(profile.pk),
    )


def _ends_others(link: HelpdeskLink) -> str:
    if link.helpdesk_user_id is None:
        return ""
    ended = policies.ended_by_new_access(link.helpdesk, link.helpdesk_user_id)
    return policies.one_per_person_words(link.helpdesk, ended, how="connecting this later")


def why_unknown(user: User) -> list[str]:
    """Why this person cannot ask for anything on a helpdesk, a sentence for each; in the look-up's words."""
    links = queries.links_of(user)
    found = []
    for helpdesk in queries.helpdesks():
        link = links.get(helpdesk.pk)
        if link is None:
            found.append(f"Keydesk has not yet looked you up on {helpdesk}. Try again in a minute.")
        elif link.problem:
            found.append(link.problem)
    return found


def frozen(found: Iterable[Offer]) -> list[str]:
    """Why access that is asked for now cannot be connected yet, a sentence for each helpdesk."""
    desks = {offer.profile.helpdesk.pk: offer.profile.helpdesk for offer in found}
    answers = [policies.takes_new_access(helpdesk) for helpdesk in desks.values()]
    return [answer.reason for answer in answers if not answer]


@dataclass(frozen=True)
class Renewal:
    """What a renewal keeps, the access as it is in words; and what it can give."""

    credential: Credential
    offer: Offer
    scopes: list[ScopeLine]
    before: AccessRequest | None
    """The request that gave or lengthened it last."""
    begins_at: datetime | None
    """From when on a renewal can move the end, where none can now."""


def renewal(
    credential: Credential, offer: Offer, before: AccessRequest | None, *, now: datetime
) -> Renewal:
    """The access somebody asks more time for."""
    lines = scope_lines(credential.scopes, offer.profile.helpdesk.kind, queries.scope_table())
    longest, begins_at = offer.version.longest_days, None
    if credential.lives_until and policies.least_days(credential, now=now) > longest:
        begins_at = credential.lives_until - timedelta(days=longest)
    return Renewal(credential, offer, lines, before, begins_at)


def who_decides(version: ProfileVersion, requester: User, who: WhoDecides) -> str:
    """The sentence that says before sending what will happen: by rule up to so many days, else by whom."""
    names = who.names(would_be_asked(version, requester), but=[requester.pk])
    rule = policies.approves_by_itself(
        version, days=version.policy_days or 1, requester=requester, is_renewal=False
    )
    return _what_happens(version, names, is_by_rule=bool(rule))


def who_would_decide(version: ProfileVersion, who: WhoDecides) -> str:
    """The same as most who ask read it: they decide nothing, and had no hand in the terms."""
    anybody = asked(version.approver_group, requester_id=0, lead_id=None)
    said = _what_happens(version, who.names(anybody, but=[]), is_by_rule=version.policy_days > 0)
    return f"{said} Their lead decides too, where they have one." if version.lead_decides else said


def _what_happens(version: ProfileVersion, names: str, *, is_by_rule: bool) -> str:
    by_people = _by_people(version, names)
    if not is_by_rule:
        return by_people
    return f"Approved at once for at most {days_words(version.policy_days)}. Longer: {by_people}"


def _by_people(version: ProfileVersion, names: str) -> str:
    if not names:
        return (
            f"Members of {version.approver_group} decide; nobody else who can has signed in to "
            "Keydesk yet."
        )
    if version.approvals_needed > 1:
        return f"{version.approvals_needed} of {names} decide."
    return f"{names} decides."
