"""`manage.py demo` as one process tree: it ends whole, keeps its data, and says in one sentence what is in its way."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.stack import ROOT, free_base, manage
from tests.story import until

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("demo")]


def environment(folder: Path, base: int) -> dict[str, str]:
    """A newcomer's environment: nothing of Keydesk's is set but where and on which ports."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "HOME", "LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE"}
    }
    return {**plain, "KEYDESK_DEMO_DIR": str(folder), "PORT": str(base)}


def start(folder: Path, base: int, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo", *words],
        cwd=ROOT, env=environment(folder, base), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


def is_up(base: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{base}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


def descendants(pid: int) -> set[int]:
    """Every process below `pid`, as /proc tells."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
                )
            except OSError:
                continue
    found, frontier = set(), {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def living(pids: set[int]) -> set[int]:
    alive = set()
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                alive.add(pid)
        except OSError:
            continue
    return alive


def test_it_opens_lived_in_ends_whole_on_ctrl_c_and_keeps_its_data(tmp_path):
    base = free_base()
    demo = start(tmp_path / "demo", base)
    try:
        until(lambda: is_up(base), seconds=90)
        children = descendants(demo.pid)
        assert len(children) >= 8
        done = manage(_inside(tmp_path / "demo", base), "verify")
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        demo.send_signal(signal.SIGINT)
    began = time.monotonic()
    said = demo.communicate(timeout=30)[0]
    assert time.monotonic() - began < 10
    assert living(children) == set()
    assert f"http://127.0.0.1:{base}" in said
    assert "Ada Lindqvist" in said
    _starts_again_at_once_and_dies_with_its_parent(tmp_path / "demo", base)


def _inside(folder: Path, base: int) -> dict[str, str]:
    """The environment the demo's own processes have; its broker's port is read off the running web process."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "environ").read_bytes().decode(errors="ignore").split("\0")
            command = (entry / "cmdline").read_bytes().decode(errors="ignore")
        except OSError:
            continue
        if f"KEYDESK_DEMO_DIR={folder}" in words and "celery" in command and "worker" in command:
            return dict(word.split("=", 1) for word in words if "=" in word)
    raise AssertionError("The demo's worker is not running.")


def _starts_again_at_once_and_dies_with_its_parent(folder: Path, base: int) -> None:
    demo = start(folder, base)
    until(lambda: is_up(base), seconds=40)
    children = descendants(demo.pid)
    demo.kill()
    demo.communicate()
    until(lambda: living(children) == set(), seconds=10)


def test_a_port_in_use_is_one_sentence(tmp_path):
    base = free_base()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 2))
        taken.listen()
        said = start(tmp_path / "demo", base).communicate(timeout=30)[0]
    assert said.strip().count("\n") == 0
    assert f"Port {base + 2}" in said
    assert "in use" in said
