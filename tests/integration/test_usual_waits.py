"""Within how long decisions usually come: what whoever asks reads, and where."""

from datetime import timedelta

import pytest

from tests.integration._people import browser, words
from tests.world import World
from tokens.models import AccessRequest
from tokens.operations import requests
from tokens.queries.usual_waits import usual_waits

pytestmark = pytest.mark.django_db
GROUP = "helpdesk-leads"


def decided(world: World, hours: list[float], profile: str = "read-users") -> int:
    """Requests that were approved after so many hours each; the profile's id."""
    for number, took in enumerate(hours):
        row = world.approve(world.ask(profile=profile, script_name=f"{profile}-{number}"))
        ended = row.revised_at + timedelta(hours=took)
        AccessRequest.objects.filter(pk=row.pk).update(ended_at=ended)
    return world.profile(profile).pk


@pytest.mark.parametrize(
    ("hours", "usual"),
    [
        ([1, 2], None),
        ([1, 2, 3], 3),
        ([5, 1, 2, 3, 4], 4),
        ([1, 1, 1, 1, 90], 1),
        (list(range(1, 11)), 8),
    ],
)
def test_usual_is_what_four_of_five_decisions_took_at_most(world, hours, usual):
    profile = decided(world, hours)
    found = usual_waits([GROUP]).get(profile)
    assert found == (timedelta(hours=usual) if usual else None)


def test_what_policy_or_nobody_decided_is_no_history(world):
    for number in range(4):
        world.ask(profile="read-rules", days=7, script_name=f"policy-{number}")
        row = world.ask(profile="read-rules", days=60, script_name=f"taken-back-{number}")
        requests.withdraw(access_request=row, by=world.person("ada"), now=world.clock())
    assert usual_waits([GROUP]) == {}
    assert usual_waits([]) == {}


def test_it_is_read_where_one_asks_and_waits(world):
    decided(world, [2, 2, 2])
    ada = browser(world, "ada")
    assert "Usually decided within 2 h" in words(ada.get("/requests/new"))
    row = world.ask(profile="read-users", script_name="waits")
    assert "Usually decided within 2 h" in words(ada.get(f"/requests/{row.pk}"))
    assert "Usually decided" not in words(browser(world, "ben").get(f"/requests/{row.pk}"))
