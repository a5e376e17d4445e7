"""`python -m bench [NAME]`: run the benchmarks, print a line a figure, keep them in docs/benchmarks.md.

A line is `bench <figure> <value> goal <goal> ok|short`. Times are seconds where nothing else is said, shares
have no unit.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import (
    budget_share,
    expiry_lateness,
    lighthouse,
    pages,
    recovery,
    revoke_click,
    stampede,
    worker_memory,
)

NEWLINE = "\n"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Figure:
    """The value that is good enough, and what it says. `is_least`: a bound from below, else from above."""

    goal: float
    says: str
    is_least: bool = False

    @property
    def bound(self) -> str:
        return f"{'at least' if self.is_least else 'at most'} {self.goal:g}"

    def is_met(self, value: float) -> bool:
        return value >= self.goal if self.is_least else value <= self.goal


@dataclass(frozen=True)
class Benchmark:
    """One run and the figures it gives, by name. `measure` gets an empty folder of its own."""

    measure: Callable[[Path], Mapping[str, float]]
    figures: Mapping[str, Figure]
    is_extra: bool = False
    """Runs only where it is named: it needs more than Python."""


def single(name: str, measure: Callable[[Path], float], figure: Figure) -> Benchmark:
    """A benchmark of one figure, which has its name."""
    return Benchmark(lambda folder: {name: measure(folder)}, {name: figure})


BENCHMARKS = {
    "budget_share": Benchmark(
        budget_share.shares,
        {
            "budget_share_200": Figure(
                0.98,
                "share of 200 requests a minute that four saturated processes use",
                is_least=True,
            ),
            "budget_share_2500": Figure(0.98, "the same of 2,500", is_least=True),
            "budget_rest_200": Figure(
                0.95, "share of what others leave of 200, who take a random share", is_least=True
            ),
            "budget_rest_2500": Figure(0.95, "the same of 2,500", is_least=True),
            "budget_refused": Figure(0, "of all these requests, how many were answered with 429"),
        },
    ),
    "expiry_lateness": single(
        "expiry_lateness",
        expiry_lateness.lateness,
        Figure(
            1.03,
            "10,000 leases end in one second: time until the last token is dead on the helpdesk, "
            "divided by the bound (three requests for each, at the announced 2,500 a minute); two workers",
        ),
    ),
    "lighthouse": Benchmark(
        lighthouse.measure,
        {
            "lighthouse_performance": Figure(
                95,
                "of a hundred, the worst of queue, request and My access with a million requests, "
                "on the phone Lighthouse imitates",
                is_least=True,
            ),
            "lighthouse_accessibility": Figure(100, "the same pages", is_least=True),
            "lighthouse_best_practices": Figure(100, "the same pages", is_least=True),
        },
        is_extra=True,
    ),
    "pages_flat": Benchmark(
        pages.measure,
        {
            "pages_flat": Figure(
                1.10,
                "the slowest list page's time among a million requests, divided by its time among a thousand",
            ),
            "queue_vs_admin": Figure(
                15,
                "the time of Django's admin changelist on the same million rows in the same server, "
                "divided by the queue's",
                is_least=True,
            ),
        },
    ),
    "recovery": single(
        "recovery",
        recovery.first_call,
        Figure(
            2,
            "seconds from starting broker, worker, web and beat again, all killed with 10,000 open jobs, "
            "to the first answered remote call",
        ),
    ),
    "revoke_click": Benchmark(
        revoke_click.over,
        {
            "revoke_click": Figure(
                250,
                "milliseconds beyond one round trip and one slot from a click on *End this access* "
                "until the token is dead, behind 10,000 due refreshes; the median of the clicks",
            ),
            "revoke_click_worst": Figure(1000, "the same, the slowest click"),
            "revoke_click_gone": Figure(
                250,
                "the same until the access stands as ended: its token is not shown any more and lacks in a "
                "list of all, of 10,000; beyond one round trip and one slot for each of the requests that takes",
            ),
        },
    ),
    "stampede": single(
        "stampede",
        stampede.slowest_queue,
        Figure(
            1.0,
            "seconds, slowest `/queue` while 200 clients wait for one refresh and the helpdesk stalls",
        ),
    ),
    "worker_memory": single(
        "worker_memory",
        worker_memory.megabytes,
        Figure(120, "MB (PSS) of a worker with 16 threads after 2,000 refreshes"),
    ),
}


def main() -> int:
    """Run those asked for, or all; 1 if one falls short."""
    homes = {figure: name for name, one in BENCHMARKS.items() for figure in one.figures}
    usual = [name for name, one in BENCHMARKS.items() if not one.is_extra]
    asked = [name for name in sys.argv[1:] if name] or usual
    if unknown := set(asked) - set(BENCHMARKS) - set(homes):
        print(f"No benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}.")
        return 2
    wanted = dict.fromkeys(homes.get(name, name) for name in asked)
    load = os.getloadavg()[0]
    lines: list[str] = []
    for name in wanted:
        lines += run(BENCHMARKS[name])
        keep(lines, load)
    return int(any(text.endswith("short") for text in lines))


def run(benchmark: Benchmark) -> list[str]:
    """Measure and print a line for each figure. Raises `KeyError` for a figure that was not measured."""
    with tempfile.TemporaryDirectory(prefix="keydesk-bench-") as folder:
        values = benchmark.measure(Path(folder))
    lines = [line(name, figure, values[name]) for name, figure in benchmark.figures.items()]
    print("\n".join(lines), flush=True)
    return lines


def line(name: str, figure: Figure, value: float) -> str:
    """The line of one figure."""
    verdict = "ok" if figure.is_met(value) else "short"
    return f"bench {name} {value:.3f} goal {figure.goal:g} {verdict}"


def keep(lines: list[str], load: float) -> None:
    """Put these lines on the page of results, each in the place of what was measured before.

    `load`: what else the machine was doing before, which times depend on.
    """
    said = [
        f"- `{name}`: {figure.says}; {figure.bound}"
        for benchmark in BENCHMARKS.values()
        for name, figure in benchmark.figures.items()
    ]
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
    database = "PostgreSQL" if os.environ.get("KEYDESK_TEST_POSTGRES") else "SQLite"
    page = f"""# Benchmarks

Written by `make bench`, the last time on {database} and a machine with {machine}; its load before was {load:.1f}.
`make bench ONLY=name` runs one and leaves the lines of the others. Times want a machine that does nothing else.

{NEWLINE.join(said)}

```
{NEWLINE.join(_with_earlier(lines))}
```
"""
    PAGE.write_text(page)


def _with_earlier(lines: list[str]) -> list[str]:
    """In the order of the figures: these lines, and of figures not measured now what the page says of them."""
    known: dict[str, str] = {}
    for text in [*PAGE.read_text().splitlines(), *lines]:
        if text.startswith("bench "):
            known[text.split()[1]] = text
    names = [name for benchmark in BENCHMARKS.values() for name in benchmark.figures]
    return [known[name] for name in names if name in known]


if __name__ == "__main__":
    sys.exit(main())
