"""Breaking and mending one process of a running stack, and asking whether everything came out right."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import redis

from demo.helpdesk.remote import Remote
from demo.stack import Stack
from tests.resilience.rows import Rows
from tests.stack import ROOT
from tests.story import Actor, Key, until

_ASK = """
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
import django
django.setup()
from django.core.management import call_command
from django.db import connections
print("ready", flush=True)
for line in sys.stdin:
    said, status = StringIO(), 0
    with redirect_stdout(said), redirect_stderr(said):
        try:
            call_command(*line.split())
        except SystemExit as end:
            status = end.code or 0
        except Exception as error:
            status, _ = 1, print(repr(error))
    connections.close_all()
    print(status, repr(said.getvalue()), flush=True)
"""


class Commands:
    """Management commands in one process that stays, because starting Django takes longer than most of them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ASK], cwd=ROOT, env=dict(environment), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._said() == "ready"

    def run(self, *words: str) -> tuple[int, str]:
        """Exit status and what was printed."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        status, said = self._said().split(" ", 1)
        return int(status), said

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.communicate()


class Handling:
    """A stack whose processes are stopped, killed and started by name."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.environment = dict(stack.environment)
        self.rows = Rows(stack.environment["DATABASE_URL"])
        self.helpdesk = Remote(stack.address("production helpdesk"))
        self.portal = stack.address("portal")
        self.commands = Commands(stack.environment)

    # --- Processes -----------------------------------------------------------------------------------

    def child(self, name: str) -> subprocess.Popen[bytes]:
        return next(child for known, child in self.stack.supervisor.children if known == name)

    def send(self, name: str, number: signal.Signals) -> None:
        """To the whole group: a web server has children of its own."""
        os.killpg(self.child(name).pid, number)

    @contextmanager
    def stopped(self, *names: str) -> Iterator[None]:
        """They stand still for the length of the block: there, but silent, and in nobody's way."""
        try:
            until(partial(self._stand_clear, names))
            yield
        finally:
            self._send_all(names, signal.SIGCONT)

    def _stand_clear(self, names: Sequence[str]) -> bool:
        """Stop them; whether none was stopped within a commit. Else they go on until they are asked again."""
        self._send_all(names, signal.SIGSTOP)
        if self.rows.is_locked():
            self._send_all(names, signal.SIGCONT)
            return False
        return True

    def _send_all(self, names: Sequence[str], number: signal.Signals) -> None:
        for name in names:
            self.send(name, number)

    def kill(self, name: str) -> None:
        self.send(name, signal.SIGKILL)
        self.child(name).wait()
        self._forget(name)

    def terminate(self, name: str, *, within: float) -> tuple[int, float]:
        """Ask the process alone to end, as process managers do. Its status, and how many seconds it took."""
        child, began = self.child(name), time.monotonic()
        child.terminate()
        status = child.wait(timeout=within)
        self._forget(name)
        return status, time.monotonic() - began

    def _forget(self, name: str) -> None:
        children = self.stack.supervisor.children
        children[:] = [(known, child) for known, child in children if known != name]

    def start(self, name: str, **environment: str) -> None:
        """Start it again, perhaps in another environment. The broker goes first, for it is ended last."""
        children = self.stack.supervisor.children
        if name == "broker":
            self.stack.start_broker()
            children.insert(0, children.pop())
            until(self._answers)
            return
        command = {"worker": self.stack.worker_command, "beat": self.stack.beat_command}[name]()
        self.stack.supervisor.start(name, command, {**self.environment, **environment})

    def wait_for_worker(self) -> None:
        """Return once a worker that was just started has shown that it lives."""
        last = self.heard("worker")
        until(lambda: self.heard("worker") > last)

    def heard(self, name: str) -> str:
        found = self.rows.one("SELECT at FROM tokens_heartbeat WHERE name = ?", name)
        return str(found[0]) if found else ""

    # --- The broker ----------------------------------------------------------------------------------

    def broker(self) -> "redis.Redis":
        return redis.Redis.from_url(self.environment["REDIS_URL"])

    def _answers(self) -> bool:
        with suppress(redis.RedisError), self.broker() as client:
            return bool(client.ping())
        return False

    def flush(self) -> int:
        """Forget everything the broker knows. How many messages were waiting."""
        with self.broker() as client:
            waiting = client.llen("celery")
            client.flushall()
        return int(waiting)

    def lost_nudges(self) -> int:
        """How many messages of the pages to the workers could not be sent so far."""
        return self.logged("web").count("No nudge for")

    def logged(self, name: str) -> str:
        return (self.stack.supervisor.logs / f"{name}.log").read_text()


class Script:
    """One person's access with its key, and the click that owes a refresh: *Replace now*."""

    def __init__(self, handling: Handling, person: str, name: str) -> None:
        self.handling = handling
        self.actor = Actor(handling.portal, person).sign_in()
        asked = self.actor.ask(name, "production/read-tickets", days=7)
        self.credential = self.actor.credential_of(asked)
        self.actor.connect(self.credential)
        self.key: Key = self.actor.take_key(self.credential)
        self._refreshed = self.refreshes()

    def click(self) -> float:
        """Press *Replace now*; how many seconds the answer took."""
        self.actor.open(f"/credentials/{self.credential}/replace")
        if "Confirm it is you" in self.actor.text:
            self.actor.confirm_it_is_me()
            self.actor.open(f"/credentials/{self.credential}/replace")
        self._refreshed = self.refreshes()
        began = time.monotonic()
        self.actor.press("Replace now")
        took = time.monotonic() - began
        self.key = self.actor.read_key()
        return took

    def refreshes(self) -> int:
        """What the helpdesk itself remembers of this person's refreshes."""
        user = self.actor.person.helpdesk_id
        return sum(
            event["kind"] == "token.refreshed" and event["user_id"] == user
            for event in self.handling.helpdesk.events()
        )

    def has_open_work(self) -> bool:
        return bool(
            self.handling.rows.count(
                "SELECT count(*) FROM tokens_job WHERE done_at IS NULL AND kind = 'refresh' AND target_id = ?",
                self.credential,
            )
        )

    def settle(self, *, seconds: float = 25) -> None:
        """Wait until nothing is owed; then one token works, by one refresh, and `verify` finds nothing."""
        until(lambda: not self.has_open_work(), seconds=seconds)
        answer = self.key.fetch()
        assert answer.status_code == 200, answer.text
        assert self.refreshes() - self._refreshed == 1
        assert len(self._alive()) == 1, self._alive()
        with suppress(AssertionError):
            until(lambda: self._failing() == [], seconds=seconds)
        assert self._failing() == []
        status, said = self.handling.commands.run("verify")
        assert status == 0, said

    def _failing(self) -> list[tuple[Any, ...]]:
        """Jobs that failed at their last try, and how."""
        return self.handling.rows.all("SELECT key, error FROM tokens_job WHERE error <> ''")

    def _alive(self) -> list[int]:
        user = self.actor.person.helpdesk_id
        return [
            token["id"] for token in self.handling.helpdesk.tokens()
            if token["client"] == "keydesk" and token["user_id"] == user
            and not token["is_removed"] and token["access"] == "live"
        ]  # fmt: skip
