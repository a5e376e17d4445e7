"""The short form of the soak: real processes, twenty kills, a handful of faults, and the judge finds nothing."""

import pytest

from tests.resilience.run import Goal, prepared
from tests.stack import own_database

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("resilience")]

GOAL = Goal(kills=20, calls=40, late=1, unknowns=1, races=1, most_seconds=300)


def test_twenty_kills_and_a_handful_of_faults_break_no_promise(tmp_path):
    with own_database() as database, prepared(tmp_path, seed=3, households=2, **database) as run:
        report = run.play(GOAL, warm=3)
    assert report.violations == []
    assert report.lacks == [], "Too little went wrong, so this proves nothing."
