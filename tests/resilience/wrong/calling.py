"""Wrong about the calls that make pairs: intent, sending, answers and what is unknown."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import transaction

from accounts import audit
from tests.resilience.wrong import NO_STORM, swap, wrong
from tokens.connectors.base import Broken, GiveUp, Unknown
from tokens.models import Grant
from tokens.operations import credentials, grants
from tokens.provisioning import calls, issuing
from tokens.sealing import portal_ring, worker_ring
from tokens.states import GrantState

SILENCE = {"drop_before": 1, "drop_after": 2, "500_before": 1, "500_after": 2, "half_json_after": 1}
"""Answers that do not come or cannot be read."""


@wrong(
    "no-intent-row", caught_by="unaudited", climate=SILENCE, plans=("short", "stays"), **NO_STORM
)
def no_intent_row() -> None:
    """The call is made first, and a row is written when its answer is there."""

    def make_pair(line: Any, grant: Grant, call: Callable[[], Any]) -> None:
        portal_ring(), worker_ring()
        Grant.objects.filter(pk=grant.pk).delete()
        pair = call()
        grant.intended_at = line.clock()
        grant.save(force_insert=True)
        grants.send(grant, now=line.clock())
        grants.answer(grant, pair, now=line.clock())

    swap(calls, issuing, make_pair=make_pair)


@wrong("retry-on-timeout", caught_by="repeated", climate=SILENCE, plans=("short",), **NO_STORM)
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

    swap(calls, issuing, make_pair=make_pair)


@wrong(
    "invalid-client-is-lost", caught_by="early_judgement", share=0.3, climate={"invalid_client": 1},
    plans=("stays",), **NO_STORM,
)  # fmt: skip
def invalid_client_is_lost() -> None:
    """Where the helpdesk refuses our own application, the access that was to be refreshed counts as disconnected."""
    right = calls.refresh_pair

    def refresh_pair(line: Any, *, old: Grant, new: Grant, scopes: frozenset[str]) -> None:
        try:
            right(line, old=old, new=new, scopes=scopes)
        except Broken as error:
            raise GiveUp(error.reason, code="invalid_grant") from error

    swap(issuing, refresh_pair=refresh_pair)


@wrong(
    "answered-pair-dropped", caught_by="dropped", climate={"500_before": 1},
    plans=("stays",), **NO_STORM,
)  # fmt: skip
def answered_pair_dropped() -> None:
    """A pair that was answered before the work broke off is written off instead of taken up again."""
    right = calls.resume

    def resume(line: Any, grant: Grant) -> bool:
        if grant.state != GrantState.ANSWERED:
            return right(line, grant)
        with transaction.atomic():
            for event in ("grant.lost_track_of", "grant.written_off"):
                audit.record(event, by=None, target=grant, now=line.clock())
            Grant.objects.filter(pk=grant.pk).update(
                state=GrantState.WRITTEN_OFF, settled_at=line.clock()
            )
        grant.refresh_from_db()
        return False

    swap(calls, issuing, resume=resume)


@wrong("unknown-is-failed", caught_by="repeated", climate=SILENCE, plans=("short",), **NO_STORM)
def unknown_is_failed() -> None:
    """An unknown answer counts as a refusal, so the same code or refresh token is sent again at once."""

    def forget(grant: Grant, *, reason: str, now: datetime) -> datetime:
        grants.refuse(grant, reason=reason, now=now)
        return now

    swap(grants, forget=forget)


@wrong("written-off-at-once", caught_by="repeated", climate=SILENCE, plans=("stays",), **NO_STORM)
def written_off_at_once() -> None:
    """An unknown refresh is written off and tried again at once instead of after the minimum age."""
    right, right_forget = calls.resume, grants.forget

    def resume(line: Any, grant: Grant) -> bool:
        return False if grant.state == GrantState.UNKNOWN else right(line, grant)

    def forget(grant: Grant, *, reason: str, now: datetime) -> datetime:
        right_forget(grant, reason=reason, now=now)
        return now

    swap(calls, issuing, resume=resume)
    swap(grants, forget=forget)


@wrong("secret-in-message", caught_by="leaked", share=0.1, plans=("short",), **NO_STORM)
def secret_in_message() -> None:
    """A message to the workers carries the token it is about."""
    right = grants.answer

    def answer(grant: Grant, pair: Any, *, now: datetime) -> None:
        right(grant, pair, now=now)
        current_app.send_task("tokens.beat", countdown=30, headers={"about": pair.access_token})

    swap(grants, answer=answer)


@wrong("secret-in-log", caught_by="leaked", share=0.1, plans=("short",), **NO_STORM)
def secret_in_log() -> None:
    """What came is logged, to help debugging."""
    right = grants.answer

    def answer(grant: Grant, pair: Any, *, now: datetime) -> None:
        right(grant, pair, now=now)
        logging.getLogger("tokens").warning("Got %s for %s", pair.access_token, grant)

    swap(grants, answer=answer)


@wrong(
    "lost-when-unknown", caught_by="early_judgement", climate={"drop_before": 1},
    plans=("stays",), **NO_STORM,
)  # fmt: skip
def lost_when_unknown() -> None:
    """A refresh without an answer disconnects its owner instead of being sent again."""
    right = grants.forget

    def forget(grant: Grant, *, reason: str, now: datetime) -> datetime:
        next_step = right(grant, reason=reason, now=now)
        if grant.purpose == Grant.Purpose.REFRESH and grant.credential is not None:
            credentials.lose(credential=grant.credential, reason=reason, now=now)
        return next_step

    swap(grants, forget=forget)


@wrong("refreshed-once", caught_by="unserved", share=0.0, plans=("stays",), seconds=25, **NO_STORM)
def refreshed_once() -> None:
    """A pair is replaced once and then never again: whoever asks later is told to come back."""
    right = issuing._is_due

    def is_due(line: Any, credential: Any, live: Grant) -> bool:
        return live.generation == 1 and right(line, credential, live)

    swap(issuing, _is_due=is_due)
