"""`make check`: every static check, side by side; prints what fails, and how long it took."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import tests.environment  # noqa: F401 - settings for the commands below

PYTHON = sys.executable
DEPLOY = {
    "PORTAL_URL": "https://keydesk.acme.test",
    "DJANGO_ALLOWED_HOSTS": "keydesk.acme.test",
    "OIDC_SERVER_URL": "https://login.acme.test",
    "HELPDESK_PRODUCTION_URL": "https://acme.zendesk.example",
    "HELPDESK_SANDBOX_URL": "https://acme-sandbox.zendesk.example",
    "DATABASE_URL": "postgres://keydesk@127.0.0.1/keydesk",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
}
MANAGE = [PYTHON, "-W", "error::RuntimeWarning", "manage.py"]
CHECKS: dict[str, list[str]] = {
    "ruff": [PYTHON, "-m", "ruff", "check", "--quiet", "."],
    "format": [PYTHON, "-m", "ruff", "format", "--check", "--quiet", "."],
    "types": [PYTHON, "-m", "mypy"],
    "layers": [PYTHON, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
    "templates": [PYTHON, "-m", "djlint", "--lint", "--quiet", "templates", "demo"],
    "migrations": [*MANAGE, "makemigrations", "--check", "--dry-run"],
    "deploy": [*MANAGE, "check", "--deploy", "--fail-level", "WARNING"],
    "states": [*MANAGE, "state_diagram", "--check"],
}


def run(name: str) -> tuple[str, int, str, float]:
    """One check: its name, exit status, output and seconds."""
    started = time.monotonic()
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings"}
    if name == "deploy":
        settings |= DEPLOY
    done = subprocess.run(CHECKS[name], env=settings, capture_output=True, text=True, check=False)
    return name, done.returncode, done.stdout + done.stderr, time.monotonic() - started


def main() -> int:
    """Run them all; 1 if one fails."""
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        results = list(pool.map(run, sys.argv[1:] or CHECKS))
    for name, status, output, seconds in results:
        print(f"{'ok  ' if status == 0 else 'FAIL'} {name} ({seconds:.0f} s)")
        if status:
            print(output.strip())
    return int(any(status for _, status, _, _ in results))


if __name__ == "__main__":
    sys.exit(main())
