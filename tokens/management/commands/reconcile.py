"""`manage.py reconcile [--restored] [--helpdesk SLUG]`: take the list of all tokens now, act on it, and say what was done and how it stands.

Within the share that may be acted on without a person's word. Exit 1 if something is held back for that
word, 2 if a list could not be had. `--restored` is for a database that came back from a backup.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Collection, Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from accounts import clock
from tokens import worker
from tokens.connectors.base import Broken, ConnectorError
from tokens.connectors.registry import connector_for
from tokens.limiter import BudgetGate, LimiterDown
from tokens.management.limiters import limiter_for
from tokens.management.words import first_line
from tokens.models import Helpdesk
from tokens.operations import helpdesks
from tokens.operations.inventories import Settled
from tokens.presenters.alarms import watches
from tokens.presenters.helpdesks import panels_of, standing
from tokens.provisioning import Later, inventory, open_line
from tokens.sealing import Unsealable

HELD_BACK, NO_LIST = 1, 2


class Command(BaseCommand):
    help = "Take the list of all tokens now and act on it; exit 1 if a person must look, 2 without a list."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--restored",
            action="store_true",
            help="the database came back from a backup: freeze new access until an admin confirms",
        )
        parser.add_argument("--helpdesk", metavar="SLUG", help="one of HELPDESKS; all if left out")

    def handle(self, *_: Any, **options: Any) -> None:
        slugs = _wanted(options["helpdesk"])
        try:
            rows = {row.slug: row for row in Helpdesk.objects.filter(slug__in=slugs)}
            found = [rows[slug] for slug in slugs if slug in rows]
            if options["restored"]:
                for helpdesk in found:
                    self._freeze(helpdesk)
            _insist_on_all_it_takes(slugs, rows)
            worst = max((self._helpdesk(helpdesk) for helpdesk in found), default=0)
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"The database is not ready ({first_line(error)}). manage.py migrate?",
                returncode=NO_LIST,
            ) from error
        if worst:
            sys.exit(worst)

    def _freeze(self, helpdesk: Helpdesk) -> None:
        """Before anything else, whatever is missing to take a list: nothing new is issued on the word of old books."""
        helpdesks.freeze_restored(helpdesk=helpdesk, now=clock.now())
        where = f"the list at {settings.PORTAL_URL}/operations/{helpdesk.slug}/confirm"
        then = f"The freeze ends when an admin has confirmed {where}"
        if not helpdesk.is_frozen_as_restored:
            then = f"An admin froze it before, so it stays so; an admin has to confirm {where} too"
        self.stdout.write(f"{helpdesk.slug}: new access is frozen. {then}")

    def _helpdesk(self, helpdesk: Helpdesk) -> int:
        """Take and settle one list; says what came of it and returns the exit status."""
        try:
            settled = _settle(helpdesk)
        except Broken as error:
            helpdesks.stop(helpdesk=helpdesk, reason=error.reason, now=clock.now())
            return self._failed(helpdesk, error.reason)
        except (ConnectorError, LimiterDown, Unsealable, ImproperlyConfigured) as error:
            return self._failed(helpdesk, str(error))
        except Later:
            return self._failed(helpdesk, "A worker is busy with it. Try again in a moment.")
        helpdesks.resume(helpdesk=helpdesk, now=clock.now())
        for line in said(helpdesk.slug, settled):
            self.stdout.write(line)
        self._say_how_it_stands(helpdesk)
        return HELD_BACK if settled.held_back else 0

    def _say_how_it_stands(self, helpdesk: Helpdesk) -> None:
        """In short what the operator's page says."""
        watched, now = [watch for watch in watches() if watch.helpdesk == helpdesk], clock.now()
        for panel in panels_of(watched, now=now):
            for line in standing(panel, now=now):
                self.stdout.write(f"{helpdesk.slug}: {line}")

    def _failed(self, helpdesk: Helpdesk, reason: str) -> int:
        self.stderr.write(f"{helpdesk.slug}: the list of tokens could not be had: {reason}")
        self._say_how_it_stands(helpdesk)
        return NO_LIST


def _wanted(slug: str | None) -> list[str]:
    if slug is not None and slug not in settings.HELPDESKS:
        raise CommandError(f"HELPDESKS does not name {slug}.", returncode=NO_LIST)
    return [slug] if slug else list(settings.HELPDESKS)


def _insist_on_all_it_takes(slugs: list[str], found: Collection[str]) -> None:
    if lacking := worker.lacking():
        raise CommandError(lacking, returncode=NO_LIST)
    if missing := [slug for slug in slugs if slug not in found]:
        raise CommandError(
            f"Not loaded: {', '.join(missing)}. Run manage.py load_catalogue first.",
            returncode=NO_LIST,
        )


def _settle(helpdesk: Helpdesk) -> Settled:
    config = settings.HELPDESKS[helpdesk.slug]
    gate = BudgetGate(
        limiter_for(config), config.slug, deadline=settings.CALL_DEADLINE.total_seconds()
    )
    return inventory(open_line(helpdesk, gate=gate, clock=clock.now, connect=connector_for))


def said(slug: str, settled: Settled) -> Iterator[str]:
    """What a list settled, a line for each kind of thing."""
    parts = (
        (settled.buried, "confirmed gone"),
        (settled.strays, "of nobody: being deleted"),
        (settled.vanished, "gone on the helpdesk: the access is disconnected"),
        (settled.changed, "not as it was proved: thrown away, the access is disconnected"),
    )
    done = [f"{slug}: {_tokens(count)} {words}" for count, words in parts if count]
    yield from done
    if settled.held_back:
        yield (
            f"{slug}: {_tokens(settled.held_back)} held back, too many to act on alone. An admin has to "
            f"look: {settings.PORTAL_URL}/operations/{slug}/confirm"
        )
    elif not done:
        yield f"{slug}: the list and the books agree"


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count} tokens"
