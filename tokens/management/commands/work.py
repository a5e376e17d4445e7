"""`manage.py work`: drain due jobs and send waiting mail without a broker."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from accounts import clock
from tokens import mail, worker
from tokens.connectors.registry import connector_for
from tokens.limiter import LocalLimiter
from tokens.operations import emergencies, sweeps


class Command(BaseCommand):
    help = "Sweep once, drain every due job and send waiting mail, without a broker."

    def handle(self, *_: Any, **__: Any) -> None:
        if missing := worker.lacking():
            raise CommandError(missing)
        try:
            sweeps.sweep(now=clock.now())
            while emergencies.carry_on_all(now=clock.now()):
                pass
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"The database is not ready ({error}). manage.py migrate?"
            ) from error
        rates = {slug: config.requests_per_minute for slug, config in settings.HELPDESKS.items()}
        limiter = LocalLimiter(rates)
        for slug in settings.HELPDESKS:
            taken = worker.run_due(
                slug=slug, clock=clock.now, limiter=limiter, connect=connector_for
            )
            self.stdout.write(f"{slug}: {taken} jobs taken up")
        self.stdout.write(f"mail: {mail.send_due(clock=clock.now)} sent")
