"""The short form of the soak: real processes, twenty kills, a handful of faults, and the judge finds nothing.

Once against a helpdesk as its documentation has it, and briefly against one that lets few tokens say whose they are.
"""

import json

import pytest

from tests.resilience.run import Goal, Run, prepared
from tests.stack import own_database

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("resilience")]

GOAL = Goal(kills=20, calls=40, late=1, unknowns=1, races=1, rushes=1, served=1, most_seconds=300)
SHORTER = Goal(kills=6, calls=12, late=0, races=0, rushes=0, most_seconds=300)
BY_LIST = ("list", "list", "short", "stays", "idle")
"""Lives of which many ask for what `current` is refused to."""


def test_twenty_kills_and_a_handful_of_faults_break_no_promise(tmp_path):
    with own_database() as database, prepared(tmp_path, seed=3, households=2, **database) as run:
        report = run.play(GOAL, warm=3)
    assert report.violations == []
    assert report.lacks == [], "Too little went wrong, so this proves nothing."


def test_a_helpdesk_that_refuses_current_breaks_no_promise_either(tmp_path):
    """Then lists before and after a call are its proof."""
    habits = {"DEMO_HELPDESK_CURRENT_NEEDS": "tickets:read", "plans": BY_LIST}
    with own_database() as database, prepared(tmp_path, seed=4, **habits, **database) as run:
        report = run.play(SHORTER, warm=3)
        learned = _learned(run)
    assert report.violations == []
    assert report.lacks == [], "Too little went wrong, so this proves nothing."
    assert "no" in {word for name, word in learned.items() if name.startswith("current")}


def _learned(run: Run) -> dict[str, str]:
    (known,) = run.city.rows.one("SELECT capabilities FROM tokens_helpdesk") or ("{}",)
    return known if isinstance(known, dict) else json.loads(known)
