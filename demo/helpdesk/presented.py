"""What a request shows of itself: its grant type, and which code or token, as digests only.

The event log keeps this, so that a reader can see one code or refresh token sent twice, and still
never reads a secret. The body is read once, before anything can happen to the connection.
"""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.http.request import UnreadablePostError

from demo.helpdesk.issuing import short_digest

TOKEN_ENDPOINT = "/oauth/tokens"
_SECRETS = ("code", "refresh_token")


def presented_by(request: HttpRequest) -> dict[str, str]:
    """`grant_type`, and short digests of `code`, `refresh_token` and `access_token`, where shown."""
    shown = {}
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and secret.strip():
        shown["access_token"] = short_digest(secret.strip())
    if request.method == "POST" and request.path == TOKEN_ENDPOINT:
        shown |= _of_a_token_call(_fields(request))
    return shown


def _of_a_token_call(fields: Mapping[str, Any]) -> dict[str, str]:
    shown = {name: short_digest(str(fields[name])) for name in _SECRETS if fields.get(name)}
    return {"grant_type": str(fields.get("grant_type", ""))[:64], **shown}


def _fields(request: HttpRequest) -> Mapping[str, Any]:
    with contextlib.suppress(ValueError, RecursionError, UnreadablePostError):
        if request.content_type != "application/json":
            return request.POST
        found = json.loads(request.body)
        if isinstance(found, dict):
            return found
    return {}
