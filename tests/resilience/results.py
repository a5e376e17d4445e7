"""Writes what a soak found into docs/resilience.md, between its two marks; nothing there is written by hand."""

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from tests.resilience.run import Report
from tests.resilience.wrong import Wrong
from tests.stack import ROOT

DOCUMENT = ROOT / "docs" / "resilience.md"
_MARKS = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)


def check() -> None:
    """Raises `ValueError` where the document has no place for results; asked before a long run."""
    if not _MARKS.search(DOCUMENT.read_text()):
        raise ValueError(f"{DOCUMENT.name} has no place for results.")


def write(
    report: Report,
    deaths: Report | None = None,
    unreached: Collection[str] = (),
    caught: Sequence[tuple[Wrong, str]] = (),
) -> None:
    """Put the results of one soak in place of those before: its storm, its crash points, its wrong portals.

    What the soak has not come to yet is called so.
    """
    check()
    points = _points(deaths, unreached) if deaths else ["Crash points: not run in this soak."]
    wrong = _wrong(caught) if caught else ["Wrong portals: not run in this soak."]
    found = "\n".join([*_right(report), "", *points, "", *wrong])
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(_MARKS.sub(lambda marks: f"{marks[1]}{found}\n{marks[2]}", text))


def _right(report: Report) -> list[str]:
    verdict = f"{len(report.violations)} violations"
    if report.lacks:
        verdict = f"void: {', '.join(report.lacks)}"
    when = f"{datetime.now(UTC):%-d %B %Y}, seed {report.seed}, {report.seconds / 60:.0f} minutes"
    return [
        f"Soak of {when}: **{verdict}**.",
        "",
        "| what went wrong | how often |",
        "|---|---|",
        f"| processes killed with SIGKILL | {report.kills}, at {len(report.deaths)} crash points and at any moment |",
        f"| calls that met a fault | {report.calls} of {report.requests} |",
        f"| answers that stayed unknown | {report.unknowns} |",
        f"| commits after the client had given up | {report.late} |",
        f"| clicks and fetches raced | {report.races} |",
        f"| seconds of quiet in which whatever was late had no excuse left | {report.judged} |",
        f"| tokens handed out meanwhile | {report.lived['handed out']} |",
        f"| accesses that lived to their end | {report.lived['life revoked']} |",
        *(f"| violation: {rule} | {sentence} |" for rule, sentence in report.violations),
    ]  # fmt: skip


def _points(deaths: Report, unreached: Collection[str]) -> list[str]:
    found = f"{len(deaths.violations)} violations, {len(unreached)} points nobody died at"
    many = f"{deaths.kills} deaths in all, {deaths.seconds / 60:.0f} minutes"
    return [
        f"A death at each of {len(deaths.deaths)} crash points ({many}): **{found}**.",
        *(f"- {rule}: {sentence}" for rule, sentence in deaths.violations),
        *(f"- not reached: {point}" for point in sorted(unreached)),
    ]


def _wrong(caught: Sequence[tuple[Wrong, str]]) -> list[str]:
    found = sum(bool(rule) for _, rule in caught)
    return [
        f"Wrong portals caught: **{found} of {len(caught)}**.",
        "",
        "| wrong portal | what it does | caught by |",
        "|---|---|---|",
        *(f"| {one.name} | {one.says} | {rule or 'nobody'} |" for one, rule in caught),
    ]
