"""What a soak has found, part by part, and how it is said: in docs/resilience.md, in its last line, by its exit status.

The document's results stand between its two marks; nothing there is written by hand.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.resilience.run import Report
from tests.resilience.wrong import Wrong
from tests.stack import ROOT

DOCUMENT = ROOT / "docs" / "resilience.md"
_MARKS = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)

Said = tuple[str, str]
"""A violation: its rule and what was seen."""


@dataclass
class Soak:
    """Its storm, and of its other parts what there is yet; None: it has not come to it."""

    storm: Report
    deaths: Report | None = None
    unreached: Collection[str] = ()
    """Crash points nobody came to, or died at."""
    caught: Sequence[tuple[Wrong, str]] | None = None
    """Each wrong portal with the rule that caught it; "": none did."""
    accused: Sequence[tuple[str, Sequence[Said]]] | None = None
    """Each wrong portal under whose conditions the right one lived, with what was found of that."""
    has_failed: bool | None = None
    """Whether a test at length did."""

    @property
    def violations(self) -> list[Said]:
        """Of the right portal, wherever it lived."""
        there = self.deaths.violations if self.deaths else []
        in_their_place = [said for _, found in self.accused or () for said in found]
        return [*self.storm.violations, *there, *in_their_place]

    @property
    def missed(self) -> list[str]:
        """Wrong portals that nobody caught."""
        return [one.name for one, rule in self.caught or () if not rule]

    @property
    def faults(self) -> list[str]:
        """Why its exit status is 1, in words; none: it is 0."""
        return [*_faults_of(self.storm, self.violations), *self._other_faults()]

    def _other_faults(self) -> Iterator[str]:
        if self.deaths and self.deaths.lacks:
            yield f"crash points void: {', '.join(self.deaths.lacks)}"
        if self.unreached:
            yield _points_left(self.unreached)
        if self.missed:
            yield f"not caught: {', '.join(self.missed)}"
        if self.has_failed:
            yield "tests failed"

    @property
    def is_over(self) -> bool:
        """Whether it has come to the end of its last part."""
        return None not in (self.deaths, self.caught, self.accused, self.has_failed)

    @property
    def last_line(self) -> str:
        """What it prints last."""
        storm, tried = self.storm, len(self.caught or ())
        return (
            f"soak kills={storm.kills} calls={storm.calls} unknowns={storm.unknowns} "
            f"late={storm.late} violations={len(self.violations)} "
            f"caught={tried - len(self.missed)}/{tried} seed={storm.seed}"
        )


def check() -> None:
    """Raises `ValueError` where the document has no place for results; asked before a long run."""
    if not _MARKS.search(DOCUMENT.read_text()):
        raise ValueError(f"{DOCUMENT.name} has no place for results.")


def write(soak: Soak) -> None:
    """Put what a soak has found in place of the results before. What it has not come to yet is called so."""
    check()
    parts = [
        _whole(soak),
        _storm(soak.storm),
        _points(soak),
        _wrong(soak),
        _right(soak),
        _end(soak),
    ]
    found = "\n\n".join("\n".join(part) for part in parts)
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(_MARKS.sub(lambda marks: f"{marks[1]}{found}\n{marks[2]}", text))


def _whole(soak: Soak) -> list[str]:
    """The verdict on all of it."""
    verdict = "; ".join(soak.faults or ["0 violations"])
    if not soak.is_over:
        verdict = f"not finished; so far {verdict}"
    return [f"Soak of {datetime.now(UTC):%-d %B %Y}, seed {soak.storm.seed}: **{verdict}**."]


def _storm(report: Report) -> list[str]:
    return [
        f"The storm, {report.seconds / 60:.0f} minutes: **{_verdict(report)}**.",
        *_listed(report.violations),
        "",
        "| what went wrong | how often |",
        "|---|---|",
        f"| processes killed with SIGKILL | {report.kills}, at {len(report.deaths)} crash points and at any moment |",
        f"| calls that met a fault | {report.calls} of {report.requests} |",
        f"| answers that stayed unknown | {report.unknowns} |",
        f"| commits after the client had given up | {report.late} |",
        f"| clicks of people in the same moment | {report.races} |",
        f"| calls of one script in the same moment | {report.rushes} |",
        f"| seconds of quiet in which whatever was late had no excuse left | {report.judged} |",
        f"| tokens handed out meanwhile | {report.lived['handed out']} |",
        f"| accesses that lived to their end | {report.lived['life revoked']} |",
    ]  # fmt: skip


def _points(soak: Soak) -> list[str]:
    deaths = soak.deaths
    if deaths is None:
        return ["Crash points: not run in this soak."]
    found = "; ".join([_verdict(deaths), _points_left(soak.unreached)])
    many = f"{deaths.kills} deaths in all, {deaths.seconds / 60:.0f} minutes"
    return [
        f"A death at each of {len(deaths.deaths)} crash points ({many}): **{found}**.",
        *_listed(deaths.violations),
        *(f"- not reached: {point}" for point in sorted(soak.unreached)),
    ]


def _wrong(soak: Soak) -> list[str]:
    if soak.caught is None:
        return ["Wrong portals: not run in this soak."]
    tried = len(soak.caught)
    return [
        f"Wrong portals caught: **{tried - len(soak.missed)} of {tried}**.",
        "",
        "| wrong portal | what it does | caught by |",
        "|---|---|---|",
        *(f"| {one.name} | {one.says} | {rule or 'nobody'} |" for one, rule in soak.caught),
    ]


def _right(soak: Soak) -> list[str]:
    """The right portal in their place."""
    if soak.accused is None:
        return ["The right portal in the place of wrong ones: not run in this soak."]
    found = [said for _, all_said in soak.accused for said in all_said]
    return [
        f"The right portal in the place of wrong ones, under {len(soak.accused)} conditions: **{len(found)} violations**.",
        *(line for name, said in soak.accused for line in _listed(said, f"like {name}: ")),
    ]  # fmt: skip


def _end(soak: Soak) -> list[str]:
    """The tests at length, the last line and the exit status."""
    if soak.has_failed is None:
        return ["The tests at length: not run in this soak."]
    tests = f"The tests at length: **{'failed' if soak.has_failed else 'passed'}**."
    last = f"Last line `{soak.last_line}`, exit status {int(bool(soak.faults))}."
    return [tests, "", last] if soak.is_over else [tests]


def _verdict(report: Report) -> str:
    """On one run by itself."""
    return "; ".join(_faults_of(report, report.violations) or ["0 violations"])


def _faults_of(report: Report, violations: Sequence[Said]) -> list[str]:
    found = [f"{len(violations)} violations"] if violations else []
    return found + ([f"void: {', '.join(report.lacks)}"] if report.lacks else [])


def _points_left(unreached: Collection[str]) -> str:
    return f"{len(unreached)} points nobody died at"


def _listed(violations: Sequence[Said], where: str = "") -> list[str]:
    return [f"- {where}{rule}: {sentence}" for rule, sentence in violations]
