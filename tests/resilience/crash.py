"""Where a process of the product dies on order: before and after every commit, before and after every remote call.

Patched in from outside at two seams, the transaction's commit and the transport's one send; the product
knows nothing of it. A point is a file `armed/<name>`: whoever reaches it first takes the file away and is
killed with SIGKILL. What was reached is noted as files too, so that it outlives the process.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from tests.resilience.sites import ROOT
from tokens.connectors import http

_ROOMS = (str(ROOT / "tokens") + os.sep, str(ROOT / "accounts") + os.sep)
_WRITES = ("INSERT", "UPDATE", "DELETE")


class Crashes:
    """The points of one process, kept in a folder that all processes and the driver share."""

    def __init__(self, folder: Path) -> None:
        self.armed, self.seen = folder / "armed", folder / "seen"
        self.log = folder / "killed.log"
        self._known: set[str] = set()
        for place in (self.armed, self.seen):
            place.mkdir(parents=True, exist_ok=True)

    def note(self, site: str) -> None:
        """A place in the code was reached."""
        if site not in self._known:
            self._known.add(site)
            (self.seen / site).touch()

    def reach(self, name: str) -> None:
        """Die here, if that was ordered."""
        self.note(name)
        try:
            (self.armed / name).unlink()
        except FileNotFoundError:
            return
        with self.log.open("a") as log:
            log.write(f"{time.time():.3f} {os.getpid()} {name}\n")
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


def install(folder: Path) -> Crashes:
    """Patch both seams of this process."""
    crashes = Crashes(folder)
    _at_commits(crashes)
    _at_calls(crashes)
    return crashes


def _at_commits(crashes: Crashes) -> None:
    _at_transactions(crashes)
    writing = _at_single_writes(crashes)

    def connected(connection: Any, **_: object) -> None:
        if writing not in connection.execute_wrappers:
            connection.execute_wrappers.append(writing)

    connection_created.connect(connected, weak=False)


def _at_transactions(crashes: Crashes) -> None:
    """The outermost block's commit, by the function that opened it; inner blocks are only noted."""
    enter, commit = transaction.Atomic.__enter__, BaseDatabaseWrapper.commit

    def entering(self: transaction.Atomic) -> None:
        connection: Any = transaction.get_connection(self.using)
        is_outer = not connection.in_atomic_block
        enter(self)
        site = _site()
        if is_outer:
            connection.outer_site = site
        elif site:
            crashes.note(f"commit {site}")

    def committing(self: Any) -> None:
        _around(crashes, "commit", getattr(self, "outer_site", ""), lambda: commit(self))

    transaction.Atomic.__enter__ = entering  # type: ignore[method-assign]
    BaseDatabaseWrapper.commit = committing  # type: ignore[method-assign]


def _at_single_writes(crashes: Crashes) -> Callable[..., Any]:
    """A write outside any transaction commits by itself."""

    def writing(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        def act() -> Any:
            return execute(sql, params, many, context)

        if not sql.startswith(_WRITES):
            return act()
        site = _site()
        if not context["connection"].in_atomic_block:
            return _around(crashes, "commit", site, act)
        if site:
            crashes.note(f"commit {site}")
        return act()

    return writing


def _at_calls(crashes: Crashes) -> None:
    perform = http._perform

    def performing(*args: Any) -> Any:
        return _around(crashes, "call", _call_site(), lambda: perform(*args))

    http._perform = performing


def _around(crashes: Crashes, kind: str, site: str, act: Callable[[], Any]) -> Any:
    if not site:
        return act()
    name = f"{kind} {site}"
    crashes.note(name)
    crashes.reach(f"{name} before")
    found = act()
    crashes.reach(f"{name} after")
    return found


def _site() -> str:
    """The product's function nearest to here: `tokens.operations.grants.answer`."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and not frame.f_code.co_filename.startswith(_ROOMS):
        frame = frame.f_back
    return _name(frame) if frame else ""


def _name(frame: FrameType) -> str:
    return f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname.split('.<locals>')[0]}"


def _call_site() -> str:
    """Who calls what: `tokens.provisioning.calls.refresh_pair refresh`; whoever it is, it has a name."""
    method, frame = "", sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module == "tokens.connectors.zendesk.connector":
            method = frame.f_code.co_name
        elif module.startswith("tokens.provisioning"):
            return f"{_name(frame)} {method}"
        frame = frame.f_back  # type: ignore[assignment]
    return f"from outside provisioning {method}"
