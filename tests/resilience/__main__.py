"""`make soak`, and the longer parts of CI: the right portal through everything, and wrong ones that must be caught.

`python -m tests.resilience soak`    everything; `KILLS=`, `CALLS=`, `SEED=` from the environment
`python -m tests.resilience points`  a death at each crash point there is
`python -m tests.resilience wrong [how many | names]`  wrong portals, in rotation by the day, and then the right one
    for a while under the conditions of each, of which nothing may be found
`python -m tests.resilience fair [names]`  the right portal alone under those conditions

`SEED=` repeats any of them; else a soak takes one by chance, the others 1.

Exit status 1 on any violation, a wrong portal that was not caught, or a run in which too little went wrong.
"""

import datetime
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django

import tests.environment  # noqa: F401 - what the settings need

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from tests.resilience import points, results  # noqa: E402 - after django.setup
from tests.resilience.lives import PLANS  # noqa: E402
from tests.resilience.run import SETTLED, SETTLES_WITHIN, Goal, Report, prepared  # noqa: E402
from tests.resilience.wrong import Wrong, portals  # noqa: E402
from tests.stack import ROOT, own_database  # noqa: E402

IN_CI = 5
SOAK = {
    "share": 0.45, "has_lulls": True, "has_quiet": True, "pace": 2.5, "households": 10, "at_once": 7, "armed_at_once": 8,
    "plans": (*PLANS, *SETTLED[:40]), "is_loud": True,
}  # fmt: skip
"""How many of the calls meet a fault in a soak's gusts, how many people live in it, and where death waits for them.

Without lulls, or where a worker dies every second, hardly a list is whole, nothing comes to its end, tokens of
nobody pile up, and fewer calls are made, not more.
"""
QUIET = 30
"""Seconds of a soak in which whatever was late must have been late without an excuse: of two times of quiet, mostly."""
LEAST_SECONDS, SECONDS_A_KILL, SECONDS_A_CALL = 1800.0, 7.2, 0.72
"""How long a soak may take: two hours for 1,000 kills and 10,000 calls, and never too little for two times of quiet."""
LIVES = 3
"""How often a wrong portal may live before it must have been caught."""
FAIR = 20.0
"""Seconds the right portal lives in the place of a wrong one."""


def main(words: list[str]) -> int:
    """Run what was asked for; the exit status."""
    acts = {"soak": soak, "points": every_point, "wrong": wrong_ones, "fair": fair}
    act = acts.get(words[0] if words else "")
    if act is None:
        print(__doc__, file=sys.stderr)
        return 2
    return act(words[1:])


def soak(_: list[str]) -> int:
    """The right portal until enough went wrong, every crash point, every wrong portal, and the tests here at length.

    The results go into the docs, after each part what there is.
    """
    results.check()
    seed = _seed(random.randrange(1, 10_000))
    goal = _goal(int(os.environ.get("KILLS") or 1000), int(os.environ.get("CALLS") or 10_000))
    found = results.Soak(_play(seed, goal))
    results.write(found)
    found.deaths, found.unreached = _die_everywhere(seed)
    results.write(found)
    found.caught = [(one, _hunt(one, seed)) for one in portals().values()]
    results.write(found)
    alike = _conditions(portals().values())
    found.accused = [(one.name, _accuse_the_right(one, seed)) for one in alike]
    results.write(found)
    found.has_failed = bool(_tests())
    results.write(found)
    for name in found.missed:
        print(f"not caught: {name}")
    if found.has_failed:
        print("tests of tests/resilience failed")
    print(found.last_line, flush=True)
    return 1 if found.faults else 0


def _seed(otherwise: int = 1) -> int:
    """By `SEED=` a run is had again, as far as chance is its own."""
    return int(os.environ.get("SEED") or otherwise)


def _goal(kills: int, calls: int) -> Goal:
    """What a soak asks for beside deaths and faulted calls, and how long it may take: twice as long as it does."""
    return Goal(
        kills, calls, late=max(1, calls // 100), unknowns=max(1, calls // 100),
        races=max(1, kills // 50), rushes=max(1, calls // 100), served=1, judged=QUIET,
        most_seconds=max(LEAST_SECONDS, SECONDS_A_KILL * kills, SECONDS_A_CALL * calls),
        acts=("end_everything", "freeze", "take_list", "confirm", "restore", "trespass"),
    )  # fmt: skip


def _tests() -> int:
    """Races of real processes, the broker's faults, one fault at a time anywhere, at length."""
    return subprocess.call(
        [sys.executable, "-m", "pytest", "-q", "-rs", "tests/resilience"],
        cwd=ROOT, env={**os.environ, "KEYDESK_SOAK": "1"},
    )  # fmt: skip


def every_point(_: list[str]) -> int:
    """A death at every crash point; one that was never reached is told."""
    report, missing = _die_everywhere(_seed())
    return 1 if report.violations or report.lacks or missing else 0


def _die_everywhere(seed: int) -> tuple[Report, set[str]]:
    with _folder() as folder, own_database() as database:
        report, missing = points.run(folder, seed=seed, **database)
    _tell(report)
    for point in missing:
        print(f"not reached: {point}")
    print(
        f"points kills={report.kills} hit={len(report.deaths)} late={report.late} missing={len(missing)} "
        f"violations={len(report.violations)} seconds={report.seconds:.0f} seed={seed}",
        flush=True,
    )
    return report, missing


def wrong_ones(words: list[str]) -> int:
    """The named wrong portals, or so many of them by the day."""
    everyone = list(portals().values())
    if words and not words[0].isdigit():
        chosen = [portals()[name] for name in words]
    else:
        chosen = _of_the_day(everyone, int(words[0]) if words else IN_CI, _today())
    seed = _seed()
    caught = [bool(_hunt(one, seed)) for one in chosen]
    accused = sum(bool(_accuse_the_right(one, seed)) for one in chosen)
    print(f"wrong caught={sum(caught)}/{len(caught)} accused={accused} seed={seed}")
    return 0 if all(caught) and not accused else 1


def _of_the_day(everyone: Sequence[Wrong], count: int, day: int) -> list[Wrong]:
    """So many of them; those that follow on the next day, so that each has its turn."""
    return [everyone[(day * count + n) % len(everyone)] for n in range(count)]


def _today() -> int:
    """The day's number, without a leap at the end of a year."""
    return datetime.datetime.now(datetime.UTC).toordinal()


def _play(seed: int, goal: Goal) -> Report:
    with (
        _folder() as folder,
        own_database() as database,
        prepared(folder, seed=seed, **SOAK, **database) as run,
    ):
        report = run.play(goal)
    _tell(report)
    return report


def _tell(report: Report) -> None:
    for lack in report.lacks:
        print(f"void: {lack}")
    print(
        f"lived: {dict(report.lived)} in {report.seconds:.0f} s; in {report.judged} of them no bound had an excuse",
        flush=True,
    )


def _hunt(wrong: Wrong, seed: int) -> str:
    """Which rule caught a wrong portal; "" when none did in any of its lives, each from a seed of its own.

    Whether the weather and its fault meet is chance.
    """
    lives = (_hunt_once(wrong, seed + life) for life in range(LIVES))
    return next((rule for rule in lives if rule), "")


def _hunt_once(wrong: Wrong, seed: int) -> str:
    options: dict[str, Any] = {"households": 2, **wrong.options}
    within = options.pop("settles_within", SETTLES_WITHIN)
    with (
        _folder() as folder,
        own_database() as database,
        prepared(folder, seed=seed, wrong=wrong.name, **options, **database) as run,
    ):

        def found() -> str:
            rules = {rule for rule, _ in run.violations}
            return next((rule for rule in wrong.caught_by if rule in rules), "")

        report = run.play(
            _endless(wrong.seconds), warm=1, is_enough=lambda: bool(found()), settles_within=within
        )
        rule = found()
    by = f"caught by {rule}" if rule else f"NOT CAUGHT, only {report.violations[:5]}"
    print(f"wrong {wrong.name}: {by} after {report.seconds:.0f} s", flush=True)
    return rule


def _endless(seconds: float) -> Goal:
    """A goal that only time reaches."""
    return Goal(10_000, 1_000_000, most_seconds=seconds)


def fair(words: list[str]) -> int:
    """The right portal, for a while, under the options of these wrong ones: nothing may be found."""
    chosen = _conditions(portals()[name] for name in words or portals())
    accused = [said for one in chosen for said in _accuse_the_right(one, _seed())]
    return 1 if accused else 0


def _conditions(chosen: Iterable[Wrong]) -> Iterable[Wrong]:
    """One of those that live under the same conditions."""
    return {str(one.options): one for one in chosen}.values()


def _accuse_the_right(one: Wrong, seed: int) -> list[tuple[str, str]]:
    """What is found of the right portal, for a while, under the conditions of this wrong one.

    That nothing was called, of which nothing can be found, counts as if something were.
    """
    options: dict[str, Any] = {"households": 2, **one.options}
    within = max(options.pop("settles_within", 0.0), SETTLES_WITHIN)
    with (
        _folder() as folder,
        own_database() as database,
        prepared(folder, seed=seed, **options, **database) as run,
    ):
        report = run.play(_endless(min(FAIR, one.seconds)), warm=1, settles_within=within)
    print(
        f"fair {one.name}: {len(report.violations)} violations, {report.requests} calls", flush=True
    )
    for rule, sentence in report.violations:
        print(f"violation {rule}: {sentence}", flush=True)
    return report.violations or ([] if report.requests else [("void", "nothing was called")])


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of the run's own; kept where something is to be looked at: KEEP=1."""
    place = Path(tempfile.mkdtemp(prefix="keydesk-soak-"))
    try:
        yield place
    finally:
        if os.environ.get("KEEP"):
            print(f"kept: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
