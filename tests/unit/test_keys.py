"""Client secrets: recognisable, with a checksum, letters, digits and `_` only."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tokens.operations.keys import digest, is_well_formed, make_secret


def test_a_secret_is_recognisable():
    secret = make_secret()
    assert re.fullmatch(r"kds_[0-9A-Za-z]{38}", secret)
    assert is_well_formed(secret)


def test_secrets_and_their_digests_do_not_repeat():
    secrets = {make_secret() for _ in range(200)}
    assert len(secrets) == len({digest(secret) for secret in secrets}) == 200


@given(st.integers(4, 41), st.sampled_from("0aZ9"))
def test_a_typing_error_is_seen(place, letter):
    secret = "kds_" + "A" * 32 + "000000"
    good = make_secret()
    wrong = good[:place] + letter + good[place + 1 :]
    assert is_well_formed(wrong) == (wrong == good)
    assert not is_well_formed(secret)


@given(st.text(max_size=60))
def test_any_text_is_no_secret(text):
    assert not is_well_formed(text)
