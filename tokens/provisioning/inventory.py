"""The list of all tokens of Keydesk's client: taken whole or not at all, kept, and acted on."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from tokens.connectors.base import Broken, ConnectorError, GiveUp, TokenRecord, Unknown
from tokens.models import InventoryRun, SeenToken
from tokens.operations import inventories
from tokens.provisioning.line import Line


def inventory(line: Line) -> InventoryRun:
    """Take the list and act on it: what was deleted and is absent is gone, what nobody owns is ended."""
    run = take_list(line)
    inventories.settle(run=run, now=line.clock())
    return run


def take_list(line: Line) -> InventoryRun:
    """One complete reading. It counts only if our access is an administrator's before and after.

    Raises what the connector raises; the run is kept with its error.
    """
    run = InventoryRun.objects.create(helpdesk=line.helpdesk, started_at=line.clock())
    try:
        records = _read(line)
    except ConnectorError as error:
        run.error = error.reason[:300]
        run.finished_at = line.clock()
        run.save()
        raise
    _keep(run, records, now=line.clock())
    return run


def _read(line: Line) -> Sequence[TokenRecord]:
    number = line.client_number()
    _must_be_admin(line)
    try:
        records = line.as_service(
            lambda t: line.connector.tokens_of_client(client_number=number, access_token=t)
        )
    except GiveUp as refused:
        raise Broken("Keydesk's own access may not list tokens on the helpdesk.") from refused
    _must_be_admin(line)
    if any(record.client_id not in (number, None) for record in records):
        raise Unknown("The list holds tokens of another application, so it does not count.")
    return records


def _must_be_admin(line: Line) -> None:
    me = line.as_service(lambda t: line.connector.whoami(access_token=t))
    if not me.is_admin or not me.active or me.suspended:
        raise Broken(
            f"Keydesk's own user on the helpdesk ({me.name}) is no administrator any more."
        )


def _keep(run: InventoryRun, records: Sequence[TokenRecord], *, now: datetime) -> None:
    seen = [
        SeenToken(
            helpdesk=run.helpdesk, remote_id=record.id, remote_user_id=record.user_id,
            scopes=record.scopes or frozenset(), expires_at=record.expires_at,
            refresh_expires_at=record.refresh_expires_at, first_run=run, last_run=run,
        )
        for record in records
    ]  # fmt: skip
    with transaction.atomic():
        SeenToken.objects.bulk_create(
            seen,
            batch_size=500,
            update_conflicts=True,
            unique_fields=["helpdesk", "remote_id"],
            update_fields=[
                "remote_user_id", "scopes", "expires_at", "refresh_expires_at", "last_run",
            ],
        )  # fmt: skip
        run.finished_at = now
        run.is_complete = True
        run.token_count = len(seen)
        run.save()
