"""`manage.py verify`: hold the helpdesk's own list of tokens against the database, and print what breaks a promise.

It changes nothing and shares no rule with what it checks: only models, connectors, the limiter's gate, and
`queries.verification` with the operator's page. Its service token is its own. Exit 1 if anything is found, 2 if
something could not be looked at, whatever was found elsewhere.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from accounts import clock
from tokens.connectors.base import (
    Broken,
    Connector,
    ConnectorError,
    HelpdeskConfig,
    TokenRecord,
    Unknown,
)
from tokens.connectors.registry import connector_for
from tokens.limiter import BudgetGate, LimiterDown
from tokens.management.limiters import limiter_for
from tokens.management.words import first_line
from tokens.models import Helpdesk
from tokens.queries import verification


class Command(BaseCommand):
    help = (
        "Print every violation of the promises; exit 1 if there is one, 2 where it could not look."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        self._unseen: list[str] = []
        count = 0
        try:
            for line in self._lines():
                self.stdout.write(line)
                count += 1
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"The database is not ready ({first_line(error)}). manage.py migrate?",
                returncode=2,
            ) from error
        unseen = (
            f"; nothing could be found out of {', '.join(self._unseen)}" if self._unseen else ""
        )
        self.stdout.write(f"verify: {count} violations{unseen}")
        if self._unseen:
            sys.exit(2)
        if count:
            sys.exit(1)

    def _lines(self) -> Iterator[str]:
        """Each violation; a helpdesk whose list cannot be had keeps back nothing of the others and of the rows."""
        for slug in settings.HELPDESKS:
            yield from self._helpdesk(slug)
        for violation in verification.of_rows():
            yield violation.text

    def _helpdesk(self, slug: str) -> Iterator[str]:
        helpdesk = Helpdesk.objects.filter(slug=slug).first()
        if helpdesk is None:
            return self._could_not(slug, "it is not loaded; run manage.py load_catalogue")
        taken_at = clock.now()
        try:
            records = _list(settings.HELPDESKS[slug])
        except (ConnectorError, LimiterDown) as error:
            return self._could_not(slug, f"the list of tokens could not be had: {error}")
        books = verification.books(helpdesk, records, taken_at=taken_at)
        for violation in verification.of_list(books, records, now=clock.now()):
            yield f"{slug}: {violation.text}"

    def _could_not(self, slug: str, why: str) -> None:
        self._unseen.append(slug)
        self.stderr.write(f"{slug}: {why}")


def _list(config: HelpdeskConfig) -> Sequence[TokenRecord]:
    gate = BudgetGate(
        limiter_for(config), config.slug, deadline=settings.CALL_DEADLINE.total_seconds()
    )
    connector: Connector = connector_for(config, gate)
    own = connector.mint_service_token(expires_in=600).access_token
    number = connector.client_number(access_token=own)
    _must_be_admin(connector, own)
    records = connector.tokens_of_client(client_number=number, access_token=own)
    _must_be_admin(connector, own)
    if any(record.client_id not in (number, None) for record in records):
        raise Unknown("It holds tokens of another application, so it does not count.")
    return records


def _must_be_admin(connector: Connector, access_token: str) -> None:
    """A list that is not an administrator's holds only their own tokens."""
    me = connector.whoami(access_token=access_token)
    if not me.is_acting_admin:
        raise Broken(f"Keydesk's own user ({me.name}) is no administrator, so it does not count.")
