"""One foreground process tree: children that end with their parent, in an order that loses nothing.

Each child is in a session of its own, so that Ctrl-C reaches the parent alone, and carries
PR_SET_PDEATHSIG, so that even kill -9 of the parent leaves nothing behind (Linux; elsewhere Ctrl-C still works).
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

GRACE = 6.0
"""Seconds a child gets between being asked and being killed."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


@dataclass
class Supervisor:
    """Starts children, waits until they answer, watches them, and ends them last first."""

    logs: Path
    children: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)
    is_ending: bool = False

    def start(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """Start one child; what it prints goes to a log file of its own."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name.replace(' ', '-')}.log").open("ab") as log:
            child = subprocess.Popen(
                command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - one thread only
            )  # fmt: skip
        self.children.append((name, child))

    def wait_for(self, address: str, *, seconds: float = 40) -> None:
        """Return once `address` answers. Exits with a sentence when a child ended or time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._refuse_dead()
            try:
                with urllib.request.urlopen(address, timeout=5):
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{address} did not answer within {seconds:.0f} s; see {self.logs}.")

    def watch(self) -> None:
        """Stand by until somebody ends the demo or a child ends by itself."""
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGHUP, _interrupt)
        while True:
            self._refuse_dead()
            time.sleep(0.3)

    def _refuse_dead(self) -> None:
        for name, child in self.children:
            if child.poll() is not None:
                log = self.logs / f"{name.replace(' ', '-')}.log"
                raise SystemExit(f"The {name} ended by itself; its last words are in {log}.")

    def end(self) -> None:
        """Ask everybody but the first child (the broker) to end, then that one; kill who does not."""
        if self.is_ending:
            return
        self.is_ending = True
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            _end_all([child for _, child in self.children[1:]], GRACE)
            _end_all([child for _, child in self.children[:1]], 2.0)
        finally:
            signal.signal(
                signal.SIGINT, before
            )  # whoever goes on, as tests do, starts others that heed Ctrl-C


def _end_all(children: list[subprocess.Popen[bytes]], grace: float) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    end = time.monotonic() + grace
    for child in children:
        try:
            child.wait(timeout=max(0.05, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def die_with_parent() -> None:
    """For a child: end when the parent ends, however that was (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _die_with(parent: int):  # type: ignore[no-untyped-def]  # what preexec_fn takes
    """What a child does before it becomes its command."""

    def ask_the_kernel() -> None:
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)

    return ask_the_kernel


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
