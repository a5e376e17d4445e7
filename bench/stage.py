"""Where a benchmark plays: the whole product as real processes over full databases, and how to look at it.

Nothing of the portal is imported here; both databases are read by their drivers.
"""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.environment import compose
from demo.stack import Stack
from demo.supervisor import Supervisor
from tests.resilience.rows import Rows
from tests.stack import ROOT, free_base, manage, own_database

CLICKED = 20
"""How many of the credentials are Ada's, who clicks; the rest are Noor's."""
ROWS = int(os.environ.get("BENCH_ROWS", "10000"))
"""How many credentials; fewer only while trying something out."""


@dataclass(frozen=True)
class Stage:
    """A stack whose portal may not be started yet."""

    stack: Stack
    per_minute: int

    @property
    def slot(self) -> float:
        """Seconds between two slots of the helpdesk's budget."""
        return 60 / self.per_minute

    def fill(self, *, due_in: float, jobs: bool) -> datetime:
        """So many credentials as ROWS, or jobs (then Ada's, without one, come on top); returns when leases end."""
        number = ROWS + CLICKED if jobs else ROWS
        words = [str(number), str(due_in), "jobs" if jobs else "none"]
        done = subprocess.run(
            [sys.executable, "-m", "bench.filling", *words],
            cwd=ROOT, env=dict(self.stack.environment), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return moment(self.portal("select max(lives_until) from tokens_credential")[0][0])

    def portal(self, question: str, *values: object) -> list[Any]:
        """Rows of the portal's database."""
        return Rows(self.stack.environment["DATABASE_URL"]).all(question, *values)

    def helpdesk(self, question: str, *values: object) -> list[Any]:
        """Rows of the production helpdesk's database."""
        path = self.stack.folder / "production" / "helpdesk.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as found:
            return found.execute(question, values).fetchall()

    def served(self, *, since: datetime, until: datetime, status: int | None = None) -> int:
        """How many requests the helpdesk answered in between, by its own event log."""
        question = (
            "select count(*) from demo_helpdesk_event where kind = 'request.served'"
            " and at >= ? and at <= ? and (? is null or json_extract(detail, '$.status') = ?)"
        )
        found: int = self.helpdesk(question, text(since), text(until), status, status)[0][0]
        return found

    def first_request(self, *, since: datetime) -> datetime | None:
        """When the helpdesk answered its first request after `since`."""
        question = (
            "select min(at) from demo_helpdesk_event where kind = 'request.served' and at > ?"
        )
        found = self.helpdesk(question, text(since))[0][0]
        return moment(found) if found else None

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """The newest process of that name."""
        return [child for other, child in self.stack.supervisor.children if other == name][-1]

    def kill(self, *names: str) -> None:
        """SIGKILL every process of these names and wait until the kernel has taken them away."""
        children = self.stack.supervisor.children
        struck = [child for name, child in children if name in names]
        for child in struck:
            os.killpg(child.pid, 9)
        for child in struck:
            child.wait()
        children[:] = [row for row in children if row[0] not in names]


@contextmanager
def staged(folder: Path, *, per_minute: int, **overrides: str) -> Iterator[Stage]:
    """Broker, mail, identity provider and helpdesks with a migrated, empty portal; it all ends with the block.

    On the PostgreSQL server that KEYDESK_TEST_POSTGRES names, else on SQLite.
    """
    with (
        own_database() as database,
        _started(folder, per_minute, {**database, **overrides}) as made,
    ):
        yield made


@contextmanager
def _started(folder: Path, per_minute: int, overrides: dict[str, str]) -> Iterator[Stage]:
    base = free_base()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HELPDESK", "OIDC_"))},
        **compose(folder, base),
        "HELPDESK_PRODUCTION_REQUESTS_PER_MINUTE": str(per_minute),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        **overrides,
    }  # fmt: skip
    supervisor = Supervisor(folder / "log")
    stack = Stack(environment, supervisor)
    try:
        stack.start_broker()
        stack.start_surroundings()
        for words in (("migrate", "--verbosity=0"), ("load_catalogue",)):
            done = manage(environment, *words)
            assert done.returncode == 0, done.stdout + done.stderr
        stack.wait_for_surroundings()
        yield Stage(stack, per_minute)
    finally:
        supervisor.end()


def until(holds: Callable[[], bool], *, seconds: float, every: float = 0.1) -> None:
    """Wait until something holds. Raises `AssertionError` when it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"It did not come about within {seconds:.0f} s."
        time.sleep(every)


def now() -> datetime:
    """This machine's time, which every process of a stage shares."""
    return datetime.now(UTC)  # noqa: TID251 - measures, decides nothing


def moment(said: str | datetime) -> datetime:
    """A moment as a database's driver tells it: SQLite's knows only text."""
    at = datetime.fromisoformat(said) if isinstance(said, str) else said
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def text(at: datetime) -> str:
    """A moment as SQLite compares it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
