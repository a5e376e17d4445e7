"""Who does the identity provider say this is? Claims of a verified ID token, read into `Claims`. Pure.

Whether the token is genuine is settled in accounts/id_token.py; what a group means, in accounts/roles.py.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.refusals import Refused

LONGEST = 255
LONGEST_NAME = 150
LONGEST_EMAIL = 254


@dataclass(frozen=True)
class Claims:
    """One person as the identity provider describes them; issuer and subject are who it is."""

    issuer: str
    subject: str
    name: str
    email: str = ""
    email_verified: bool = False
    time_zone: str = ""
    groups: frozenset[str] = frozenset()
    lead_name: str = ""
    """Whom it names as this person's lead: a subject or an address; "" where it names nobody."""

    @property
    def identity(self) -> str:
        """What makes two sign-ins the same person; see `identity_of`."""
        return identity_of(self.issuer, self.subject)


def identity_of(issuer: str, subject: str) -> str:
    """SHA-256, in hex, of issuer, NUL, subject."""
    return hashlib.sha256(f"{issuer}\0{subject}".encode()).hexdigest()


def read(claims: Mapping[str, object], *, groups_claim: str, manager_claim: str = "") -> Claims:
    """The person these claims describe. An empty `groups_claim` means that no groups are expected.

    A `manager_claim` that is missing or is no word names nobody: not everybody has a lead.

    A groups claim that is missing or is no list of words is an error with its cause, never "no groups".
    Raises `Refused`.
    """
    email = _email(claims)
    subject = _identifier(claims, "sub")
    return Claims(
        issuer=_identifier(claims, "iss"),
        subject=subject,
        name=(_name(claims) or email or subject)[:LONGEST_NAME],
        email=email,
        email_verified=bool(email) and claims.get("email_verified") in (True, "true"),
        time_zone=_time_zone(claims),
        groups=_groups(claims, groups_claim) if groups_claim else frozenset(),
        lead_name=_lead_name(claims, manager_claim) if manager_claim else "",
    )


def _identifier(claims: Mapping[str, object], claim: str) -> str:
    value = claims.get(claim)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
        raise Refused(
            f"The identity provider sent no usable “{claim}” claim, so Keydesk cannot know who you are.",
            status=400,
        )
    return value


def _name(claims: Mapping[str, object]) -> str:
    both = f"{_text(claims, 'given_name')} {_text(claims, 'family_name')}".strip()
    name = _text(claims, "name") or both or _text(claims, "preferred_username")
    return name[:LONGEST_NAME]


def _text(claims: Mapping[str, object], claim: str) -> str:
    """A claim as one line of printable text; anything that is no text is none."""
    value = claims.get(claim)
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())


def _email(claims: Mapping[str, object]) -> str:
    value = claims.get("email")
    if not isinstance(value, str) or len(value) > LONGEST_EMAIL:
        return ""
    try:
        validate_email(value)
    except ValidationError:
        return ""
    return value


def _time_zone(claims: Mapping[str, object]) -> str:
    value = claims.get("zoneinfo")
    return value if isinstance(value, str) and value in available_timezones() else ""


def _lead_name(claims: Mapping[str, object], claim: str) -> str:
    value = _text(claims, claim)
    return value if len(value) <= LONGEST else ""


def _groups(claims: Mapping[str, object], claim: str) -> frozenset[str]:
    if claim not in claims:
        raise Refused(_missing(claims, claim))
    value = claims[claim]
    groups = [value] if isinstance(value, str) else value
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise Refused(
            f"The identity provider's “{claim}” claim is no list of group names, so Keydesk cannot know "
            "your roles. An administrator sets what it sends, or which claim OIDC_GROUPS_CLAIM names."
        )
    return frozenset(_group(group, claim) for group in groups if group)


def _group(group: str, claim: str) -> str:
    if len(group) > LONGEST or not group.isprintable():
        raise Refused(
            f"The identity provider's “{claim}” claim holds a group name that is longer than {LONGEST} "
            "characters or has control characters in it, so Keydesk cannot know your roles."
        )
    return group


def _missing(claims: Mapping[str, object], claim: str) -> str:
    """Which claim, what there was instead, and where to set it. Names only, never values."""
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, Mapping) and claim in elsewhere:
        return (
            f"You are in so many groups that the identity provider left the “{claim}” claim out. An "
            "administrator limits it there to the groups that are assigned to Keydesk."
        )
    names = ", ".join(sorted(_shown(name) for name in claims))
    return (
        f"The identity provider sent no “{claim}” claim, so Keydesk cannot know your roles. "
        f"It sent: {names}. An administrator adds “{claim}” to the ID token at the identity provider, "
        "or names another claim in OIDC_GROUPS_CLAIM."
    )


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name[:60])
