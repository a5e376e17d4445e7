"""The list of crash points is the product's: what is in the source has one, and what has none is told."""

from tests.resilience import points, sites

ANSWER = "commit tokens.operations.grants.answer"
REFRESH = "call tokens.provisioning.calls.refresh_pair refresh"


def test_commits_and_calls_are_read_from_the_source():
    assert {ANSWER, REFRESH} <= sites.places()


def test_what_was_not_reached_is_missing_but_for_what_is_set_apart():
    apart = set(sites.APART)
    assert ANSWER in points.missing_places(set())
    assert points.missing_places(sites.places() - apart) == set()


def test_places_set_apart_are_in_the_source():
    assert set(sites.APART) <= sites.places()


def test_what_was_done_where_the_source_showed_nothing_is_told():
    seen = {
        ANSWER,
        f"{ANSWER} before",
        "commit accounts.views.sign_out",
        "call from outside provisioning user",
        "commit tokens.mail.new_one",
    }
    assert points.unlisted(seen) == {
        "call from outside provisioning user, which stands in no list",
        "commit tokens.mail.new_one, which stands in no list",
    }
