"""The queue: whose it is, what it can be narrowed to, and what each row of it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import User
from accounts.roles import groups_of
from tokens import permissions
from tokens.models import AccessRequest
from tokens.presenters.requests import RISKY
from tokens.queries import queue as queries
from tokens.queries.together import Row
from tokens.states import RequestState


@dataclass(frozen=True)
class QueueRow:
    """One waiting request in the list."""

    access_request: AccessRequest
    new_words: str
    risk: str
    age: timedelta
    time_to_decide: timedelta
    talk: str
    """Whether something was asked about it, and whether that was answered."""


def queue_rows(
    rows: list[AccessRequest], held: Mapping[int, frozenset[str]], *, now: datetime
) -> list[QueueRow]:
    """The list's rows, with what each would change for its person. `held`: what they hold now."""
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
        talk=_talk(row, getattr(row, "last_word_by", None)),
    )


def _talk(row: AccessRequest, last_word_by: int | None) -> str:
    if last_word_by is None:
        return ""
    return "answered" if last_word_by == row.requester_id else "asked, no answer yet"


@dataclass(frozen=True)
class Pill:
    """One view of the queue, as a link."""

    label: str
    href: str
    current: bool
    count: int | None = None


@dataclass(frozen=True)
class Bar:
    """What stands above the list: the views, whom it is narrowed to, and what can be kept or cleared."""

    views: list[Pill]
    clear_href: str
    person: str
    query: str
    """What a name would be given to; "" where there is nothing to keep, or it has one."""
    forget: int | None
    """The named view that is shown now."""


VIEW_WORDS = {
    queries.View.WAITING: "Waiting for me",
    queries.View.ALL: "All I may see",
    queries.View.DECIDED: "Decided",
}


def person_named(rows: Sequence[Row]) -> str:
    """Who a page is narrowed to; "" where nobody is found."""
    return next((str(User(name=row["name"], email=row["email"])) for row in rows), "")


def view_named(word: str) -> queries.View:
    """The view an address names; what waits where it names none."""
    return queries.View(word) if word in list(queries.View) else queries.View.WAITING


def bar(
    filters: queries.Filters,
    query: str,
    saved: Sequence[Row],
    *,
    waiting: int | None,
    person: str,
) -> Bar:
    """The bar of a page with these filters, whose address says `query`. `waiting`: None for who only reads."""
    named = next((row for row in saved if row["query"] == query and query), None)
    shown = [view for view in queries.View if waiting is not None or view is not queries.View.ALL]
    views = [
        Pill(
            label=VIEW_WORDS[view] if waiting is not None else READING_WORDS[view],
            href=f"/queue?view={view}" if view is not queries.View.WAITING else "/queue",
            current=view is filters.view and named is None,
            count=waiting if view is queries.View.WAITING else None,
        )
        for view in shown
    ]
    views += [Pill(row["name"], f"/queue?{row['query']}", row is named) for row in saved]
    return Bar(
        views=views,
        clear_href=f"/queue?view={filters.view}" if filters.narrows else "",
        person=person if filters.requester_id else "",
        query=query if filters.narrows and named is None else "",
        forget=named["pk"] if named else None,
    )


READING_WORDS = {queries.View.WAITING: "Waiting", queries.View.DECIDED: "Decided"}
"""For who only reads, everything that waits is one view."""


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
