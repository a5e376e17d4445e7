"""How long a token lives: what was asked for, within the helpdesk's bounds, or the defaults."""

from collections.abc import Mapping
from dataclasses import dataclass

from demo.helpdesk.answers import record_invalid
from demo.helpdesk.configuration import Bounds, configuration


@dataclass(frozen=True)
class Lifetimes:
    """Seconds of both halves, and whether the caller named the access half's (only then it is told)."""

    access: int
    refresh: int
    access_was_sent: bool


def lifetimes_of(form: Mapping[str, str], *, has_refresh: bool) -> Lifetimes:
    """The lifetimes a token call asks for. Raises Refused (400) where one is out of its bounds."""
    access = _seconds(form, "expires_in", configuration().access)
    refresh = _seconds(form, "refresh_token_expires_in", configuration().refresh)
    if has_refresh and refresh < access:
        raise record_invalid("refresh_token_expires_in", "must not be below expires_in", status=400)
    return Lifetimes(access, refresh, "expires_in" in form)


def _seconds(form: Mapping[str, str], name: str, bounds: Bounds) -> int:
    text = form.get(name)
    if text is None:
        return bounds.default
    is_number = text.isascii() and text.isdigit() and len(text) < 12
    if not is_number or not bounds.least <= int(text) <= bounds.most:
        sentence = f"must be a number of seconds between {bounds.least} and {bounds.most}"
        raise record_invalid(name, sentence, status=400)
    return int(text)
