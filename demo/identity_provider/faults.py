"""How can the next sign-in go wrong? One dict name → what it spoils, for tests over the control.

A fault is ordered once, holds for one exchange of a code and the userinfo that follows, and is gone.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.cache import cache
from django.http import HttpResponse

from demo.identity_provider.configuration import configuration

Claims = dict[str, Any]

_CLAIMS: dict[str, Callable[[Claims], object]] = {
    "no_groups": lambda claims: claims.pop("groups", None),
    "odd_groups": lambda claims: claims.update(groups=7),
    "wrong_nonce": lambda claims: claims.update(nonce="another"),
    "no_nonce": lambda claims: claims.pop("nonce", None),
    "other_issuer": lambda claims: claims.update(iss="https://elsewhere.test"),
    "other_audience": lambda claims: claims.update(aud="another-client"),
    "expired": lambda claims: claims.update(exp=claims["iat"] - 3600, iat=claims["iat"] - 7200),
    "no_auth_time": lambda claims: claims.pop("auth_time", None),
    "old_auth_time": lambda claims: claims.update(auth_time=int(time.time()) - 3600),  # noqa: TID251
    "unverified_email": lambda claims: claims.update(email_verified=False),
}
_USERINFO: dict[str, Callable[[Claims], object]] = {
    "no_groups": _CLAIMS["no_groups"],
    "odd_groups": _CLAIMS["odd_groups"],
    "unverified_email": _CLAIMS["unverified_email"],
    "other_subject": lambda claims: claims.update(sub="somebody-else"),
}


def _bad_signature(token: str) -> str:
    head, body, signature = token.split(".")
    turned = "A" if signature[10] != "A" else "B"
    return f"{head}.{body}.{signature[:10]}{turned}{signature[11:]}"


def _signed_again(token: str, key: Any, algorithm: str, kid: str = "") -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    kept = jwt.get_unverified_header(token)["kid"]
    return jwt.encode(claims, key, algorithm, headers={"kid": kid or kept})


_TOKENS: dict[str, Callable[[str], str]] = {
    "bad_signature": _bad_signature,
    "other_key": lambda token: _signed_again(
        token, rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256", "unknown"
    ),
    "no_algorithm": lambda token: _signed_again(token, None, "none"),
    "shared_secret": lambda token: _signed_again(token, configuration().client_secret, "HS256"),
}
_ANSWERS: dict[str, Callable[[Claims], object]] = {
    "no_id_token": lambda answer: answer.pop("id_token", None),
}
DOWN = "down"

KNOWN = frozenset({*_CLAIMS, *_USERINFO, *_TOKENS, *_ANSWERS, DOWN})


def order(fault: str) -> None:
    """Let the next exchange suffer `fault`; an empty one takes an order back. Raises KeyError if unknown."""
    if fault and fault not in KNOWN:
        raise KeyError(fault)
    cache.set("next", fault, timeout=600)


def begin() -> str:
    """The fault of the exchange that begins now, if one was ordered."""
    fault: str = cache.get("next", "")
    cache.delete("next")
    cache.set("current", fault, timeout=60)
    return fault


def spoil_claims(claims: Claims) -> None:
    """Change an ID token's claims before it is signed."""
    _CLAIMS.get(cache.get("current", ""), len)(claims)


def spoil_userinfo(claims: Claims) -> None:
    """Change what the userinfo endpoint says."""
    _USERINFO.get(cache.get("current", ""), len)(claims)


def spoil_answer(answer: HttpResponse) -> HttpResponse:
    """Change the token endpoint's answer after it was made."""
    fault = cache.get("current", "")
    body = json.loads(answer.content)
    if "id_token" in body and fault in _TOKENS:
        body["id_token"] = _TOKENS[fault](body["id_token"])
    _ANSWERS.get(fault, len)(body)
    answer.content = json.dumps(body).encode()
    return answer
