"""`python -m tests.resilience.oracle`: the judge as a process of its own, beside a run.

Prints each violation as a JSON line as it is seen. On SIGTERM or SIGINT, or when the file named by
`--until` appears, it waits for rest, and its last line is the figures. Exit status 1 on any violation.
"""

import argparse
import json
import signal
import sys
import threading
from dataclasses import fields
from pathlib import Path

from tests.resilience.oracle import Oracle, Times, Violation


def main() -> int:
    """Look once a second until told that it is over; 1 where anything was found."""
    options = _options()
    oracle, is_over = _oracle(options), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.set())
    count = 0
    while not (is_over.wait(options.every) or (options.until and options.until.exists())):
        count += _print(oracle.look())
    count += _print(oracle.at_rest(within=options.within))
    print(json.dumps({"figures": oracle.figures()}), flush=True)
    return 1 if count else 0


def _print(found: list[Violation]) -> int:
    for violation in found:
        line = {"rule": violation.rule, "sentence": violation.sentence}
        print(json.dumps(line), flush=True)
    return len(found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.resilience.oracle")
    for name in ("database", "helpdesk", "client-id", "slug"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--ledger", required=True, type=Path)
    parser.add_argument("--times", required=True, help="JSON: a number of seconds for each name")
    parser.add_argument("--requests-per-minute", required=True, type=int)
    parser.add_argument("--window", type=float, default=60.0)
    parser.add_argument("--redis", default="")
    parser.add_argument("--folder", action="append", type=Path, default=[])
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--within", type=float, default=60.0)
    parser.add_argument("--until", type=Path)
    return parser.parse_args()


def _oracle(options: argparse.Namespace) -> Oracle:
    try:
        times = Times(**{name: float(value) for name, value in json.loads(options.times).items()})
    except (TypeError, ValueError, AttributeError):
        names = ", ".join(field.name for field in fields(Times))
        sys.exit(f"--times is a JSON object of numbers; its names are {names}.")
    return Oracle(
        database_url=options.database, helpdesk_address=options.helpdesk,
        client_id=options.client_id, helpdesk_slug=options.slug, ledger_path=options.ledger,
        times=times, requests_per_minute=options.requests_per_minute, window=options.window,
        redis_url=options.redis, folders=options.folder,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
