"""How does Keydesk talk to the identity provider? JSON over HTTP, with deadlines; keys and metadata cached.

Every failure is a `Refused` with status 503 for the person and a log line for the operator. What the
answers mean is settled in accounts/oidc.py and accounts/id_token.py. Who waits for the provider holds no
database connection, and at most an eighth of a process's threads do, so that a slow one holds up sign-ins alone.
"""

import json
import logging
import time
from collections.abc import Mapping
from threading import BoundedSemaphore
from typing import Any

import requests
from django.conf import settings

from accounts import database
from accounts.refusals import Refused

log = logging.getLogger(__name__)

CONNECT, READ, WHOLE = 3.0, 5.0, 10.0
"""Seconds until it must have answered the call, sent its next bytes, and sent everything."""
MOST_BYTES = 1_000_000
METADATA_LIFE = 600.0
"""Seconds for which the discovery document is believed without asking again."""

PATIENCE = 2.0
"""Seconds for which one waits while as many as may are asking already."""

_asking = BoundedSemaphore(max(1, settings.WEB_THREADS // 8))
_metadata: dict[str, tuple[float, dict[str, Any]]] = {}
_keys: dict[str, list[Mapping[str, Any]]] = {}


def metadata(server_url: str) -> dict[str, Any]:
    """The discovery document, which must carry the configured address as its issuer (OpenID Connect
    Discovery 1.0 section 4.3; a trailing slash aside). Raises `Refused`."""
    read_at, found = _metadata.get(server_url, (0.0, {}))
    if not found or time.monotonic() - read_at > METADATA_LIFE:
        found = _checked(ask("GET", discovery_address(server_url)), server_url)
        _metadata[server_url] = (time.monotonic(), found)
    return found


def discovery_address(server_url: str) -> str:
    """Where the discovery document of an issuer is; an address that names one already stays."""
    if "/.well-known/" in server_url:
        return server_url
    return f"{server_url}/.well-known/openid-configuration"


def _checked(found: dict[str, Any], server_url: str) -> dict[str, Any]:
    needed = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
    absent = [name for name in needed if not isinstance(found.get(name), str)]
    if absent:
        raise _unwell(f"its discovery document has no {', '.join(absent)}")
    if found["issuer"].rstrip("/") != server_url.split("/.well-known/", maxsplit=1)[0].rstrip("/"):
        raise Refused(
            f"The identity provider calls itself {found['issuer']}, but OIDC_SERVER_URL says {server_url}. "
            "An administrator of Keydesk sets them right.",
            status=503,
        )
    return found


def keys(jwks_uri: str, *, again: bool = False) -> list[Mapping[str, Any]]:
    """The provider's public keys as JWKs; `again` asks anew, for a key id that is not among them."""
    if again or jwks_uri not in _keys:
        found = ask("GET", jwks_uri).get("keys")
        if not isinstance(found, list):
            raise _unwell("its key set has no keys")
        _keys[jwks_uri] = [key for key in found if isinstance(key, dict)]
    return _keys[jwks_uri]


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    data: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """One call that must answer 2xx with a JSON object. Follows no redirect. Raises `Refused`.

    A 4xx to a POST is an OAuth error (RFC 6749 section 5.2): it refuses with status 400.
    """
    database.let_go()
    if not _asking.acquire(timeout=PATIENCE):
        raise _unwell("too many wait for it already")
    try:
        return _ask(method, url, headers=headers, data=data, auth=auth)
    finally:
        _asking.release()


def _ask(method: str, url: str, **parts: Any) -> dict[str, Any]:
    try:
        with requests.request(
            method, url, stream=True, timeout=(CONNECT, READ), allow_redirects=False, **parts
        ) as response:  # fmt: skip
            body = _body(response)
    except requests.RequestException as error:
        raise _unwell(f"{method} {url} failed: {type(error).__name__}") from error
    answer = _json(body)
    if response.ok and not response.is_redirect and answer is not None:
        return answer
    if method == "POST" and 400 <= response.status_code < 500:
        raise _refused(answer or {})
    raise _unwell(f"{method} {url} answered {response.status_code}, not a JSON object")


def _body(response: requests.Response) -> bytes:
    """The answer's bytes, within size and time: `requests` alone would wait for a dripping server."""
    end, body = time.monotonic() + WHOLE, b""
    for chunk in response.iter_content(16_384):
        body += chunk
        if len(body) > MOST_BYTES or time.monotonic() > end:
            raise requests.RequestException("too long")
    return body


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _unwell(what: str) -> Refused:
    log.warning("The identity provider is not well: %s.", what)
    return Refused(
        "The company sign-in does not answer as it should. Try again in a minute; if it stays so, "
        "tell an administrator of Keydesk.",
        status=503,
    )


def _refused(answer: Mapping[str, Any]) -> Refused:
    """The OAuth error by its code; only the codes of the standard are repeated to the person."""
    code = answer.get("error")
    log.warning("The identity provider refused a sign-in code: %.200r.", code)
    if code in {"invalid_client", "unauthorized_client"}:
        return Refused(
            "The company sign-in does not know Keydesk's client id or secret. An administrator of Keydesk "
            "checks OIDC_CLIENT_ID and OIDC_CLIENT_SECRET.",
            status=503,
        )
    return Refused(
        "The company sign-in did not accept Keydesk's answer; it may have come too late or twice.",
        status=400,
    )
