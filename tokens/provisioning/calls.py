"""One call that makes a token pair: intent, sending, answer; and what to do with one that was left open."""

from collections.abc import Callable

from django.conf import settings

from tokens import policies
from tokens.connectors.base import Broken, GiveUp, Retry, TokenPair, Unknown
from tokens.models import Grant
from tokens.operations import grants, helpdesks
from tokens.provisioning.line import Later, Line
from tokens.sealing import Place, portal_ring, worker_ring
from tokens.states import GrantState

_OF_THE_CLIENT_AT_WORK = frozenset({"invalid_grant", "invalid_scope"})
"""Refusals that come after the client itself was accepted."""


def make_pair(line: Line, grant: Grant, call: Callable[[], TokenPair]) -> None:
    """Send an intended call and keep its answer, or what is known of it.

    On return the pair is answered. Raises `GiveUp`, `Retry` and `Broken` with the pair refused
    (certainly nothing was made), `Later` with the pair unknown.
    """
    portal_ring(), worker_ring()  # what comes can be kept, or nothing is sent
    grants.send(grant, now=line.clock())
    try:
        pair = call()
    except (GiveUp, Retry, Broken) as error:
        grants.refuse(grant, reason=error.reason, now=line.clock())
        if isinstance(error, Broken):
            error.of_agents = True
        elif isinstance(error, GiveUp) and error.code in _OF_THE_CLIENT_AT_WORK:
            _client_works(line)
        raise
    except Unknown as error:
        until = grants.forget(grant, reason=error.reason, now=line.clock())
        raise Later(until, failure=error.reason) from error
    grants.answer(grant, pair, now=line.clock())
    _client_works(line)


def _client_works(line: Line) -> None:
    """The helpdesk knows the client that gets the agents' pairs: a line that stopped over it goes on."""
    helpdesks.resume(helpdesk=line.helpdesk, now=line.clock(), of_agents=True)


def refresh_pair(line: Line, *, old: Grant, new: Grant, scopes: frozenset[str]) -> None:
    """Swap the refresh half of `old` for a pair that `new` is the intent of; no scopes: those it has.

    Raises as `make_pair` does.
    """
    token = refresh_half(old)
    make_pair(
        line,
        new,
        lambda: line.connector.refresh(
            refresh_token=token,
            scopes=scopes,
            expires_in=new.asked_access_seconds,
            refresh_expires_in=new.asked_refresh_seconds,
        ),
    )


def resume(line: Line, grant: Grant) -> bool:
    """Settle what an earlier try left open. True: it is answered and wants its proof.

    False: it is settled as nothing (abandoned) and a new call may be made. Raises `Later` while the
    minimum age has not passed; then the caller writes it off.
    """
    now = line.clock()
    if grant.state == GrantState.ANSWERED:
        return True
    if grant.state == GrantState.INTENDED:
        if now <= grant.intended_at + settings.SEND_WITHIN:
            raise Later(grant.intended_at + settings.SEND_WITHIN)
        grants.abandon(grant, now=now)
        return False
    assert grant.sent_at is not None
    if grant.state == GrantState.SENT:
        if now < grant.sent_at + settings.CLAIM:
            raise Later(grant.sent_at + settings.CLAIM)
        raise Later(grants.forget(grant, reason="The worker that sent it stopped.", now=now))
    settled_at = grant.sent_at + settings.MINIMUM_AGE
    if now < settled_at:
        raise Later(settled_at)
    return False


def settle(line: Line, grant: Grant, *, reason: str) -> None:
    """Settle a call whose pair nobody wants any more: what it made is doomed, what is unknown written off.

    Raises `Later` while nobody can know yet.
    """
    if resume(line, grant):
        early = grant.credential is not None and policies.ended_early(grant.credential)
        grants.doom(grant, reason=reason, now=line.clock(), at_once=early)
    elif grant.state == GrantState.UNKNOWN:
        grants.write_off(grant, now=line.clock())


def access_half(grant: Grant) -> str:
    """The access token of a pair. Raises `Unsealable`."""
    return portal_ring().open(grant.access_sealed, Place(*grant.place))


def refresh_half(grant: Grant) -> str:
    """The refresh token of a pair. Raises `Unsealable`."""
    return worker_ring().open(grant.refresh_sealed, Place(*grant.place))
