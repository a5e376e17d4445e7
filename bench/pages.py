"""Whether lists cost the same however much stands in them, and what the queue costs beside Django's admin.

Two portals, one with a thousand requests and one with a million, are asked in turn for the same pages.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bench.stage import Stage, staged
from tests.stack import ROOT

FEW, MANY = 1_000, 1_024_000
ROUNDS = 40
PAGES = {
    "queue": ("ben", "/queue"),
    "queue of an admin": ("omar", "/queue"),
    "all I may see": ("ben", "/queue?view=all"),
    "decided": ("omar", "/queue?view=decided"),
    "text": ("ben", "/queue?text=team"),
    "text that nothing has": ("omar", "/queue?text=nowhere"),
    "my access": ("ben", "/"),
    "ended": ("ben", "/ended"),
    "inventory": ("omar", "/inventory"),
    "audit": ("omar", "/audit"),
    "profiles": ("omar", "/profiles"),
    "emergencies": ("omar", "/emergencies"),
}
ADMINS = ("omar", "/admin/tokens/accessrequest/?state__exact=pending")


@dataclass(frozen=True)
class Portal:
    """One of the two, and the browsers of who looks."""

    address: str
    cookies: Mapping[str, str]
    waiting: int
    """A request that waits."""

    def seconds(self, page: tuple[str, str]) -> float:
        """How long a page takes. Raises `AssertionError` when it is not that page."""
        key, path = page
        started = time.perf_counter()
        answer = requests.get(
            self.address + path, headers={"Cookie": self.cookies[key]}, allow_redirects=False, timeout=120
        )  # fmt: skip
        took = time.perf_counter() - started
        assert answer.status_code == 200, (path, answer.status_code, answer.headers.get("Location"))
        return took


@contextmanager
def portal(folder: Path, number: int) -> Iterator[Portal]:
    """A portal with so many requests; only its web process runs."""
    folder.mkdir()
    with staged(folder, per_minute=2500, DJANGO_SETTINGS_MODULE="bench.settings") as stage:
        filled = _filled(stage, number)
        stage.stack.start_web()
        address = stage.stack.address("portal")
        stage.stack.supervisor.wait_for(f"{address}/healthz")
        yield Portal(address, filled["cookies"], filled["waiting"])


def _filled(stage: Stage, number: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.crowd", str(number)],
        cwd=ROOT, env=dict(stage.stack.environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(folder: Path) -> Mapping[str, float]:
    """The worst page's time among a million divided by its time among a thousand; the admin's by the queue's."""
    with portal(folder / "few", FEW) as few, portal(folder / "many", MANY) as many:
        ratios = {name: _ratio(few, many, page) for name, page in PAGES.items()}
        for name, ratio in ratios.items():
            print(f"  {name}: {ratio:.2f}", file=sys.stderr)
        queue, admin = _in_turn(
            lambda: many.seconds(PAGES["queue of an admin"]), lambda: many.seconds(ADMINS)
        )
    return {"pages_flat": max(ratios.values()), "queue_vs_admin": admin / queue}


def _ratio(few: Portal, many: Portal, page: tuple[str, str]) -> float:
    small, big = _in_turn(lambda: few.seconds(page), lambda: many.seconds(page))
    return big / small


def _in_turn(first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float]:
    """The medians of both, measured one after the other and again."""
    for _ in range(5):
        first(), second()
    pairs = [(first(), second()) for _ in range(ROUNDS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)
