"""How a state moves: one conditional update; whoever comes second is told who was first."""

from enum import StrEnum
from typing import Any

from django.db import models

from accounts.models import AuditEvent
from tokens.refusals import StaleState, moment_words
from tokens.states import Move, sources


def move(
    row: models.Model,
    machine: tuple[Move, ...],
    action: str,
    target: StrEnum,
    *,
    expect: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Take `row` through `action` to `target`, in the database and in memory.

    Raises `StaleState` when the row is not where `action` starts from or `expect` does not hold.
    """
    if not try_move(row, machine, action, target, expect=expect, **changes):
        raise stale(row)


def try_move(
    row: models.Model,
    machine: tuple[Move, ...],
    action: str,
    target: StrEnum,
    *,
    expect: dict[str, Any] | None = None,
    **changes: Any,
) -> bool:
    """Like `move`, but says False where that would raise."""
    rows = type(row)._default_manager.filter(pk=row.pk, state__in=sources(machine, action))
    if not rows.filter(**(expect or {})).update(state=target, **changes):
        return False
    row.refresh_from_db()
    return True


def stale(row: models.Model, *events: str) -> StaleState:
    """The refusal that says who changed `row` last, and when; of these events, where others are about it as well."""
    told = AuditEvent.objects.filter(target_type=type(row).__name__, target_id=str(row.pk))
    if events:
        told = told.filter(event__in=events)
    last = told.order_by("-id").first()
    if last is None:
        return StaleState("This has changed since you opened the page.")
    return StaleState(
        f"Already {_past(last.event)} by {last.actor_name} at {moment_words(last.at)}."
    )


SAID = {"lapsed": "timed out", "lost": "disconnected", "lost track of": "changed"}
"""Events whose names are not people's words."""


def _past(event: str) -> str:
    """What happened, as people say it: the participle in the event's name, or its words."""
    word = event.split(".")[1].replace("_", " ")
    return SAID.get(word, word)
