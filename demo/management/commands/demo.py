"""`manage.py demo`: the portal and everything around it, in one foreground process tree."""

import io
import os
from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from demo import seeding
from demo.environment import address, folder
from demo.people import PEOPLE
from demo.stack import Stack
from demo.supervisor import Supervisor

HELLO = """
  Keydesk         {portal}
  Mail it sends   {provider}/mail/
  Helpdesks       {production}  {sandbox}

  Sign in as
{people}

  Ctrl-C ends everything and keeps the data; `make clean` throws it away.
"""


class Command(BaseCommand):
    help = "Start everything in one foreground process tree; Ctrl-C ends it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--empty", action="store_true", help="do not put demo data in")

    def handle(self, *_: Any, **options: Any) -> None:
        supervisor = Supervisor(folder() / "log")
        try:
            self._start(Stack(os.environ, supervisor), is_empty=options["empty"])
            self.stdout.write(_hello())
            self.stdout.flush()
            supervisor.watch()
        except KeyboardInterrupt:
            self.stdout.write("Ending …")
        finally:
            supervisor.end()

    def _start(self, stack: Stack, *, is_empty: bool) -> None:
        stack.start_broker()
        stack.start_surroundings()
        call_command("migrate", verbosity=0)
        call_command("load_catalogue", stdout=io.StringIO())
        stack.wait_for_surroundings()
        if not is_empty and not seeding.is_seeded():
            self.stdout.write("Putting demo data in, through real requests and consents …")
            self.stdout.flush()
            seeding.seed()
        stack.start_portal()


def _hello() -> str:
    wide = max(len(person.name) for person in PEOPLE)
    return HELLO.format(
        portal=address("portal"),
        provider=address("identity provider"),
        production=address("production helpdesk"),
        sandbox=address("sandbox helpdesk"),
        people="\n".join(f"  {person.name:<{wide}}  {person.does}" for person in PEOPLE),
    )
