"""How to start one demo helpdesk as a process of its own: its environment and its command.

Needs neither Django nor the portal, so the demo command and any test may import it.
"""

import os
import sys
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
