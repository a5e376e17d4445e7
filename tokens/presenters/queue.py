"""The queue: whose it is, and what each row of it says."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import User
from accounts.roles import groups_of
from tokens import permissions
from tokens.models import AccessRequest
from tokens.presenters.requests import RISKY
from tokens.queries import requests as queries
from tokens.states import RequestState


@dataclass(frozen=True)
class QueueRow:
    """One waiting request in the list."""

    access_request: AccessRequest
    new_words: str
    risk: str
    age: timedelta
    time_to_decide: timedelta


def queue_rows(rows: list[AccessRequest], *, now: datetime) -> list[QueueRow]:
    """The list's rows, with what each would change for its person."""
    held = queries.held_scopes(row.acts_as_id for row in rows)
    return [_queue_row(row, held.get(row.acts_as_id, frozenset()), now=now) for row in rows]


def _queue_row(row: AccessRequest, held: frozenset[str], *, now: datetime) -> QueueRow:
    new = len(row.scopes - held)
    risk = row.profile_version.risk
    return QueueRow(
        access_request=row,
        new_words="1 new scope" if new == 1 else f"{new} new scopes" if new else "",
        risk=risk if risk in RISKY else "",
        age=now - row.revised_at,
        time_to_decide=row.decide_by - row.revised_at,
    )


def queue_reader(user: User) -> queries.Reader:
    """Whose queue a person sees: what they decide, or everything where they only read."""
    if permissions.is_approver_of(user, ""):
        return queries.Reader(user, None)  # an admin decides for every profile
    decides_for = [
        group for group in sorted(groups_of(user)) if permissions.is_approver_of(user, group)
    ]
    is_only_reading = not decides_for and bool(permissions.may_read_all(user))
    return queries.Reader(user, decides_for, is_only_reading)


def approved_words(access_request: AccessRequest) -> str:
    """What pressing *Approve* has done."""
    asked = f"{access_request.script_name}, asked by {access_request.requester}"
    if access_request.state == RequestState.APPROVED:
        return f"Approved: {asked}."
    needed = access_request.profile_version.approvals_needed
    return f"Your approval counts: {asked} has {access_request.approvals} of {needed}."
