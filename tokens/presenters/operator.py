"""What the inventory and the audit page say about their rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from accounts.models import AuditEvent
from tokens import outbox
from tokens.models import Credential, Helpdesk
from tokens.presenters.clocks import shown_state
from tokens.presenters.credentials import Ending, ending_from
from tokens.presenters.history import Sentence, sentences
from tokens.presenters.scopes import in_words
from tokens.queries import operator as queries
from tokens.queries.requests import scope_table
from tokens.states import CredentialState

STATES = tuple(CredentialState)


@dataclass(frozen=True)
class InventoryRow:
    """One credential in the table of all."""

    credential: Credential
    may_do: str
    state: str
    last_used_at: datetime | None


def inventory_rows(lines: Iterable[queries.Line], *, now: datetime) -> list[InventoryRow]:
    """Credentials in words."""
    table = scope_table()
    return [
        InventoryRow(
            credential=line.credential,
            may_do=in_words(line.credential.scopes, line.credential.helpdesk.kind, table),
            state=shown_state(line.credential, now=now),
            last_used_at=line.last_used_at,
        )
        for line in lines
    ]


@dataclass(frozen=True)
class StuckRow:
    """An end that does not come: of which access (None: a token of nobody), and what stands in its way."""

    helpdesk: Helpdesk
    credential: Credential | None
    ending: Ending


def stuck_rows(*, now: datetime) -> list[StuckRow]:
    """Ends that a person should look at."""
    found = queries.stuck_ends(least_tries=outbox.TRIES_BEFORE_RED)
    return [
        StuckRow(row.helpdesk, row.credential, ending_from(row.since, row.jobs, now=now))
        for row in found
    ]


@dataclass(frozen=True)
class AuditRow:
    """One event: its sentence, and what it is about."""

    sentence: Sentence
    about: queries.Target


def audit_rows(events: list[AuditEvent]) -> list[AuditRow]:
    """Events as sentences, each with its thing by name."""
    targets = queries.targets(events)
    return [
        AuditRow(sentence, targets.get((event.target_type, event.target_id), queries.Target("")))
        for event, sentence in zip(events, sentences(events), strict=True)
    ]
