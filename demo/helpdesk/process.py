"""How to start one demo helpdesk as a process of its own: its environment and its command.

Needs neither Django nor the portal, so the demo command and any test may import it.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
THREADS = 48
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")


def environment(
    folder: Path,
    *,
    name: str,
    client_id: str,
    client_secret: str,
    service_client_id: str,
    service_client_secret: str,
    redirect_uri: str,
    requests_per_minute: int = 700,
    **habits: str,
) -> dict[str, str]:
    """The whole environment of the process, which inherits nothing of the portal's secrets.

    `habits` are the optional variables without their prefix, such as `code_life="5"`,
    `access_min="2"` or `current_needs="users:read"`; `demo.helpdesk.configuration` has the list.
    """
    told = {
        "dir": str(folder.resolve()),
        "name": name,
        "client_id": client_id,
        "client_secret": client_secret,
        "service_client_id": service_client_id,
        "service_client_secret": service_client_secret,
        "redirect_uri": redirect_uri,
        "requests_per_minute": str(requests_per_minute),
        **habits,
    }
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    return kept | {f"DEMO_HELPDESK_{key.upper()}": value for key, value in told.items()}


def command(port: int) -> list[str]:
    """The command, runnable from any folder. It ends on SIGTERM within three seconds."""
    return [
        sys.executable, "-m", "gunicorn", "demo.helpdesk.wsgi:application",
        "--chdir", str(ROOT), "--bind", f"127.0.0.1:{port}",
        "--worker-class", "gthread", "--workers", "1", "--threads", str(THREADS),
        "--no-control-socket", "--graceful-timeout", "3", "--log-level", "warning",
    ]  # fmt: skip


@contextmanager
def running(environment: Mapping[str, str], *, port: int = 0) -> Iterator[str]:
    """Run one helpdesk for as long as the block lasts; yields its address once it answers.

    Port 0 is any free one. Raises RuntimeError when the process ends or stays silent for 40 s.
    """
    port = port or _free_port()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command(port), env=dict(environment))
    try:
        _wait_for(process, address)
        yield address
    finally:
        _end(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _wait_for(process: subprocess.Popen[bytes], address: str) -> None:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"The demo helpdesk at {address} ended with {process.returncode}.")
        try:
            with urllib.request.urlopen(f"{address}/style.css", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"The demo helpdesk at {address} did not answer within 40 s.")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=8)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
