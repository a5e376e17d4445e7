"""Taking turns where a proof has to be by list: one call that makes a pair at a time, between two lists."""

from datetime import timedelta

from tokens.connectors.base import ConnectorError
from tokens.models import Credential, Grant, InventoryRun
from tokens.provisioning.inventory import take_list
from tokens.provisioning.line import Later, Line
from tokens.states import GrantState


def capability(credential: Credential) -> str:
    """The name under which it is kept whether `current` answers a token with these scopes."""
    return f"current: {' '.join(sorted(credential.scopes))}"


def line_up(line: Line, credential: Credential) -> InventoryRun | None:
    """Where the proof may have to be by list: take the turn and the list before. Raises `Later`."""
    line.client_number()
    if line.can(capability(credential)) is True:
        return None
    if not line.take_turn(credential.pk):
        raise Later(line.clock() + timedelta(seconds=1))
    under_way = Grant.objects.filter(
        helpdesk=line.helpdesk, state__in=(GrantState.INTENDED, GrantState.SENT)
    ).exclude(credential=credential)
    if under_way.exists():
        raise Later(line.clock() + timedelta(seconds=1))
    try:
        return take_list(line)
    except (ConnectorError, Later):
        line.end_turn(credential.pk)
        raise


def end_turn(line: Line, credential: Credential) -> None:
    """Give the turn back unless a pair still waits for its proof by list."""
    waits = credential.grants.filter(state=GrantState.ANSWERED, list_before__isnull=False)
    if not waits.exists():
        line.end_turn(credential.pk)
