"""What does a call to the token endpoint say, and how is it answered? RFC 6749 sections 2.3, 4.4, 5.1 and 5.2.

Reads a form or JSON, strictly: whatever could be understood in two ways is `invalid_request`.
"""

import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import parse_qsl, unquote_plus

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, JsonResponse
from django.http.request import UnreadablePostError

from tokens.operations import keys

LONGEST_BODY = 16_384
"""Bytes; a call needs some two hundred."""
MOST_FIELDS = 50
KNOWN = ("grant_type", "client_id", "client_secret", "scope")
WRONG_CLIENT = "The client id or the client secret is wrong, or the secret has ended."


class OAuthError(Exception):
    """A call that gets no token: the error code of RFC 6749 section 5.2 and a sentence in ASCII."""

    def __init__(
        self,
        code: str,
        description: str,
        *,
        status: int = 400,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True)
class TokenCall:
    """What a client sent: who it says it is, and the scopes it wants (none: all it may)."""

    client_id: str
    client_secret: str
    is_basic: bool
    scopes: frozenset[str]

    def __repr__(self) -> str:
        return "TokenCall(…)"

    @property
    def is_well_formed(self) -> bool:
        """Whether it can be right at all; also keeps from the database what the database cannot store."""
        is_id = (
            0 < len(self.client_id) <= 60
            and self.client_id.isascii()
            and self.client_id.isprintable()
        )
        return is_id and self.client_secret.isascii() and keys.is_well_formed(self.client_secret)


def refuse(description: str) -> NoReturn:
    """The call cannot be understood, or not in one way only."""
    raise OAuthError("invalid_request", description)


def wrong_client(*, is_basic: bool) -> OAuthError:
    """Whoever calls is not a client of ours; never says which part is wrong."""
    headers = {"WWW-Authenticate": 'Basic realm="Keydesk"'} if is_basic else {}
    return OAuthError("invalid_client", WRONG_CLIENT, status=401, headers=headers)


def answer(content: dict[str, object], *, status: int = 200) -> JsonResponse:
    """JSON that nobody on the way may keep."""
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return JsonResponse(content, status=status, headers=headers)


def error_answer(error: OAuthError) -> JsonResponse:
    """An error as a client reads it."""
    content: dict[str, object] = {"error": error.code, "error_description": error.description}
    response = answer(content, status=error.status)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


# --- Reading a call ----------------------------------------------------------------------------------


def read(request: HttpRequest) -> TokenCall:
    """What the call says. Raises `OAuthError`."""
    if request.method != "POST":
        raise OAuthError("invalid_request", "Use POST.", status=405, headers={"Allow": "POST"})
    if request.META.get("QUERY_STRING"):
        refuse("Send the parameters in the body, not in the address.")
    fields = _fields(request)
    grant_type = fields.get("grant_type")
    if not grant_type:
        refuse("grant_type is missing. Send grant_type=client_credentials.")
    if grant_type != "client_credentials":
        raise OAuthError(
            "unsupported_grant_type", "The only grant_type here is client_credentials."
        )
    client_id, client_secret, is_basic = _client(request, fields)
    scopes = frozenset(fields.get("scope", "").split(" ")) - {""}
    return TokenCall(client_id, client_secret, is_basic, scopes)


def _fields(request: HttpRequest) -> dict[str, str]:
    """The parameters of the body; one without a value counts as left out."""
    text = _body(request)
    if not text:
        return {}
    if request.content_type == "application/x-www-form-urlencoded":
        return _form(text)
    if request.content_type == "application/json":
        return _json(text)
    refuse("Send a form (application/x-www-form-urlencoded) or JSON (application/json).")


def _body(request: HttpRequest) -> str:
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > LONGEST_BODY:
            refuse(f"The body is longer than {LONGEST_BODY} bytes.")
        return request.body.decode()
    except (ValueError, RequestDataTooBig, UnreadablePostError):
        refuse("The body cannot be read.")


def _form(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        refuse("The form in the body cannot be read.")
    return {name: value for name, value in _once(pairs).items() if value}


def _json(text: str) -> dict[str, str]:
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        refuse("The JSON in the body cannot be read.")
    if not isinstance(found, dict):
        refuse("The JSON in the body must be an object.")
    known = {name: found[name] for name in KNOWN if found.get(name) not in (None, "")}
    for name, value in known.items():
        if not isinstance(value, str):
            refuse(f"{name} must be a text.")
    return known


def _once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            refuse("A parameter stands there twice.")
        found[name] = value
    return found


def _client(request: HttpRequest, fields: dict[str, str]) -> tuple[str, str, bool]:
    """Client id, client secret, and whether they came in the `Authorization` header."""
    header = request.headers.get("Authorization", "")
    if not header:
        return fields.get("client_id", ""), fields.get("client_secret", ""), False
    if "client_secret" in fields:
        refuse("Send the client secret one way only: in the Authorization header or in the body.")
    client_id, client_secret = _basic(header)
    if fields.get("client_id", client_id) != client_id:
        refuse("The client id in the body is another one than in the Authorization header.")
    return client_id, client_secret, True


def _basic(header: str) -> tuple[str, str]:
    """RFC 6749 section 2.3.1: both halves are form-urlencoded before they are joined."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        raise wrong_client(is_basic=False)
    try:
        name, _, secret = b64decode(rest.strip(), validate=True).decode().partition(":")
        return unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:
        raise wrong_client(is_basic=True) from None
