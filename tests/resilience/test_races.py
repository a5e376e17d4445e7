"""Approve, deny, amend, withdraw, show key, replace and end, each raced by real processes over HTTP.

RACE_ROUNDS says how often; else once, three times where every test must run, fifty times in a soak.
"""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.resilience.racing import RACES, Races, racing
from tests.stack import own_database, running

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("resilience")]


def rounds() -> int:
    usual = 50 if os.environ.get("KEYDESK_SOAK") else 3 if os.environ.get("KEYDESK_TEST_ALL") else 1
    return int(os.environ.get("RACE_ROUNDS", usual))


@pytest.fixture(scope="module")
def races(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Races]:
    """On PostgreSQL where there is one: SQLite lets one write at a time, whoever clicks."""
    folder = tmp_path_factory.mktemp("races")
    with own_database() as database, running(folder, **database) as stack, racing(stack) as made:
        yield made


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_a_race_has_its_winners_and_the_losers_hear_who(
    races: Races, race: Callable[[Races], None]
) -> None:
    races.violations.clear()
    before = races.run
    for _ in range(rounds()):
        race(races)
    assert races.violations == []
    assert races.run > before


def test_the_clicks_did_overlap(races: Races) -> None:
    """Races that were none would pass as well. Runs last."""
    assert races.run
    assert races.close >= races.run / 2
