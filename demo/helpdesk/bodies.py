"""How a JSON body and its fields are read: what was expected, or a refusal in a sentence."""

import json
from typing import Any

from django.http import HttpRequest

from demo.helpdesk.answers import Refused


def json_object(request: HttpRequest) -> dict[str, Any]:
    """The body as an object; an empty body is an empty one. Raises Refused (400, plain text)."""
    found = json_value(request)
    if not isinstance(found, dict):
        raise Refused(400, "The body must be a JSON object.")
    return found


def json_value(request: HttpRequest) -> Any:
    """The body as whatever JSON it is. Raises Refused (400) also on text no database can hold."""
    try:
        found = json.loads(request.body or b"{}")
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON.") from None
    return found


def flag(body: dict[str, Any], name: str) -> bool | None:
    """A field that is true, false or left out. Raises Refused (400)."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(400, f"{name} is true or false.")
    return value


def text(body: dict[str, Any], name: str, default: str, longest: int) -> str:
    """A field as text; `default` where it is left out. Raises Refused (400)."""
    value = body.get(name, default)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > longest:
        raise Refused(400, f"{name} is a text of at most {longest} characters.")
    return value
