"""The whole product as real processes on free ports, with time scaled down: for stories, races and the benchmark."""

import os
import random
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from demo.environment import compose, first_taken
from demo.stack import Stack
from demo.supervisor import Supervisor

ROOT = Path(__file__).parent.parent
SCALED = {
    # An access token lives 24 s and may be served for three quarters of that.
    "ACCESS_TOKEN_MOST_SECONDS": "24",
    "ACCESS_TOKEN_LEAST_SECONDS": "8",
    "DEMO_HELPDESK_ACCESS_MIN": "8",
    "DUE_SWEEP_SECONDS": "1",
    "SWEEP_SECONDS": "2",
    "INVENTORY_SECONDS": "10",
    "MINIMUM_AGE_SECONDS": "12",
    "CODE_LIFE_SECONDS": "8",
    "SEND_WITHIN_SECONDS": "2",
    "CALL_DEADLINE_SECONDS": "4",
    "CLAIM_SECONDS": "8",
    "WORKING_DAYS": "mon,tue,wed,thu,fri,sat,sun",
}


def free_base() -> int:
    """A port from which the demo's five are free."""
    for _ in range(200):
        base = random.randrange(20_000, 32_000, 10)
        if not first_taken(base):
            return base
    raise RuntimeError("No five free ports in a row.")


def manage(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run a management command in the stack's environment."""
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@contextmanager
def own_database() -> Iterator[dict[str, str]]:
    """The environment of a new database on the PostgreSQL server that KEYDESK_TEST_POSTGRES names.

    Where it names none nothing is set, so that it is SQLite. Gone with the block, unless KEEP is set.
    """
    server = os.environ.get("KEYDESK_TEST_POSTGRES")
    if not server:
        yield {}
        return
    name = f"keydesk_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    try:
        yield {"DATABASE_URL": f"{server.rsplit('/', 1)[0]}/{name}"}
    finally:
        if os.environ.get("KEEP"):
            print(f"kept: {name}")
        else:
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@contextmanager
def running(
    folder: Path, *, is_scaled: bool = True, is_seeded: bool = False, **overrides: str
) -> Iterator[Stack]:
    """A stack with the starter catalogue; everything of it ends with the block.

    `is_scaled`: times run fast. `is_seeded`: it opens on the demo's lived-in portal.
    """
    base = free_base()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HELPDESK", "OIDC_"))},
        **compose(folder, base),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        **(SCALED if is_scaled else {}),
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
        if is_seeded:
            words = ("shell", "-v0", "-c", "from demo.seeding import seed; seed()")
            done = manage(environment, *words)
            assert done.returncode == 0, done.stdout + done.stderr
        stack.start_portal()
        yield stack
    finally:
        supervisor.end()
