"""What the long runs do around their storms: on which database a portal lives, and what the last line counts."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.resilience import __main__ as long_runs
from tests.resilience.run import Goal, Report
from tests.resilience.wrong import Wrong

GIVEN = {"DATABASE_URL": "postgres://given/for-one-run"}
ONE = Wrong("one", "It is wrong.", ("unowned",), patch=lambda: None)
NOTHING = Goal(kills=0, calls=0, late=0, unknowns=0, races=0)
ENOUGH = Report(seed=7, lived=Counter({"handed out": 1}), goal=NOTHING)
ACCUSED = ("unowned", "token 1: no row owns it")


@pytest.fixture
def lived_on(monkeypatch):
    """The databases that portals lived on; none is started, and the judge accuses each of the same."""
    found = []

    @contextmanager
    def own_database():
        yield GIVEN

    @contextmanager
    def prepared(_folder: Path, **options):
        found.append(options.get("DATABASE_URL"))
        report = Report(seed=1, requests=1, violations=[ACCUSED])
        yield SimpleNamespace(violations={ACCUSED: None}, play=lambda *_, **__: report)

    monkeypatch.setattr(long_runs, "own_database", own_database)
    monkeypatch.setattr(long_runs, "prepared", prepared)
    return found


def test_a_wrong_portal_lives_on_the_database_that_is_given(lived_on):
    assert long_runs._hunt(ONE, seed=1) == "unowned"
    assert lived_on == [GIVEN["DATABASE_URL"]]


def test_the_right_one_in_its_place_lives_there_too(lived_on):
    assert long_runs._accuse_the_right(ONE) == [ACCUSED]
    assert lived_on == [GIVEN["DATABASE_URL"]]


@pytest.fixture
def quick(monkeypatch):
    """A soak whose parts lack nothing and found nothing, and take no time."""
    parts = {
        "_play": lambda _seed, _goal: ENOUGH,
        "_die_everywhere": lambda: (ENOUGH, set()),
        "portals": lambda: {"one": ONE},
        "_hunt": lambda _one, _seed: "unowned",
        "_accuse_the_right": lambda _one: [],
        "_tests": lambda: 0,
    }
    for name, part in parts.items():
        monkeypatch.setattr(long_runs, name, part)
    monkeypatch.setattr(long_runs.results, "write", lambda *_: None)
    monkeypatch.setenv("SEED", "7")


LAST = "soak kills=0 calls=0 unknowns=0 late=0 violations={} caught=1/1 seed=7"


@pytest.mark.usefixtures("quick")
def test_a_soak_that_found_nothing_says_so(capsys):
    assert long_runs.soak([]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == LAST.format(0)


@pytest.mark.usefixtures("quick")
def test_what_is_found_of_the_right_portal_in_a_wrong_ones_place_is_a_violation(
    capsys, monkeypatch
):
    monkeypatch.setattr(long_runs, "_accuse_the_right", lambda _one: [ACCUSED])
    assert long_runs.soak([]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == LAST.format(1)


@pytest.mark.usefixtures("quick")
def test_a_soak_that_judged_no_bound_while_it_stormed_is_void(monkeypatch):
    def play(_seed, goal):
        return replace(ENOUGH, goal=replace(NOTHING, judged=goal.judged))

    monkeypatch.setattr(long_runs, "_play", play)
    assert long_runs.soak([]) == 1
    assert long_runs.SOAK["has_quiet"]


@pytest.mark.usefixtures("quick")
def test_failed_tests_are_said_before_the_last_line(capsys, monkeypatch):
    monkeypatch.setattr(long_runs, "_tests", lambda: 1)
    assert long_runs.soak([]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "tests of tests/resilience failed",
        LAST.format(0),
    ]
