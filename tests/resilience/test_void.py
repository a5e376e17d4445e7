"""A run in which too little went wrong proves nothing: it is void, and says what it lacked."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.resilience.run import Goal, Report

GOAL = Goal(
    kills=2, calls=3, late=4, unknowns=5, races=6, rushes=9, judged=8, served=7, acts=("freeze",),
)  # fmt: skip
ENOUGH = Report(
    seed=1, kills=2, calls=3, late=4, unknowns=5, races=6, rushes=9, judged=8, goal=GOAL,
    lived=Counter({"handed out": 1, "freeze": 1, "served at rest": 7}),
)  # fmt: skip


def test_enough_lacks_nothing():
    assert ENOUGH.lacks == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kills", "kills 1 of 2"),
        ("calls", "faulted calls 2 of 3"),
        ("late", "late commits 3 of 4"),
        ("unknowns", "unknown answers 4 of 5"),
        ("races", "races of people's clicks 5 of 6"),
        ("rushes", "rushes of one script's calls 8 of 9"),
        ("judged", "seconds in which bounds were judged 7 of 8"),
    ],
)
def test_one_too_few_of_anything_is_said(name, said):
    assert replace(ENOUGH, **{name: getattr(ENOUGH, name) - 1}).lacks == [said]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("handed out", "tokens handed out 0 of 1"),
        ("freeze", "acts of freeze 0 of 1"),
        ("served at rest", "keys served at rest 6 of 7"),
    ],
)
def test_a_run_in_which_nobody_was_served_or_an_admin_did_not_act_is_void(name, said):
    assert replace(ENOUGH, lived=ENOUGH.lived - Counter({name: 1})).lacks == [said]
