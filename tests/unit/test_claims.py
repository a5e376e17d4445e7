"""What the identity provider says becomes a person, or a sentence."""

from typing import Any

import pytest

from accounts.claims import identity_of, read
from accounts.refusals import Refused

FULL: dict[str, Any] = {
    "iss": "https://id.acme.test", "sub": "ada", "name": "Ada Lindqvist", "email": "ada@acme.test",
    "email_verified": True, "zoneinfo": "Europe/Amsterdam", "groups": ["agents", "emea-tier-2"],
}  # fmt: skip


def without(*names: str, **changes: object) -> dict[str, Any]:
    return {**{name: value for name, value in FULL.items() if name not in names}, **changes}


def refusal(claims: dict[str, Any], groups_claim: str = "groups") -> str:
    with pytest.raises(Refused) as caught:
        read(claims, groups_claim=groups_claim)
    return caught.value.sentence


def test_all_claims_are_read() -> None:
    ada = read(FULL, groups_claim="groups")
    assert (ada.name, ada.email, ada.email_verified) == ("Ada Lindqvist", "ada@acme.test", True)
    assert ada.time_zone == "Europe/Amsterdam"
    assert ada.groups == {"agents", "emea-tier-2"}


def test_identity_is_issuer_and_subject_never_email() -> None:
    ada = read(FULL, groups_claim="groups")
    assert ada.identity == identity_of("https://id.acme.test", "ada")
    assert read(without(email="ben@acme.test"), groups_claim="groups").identity == ada.identity
    assert read(without(iss="https://other.test"), groups_claim="groups").identity != ada.identity


def test_identity_cannot_be_shifted_between_issuer_and_subject() -> None:
    assert identity_of("https://a", "bc") != identity_of("https://ab", "c")


@pytest.mark.parametrize("claim", ["iss", "sub"])
@pytest.mark.parametrize("value", [None, "", 7, "x" * 256, "a\x00b", "a\nb", "\ud800"])
def test_identifiers_that_cannot_be_used_are_refused(claim: str, value: object) -> None:
    assert f"“{claim}”" in refusal(without(**{claim: value}))


def test_a_missing_groups_claim_says_what_came_and_where_to_set_it() -> None:
    sentence = refusal(without("groups"))
    assert "no “groups” claim" in sentence
    assert "email, email_verified, iss, name, sub, zoneinfo" in sentence
    assert "OIDC_GROUPS_CLAIM" in sentence
    assert "ada@acme.test" not in sentence, "names of claims only, never values"


def test_too_many_groups_are_told_apart_from_none() -> None:
    assert "so many groups" in refusal(without("groups", _claim_names={"groups": "src1"}))


def test_an_empty_groups_claim_setting_expects_none() -> None:
    assert read(without("groups"), groups_claim="").groups == frozenset()
    assert read(FULL, groups_claim="").groups == frozenset()


def test_groups_may_have_another_claim() -> None:
    claims = without("groups", **{"https://acme.test/teams": ["leads"]})
    assert read(claims, groups_claim="https://acme.test/teams").groups == {"leads"}


def test_a_single_group_may_come_as_a_word() -> None:
    assert read(without(groups="agents"), groups_claim="groups").groups == {"agents"}


def test_no_groups_at_all_is_an_answer() -> None:
    assert read(without(groups=[]), groups_claim="groups").groups == frozenset()


@pytest.mark.parametrize("groups", [None, 7, True, {"a": 1}, ["agents", 7], [["agents"]]])
def test_groups_of_another_shape_are_refused(groups: object) -> None:
    assert "no list of group names" in refusal(without(groups=groups))


@pytest.mark.parametrize("group", ["g" * 256, "agents\n", "a\x00", "\ud800"])
def test_group_names_that_cannot_be_kept_are_refused(group: str) -> None:
    assert "a group name" in refusal(without(groups=[group]))


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        (without("name", given_name="Ada", family_name="Lindqvist"), "Ada Lindqvist"),
        (without("name", preferred_username="ada.l"), "ada.l"),
        (without("name"), "ada@acme.test"),
        (without("name", "email"), "ada"),
        (without(name="  Ada\n\x00 Lindqvist "), "Ada Lindqvist"),
        (without(name="A" * 200), "A" * 150),
        (without(name=["Ada"]), "ada@acme.test"),
    ],
)
def test_a_name_is_always_found(claims: dict[str, Any], name: str) -> None:
    assert read(claims, groups_claim="groups").name == name


@pytest.mark.parametrize("verified", [False, None, "false", 1.5, "yes", ["true"]])
def test_an_address_counts_as_verified_only_when_it_says_so(verified: object) -> None:
    assert not read(without(email_verified=verified), groups_claim="groups").email_verified


def test_some_providers_say_true_as_a_word() -> None:
    assert read(without(email_verified="true"), groups_claim="groups").email_verified


@pytest.mark.parametrize(
    "email", ["ada", 7, "a@b@c", "ada@acme.test\nBcc: x", "a" * 250 + "@b.test"]
)
def test_an_address_that_is_none_is_left_out_and_never_verified(email: object) -> None:
    ada = read(without(email=email), groups_claim="groups")
    assert (ada.email, ada.email_verified) == ("", False)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", 7, None, ""])
def test_an_unknown_time_zone_is_left_out(zone: object) -> None:
    assert read(without(zoneinfo=zone), groups_claim="groups").time_zone == ""


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("piotr", "piotr"), ("Pz0+AbC", "Pz0+AbC"), ("Piotr@Acme.test", "Piotr@Acme.test"), (" piotr\n", "piotr"),
        (None, ""), ("", ""), (["piotr"], ""), ({"value": "piotr"}, ""), (7, ""), ("x" * 256, ""),
    ],
)  # fmt: skip
def test_a_lead_is_a_word_or_nobody(said: object, kept: str) -> None:
    claims = read(without(manager=said), groups_claim="groups", manager_claim="manager")
    assert claims.lead_name == kept


def test_no_lead_is_read_where_no_claim_is_named_or_sent() -> None:
    assert read(without(manager="piotr"), groups_claim="groups").lead_name == ""
    assert read(FULL, groups_claim="groups", manager_claim="manager").lead_name == ""
