"""The list of all tokens of Keydesk's client: taken whole or not at all, kept, and acted on."""

from collections.abc import Sequence

from tokens import policies
from tokens.connectors.base import ConnectorError, TokenRecord, Unknown
from tokens.models import Grant, InventoryRun
from tokens.operations import inventories
from tokens.operations.inventories import Settled
from tokens.provisioning.line import Later, Line
from tokens.provisioning.looks import is_shown, look
from tokens.queries import inventories as lists

MOST_LOOKS = 5
"""Of a list that lacks many a few are enough to tell."""
RENEWING = "Keydesk's own access was being renewed."
CONTRADICTED = (
    "The list lacks a token that the helpdesk still shows by its id, so it does not count."
)


def inventory(line: Line) -> Settled:
    """Take the list and act on it: what was deleted and is absent is gone, what nobody owns is ended,
    what vanished or changed is lost. Raises what the connector raises."""
    run = take_list(line)
    looks = _look_at_suspects(line, run)
    return inventories.settle(run=run, now=line.clock(), looks=looks)


def take_list(line: Line) -> InventoryRun:
    """One complete reading. It counts only if our access is an administrator's before and after.

    Raises what the connector raises; the run is kept with its error. Where a newer reading was complete
    first, that one is returned.
    """
    run = inventories.begin(helpdesk=line.helpdesk, now=line.clock())
    try:
        records = _read(line)
    except ConnectorError as error:
        inventories.discard(run=run, reason=error.reason, now=line.clock())
        raise
    except Later:
        inventories.discard(run=run, reason=RENEWING, now=line.clock())
        raise
    return inventories.keep(run=run, records=records, now=line.clock())


def _read(line: Line) -> Sequence[TokenRecord]:
    number = line.client_number()
    line.must_be_admin()
    records = line.as_service(
        lambda t: line.connector.tokens_of_client(client_number=number, access_token=t)
    )
    line.must_be_admin()
    if any(record.client_id not in (number, None) for record in records):
        raise Unknown("The list holds tokens of another application, so it does not count.")
    _must_not_lack(line, [record.id for record in records])
    return records


def _must_not_lack(line: Line, ids: Sequence[int]) -> None:
    """Tokens of nobody that the list before had are looked at by id. One that is still there was left out."""
    before = lists.newest(line.helpdesk)
    if before is None:
        return
    lacking = lists.unowned(before).exclude(remote_id__in=ids)
    alive = lacking.filter(refresh_expires_at__gt=line.clock()).values_list("remote_id", flat=True)
    if any(is_shown(line, token_id) for token_id in alive.order_by("?")[:MOST_LOOKS]):
        raise Unknown(CONTRADICTED)


def _look_at_suspects(line: Line, run: InventoryRun) -> dict[int, TokenRecord | None]:
    """Live pairs that the list lacks or describes otherwise, by id; beyond the share nobody is looked at.

    One that stands there as it was proved contradicts the list, which then does not count.
    """
    found, _ = inventories.allowed(run, inventories.findings(run, now=line.clock()))
    looks = {grant.pk: look(line, grant) for grant in found.suspects}
    if None in looks.values():
        line.must_be_admin()
    for grant in found.suspects:
        record = looks[grant.pk]
        if record and policies.is_as_proved(record, grant) and _must_be_listed(run, grant):
            inventories.discard(run=run, reason=CONTRADICTED, now=line.clock())
            raise Unknown(CONTRADICTED)
    return looks


def _must_be_listed(run: InventoryRun, grant: Grant) -> bool:
    """Whether it still is what it was when the list was judged: a refresh in between explains the difference."""
    return lists.judged(run).filter(pk=grant.pk).exists()
