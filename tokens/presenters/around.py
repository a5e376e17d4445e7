"""What stands around every page: how much waits for its reader, what admins are told. Read in one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from accounts.models import User
from accounts.roles import Role, roles_of
from accounts.together import Prepared, Read, Row, together
from tokens import permissions
from tokens.presenters import alarms
from tokens.queries import operations, queue
from tokens.queries.readers import Reader
from tokens.queries.seats import seats_of


@dataclass(frozen=True)
class Around:
    """`waiting`: requests this person may decide, counted to a hundred. `found`: what was asked for beside it."""

    waiting: int
    watches: list[operations.Watch]
    found: Mapping[str, list[Row]]


def queue_reader(user: User) -> Reader:
    """Whose queue a person sees: what they decide, or everything where they only read."""
    if Role.ADMIN in roles_of(user):
        return Reader(user, None)
    return Reader(user, seats_of(user), reads_all=bool(permissions.may_read_all(user)))


def around(
    user: User, *, now: datetime, beside: Mapping[str, Read | Prepared] | None = None
) -> Around:
    """What this person's pages show around themselves, and whatever a page reads `beside` it."""
    reads = dict(beside or {})
    reader = queue_reader(user)
    if permissions.may_use_queue(user) and not reader.is_only_reading:
        reads["waiting"] = queue.waiting(reader, now=now)
    if permissions.may_read_all(user):
        reads["watches"] = alarms.watching()
    found = together(reads) if reads else {}
    return Around(
        waiting=len(found.get("waiting", [])),
        watches=operations.watches_from(found.get("watches", [])),
        found=found,
    )
