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
PORTS = {
    "portal": 0,
    "identity provider": 1,
    "production helpdesk": 2,
    "sandbox helpdesk": 3,
    "mail": 4,
}
HELPDESKS = {"production": "Acme production", "sandbox": "Acme sandbox"}


def folder() -> Path:
    """Where the demo keeps its data and keys; `make clean` throws it away."""
    return Path(os.environ.get("KEYDESK_DEMO_DIR") or ROOT / ".demo")


def port(name: str, base: int | None = None) -> int:
    """The port of one of the demo's processes, counted from PORT (or `base`)."""
    return (base or int(os.environ["PORT"])) + PORTS[name]


def address(name: str, base: int | None = None) -> str:
    """The address of one of the demo's processes."""
    return f"http://127.0.0.1:{port(name, base)}"


def prepare() -> None:
    """Set what the settings need, without overriding what is set. Exits with a sentence where it cannot."""
    wanted = os.environ.setdefault("PORT", "8000")
    if not wanted.isdigit() or not 1 <= int(wanted) <= 65530:
        sys.exit(f"PORT is {wanted!r}; write a number from 1 to 65530.")
    if taken := first_taken(int(wanted)):
        sys.exit(
            f"Port {port(taken)}, for the demo's {taken}, is in use. "
            "Stop what uses it, or choose another start: PORT=8100 make run"
        )
    for name, value in compose(folder(), int(wanted)).items():
        os.environ.setdefault(name, value)


def first_taken(base: int) -> str:
    """The first of the demo's processes whose port is in use; "" when all are free."""
    for name in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port(name, base)))
            except OSError:
                return name
    return ""


def _secrets(place: Path) -> dict[str, str]:
    """Random values made at the first start and kept, readable by their owner alone."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / "secrets.json"
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


def compose(place: Path, base: int) -> dict[str, str]:
    """The whole environment of a demo that keeps its data in `place` and its ports from `base` on."""
    kept = _secrets(place)
    found = {
        "KEYDESK_DEMO": "1",
        "KEYDESK_DEMO_DIR": str(place),
        "PORT": str(base),
        "DJANGO_DEBUG": "0",
        "DJANGO_SECRET_KEY": kept["django"],
        "PORTAL_URL": address("portal", base),
        "TIME_ZONE": "Europe/Amsterdam",
        "DATABASE_URL": f"sqlite:///{place / 'keydesk.sqlite3'}",
        "REDIS_URL": f"redis://127.0.0.1:{_free_port()}/0",
        "EMAIL_URL": f"smtp://127.0.0.1:{port('mail', base)}",
        "DEFAULT_FROM_EMAIL": "Keydesk <keydesk@acme.test>",
        "SEALING_KEYS": kept["sealing"],
        "WORKER_SEALING_KEYS": kept["worker sealing"],
        "OIDC_SERVER_URL": address("identity provider", base),
        "OIDC_CLIENT_ID": "keydesk",
        "OIDC_CLIENT_SECRET": kept["oidc"],
        "ROLE_APPROVER_GROUPS": "helpdesk-leads,security-reviewers",
        "ROLE_ADMIN_GROUPS": "keydesk-admins",
        "ROLE_AUDITOR_GROUPS": "internal-audit",
        "HELPDESKS": ",".join(HELPDESKS),
        "WEB_THREADS": "64",
    }
    for slug, name in HELPDESKS.items():
        prefix = f"HELPDESK_{slug.upper()}"
        found |= {
            f"{prefix}_NAME": name,
            f"{prefix}_URL": address(f"{slug} helpdesk", base),
            f"{prefix}_CLIENT_ID": "keydesk",
            f"{prefix}_CLIENT_SECRET": kept[slug],
            f"{prefix}_SERVICE_CLIENT_ID": "keydesk-service",
            f"{prefix}_SERVICE_CLIENT_SECRET": kept[f"{slug} service"],
            f"{prefix}_REQUESTS_PER_MINUTE": "2500",
        }
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
