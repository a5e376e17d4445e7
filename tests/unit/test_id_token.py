"""Only a token that the provider signed, for us, for this sign-in and in its time is believed."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from accounts.id_token import authenticated_at, demand_nonce, verify
from accounts.refusals import Refused

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ISSUER, CLIENT = "https://id.acme.test", "keydesk"
SIGNING = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public(key: rsa.RSAPrivateKey, kid: str | None = "one", **more: str) -> dict[str, Any]:
    made = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**made, **({"kid": kid} if kid else {}), **more}


def seconds(**ago: float) -> int:
    return int((NOW - timedelta(**ago)).timestamp())


def token(
    key: Any = SIGNING, algorithm: str = "RS256", kid: str | None = "one", **changes: object
) -> str:
    claims: dict[str, Any] = {
        "iss": ISSUER, "aud": CLIENT, "sub": "ada", "nonce": "n", "iat": seconds(), "exp": seconds(minutes=-5),
    }  # fmt: skip
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": kid} if kid else {})


def check(encoded: str, *, keys: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    known = [public(SIGNING)] if keys is None else keys
    return verify(encoded, key_set=lambda again: known, issuer=ISSUER, client_id=CLIENT, now=NOW)


def refusal(encoded: str, **more: Any) -> str:
    with pytest.raises(Refused) as caught:
        check(encoded, **more)
    assert caught.value.status == 400
    return caught.value.sentence


def test_a_genuine_token_is_believed() -> None:
    assert check(token())["sub"] == "ada"


def test_a_wrong_signature_is_refused() -> None:
    assert "its signature is wrong" in refusal(token(key=OTHER))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_unsigned_and_shared_secrets_are_refused() -> None:
    assert "not signed in a way" in refusal(token(key=None, algorithm="none"))
    secret = "a secret both sides know, thirty-two characters"
    assert "not signed in a way" in refusal(token(key=secret, algorithm="HS256"))


def test_a_symmetric_key_in_the_key_set_is_never_used() -> None:
    keys = [{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}]
    assert "not among the provider's keys" in refusal(token(), keys=keys)


def test_a_key_for_encryption_is_never_used() -> None:
    assert "not among" in refusal(token(), keys=[public(SIGNING, use="enc")])


def test_the_keys_own_algorithm_binds() -> None:
    assert "not signed in a way" in refusal(
        token(algorithm="RS512"), keys=[public(SIGNING, alg="RS256")]
    )


def test_an_elliptic_key_works_too() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    made = {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())), "kid": "one"}
    assert check(token(key=key, algorithm="ES256"), keys=[made])["sub"] == "ada"


def test_an_unknown_key_is_asked_for_once_more() -> None:
    asked: list[bool] = []

    def key_set(again: bool) -> list[dict[str, Any]]:
        asked.append(again)
        return [public(SIGNING, kid="new")] if again else [public(OTHER, kid="old")]

    claims = verify(token(kid="new"), key_set=key_set, issuer=ISSUER, client_id=CLIENT, now=NOW)
    assert claims["sub"] == "ada"
    assert asked == [False, True]


def test_a_token_without_key_id_needs_an_only_key() -> None:
    assert check(token(kid=None), keys=[public(SIGNING, kid=None)])["sub"] == "ada"
    both = [public(SIGNING, kid="one"), public(OTHER, kid="two")]
    assert "not among" in refusal(token(kid=None), keys=both)


def test_another_issuer_or_application_is_refused() -> None:
    assert "another issuer" in refusal(token(iss="https://elsewhere.test"))
    assert "another issuer" in refusal(token(iss=f"{ISSUER}/"))
    assert "another application" in refusal(token(aud="somebody-else"))
    assert "another application" in refusal(token(aud=[CLIENT, "other"]))
    assert "another application" in refusal(token(aud=[CLIENT, "other"], azp="other"))
    assert "another application" in refusal(token(azp="other"))
    assert check(token(aud=[CLIENT, "other"], azp=CLIENT))["sub"] == "ada"


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp", "iat"])
def test_a_missing_claim_is_refused(claim: str) -> None:
    assert "Keydesk does not trust" in refusal(token(**{claim: None}))


def test_time_is_judged_by_the_time_that_is_passed_in() -> None:
    assert "expired" in refusal(token(exp=seconds(minutes=2)))
    assert "future" in refusal(token(iat=seconds(minutes=-2)))
    assert "future" in refusal(token(nbf=seconds(minutes=-2)))
    assert check(token(exp=seconds(seconds=30), iat=seconds(seconds=-30)))["sub"] == "ada"


@pytest.mark.parametrize("value", ["soon", True, 10**30, [1]])
def test_times_that_are_none_are_refused(value: object) -> None:
    assert "Keydesk does not trust" in refusal(token(exp=value))


@pytest.mark.parametrize("encoded", ["", "x", "a.b.c", "e30.e30.", "é.é.é"])
def test_what_is_no_token_is_refused(encoded: str) -> None:
    assert "cannot be read" in refusal(encoded) or "not signed in a way" in refusal(encoded)


def test_the_nonce_must_be_the_one_that_was_sent() -> None:
    demand_nonce({"nonce": "n"}, "n")
    for claims, sent in (({"nonce": "m"}, "n"), ({}, "n"), ({}, None), ({"nonce": ""}, "")):
        with pytest.raises(Refused, match="another sign-in"):
            demand_nonce(claims, sent)


def test_the_moment_of_authentication_is_never_later_than_now() -> None:
    before = NOW - timedelta(seconds=10)
    assert authenticated_at({"auth_time": seconds(seconds=10)}, now=NOW) == before
    assert authenticated_at({"auth_time": seconds(seconds=-10)}, now=NOW) == NOW
    assert authenticated_at({"auth_time": seconds(minutes=-5)}, now=NOW) is None
    assert authenticated_at({}, now=NOW) is None
    assert authenticated_at({"auth_time": "now"}, now=NOW) is None
