"""Is this ID token genuine, for us, and for this sign-in? OpenID Connect Core 1.0 section 3.1.3.7.

Pure: keys, metadata and `now` are arguments. Who it describes is read in accounts/claims.py.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from accounts.refusals import Refused

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Signatures by a private key only: never `none`, never a shared secret (HS…)."""
LEEWAY = timedelta(seconds=60)
"""How far the provider's clock may be off."""

KeySet = Callable[[bool], Sequence[Mapping[str, Any]]]
"""Gives the provider's keys; True asks for them anew."""


def verify(
    token: str, *, key_set: KeySet, issuer: str, client_id: str, now: datetime
) -> dict[str, Any]:
    """The claims of a token that the provider signed, for this client, within its time. Raises `Refused`."""
    key = _key(_header(token), key_set)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=client_id,
            issuer=issuer,
            # Time is judged below, by the database's clock.
            options={
                "require": ["iss", "sub", "aud", "exp", "iat"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.PyJWTError as error:
        raise _refused(_WHY.get(type(error), "it cannot be read")) from error
    _demand_party(claims, client_id)
    _demand_time(claims, now)
    return claims


_WHY: dict[type[jwt.PyJWTError], str] = {
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.InvalidIssuerError: "it comes from another issuer",
    jwt.InvalidAudienceError: "it was made for another application",
    jwt.InvalidAlgorithmError: "it is not signed in a way Keydesk accepts",
    jwt.MissingRequiredClaimError: "a claim that must be there is missing",
}


def _header(token: str) -> Mapping[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise _refused("it cannot be read") from error
    if header.get("alg") not in ALGORITHMS:
        raise _refused("it is not signed in a way Keydesk accepts")
    return header


def _key(header: Mapping[str, Any], key_set: KeySet) -> jwt.PyJWK:
    """The key the token names; asked for anew once, because providers change their keys."""
    for again in (False, True):
        found = [key for key in key_set(again) if _is_for(key, header)]
        if len(found) == 1 or (found and header.get("kid")):
            return _loaded(found[0], header)
    raise _refused("its key is not among the provider's keys")


def _is_for(key: Mapping[str, Any], header: Mapping[str, Any]) -> bool:
    if key.get("kty") == "oct" or key.get("use", "sig") != "sig":
        return False
    return "kid" not in header or key.get("kid") == header["kid"]


def _loaded(key: Mapping[str, Any], header: Mapping[str, Any]) -> jwt.PyJWK:
    """A key without an algorithm of its own may be used with the header's, of the closed list above."""
    try:
        return jwt.PyJWK({"alg": header["alg"], **key})
    except jwt.PyJWTError as error:
        raise _refused("its key cannot be read") from error


def _demand_party(claims: Mapping[str, Any], client_id: str) -> None:
    """With several audiences, the one it was issued to must be us."""
    is_for_many = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if is_for_many else client_id) != client_id:
        raise _refused("it was made for another application")


def _demand_time(claims: Mapping[str, Any], now: datetime) -> None:
    expires_at, issued_at = moment(claims, "exp"), moment(claims, "iat")
    not_before = moment(claims, "nbf") if "nbf" in claims else issued_at
    if expires_at is None or issued_at is None or not_before is None:
        raise _refused("its times cannot be read")
    if expires_at <= now - LEEWAY:
        raise _refused("it has expired")
    if max(issued_at, not_before) > now + LEEWAY:
        raise _refused("it is from the future; one of the two clocks is wrong")


def demand_nonce(claims: Mapping[str, Any], nonce: object) -> None:
    """The token answers the very request this browser sent. Raises `Refused`."""
    if not nonce or claims.get("nonce") != nonce:
        raise _refused("it answers another sign-in")


def moment(claims: Mapping[str, Any], claim: str) -> datetime | None:
    """A time claim (seconds since 1970) as a time, or None where it is none."""
    value = claims.get(claim)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def authenticated_at(claims: Mapping[str, Any], *, now: datetime) -> datetime | None:
    """When the person proved who they are, as the provider says; never later than now."""
    at = moment(claims, "auth_time")
    if at is None or at > now + LEEWAY:
        return None
    return min(at, now)


def _refused(why: str) -> Refused:
    return Refused(
        f"Keydesk does not trust the answer of the company sign-in: {why}. Try again; if it stays so, tell "
        "an administrator of Keydesk.",
        status=400,
    )
