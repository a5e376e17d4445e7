"""How a JSON body is read: an object, or a refusal in a sentence."""

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
