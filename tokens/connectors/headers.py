"""What an answer's headers say about the helpdesk's budget: its limit, what is left, how long to wait."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tokens.connectors.base import Remaining

LONGEST_WAIT = 3600.0
"""Seconds a helpdesk may make us wait at most: a senseless wish must not stop revocations for days."""

_LIMIT = ("x-rate-limit", "ratelimit-limit")
_REMAINING = ("x-rate-limit-remaining", "ratelimit-remaining")
_RESET = ("ratelimit-reset",)
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Budget:
    """Requests a minute and what is left of them, as announced; None where nothing readable was said."""

    limit: int | None
    remaining: Remaining | None


def budget(headers: Mapping[str, str]) -> Budget:
    """The announced budget. `headers` must find names whatever their case."""
    left = _first_whole(headers, _REMAINING)
    remaining = None if left is None else Remaining(left, _first_whole(headers, _RESET))
    return Budget(_first_whole(headers, _LIMIT), remaining)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the helpdesk asks us to wait (RFC 9110 section 10.2.3); None for no usable wish.

    A date is measured against the answer's own `Date`, so that no clock of ours takes part.
    """
    text = headers.get("retry-after", "").strip()
    seconds = float(text) if _SECONDS.fullmatch(text) else _until(text, headers.get("date", ""))
    return min(seconds, LONGEST_WAIT) if seconds and seconds > 0 else None


def _until(end: str, start: str) -> float | None:
    ends_at, starts_at = _date(end), _date(start)
    return (ends_at - starts_at).total_seconds() if ends_at and starts_at else None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _first_whole(headers: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    values = (headers.get(name, "").strip() for name in names)
    return next((int(value) for value in values if _WHOLE.fullmatch(value)), None)
