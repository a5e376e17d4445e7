"""Sealed texts open only with their key, in their place."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from tokens.sealing import Place, Ring, Unsealable

OLD, NEW = b"o" * 32, b"n" * 32
PLACE = Place("grant", 7, "production")


def test_what_was_sealed_opens_again():
    ring = Ring("SEALING_KEYS", [NEW])
    sealed = ring.seal("a token", PLACE)
    assert "a token" not in sealed
    assert ring.open(sealed, PLACE) == "a token"


def test_two_seals_of_one_text_differ():
    ring = Ring("SEALING_KEYS", [NEW])
    assert ring.seal("a token", PLACE) != ring.seal("a token", PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("grant", 8, "production"),
        Place("connection", 7, "production"),
        Place("grant", 7, "sandbox"),
    ],
)
def test_a_text_moved_to_another_row_does_not_open(elsewhere):
    ring = Ring("SEALING_KEYS", [NEW])
    with pytest.raises(Unsealable):
        ring.open(ring.seal("a token", PLACE), elsewhere)


def test_a_changed_text_and_an_unknown_key_do_not_open():
    ring = Ring("SEALING_KEYS", [NEW])
    sealed = ring.seal("a token", PLACE)
    for wrong in (sealed[:-6] + "AAAAA=", sealed.replace("v1.", "v1"), "", "nonsense"):
        with pytest.raises(Unsealable):
            ring.open(wrong, PLACE)
    with pytest.raises(Unsealable):
        Ring("SEALING_KEYS", [OLD]).open(sealed, PLACE)


def test_an_older_key_still_opens_and_is_stale():
    sealed = Ring("SEALING_KEYS", [OLD]).seal("a token", PLACE)
    ring = Ring("SEALING_KEYS", [NEW, OLD])
    assert ring.open(sealed, PLACE) == "a token"
    assert ring.is_stale(sealed)
    assert not ring.is_stale(ring.seal("a token", PLACE))


def test_a_fingerprint_is_found_under_every_key_and_says_nothing():
    before = Ring("SEALING_KEYS", [OLD]).fingerprint("a token")
    assert before in Ring("SEALING_KEYS", [NEW, OLD]).fingerprints("a token")
    assert "a token" not in before
    assert before != Ring("SEALING_KEYS", [OLD]).fingerprint("another")


def test_a_ring_without_keys_says_which_setting_is_missing():
    with pytest.raises(ImproperlyConfigured, match="WORKER_SEALING_KEYS"):
        Ring("WORKER_SEALING_KEYS", [])
