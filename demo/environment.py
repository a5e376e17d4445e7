"""The demo's environment: ports, keys and folders, made once and kept in one ignored folder.

`prepare` runs before Django reads its settings, because those come from the environment alone.
"""

import base64
import json
import os
import secrets
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PORTS = {"portal": 0, "identity provider": 1, "production helpdesk": 2, "sandbox helpdesk": 3, "mail": 4}
HELPDESKS = {"production": "Acme production", "sandbox": "Acme sandbox"}


def folder() -> Path:
    """Where the demo keeps its data and keys; `make clean` throws it away."""
    return Path(os.environ.get("KEYDESK_DEMO_DIR") or ROOT / ".demo")


def port(name: str) -> int:
    """The port of one of the demo's processes, counted from PORT."""
    return int(os.environ["PORT"]) + PORTS[name]


def address(name: str) -> str:
    """The address of one of the demo's processes."""
    return f"http://127.0.0.1:{port(name)}"


def prepare() -> None:
    """Set what the settings need, without overriding what is set. Exits with a sentence where it cannot."""
    wanted = os.environ.setdefault("PORT", "8000")
    if not wanted.isdigit() or not 1 <= int(wanted) <= 65530:
        sys.exit(f"PORT is {wanted!r}; write a number from 1 to 65530.")
    _refuse_taken_ports()
    folder().mkdir(parents=True, exist_ok=True)
    for name, value in _environment(_secrets()).items():
        os.environ.setdefault(name, value)


def _refuse_taken_ports() -> None:
    for name in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port(name)))
            except OSError:
                sys.exit(
                    f"Port {port(name)}, for the demo's {name}, is in use. "
                    "Stop what uses it, or choose another start: PORT=8100 make run"
                )


def _secrets() -> dict[str, str]:
    """Random values made at the first start and kept, readable by their owner alone."""
    path = folder() / "secrets.json"
    if not path.exists():
        made = {name: secrets.token_urlsafe(48) for name in ("django", "oidc", *HELPDESKS)}
        made |= {f"{slug} service": secrets.token_urlsafe(48) for slug in HELPDESKS}
        made |= {name: _sealing_key() for name in ("sealing", "worker sealing")}
        path.touch(mode=0o600)
        path.write_text(json.dumps(made, indent=1))
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def _sealing_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _environment(kept: dict[str, str]) -> dict[str, str]:
    found = {
        "KEYDESK_DEMO": "1",
        "DJANGO_DEBUG": "0",
        "DJANGO_SECRET_KEY": kept["django"],
        "PORTAL_URL": address("portal"),
        "TIME_ZONE": "Europe/Amsterdam",
        "DATABASE_URL": f"sqlite:///{folder() / 'keydesk.sqlite3'}",
        "REDIS_URL": f"redis://127.0.0.1:{_free_port()}/0",
        "EMAIL_URL": f"smtp://127.0.0.1:{port('mail')}",
        "DEFAULT_FROM_EMAIL": "Keydesk <keydesk@acme.test>",
        "SEALING_KEYS": kept["sealing"],
        "WORKER_SEALING_KEYS": kept["worker sealing"],
        "OIDC_SERVER_URL": address("identity provider"),
        "OIDC_CLIENT_ID": "keydesk",
        "OIDC_CLIENT_SECRET": kept["oidc"],
        "ROLE_APPROVER_GROUPS": "helpdesk-leads,security-reviewers",
        "ROLE_ADMIN_GROUPS": "keydesk-admins",
        "ROLE_AUDITOR_GROUPS": "internal-audit",
        "HELPDESKS": ",".join(HELPDESKS),
        "WEB_THREADS": "64",
    }
    for slug, name in HELPDESKS.items():
        found |= {
            f"HELPDESK_{slug.upper()}_NAME": name,
            f"HELPDESK_{slug.upper()}_URL": address(f"{slug} helpdesk"),
            f"HELPDESK_{slug.upper()}_CLIENT_ID": "keydesk",
            f"HELPDESK_{slug.upper()}_CLIENT_SECRET": kept[slug],
            f"HELPDESK_{slug.upper()}_SERVICE_CLIENT_ID": "keydesk-service",
            f"HELPDESK_{slug.upper()}_SERVICE_CLIENT_SECRET": kept[f"{slug} service"],
            f"HELPDESK_{slug.upper()}_REQUESTS_PER_MINUTE": "2500",
        }
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
