"""Taking turns where a proof has to be by list: one call that makes a pair at a time, between two lists."""

from datetime import timedelta

from tokens.capabilities import current
from tokens.connectors.base import ConnectorError
from tokens.models import Credential, Grant, InventoryRun
from tokens.operations import grants
from tokens.provisioning.inventory import take_list
from tokens.provisioning.line import Later, Line
from tokens.queries import inventories as lists
from tokens.states import GrantState


def line_up(line: Line, credential: Credential, *, by_list: bool = False) -> InventoryRun | None:
    """Where the proof may have to be by list, or is wanted so: take the turn and the list before. Raises `Later`.

    The list after one proof serves as the next one's before.
    """
    line.client_number()
    if not by_list and line.can(current(credential.scopes)) is True:
        return None
    if not line.take_turn(credential.pk):
        raise Later(line.clock() + timedelta(seconds=1))
    calls = Grant.objects.filter(helpdesk=line.helpdesk).exclude(credential=credential)
    under_way = calls.filter(state__in=(GrantState.INTENDED, GrantState.SENT))
    unproved = calls.filter(
        state=GrantState.ANSWERED, list_before__isnull=False, remote_id__isnull=True
    )
    if under_way.exists() or unproved.exists():
        raise Later(line.clock() + timedelta(seconds=1))
    try:
        return lists.still_before(line.helpdesk, now=line.clock()) or take_list(line)
    except (ConnectorError, Later):
        line.end_turn(credential.pk)
        raise


def must_not_cross(
    line: Line,
    credential: Credential,
    before: InventoryRun | None,
    *,
    intended: Grant | None = None,
    waits: timedelta = timedelta(seconds=1),
) -> None:
    """Raises `Later` where a call would cross another's proof by list; `intended`, its committed intent, is abandoned.

    To be asked before the intent, and once more after it, since the other may not have seen it. The turn of
    one who has it is renewed: its list may have taken longer than a turn.
    """
    is_free = (
        not line.is_turn_of_another(credential.pk)
        if before is None
        else line.take_turn(credential.pk)
    )
    if is_free:
        return
    if intended is not None:
        grants.abandon(intended, now=line.clock())
    raise Later(line.clock() + waits)


def end_turn(line: Line, credential: Credential) -> None:
    """Give the turn back unless a pair still waits for its proof by list."""
    waits = credential.grants.filter(state=GrantState.ANSWERED, list_before__isnull=False)
    if not waits.exists():
        line.end_turn(credential.pk)
