"""Looking at one token and deleting it: through Keydesk's own access, and where that may not, with its own token."""

from collections.abc import Callable
from typing import TypeVar

from tokens.capabilities import ENDS, SHOWS
from tokens.connectors.base import GiveUp, TokenRecord
from tokens.models import Grant
from tokens.provisioning.calls import access_half
from tokens.provisioning.line import Line

T = TypeVar("T")


def look(line: Line, grant: Grant) -> TokenRecord | None:
    """What the helpdesk says about a token by its id. None: a 404, or, asked by itself, its access half is dead."""
    token_id = _id(grant)
    return _ask(
        line, grant, SHOWS, lambda t: line.connector.show(token_id=token_id, access_token=t)
    )


def delete(line: Line, grant: Grant) -> None:
    """Delete a token by its id. An answer proves nothing: look again."""
    token_id = _id(grant)
    _ask(line, grant, ENDS, lambda t: line.connector.delete(token_id=token_id, access_token=t))


def show_one(line: Line, token_id: int) -> TokenRecord | None:
    """What our own access is told about a token by its id; None: a 404.

    Raises `GiveUp(code="forbidden")` where it may not look.
    """
    return line.as_service_where_allowed(
        lambda t: line.connector.show(token_id=token_id, access_token=t)
    )


def is_shown(line: Line, token_id: int) -> bool:
    """Whether the helpdesk shows a token of nobody by its id; where our access may not look, no."""
    try:
        return show_one(line, token_id) is not None
    except GiveUp as refused:
        if refused.code != "forbidden":
            raise
        return False


def _id(grant: Grant) -> int:
    assert grant.remote_id is not None
    return grant.remote_id


def _ask(line: Line, grant: Grant, capability: str, call: Callable[[str], T]) -> T | None:
    """Our own access first, unless it is known that it may not; what neither may is asked of it again.

    None where the token itself was asked to show itself and is dead. A dead one can delete nothing, so then too
    our own access is asked again: what is known of it may have been learned while its user was no administrator.
    """
    if not grant.access_sealed:
        return line.as_service_where_allowed(call)
    if line.can(capability) is not False:
        try:
            return line.as_service_where_allowed(call)
        except GiveUp as refused:
            if refused.code != "forbidden":
                raise
        line.learn(capability, is_so=False)
    try:
        return call(access_half(grant))
    except GiveUp as refused:
        if refused.code == "invalid_token" and capability == SHOWS:
            return None
        if refused.code not in ("forbidden", "invalid_token"):
            raise
    answer = line.as_service_where_allowed(call)
    line.learn(capability, is_so=True)
    return answer
