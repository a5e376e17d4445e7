"""`manage.py check_helpdesk [SLUG]`: what is set up on a helpdesk, what is missing, and where to click. Read-only."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tokens.connectors.base import Connector, ConnectorError, GiveUp, HelpdeskConfig
from tokens.connectors.registry import connector_for
from tokens.limiter import BudgetGate
from tokens.management.limiters import limiter_for
from tokens.operations import connections

ADMIN_CENTER = "Admin Center → Apps and integrations → APIs → OAuth clients"


class Command(BaseCommand):
    help = (
        "Say what is done, what is missing and where to click, for each helpdesk. Changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", nargs="?", help="one of HELPDESKS; all of them if left out")

    def handle(self, *_: Any, **options: Any) -> None:
        wanted = [options["slug"]] if options["slug"] else list(settings.HELPDESKS)
        if not wanted:
            raise CommandError("HELPDESKS is empty; see docs/install.md.")
        if unknown := set(wanted) - set(settings.HELPDESKS):
            raise CommandError(f"HELPDESKS does not name {', '.join(unknown)}.")
        verdicts = [self._check(settings.HELPDESKS[slug]) for slug in wanted]
        if not all(verdicts):
            sys.exit(1)

    def _check(self, config: HelpdeskConfig) -> bool:
        self.stdout.write(f"{config.name} ({config.slug}), {config.url}")
        is_well = True
        for name in config.missing_secrets:
            is_well = self._line(False, f"{name} is set", f"Workers need it. {ADMIN_CENTER}")
        self.stdout.write(
            f"  look  the agents' client has exactly this redirect URL: "
            f"{connections.callback_address(config.slug)}\n"
            f"        and allowed scopes no wider than the catalogue. {ADMIN_CENTER}"
        )
        return is_well and self._ask(config)

    def _line(self, is_done: bool, what: str, hint: str) -> bool:
        self.stdout.write(f"  {'done' if is_done else 'MISS'}  {what}")
        if not is_done:
            self.stdout.write(f"        {hint}")
        return is_done

    def _ask(self, config: HelpdeskConfig) -> bool:
        """Ask the helpdesk itself, step by step; the first that fails ends it, as the rest hang on it."""
        deadline = settings.CALL_DEADLINE.total_seconds()
        gate = BudgetGate(limiter_for(config), config.slug, deadline=deadline)
        connector = connector_for(config, gate)
        known: dict[str, Any] = {}
        return all(self._step(what, hint, step, connector, known) for what, hint, step in STEPS)

    def _step(
        self, what: str, hint: str, step: "Step", connector: Connector, known: dict[str, Any]
    ) -> bool:
        try:
            problem = step(connector, known)
        except ConnectorError as error:
            problem = error.reason
        return self._line(not problem, what, f"{problem} {hint}".strip())


Step = Callable[[Connector, dict[str, Any]], str]


def _mint(connector: Connector, known: dict[str, Any]) -> str:
    known["token"] = connector.mint_service_token(expires_in=600).access_token
    return ""


def _admin(connector: Connector, known: dict[str, Any]) -> str:
    me = connector.whoami(access_token=known["token"])
    if me.is_acting_admin:
        return ""
    how = " and suspended" if me.suspended else "" if me.active else " and switched off"
    return f"It acts as {me.name}, who is {me.role}{how}."


def _client(connector: Connector, known: dict[str, Any]) -> str:
    known["number"] = connector.client_number(access_token=known["token"])
    return ""


def _list(connector: Connector, known: dict[str, Any]) -> str:
    connector.tokens_of_client(client_number=known["number"], access_token=known["token"])
    return ""


def _secret(connector: Connector, _: dict[str, Any]) -> str:
    """A refresh that must be refused: as a dead token when our secret is right. Changes nothing."""
    try:
        connector.refresh(
            refresh_token="nobodys",  # noqa: S106 - meant to be refused
            scopes=frozenset({"tickets:read"}),
            expires_in=300, refresh_expires_in=604_800,
        )  # fmt: skip
    except GiveUp as refused:
        return "" if refused.code == "invalid_grant" else refused.reason
    return "The helpdesk honoured a refresh token that does not exist."


STEPS: tuple[tuple[str, str, Step], ...] = (
    (
        "the service client gives Keydesk its own access",
        f"Make a confidential client for `client_credentials`. {ADMIN_CENTER}",
        _mint,
    ),
    (
        "its user is an administrator",
        "Make the client as a dedicated integration admin. Admin Center → People → Team members",
        _admin,
    ),
    (
        "the agents' client is there",
        f"Make a confidential client and set its identifier as CLIENT_ID. {ADMIN_CENTER}",
        _client,
    ),
    (
        "the agents' client secret is right",
        f"Set CLIENT_SECRET to the secret of the agents' client. {ADMIN_CENTER}",
        _secret,
    ),
    ("its tokens can be listed", "The service client needs to read OAuth tokens.", _list),
)
