"""`python -m bench [NAME]`: run the benchmarks, print a line each, keep them in docs/benchmarks.md.

A line is `bench <name> <value> goal <goal> ok|short`. Times are seconds, shares have no unit.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import stampede

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Benchmark:
    """What is measured, and the value that is good enough (a bound from above)."""

    measure: Callable[[Path], float]
    goal: float
    says: str


BENCHMARKS = {
    "stampede": Benchmark(
        stampede.slowest_queue,
        1.0,
        "seconds, slowest `/queue` while 200 clients wait for one refresh and the helpdesk stalls",
    ),
}


def main() -> int:
    """Run those asked for, or all; 1 if one falls short."""
    wanted = [name for name in sys.argv[1:] if name] or list(BENCHMARKS)
    if unknown := set(wanted) - set(BENCHMARKS):
        print(f"No benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}.")
        return 2
    lines = [line(name) for name in wanted]
    if wanted == list(BENCHMARKS):
        keep(lines)
    return int(any(text.endswith("short") for text in lines))


def line(name: str) -> str:
    """Measure one and print its line."""
    benchmark = BENCHMARKS[name]
    with tempfile.TemporaryDirectory(prefix="keydesk-bench-") as folder:
        value = benchmark.measure(Path(folder))
    verdict = "ok" if value <= benchmark.goal else "short"
    text = f"bench {name} {value:.3f} goal {benchmark.goal:g} {verdict}"
    print(text, flush=True)
    return text


def keep(lines: list[str]) -> None:
    """Write the page of results."""
    said = [
        f"- `{name}`: {benchmark.says}; at most {benchmark.goal:g}"
        for name, benchmark in BENCHMARKS.items()
    ]
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
    PAGE.write_text(
        "\n".join(
            [
                "# Benchmarks",
                "",
                f"Written by `make bench` on a machine with {machine}; `make bench ONLY=name` runs one.",
                "",
                *said,
                "",
                "```",
                *lines,
                "```",
                "",
            ]
        )
    )


if __name__ == "__main__":
    sys.exit(main())
