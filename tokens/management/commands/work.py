"""`manage.py work`: drain due jobs and send waiting messages without a broker."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from accounts import clock
from tokens import worker
from tokens.connectors.registry import connector_for
from tokens.limiter import Limiter
from tokens.management.limiters import limiter_for
from tokens.messages import mail, webhooks
from tokens.operations import emergencies, sweeps


class Command(BaseCommand):
    help = "Sweep once, drain every due job and send waiting messages, without a broker."

    def handle(self, *_: Any, **__: Any) -> None:
        if missing := worker.lacking():
            raise CommandError(missing)
        try:
            while sweeps.expire_credentials(now=clock.now()):
                pass
            sweeps.sweep(now=clock.now())
            while emergencies.carry_on_all(now=clock.now()):
                pass
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"The database is not ready ({error}). manage.py migrate?"
            ) from error
        for slug, config in settings.HELPDESKS.items():
            self.stdout.write(f"{slug}: {_drain(slug, limiter_for(config))} jobs taken up")
        self.stdout.write(f"mail: {mail.send_due(clock=clock.now)} sent")
        for name in settings.WEBHOOKS:
            self.stdout.write(f"{name}: {webhooks.send_due(name, clock=clock.now)} sent")


def _drain(slug: str, limiter: Limiter) -> int:
    """Take up one job after the other until nothing more can be; how many."""
    taken = 0
    while taken_up := worker.run_due(
        slug=slug, clock=clock.now, limiter=limiter, connect=connector_for
    ):
        taken += taken_up
    return taken
