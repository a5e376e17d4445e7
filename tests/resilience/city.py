"""The whole product as real processes that die and are started again, with time run fast and crash points in them."""

import os
import random
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import redis

from demo.environment import compose
from demo.helpdesk.remote import Remote
from demo.stack import PYTHON, Stack
from demo.supervisor import Supervisor
from tests.resilience.rows import Rows
from tests.stack import ROOT, free_base, manage

FAST = {
    "ACCESS_TOKEN_MOST_SECONDS": "12",
    "ACCESS_TOKEN_LEAST_SECONDS": "4",
    "DEMO_HELPDESK_ACCESS_MIN": "4",
    "DEMO_HELPDESK_CODE_LIFE": "4",
    "DUE_SWEEP_SECONDS": "0.7",
    "SWEEP_SECONDS": "1.5",
    "INVENTORY_SECONDS": "4",
    "CODE_LIFE_SECONDS": "4",
    "SEND_WITHIN_SECONDS": "1",
    "MINIMUM_AGE_SECONDS": "8",
    "CALL_DEADLINE_SECONDS": "1.5",
    "CLAIM_SECONDS": "3.5",
    "PROBE_SECONDS": "1",
    "BACKOFF_SECONDS": "0.6,1,1.5,2",
    "SERVE_LEAST_SECONDS": "2",
    "SERVE_MARGIN_SECONDS": "1",
    "TOKEN_WAIT_SECONDS": "3",
    "RECENT_AUTHENTICATION_SECONDS": "40",
    "GROUPS_FRESH_SECONDS": "30",
    "CONSENTS_PER_HOUR": "1000000",
    "ASKS_PER_HOUR": "1000000",
}
"""Minimum age: code life, time to send and three seconds for late commits."""
LATEST = 2.8
"""Seconds after which a late commit may still come: within the minimum age of any call."""
WORKERS = 2


@dataclass
class City(Stack):
    """A stack whose web, workers and beat carry crash points, and whose processes can be killed by name."""

    killed_at: list[float] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @property
    def crashes(self) -> Path:
        return Path(self.environment["KEYDESK_CRASHES"])

    @property
    def helpdesk(self) -> Remote:
        """The production helpdesk, the only one the lives here use."""
        return Remote(self.address("production helpdesk"))

    @property
    def rows(self) -> Rows:
        return Rows(self.environment["DATABASE_URL"])

    def web_command(self) -> list[str]:
        right = super().web_command()
        return [
            "tests.resilience.web:application" if word == "portal.wsgi:application" else word
            for word in right
        ]

    def start_worker(self) -> None:
        for number in range(1, WORKERS + 1):
            self._keep(f"worker-{number}")

    def start_beat(self) -> None:
        self._keep("beat")

    def _keep(self, name: str) -> None:
        self.supervisor.start(name, [*PYTHON, "tests.resilience.processes", name], self.environment)

    def kill(self, name: str, chance: random.Random) -> None:
        """SIGKILL the child that `name` is at present, one of several by chance; whoever keeps it starts another."""
        if name == "web":
            return self._kill_web(chance)
        with suppress(OSError, ValueError):
            os.kill(int((self.crashes / "alive" / name).read_text()), signal.SIGKILL)
            self._count()

    def pid(self, name: str) -> int:
        """The process the supervisor started under this name."""
        return next(child.pid for label, child in self.supervisor.children if label == name)

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to one of the city's processes; one that is gone is fine."""
        with suppress(OSError):
            os.kill(pid, number)

    def broker_client(self) -> redis.Redis:
        """A client of the city's broker."""
        return redis.Redis.from_url(self.environment["REDIS_URL"], socket_timeout=2)

    def _kill_web(self, chance: random.Random) -> None:
        parent = self.pid("web")
        listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        with suppress(OSError):
            os.kill(int(chance.choice(listed)), signal.SIGKILL)
            self._count()

    def _count(self) -> None:
        with self._lock:
            self.killed_at.append(time.time())

    def restart_broker(self) -> None:
        """SIGKILL the broker and start it again on the same port, with what it had on disk."""
        for entry in list(self.supervisor.children):
            if entry[0] == "broker":
                entry[1].kill()
                entry[1].wait()
                self.supervisor.children.remove(entry)
        self.start_broker()
        self.supervisor.children.insert(0, self.supervisor.children.pop())
        self._count()

    def ordered_deaths(self) -> list[str]:
        """The crash points that killed somebody, in order."""
        return [line[2] for line in self._deaths()]

    def death_times(self) -> list[float]:
        """When somebody died, at a point or by a signal, in no order that matters (unix time)."""
        return [*self.killed_at, *(float(line[0]) for line in self._deaths())]

    def _deaths(self) -> list[list[str]]:
        with suppress(FileNotFoundError):
            lines = (self.crashes / "killed.log").read_text().splitlines()
            return [line.split(" ", 2) for line in lines]
        return []

    def arm(self, *points: str) -> None:
        """Whoever reaches one of these next dies there."""
        for point in points:
            (self.crashes / "armed" / point).touch()

    def disarm(self, *points: str) -> None:
        """From now on nobody dies at these crash points, or at any."""
        for point in points or self.armed():
            (self.crashes / "armed" / point).unlink(missing_ok=True)

    def armed(self) -> set[str]:
        return {point.name for point in (self.crashes / "armed").iterdir()}

    def seen(self) -> set[str]:
        """Every place and point that was reached so far."""
        return {place.name for place in (self.crashes / "seen").iterdir()}


@contextmanager
def running_city(
    folder: Path, *, wrong: str = "", armed: Iterable[str] = (), **overrides: str
) -> Iterator[City]:
    """A city with the starter catalogue; everything of it ends with the block.

    `wrong`: one of the wrong portals. `armed`: crash points that are armed before anybody starts.
    """
    base = free_base()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HELPDESK", "OIDC_"))},
        **compose(folder, base),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        "KEYDESK_CRASHES": str(folder / "crashes"),
        "KEYDESK_WRONG": wrong,
        "HELPDESKS": "production",
        "HELPDESK_PRODUCTION_REQUESTS_PER_MINUTE": "9000",
        **FAST,
        **overrides,
    }  # fmt: skip
    for place in ("armed", "seen", "alive"):
        (folder / "crashes" / place).mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(folder / "log")
    city = City(environment, supervisor)
    try:
        city.start_broker()
        city.start_surroundings()
        for words in (("migrate", "--verbosity=0"), ("load_catalogue",)):
            done = manage(environment, *words)
            assert done.returncode == 0, done.stdout + done.stderr
        city.wait_for_surroundings()
        city.arm(*armed)
        city.start_portal()
        yield city
    finally:
        supervisor.end()
