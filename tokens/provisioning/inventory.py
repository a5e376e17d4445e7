"""The list of all tokens of Keydesk's client: taken whole or not at all, contradicted by nothing, kept, acted on."""

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal

from tokens import findings, policies
from tokens.connectors.base import (
    ClaimLost,
    ConnectorError,
    GiveUp,
    Retry,
    TokenRecord,
    Unknown,
)
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
ANOTHERS = "The list holds tokens of another application, so it does not count."


def inventory(line: Line) -> Settled:
    """Take the list and act on it: what was deleted and is absent is gone, what nobody owns is ended,
    what vanished or changed is lost. Raises what the connector raises."""
    with _reading(line) as run:
        _note(line, run)
        looks = _look_at_suspects(line, run)
        standing = _look_at_strays(line, run)
    counts = inventories.keep(run=run, now=line.clock())
    return inventories.settle(run=counts, now=line.clock(), looks=looks, standing=standing)


def take_list(line: Line) -> InventoryRun:
    """One complete reading that a few looks do not contradict, acted on by nobody.

    Raises what the connector raises; the run is kept with its error. Where a newer reading was complete
    first, that one is returned.
    """
    with _reading(line) as run:
        _note(line, run)
        suspects = findings.of(run, now=line.clock()).suspects
        _look_at(line, run, _a_few(suspects))
    return inventories.keep(run=run, now=line.clock())


@contextmanager
def _reading(line: Line) -> Iterator[InventoryRun]:
    """A reading that does not count where anything in it went wrong."""
    run = inventories.begin(helpdesk=line.helpdesk, now=line.clock())
    try:
        yield run
    except ConnectorError as error:
        inventories.discard(run=run, reason=error.reason, now=line.clock())
        raise
    except Later:
        inventories.discard(run=run, reason=run.error or RENEWING, now=line.clock())
        raise


def _note(line: Line, run: InventoryRun) -> None:
    """Read the list and write it down. It counts only if our access is an administrator's before and after."""
    records = _read(line)
    ours = _ours(line, records)
    left_out = len(records) - len(ours)
    if not inventories.note(run=run, records=ours, left_out=left_out, now=line.clock()):
        raise Later(line.clock() + timedelta(seconds=1))


def _read(line: Line) -> Sequence[TokenRecord]:
    number = line.client_number()
    line.must_be_admin()
    records = line.as_service(
        lambda t: line.connector.tokens_of_client(client_number=number, access_token=t)
    )
    line.must_be_admin()
    if any(record.client_id not in (number, None) for record in records):
        raise Unknown(ANOTHERS)
    _must_not_lack(line, [record.id for record in records])
    return records


def _ours(line: Line, records: Sequence[TokenRecord]) -> list[TokenRecord]:
    """The list without tokens of which nobody says that they are our application's: they may be another's.

    Where the list leaves that out, the word of a pair of ours counts, an earlier look, or one now.
    """
    unsaid = {record.id for record in records if record.client_id is None}
    unsaid -= lists.vouched_for(line.helpdesk, unsaid)
    doubtful = {token_id for token_id in sorted(unsaid) if not _is_ours(line, token_id)}
    return [record for record in records if record.id not in doubtful]


def _is_ours(line: Line, token_id: int) -> bool:
    shown = _shown(line, token_id)
    return isinstance(shown, TokenRecord) and shown.client_id == line.client_number()


def _shown(line: Line, token_id: int) -> TokenRecord | Literal["forbidden"] | None:
    """A token by its id through our own access, if that may look; None: a 404."""
    try:
        return line.as_service_where_allowed(
            lambda t: line.connector.show(token_id=token_id, access_token=t)
        )
    except GiveUp as refused:
        if refused.code != "forbidden":
            raise
        return "forbidden"


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
    """Live pairs that the list lacks or describes otherwise, by id; of what is held back only a few."""
    now = line.clock()
    found = findings.of(run, now=now)
    judged, _ = findings.allowed(run, found, now=now)
    sure = {grant.pk for grant in judged.suspects}
    _look_at(line, run, _a_few([grant for grant in found.suspects if grant.pk not in sure]))
    return _look_at(line, run, judged.suspects)


def _a_few(suspects: Sequence[Grant]) -> list[Grant]:
    return random.sample(suspects, min(MOST_LOOKS, len(suspects)))


def _look_at(
    line: Line, run: InventoryRun, suspects: Iterable[Grant]
) -> dict[int, TokenRecord | None]:
    """What the helpdesk says of each. One that stands there as it was proved contradicts the list."""
    looks: dict[int, TokenRecord | None] = {}
    for grant in suspects:
        record = looks[grant.pk] = look(line, grant)
        if record and policies.is_as_proved(record, grant) and _must_be_listed(run, grant):
            raise Unknown(CONTRADICTED)
    if None in looks.values():
        line.must_be_admin()
    return looks


def _must_be_listed(run: InventoryRun, grant: Grant) -> bool:
    """Whether it still is what it was when the list was judged: a refresh in between explains the difference."""
    return lists.judged(run).filter(pk=grant.pk).exists()


def _look_at_strays(line: Line, run: InventoryRun) -> set[int]:
    """The tokens of nobody that may be ended and stand there by id too; one of another application never.

    Where our access may not look, the list's word stands. A look that fails undoes no list: whoever was not
    looked at is the next one's, so that many strays on a bad day are ended bit by bit.
    """
    now = line.clock()
    found, _ = findings.allowed(run, findings.of(run, now=now), now=now)
    standing: set[int] = set()
    for seen in found.strays:
        try:
            shown = _shown(line, seen.remote_id)
        except ClaimLost:
            raise
        except (Retry, Unknown):
            break
        if isinstance(shown, TokenRecord) and shown.client_id not in (line.client_number(), None):
            raise Unknown(ANOTHERS)
        if shown is not None:
            standing.add(seen.remote_id)
    return standing
