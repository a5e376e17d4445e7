"""Settings from the environment: what makes no sense stops the process with the name."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from portal.env import env_pairs


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", {}),
        ("tier-2=piotr", {"tier-2": "piotr"}),
        (" tier-2 = piotr@acme.test , tier-1=ben=x ", {"tier-2": "piotr@acme.test", "tier-1": "ben=x"}),
    ],
)  # fmt: skip
def test_pairs_keep_their_order(
    monkeypatch: pytest.MonkeyPatch, value: str, found: dict[str, str]
) -> None:
    monkeypatch.setenv("GROUP_LEADS", value)
    assert list(env_pairs("GROUP_LEADS").items()) == list(found.items())


@pytest.mark.parametrize("value", ["tier-2", "tier-2=", "=piotr", "a=1,a=2"])
def test_what_is_no_pair_says_so(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GROUP_LEADS", value)
    with pytest.raises(ImproperlyConfigured, match="GROUP_LEADS"):
        env_pairs("GROUP_LEADS")
