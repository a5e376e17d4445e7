"""What the long runs do around their storms: on which database a portal lives, what is said in the end, and how it exits."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.resilience import __main__ as long_runs
from tests.resilience import results
from tests.resilience.run import Goal, Report
from tests.resilience.wrong import Wrong

GIVEN = {"DATABASE_URL": "postgres://given/for-one-run"}
ONE = Wrong("one", "It is wrong.", ("unowned",), patch=lambda: None)
OTHER = Wrong("other", "It is wrong too.", ("decided",), patch=lambda: None, options={"share": 0.5})
NOTHING = Goal(kills=0, calls=0, late=0, unknowns=0, races=0, rushes=0)
ENOUGH = Report(seed=7, lived=Counter({"handed out": 1}), goal=NOTHING)
ACCUSED = ("unowned", "token 1: no row owns it")
VIOLATED = replace(ENOUGH, violations=[ACCUSED])
VOID = replace(ENOUGH, goal=replace(NOTHING, late=1))
LACKS = "late commits 0 of 1"


@pytest.fixture(autouse=True)
def nothing_asked_for(monkeypatch):
    """A soak runs these tests too, with what it was asked for in the environment."""
    for name in ("KILLS", "CALLS", "SEED"):
        monkeypatch.delenv(name, raising=False)


# --- One run in the place of another ------------------------------------------------------------------


@pytest.fixture
def lived(monkeypatch):
    """With what portals lived; none is started, and the judge accuses each of the same."""
    found = []

    @contextmanager
    def own_database():
        yield GIVEN

    @contextmanager
    def prepared(_folder: Path, **options):
        found.append((options.get("DATABASE_URL"), options["seed"]))
        report = Report(seed=1, requests=1, violations=[ACCUSED])
        yield SimpleNamespace(violations={ACCUSED: None}, play=lambda *_, **__: report)

    monkeypatch.setattr(long_runs, "own_database", own_database)
    monkeypatch.setattr(long_runs, "prepared", prepared)
    return found


def test_a_wrong_portal_lives_on_the_database_that_is_given(lived):
    assert long_runs._hunt(ONE, seed=4) == "unowned"
    assert lived == [(GIVEN["DATABASE_URL"], 4)]


def test_a_wrong_portal_that_nobody_catches_has_three_lives_of_different_seeds(lived):
    assert long_runs._hunt(OTHER, seed=4) == ""
    assert [seed for _, seed in lived] == [4, 5, 6]


def test_the_right_one_in_its_place_lives_there_too(lived):
    assert long_runs._accuse_the_right(ONE, seed=4) == [ACCUSED]
    assert lived == [(GIVEN["DATABASE_URL"], 4)]


# --- The soak -----------------------------------------------------------------------------------------


@pytest.fixture
def document(monkeypatch, tmp_path):
    """A document with a place for results."""
    path = tmp_path / "resilience.md"
    path.write_text("Before.\n<!-- results -->\nOld.\n<!-- /results -->\nBehind.\n")
    monkeypatch.setattr(results, "DOCUMENT", path)
    return path


@pytest.fixture
def asked(monkeypatch, document):
    """A soak whose parts lack nothing and found nothing, and take no time; with what each was asked for."""
    found = {}

    def part(name, answer):
        def run(*words):
            found.setdefault(name, []).append(words)
            return answer

        monkeypatch.setattr(long_runs, name, run)

    part("_play", ENOUGH)
    part("_die_everywhere", (ENOUGH, set()))
    part("portals", {"one": ONE, "other": OTHER})
    part("_hunt", "unowned")
    part("_accuse_the_right", [])
    part("_tests", 0)
    monkeypatch.setenv("SEED", "7")
    return found


LAST = "soak kills=0 calls=0 unknowns=0 late=0 violations={} caught={}/2 seed=7"


def _verdict(document) -> str:
    """What the document says of the whole of it."""
    first = document.read_text().splitlines()[2]
    assert first.startswith("Soak of ")
    return first.split("**")[1]


@pytest.mark.usefixtures("asked")
def test_a_soak_that_found_nothing_says_so(capsys, document):
    assert long_runs.soak([]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == LAST.format(0, 2)
    assert _verdict(document) == "0 violations"
    text = document.read_text()
    assert f"Last line `{LAST.format(0, 2)}`, exit status 0." in text
    assert "The tests at length: **passed**." in text
    assert "under 2 conditions: **0 violations**." in text
    assert "Wrong portals caught: **2 of 2**." in text
    assert text.startswith("Before.\n<!-- results -->\nSoak of ")
    assert text.endswith("\n<!-- /results -->\nBehind.\n")
    assert "Old." not in text


@pytest.mark.parametrize(
    ("part", "answer", "violations", "caught", "verdict"),
    [
        ("_play", VIOLATED, 1, 2, "1 violations"),
        ("_play", VOID, 0, 2, f"void: {LACKS}"),
        ("_die_everywhere", (VIOLATED, set()), 1, 2, "1 violations"),
        ("_die_everywhere", (VOID, set()), 0, 2, f"crash points void: {LACKS}"),
        ("_die_everywhere", (ENOUGH, {"call a before"}), 0, 2, "1 points nobody died at"),
        ("_hunt", "", 0, 0, "not caught: one, other"),
        ("_accuse_the_right", [ACCUSED], 2, 2, "2 violations"),
        ("_tests", 1, 0, 2, "tests failed"),
    ],
    ids=("storm", "storm void", "points", "points void", "unreached", "missed", "in their place", "tests"),
)  # fmt: skip
@pytest.mark.usefixtures("asked")
def test_whatever_goes_wrong_is_told_and_exits_with_1(
    capsys, document, monkeypatch, part, answer, violations, caught, verdict
):
    monkeypatch.setattr(long_runs, part, lambda *_: answer)
    assert long_runs.soak([]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == LAST.format(violations, caught)
    assert _verdict(document) == verdict
    assert f"Last line `{last}`, exit status 1." in document.read_text()


@pytest.mark.usefixtures("asked")
def test_one_wrong_portal_that_got_away_is_counted_and_named(capsys, document, monkeypatch):
    monkeypatch.setattr(long_runs, "_hunt", lambda one, _: "" if one is OTHER else "unowned")
    assert long_runs.soak([]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["not caught: other", LAST.format(0, 1)]
    assert "Wrong portals caught: **1 of 2**." in document.read_text()
    assert "| other | It is wrong too. | nobody |" in document.read_text()


@pytest.mark.usefixtures("asked")
def test_what_is_found_stands_in_the_document_where_it_was_found(document, monkeypatch):
    at_points = replace(VOID, violations=[("dropped", "grant 2")])
    monkeypatch.setattr(long_runs, "_play", lambda *_: VIOLATED)
    monkeypatch.setattr(long_runs, "_die_everywhere", lambda _: (at_points, {"call a before"}))
    monkeypatch.setattr(long_runs, "_accuse_the_right", lambda *_: [ACCUSED])
    long_runs.soak([])
    storm, points, in_their_place = (
        document.read_text().split(start)[1].split("\n\n")[0]
        for start in ("The storm, ", "A death at ", "The right portal ")
    )
    assert storm.splitlines()[1:] == ["- unowned: token 1: no row owns it"]
    assert f"**1 violations; void: {LACKS}; 1 points nobody died at**." in points
    assert points.splitlines()[1:] == ["- dropped: grant 2", "- not reached: call a before"]
    assert in_their_place.splitlines()[1:] == [
        "- like one: unowned: token 1: no row owns it",
        "- like other: unowned: token 1: no row owns it",
    ]


def test_of_what_lives_alike_one_is_tried(asked, document, monkeypatch):
    alike = replace(ONE, name="alike")
    monkeypatch.setattr(long_runs, "portals", lambda: {"one": ONE, "alike": alike, "other": OTHER})
    assert long_runs.soak([]) == 0
    assert len(asked["_hunt"]) == 3
    assert len(asked["_accuse_the_right"]) == 2
    assert "under 2 conditions" in document.read_text()


def test_after_each_part_the_document_says_what_is_missing(document):
    found = results.Soak(VIOLATED)
    results.write(found)
    assert _verdict(document) == "not finished; so far 1 violations"
    assert document.read_text().count("not run in this soak") == 4
    found.deaths, found.caught, found.accused = ENOUGH, [(ONE, "unowned")], []
    results.write(found)
    assert _verdict(document) == "not finished; so far 1 violations"
    assert document.read_text().count("not run in this soak") == 1
    assert "exit status" not in document.read_text()


@pytest.mark.usefixtures("asked")
def test_a_soak_that_judged_no_bound_while_it_stormed_is_void(monkeypatch):
    def play(_seed, goal):
        return replace(ENOUGH, judged=29, goal=replace(NOTHING, judged=goal.judged))

    monkeypatch.setattr(long_runs, "_play", play)
    assert long_runs.soak([]) == 1
    assert long_runs.SOAK["has_quiet"]


@pytest.mark.usefixtures("asked")
def test_failed_tests_are_said_before_the_last_line(capsys, monkeypatch):
    monkeypatch.setattr(long_runs, "_tests", lambda: 1)
    assert long_runs.soak([]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "tests of tests/resilience failed",
        LAST.format(0, 2),
    ]


@pytest.mark.parametrize(
    ("kills", "calls", "races", "rushes", "seconds"),
    [
        ("", "", 20, 100, 7_200),
        ("100", "1000", 2, 10, 1_800),
        ("10000", "", 200, 100, 72_000),
        ("", "200000", 20, 2_000, 144_000),
    ],
)
def test_what_is_asked_for_reaches_the_goal_and_a_longer_soak_has_more_time(
    asked, monkeypatch, kills, calls, races, rushes, seconds
):
    monkeypatch.setenv("KILLS", kills)
    monkeypatch.setenv("CALLS", calls)
    long_runs.soak([])
    ((_, goal),) = asked["_play"]
    assert (goal.kills, goal.calls) == (int(kills or 1_000), int(calls or 10_000))
    assert goal.late == goal.unknowns == goal.calls / 100
    assert (goal.races, goal.rushes) == (races, rushes)
    assert goal.judged >= 30
    assert goal.most_seconds == pytest.approx(seconds)


def test_a_seed_reaches_every_part(asked):
    long_runs.soak([])
    assert asked["_play"][0][0] == 7
    assert asked["_die_everywhere"] == [(7,)]
    assert asked["_hunt"] == asked["_accuse_the_right"] == [(ONE, 7), (OTHER, 7)]


# --- Its parts by themselves --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "missing", "status"),
    [(ENOUGH, set(), 0), (VIOLATED, set(), 1), (VOID, set(), 1), (ENOUGH, {"call a before"}, 1)],
    ids=("sound", "violated", "void", "unreached"),
)
@pytest.mark.parametrize(("asked_for", "seed"), [("", 1), ("5", 5)])
@pytest.mark.usefixtures("lived")
def test_points_exit_with_1_on_anything_and_take_the_seed(
    capsys, monkeypatch, report, missing, status, asked_for, seed
):
    seeds = []
    monkeypatch.setenv("SEED", asked_for)
    monkeypatch.setattr(
        long_runs.points, "run", lambda _, *, seed, **__: seeds.append(seed) or (report, missing)
    )
    assert long_runs.main(["points"]) == status
    assert seeds == [seed]
    assert capsys.readouterr().out.splitlines()[-1].startswith("points kills=0 ")


@pytest.mark.parametrize(
    ("rules", "accused", "status", "last"),
    [
        (("unowned", "decided"), [], 0, "wrong caught=2/2 accused=0 seed=7"),
        (("unowned", ""), [], 1, "wrong caught=1/2 accused=0 seed=7"),
        (("unowned", "decided"), [ACCUSED], 1, "wrong caught=2/2 accused=2 seed=7"),
    ],
    ids=("caught", "missed", "accused"),
)
@pytest.mark.usefixtures("asked")
def test_wrong_portals_by_name_exit_with_1_where_one_got_away_or_the_right_one_is_accused(
    capsys, monkeypatch, rules, accused, status, last
):
    caught = dict(zip(("one", "other"), rules, strict=True))
    monkeypatch.setattr(long_runs, "_hunt", lambda one, _: caught[one.name])
    monkeypatch.setattr(long_runs, "_accuse_the_right", lambda *_: accused)
    assert long_runs.main(["wrong", "one", "other"]) == status
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_a_number_means_so_many_of_today(asked, monkeypatch):
    monkeypatch.setattr(long_runs, "_today", lambda: 3)
    assert long_runs.main(["wrong", "1"]) == 0
    assert asked["_hunt"] == asked["_accuse_the_right"] == [(OTHER, 7)]


def test_every_wrong_portal_has_its_turn_before_any_has_another():
    everyone = [replace(ONE, name=str(number)) for number in range(34)]
    days = [long_runs._of_the_day(everyone, long_runs.IN_CI, day) for day in range(100, 200)]
    turns = [one.name for day in days for one in day]
    assert {len(day) for day in days} == {long_runs.IN_CI}
    for start in range(len(turns) - 34):
        assert len(set(turns[start : start + 34])) == 34


@pytest.mark.parametrize(("accused", "status"), [([], 0), ([ACCUSED], 1)])
def test_the_right_portal_alone_exits_with_1_where_it_is_accused(
    asked, monkeypatch, accused, status
):
    assert long_runs.main(["fair", "other"]) == 0
    assert asked["_accuse_the_right"] == [(OTHER, 7)]
    monkeypatch.setattr(long_runs, "_accuse_the_right", lambda *_: accused)
    assert long_runs.main(["fair"]) == status


@pytest.mark.parametrize("words", [[], ["weather"]])
def test_what_is_none_of_these_is_no_success(words):
    assert long_runs.main(words) == 2
