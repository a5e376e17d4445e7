"""Zendesk's JSON into the connector's records. Pure; whatever has a wrong type is `Unknown`, never a guess."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tokens.connectors.base import RemoteUser, ServiceToken, TokenPair, TokenRecord, Unknown

_TOKEN = re.compile(r"[!-~]{1,8192}", re.ASCII)
"""What may stand in an Authorization header: visible ASCII, no space."""
_LARGEST_ID = 2**63 - 1
_LARGEST_NUMBER = 2**31 - 1

Fields = Mapping[str, Any]


def fields(value: Any, name: str) -> Fields:
    """`value` as a JSON object; `name` says what it should have been."""
    if not isinstance(value, dict):
        raise _unreadable(name)
    return value


def items(page: Any, key: str) -> list[Any]:
    """The list under `key` of one page."""
    found = fields(page, "page").get(key)
    if not isinstance(found, list):
        raise _unreadable(f"list of {key}")
    return found


def only_page(page: Any, key: str) -> list[Any]:
    """The list of an answer that must be whole; one that goes on elsewhere is no list."""
    found = items(page, key)
    if page.get("next_page") or fields(page.get("meta") or {}, "meta").get("has_more"):
        raise Unknown(f"The helpdesk gave only a part of the {key}.")
    return found


def next_cursor(page: Any) -> str | None:
    """Where the next page starts; None after the last. A page that does not say which is `Unknown`."""
    meta = fields(fields(page, "page").get("meta"), "page's meta")
    if not isinstance(meta.get("has_more"), bool):
        raise _unreadable("page's has_more")
    if not meta["has_more"]:
        return None
    cursor = meta.get("after_cursor")
    if not isinstance(cursor, str) or not cursor:
        raise _unreadable("page's after_cursor")
    return cursor


def token_pair(value: Any) -> TokenPair:
    """The answer to an exchange or a refresh."""
    found = fields(value, "token answer")
    return TokenPair(
        access_token=_token(found, "access_token"),
        refresh_token=_token(found, "refresh_token"),
        scopes=_scopes(found.get("scope")),
        expires_in=_number(found, "expires_in"),
        refresh_expires_in=_number(found, "refresh_token_expires_in"),
    )


def service_token(value: Any) -> ServiceToken:
    """The answer to `client_credentials`, which has no refresh half."""
    found = fields(value, "token answer")
    return ServiceToken(_token(found, "access_token"), _number(found, "expires_in"))


def token_record(value: Any) -> TokenRecord:
    """One token as list, show and current describe it."""
    found = fields(value, "token")
    return TokenRecord(
        id=identity(found, "id"),
        client_id=_identity_or_none(found, "client_id"),
        user_id=_identity_or_none(found, "user_id"),
        scopes=_scopes(found.get("scopes", found.get("scope"))),
        created_at=_date(found, "created_at"),
        expires_at=_date(found, "expires_at"),
        refresh_expires_at=_date(found, "refresh_token_expires_at"),
        used_at=_date(found, "used_at"),
    )


def remote_user(value: Any) -> RemoteUser:
    """One user. A missing `active` or `suspended` is not taken for the better."""
    found = fields(value, "user")
    return RemoteUser(
        id=identity(found, "id"),
        name=_words(found, "name", 150),
        email=_exact(found, "email", 254),
        external_id=_exact(found, "external_id", 255),
        role=_exact(found, "role", 20),
        role_type=_number(found, "role_type"),
        custom_role_id=_identity_or_none(found, "custom_role_id"),
        active=_flag(found, "active"),
        suspended=_flag(found, "suspended"),
    )


def identity(found: Fields, name: str) -> int:
    """A numeric id."""
    value = _identity_or_none(found, name)
    if value is None:
        raise _unreadable(name)
    return value


def verified_addresses(values: list[Any]) -> set[str]:
    """The verified e-mail addresses among a user's identities, as written."""
    known = [fields(value, "identity") for value in values]
    return {
        one["value"]
        for one in known
        if one.get("type") == "email"
        and one.get("verified") is True
        and isinstance(one.get("value"), str)
    }


def _unreadable(name: str) -> Unknown:
    return Unknown(f"The helpdesk's answer has no readable {name}.")


def _token(found: Fields, name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise _unreadable(name)
    return value


def _whole(value: Any, name: str, *, least: int, most: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _unreadable(name)
    return value


def _identity_or_none(found: Fields, name: str) -> int | None:
    return _whole(found.get(name), name, least=1, most=_LARGEST_ID)


def _number(found: Fields, name: str) -> int | None:
    return _whole(found.get(name), name, least=0, most=_LARGEST_NUMBER)


def _flag(found: Fields, name: str) -> bool:
    value = found.get(name)
    if not isinstance(value, bool):
        raise _unreadable(name)
    return value


def _scopes(value: Any) -> frozenset[str] | None:
    """Scopes as one string or a list; None where they were left out. Nothing in them is nothing."""
    if value is None:
        return None
    names = value.split() if isinstance(value, str) else value
    if not isinstance(names, list) or not all(_is_scope(name) for name in names):
        raise _unreadable("scopes")
    return frozenset(names)


def _is_scope(name: object) -> bool:
    """A word of printable ASCII (RFC 6749 section 3.3), of which no database chokes."""
    return isinstance(name, str) and re.fullmatch(r"[!-~]+", name) is not None


def _date(found: Fields, name: str) -> datetime | None:
    """An ISO 8601 date with its zone, in UTC. One without a zone could be hours off."""
    value = found.get(name)
    if value is None:
        return None
    try:
        date = datetime.fromisoformat(value)
        if date.tzinfo is not None:
            return date.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        pass
    raise _unreadable(name)


def _words(found: Fields, name: str, longest: int) -> str:
    """Text to show: on one line, without control characters, cut."""
    value = _text(found, name)
    return "".join(c if c.isprintable() else " " for c in value)[:longest].strip()


def _exact(found: Fields, name: str, longest: int) -> str:
    """Text to compare: as it is or not at all."""
    value = _text(found, name)
    if len(value) > longest or not value.isprintable():
        raise _unreadable(name)
    return value


def _text(found: Fields, name: str) -> str:
    value = found.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _unreadable(name)
    return value
