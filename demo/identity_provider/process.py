"""How is the demo's identity provider started? For the demo command and for tests; needs no Django."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
"""What it takes over from its parent: none of Keydesk's settings, none of its secrets."""


def environment(
    folder: Path,
    *,
    port: int,
    client_id: str,
    client_secret: str,
    portal_url: str,
    mail_folder: Path,
) -> dict[str, str]:
    """Everything the process is told: `folder` is its own, `mail_folder` the one mail is received in."""
    return {
        **{name: os.environ[name] for name in KEPT if name in os.environ},
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "demo.identity_provider.settings",
        "DEMO_IDP_DIR": str(folder),
        "DEMO_IDP_URL": f"http://127.0.0.1:{port}",
        "DEMO_IDP_CLIENT_ID": client_id,
        "DEMO_IDP_CLIENT_SECRET": client_secret,
        "DEMO_IDP_PORTAL_URL": portal_url,
        "DEMO_MAIL_DIR": str(mail_folder),
    }


def command(port: int) -> list[str]:
    """One process with threads: codes and faults are kept in its memory."""
    return [
        sys.executable, "-m", "gunicorn", "demo.identity_provider.wsgi:application",
        "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--workers", "1",
        "--threads", "8", "--no-control-socket", "--graceful-timeout", "2", "--log-level", "warning",
    ]  # fmt: skip
