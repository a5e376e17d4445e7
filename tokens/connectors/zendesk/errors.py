"""What Zendesk means by an error body: its four shapes, brought to one code and one short sentence.

Zendesk promises no schema for its errors:
`{"error": "RecordNotFound", "description"}`, also OAuth's `{"error", "error_description"}`;
`{"error": {"title", "message"}}`; `{"errors": [{"code", "title", "detail"}]}`;
`{"error": "RecordInvalid", "description", "details": {field: [{"description"}]}}`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tokens.connectors.base import Unknown
from tokens.connectors.wire import Answer

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}", re.ASCII)
_LIKE_A_SECRET = re.compile(r"[A-Za-z0-9_\-.+/=~]{24,}", re.ASCII)
_LONGEST = 160


@dataclass(frozen=True)
class Problem:
    """A refusal: `code` is Zendesk's, or `status_…` where it gave none; `sentence` is fit to show."""

    code: str
    sentence: str


def problem(answer: Answer, *, secrets: Iterable[str] = ()) -> Problem:
    """What a 4xx says, without any of the `secrets` that were sent.

    Raises `Unknown` for anything but a JSON object: it may come from something between us and Zendesk.
    """
    body = answer.json()
    if not isinstance(body, dict) or not body:
        raise Unknown(f"The helpdesk's answer ({answer.status}) is no error it documents.")
    hidden = [secret for secret in secrets if secret]
    code, words = (_without(part, hidden) for part in _parts(body))
    words = _LIKE_A_SECRET.sub("…", words)[:_LONGEST]
    if not _CODE.fullmatch(code):
        words = words or _LIKE_A_SECRET.sub("…", code)[:_LONGEST]
        code = f"status_{answer.status}"
    return Problem(code, f"The helpdesk refused ({answer.status} {code}){_ending(words)}")


def _parts(body: Mapping[str, Any]) -> tuple[Any, Any]:
    """The raw code and the raw words, whatever the shape."""
    error, several = body.get("error"), body.get("errors")
    if isinstance(several, list) and several and isinstance(several[0], dict):
        first = several[0]
        return first.get("code"), first.get("detail") or first.get("title")
    if isinstance(error, dict):
        return error.get("title"), error.get("message")
    words = body.get("error_description") or body.get("description")
    return error, _detail(body.get("details")) or words


def _detail(details: Any) -> str:
    """The first field's first complaint, which says more than "Record validation errors"."""
    if not isinstance(details, dict):
        return ""
    for field, complaints in details.items():
        if isinstance(complaints, list) and complaints and isinstance(complaints[0], dict):
            return f"{field}: {complaints[0].get('description', '')}"
    return ""


def _without(text: Any, secrets: list[str]) -> str:
    """Text of the other side on one line, without what was sent to it."""
    if not isinstance(text, str):
        return ""
    for secret in secrets:
        text = text.replace(secret, "…")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _ending(words: str) -> str:
    if not words:
        return "."
    return f": {words}" if words.endswith((".", "!", "?", "…")) else f": {words}."
