"""Wrong about the calls that make pairs: intent, sending, answers and what is unknown."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from celery import current_app

from tests.resilience.wrong import wrong
from tokens.connectors.base import Unknown
from tokens.models import Grant
from tokens.operations import grants
from tokens.provisioning import calls, ending, issuing
from tokens.sealing import portal_ring, worker_ring
from tokens.states import GrantState


def _everywhere(name: str, function: Callable[..., Any]) -> None:
    """In the module that defines it and in those that took it by name."""
    for module in (calls, issuing, ending):
        if hasattr(module, name):
            setattr(module, name, function)


@wrong("no-intent-row", caught_by="unaudited unowned dropped")
def no_intent_row() -> None:
    """The call is made first, and written down when its answer is there."""

    def make_pair(line: Any, grant: Grant, call: Callable[[], Any]) -> None:
        portal_ring(), worker_ring()
        pair = call()
        Grant.objects.filter(pk=grant.pk).update(intended_at=line.clock())
        grants.send(grant, now=line.clock())
        grants.answer(grant, pair, now=line.clock())

    _everywhere("make_pair", make_pair)


@wrong("retry-on-timeout", caught_by="repeated")
def retry_on_timeout() -> None:
    """A call without an answer is simply made again."""
    right = calls.make_pair

    def make_pair(line: Any, grant: Grant, call: Callable[[], Any]) -> None:
        def again() -> Any:
            try:
                return call()
            except Unknown:
                return call()

        right(line, grant, again)

    _everywhere("make_pair", make_pair)


@wrong("answered-pair-dropped", caught_by="dropped unowned")
def answered_pair_dropped() -> None:
    """A pair that was answered before a crash is forgotten instead of taken up again."""
    right = calls.resume

    def resume(line: Any, grant: Grant) -> bool:
        if grant.state == GrantState.ANSWERED:
            Grant.objects.filter(pk=grant.pk).update(
                state=GrantState.WRITTEN_OFF, settled_at=line.clock()
            )
            grant.refresh_from_db()
            return False
        return right(line, grant)

    _everywhere("resume", resume)


@wrong("unknown-is-failed", caught_by="repeated unowned")
def unknown_is_failed() -> None:
    """An unknown answer counts as a refusal, so the same refresh token is sent again at once."""

    def forget(grant: Grant, *, reason: str, now: datetime) -> datetime:
        grants.refuse(grant, reason=reason, now=now)
        return now

    grants.forget = forget


@wrong("written-off-at-once", caught_by="repeated early_judgement")
def written_off_at_once() -> None:
    """An unknown refresh is tried again at once instead of after the minimum age."""
    right = calls.resume

    def resume(line: Any, grant: Grant) -> bool:
        if grant.state == GrantState.UNKNOWN:
            return False
        return right(line, grant)

    _everywhere("resume", resume)


@wrong("secret-in-message", caught_by="leaked")
def secret_in_message() -> None:
    """A message to the workers carries the token it is about."""
    right = grants.answer

    def answer(grant: Grant, pair: Any, *, now: datetime) -> None:
        right(grant, pair, now=now)
        current_app.send_task("tokens.beat", countdown=30, headers={"about": pair.access_token})

    grants.answer = answer


@wrong("secret-in-log", caught_by="leaked")
def secret_in_log() -> None:
    """What came is logged, to help debugging."""
    right = grants.answer

    def answer(grant: Grant, pair: Any, *, now: datetime) -> None:
        right(grant, pair, now=now)
        logging.getLogger("tokens").info("Got %s for %s", pair.access_token, grant)

    grants.answer = answer
