"""What the forms about a request start with: an address, an old request, the one that is amended or renewed."""

from collections.abc import Mapping, Sequence
from typing import Any

from tokens.forms.requests import DAYS, OTHER, scopes_name
from tokens.models import AccessRequest
from tokens.presenters.asking import Offer


def by_address(query: Mapping[str, str], offers: Sequence[Offer]) -> dict[str, Any]:
    """The start of a form from an address such as `?profile=production/read-tickets&days=30`.

    What makes no sense is left out: an address can fill the form in, never widen what it offers.
    """
    start: dict[str, Any] = {
        "script_name": query.get("script", "")[:60],
        "runs_where": query.get("where", "")[:20],
        "purpose": query.get("purpose", "")[:500],
        "ticket_url": query.get("ticket", "")[:500],
        "rhythm": query.get("rhythm", "")[:10],
        "deputy": query.get("deputy", "")[:254],
        **_days(query.get("days", "")),
    }
    offer = next((o for o in offers if o.may and o.key == query.get("profile")), None)
    if offer is not None:
        start["profile"] = offer.key
        wanted = frozenset(query.get("scopes", "").split(",")) & offer.version.scopes
        if wanted:
            start[scopes_name(offer)] = sorted(wanted)
    return start


def by_old_request(before: AccessRequest, offers: Sequence[Offer]) -> dict[str, Any]:
    """The start of a form from an old request of one's own: with what was given, where it was approved."""
    start = from_request(before)
    offer = next((o for o in offers if o.may and o.profile.pk == before.profile_id), None)
    if offer is not None:
        start["profile"] = offer.key
        had = before.scopes if before.granted_scopes is None else before.granted_scopes
        start[scopes_name(offer)] = sorted(had & offer.version.scopes)
    return start


def from_request(before: AccessRequest) -> dict[str, Any]:
    """What a request says, as a form takes it."""
    return {
        "script_name": before.script_name,
        "runs_where": before.runs_where,
        "purpose": before.purpose,
        "ticket_url": before.ticket_url,
        "rhythm": before.rhythm,
        "deputy": before.deputy.email if before.deputy else "",
        "scopes": sorted(before.scopes),
        "revision": before.revision,
        **_days(str(before.days)),
    }


def by_last_request(before: AccessRequest | None) -> dict[str, Any]:
    """What a renewal starts with: why the access was asked for last time."""
    if before is None:
        return {}
    return {"purpose": before.purpose, "ticket_url": before.ticket_url}


def _days(word: str) -> dict[str, str]:
    if not word.isascii() or not word.isdigit() or not 1 <= len(word) <= 3:
        return {}
    number = str(int(word))
    return {"days": number} if int(number) in DAYS else {"days": OTHER, "other_days": number}
