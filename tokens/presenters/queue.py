"""The queue: what it can be narrowed to, what each row of it says, and where its page leads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from accounts.models import User
from accounts.together import Row
from tokens import policies
from tokens.models import AccessRequest
from tokens.presenters.around import Around
from tokens.presenters.scopes import in_words
from tokens.presenters.words import all_of
from tokens.queries import deciding
from tokens.queries import queue as queries
from tokens.queries.listed import Listed, is_asked
from tokens.queries.order import View
from tokens.queries.readers import Reader
from tokens.queries.requests import ScopeTable, as_table, risks_of, scope_table
from tokens.refusals import Answer
from tokens.states import RequestState


@dataclass(frozen=True)
class QueueRow:
    """One request in the list."""

    asked: Listed
    is_opened: bool
    new_words: str
    is_wider: bool
    """Whether something of it is more of what they hold."""
    time_to_decide: timedelta
    talk: str
    """Whether something was asked about it, and whether that was answered."""
    may_be_ticked: Answer


def queue_rows(
    rows: list[Listed], opened: Listed, facts: deciding.Facts, *, now: datetime
) -> list[QueueRow]:
    """The list's rows, with what each would change for its person. `facts`: read with these rows beside."""
    table = as_table(facts.scopes)
    return [_queue_row(row, facts, table, is_opened=row is opened, now=now) for row in rows]


def _queue_row(
    row: Listed, facts: deciding.Facts, table: ScopeTable, *, is_opened: bool, now: datetime
) -> QueueRow:
    held = facts.held.get(row.acts_as_id, frozenset())
    changes = [policies.change_of(scope, held) for scope in row.scopes]
    new = changes.count(policies.Change.NEW)
    risks = risks_of(row.scopes, row.helpdesk_kind, table)
    return QueueRow(
        asked=row,
        is_opened=is_opened,
        new_words="1 new scope" if new == 1 else f"{new} new scopes" if new else "",
        is_wider=policies.Change.WIDER in changes,
        time_to_decide=row.decide_by - row.revised_at,
        talk=_talk(row),
        may_be_ticked=policies.may_be_ticked(
            risks=[row.risk, *risks], approvals_needed=row.approvals_needed,
            role_changed_at=row.role_changed_at, has_new_terms=row.has_new_terms,
            ends_others=_ends_others(row, facts),
            is_asked=is_asked(row), now=now,
        ),
    )  # fmt: skip


def _ends_others(row: Listed, facts: deciding.Facts) -> bool:
    return row.keeps_one_per_person and not row.is_renewal and row.acts_as_id in facts.connected


def _talk(row: Listed) -> str:
    if row.last_word_by is None:
        return ""
    return "asked, no answer yet" if is_asked(row) else "answered"


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
    View.WAITING: "Waiting for me",
    View.ALL: "All I may see",
    View.DECIDED: "Decided",
}


def person_named(rows: Sequence[Row]) -> str:
    """Who a page is narrowed to; "" where nobody is found."""
    return next((str(User(name=row["name"], email=row["email"])) for row in rows), "")


def view_named(word: str) -> View:
    """The view an address names; what waits where it names none."""
    return View(word) if word in list(View) else View.WAITING


def bar(filters: queries.Filters, query: str, read: Around, reader: Reader) -> Bar:
    """The bar of a page with these filters, whose address says `query`."""
    saved = read.found["saved"]
    waiting = None if reader.is_only_reading else read.waiting
    named = next((row for row in saved if row["query"] == query and query), None)
    shown = [view for view in View if waiting is not None or view is not View.ALL]
    views = [
        Pill(
            label=VIEW_WORDS[view] if waiting is not None else READING_WORDS[view],
            href=f"/queue?view={view}" if view is not View.WAITING else "/queue",
            current=view is filters.view and named is None,
            count=waiting if view is View.WAITING else None,
        )
        for view in shown
    ]
    views += [Pill(row["name"], f"/queue?{row['query']}", row is named) for row in saved]
    return Bar(
        views=views,
        clear_href=f"/queue?view={filters.view}" if filters.narrows else "",
        person=person_named(read.found.get("person", [])) if filters.requester_id else "",
        query=query if filters.narrows and named is None else "",
        forget=named["pk"] if named else None,
    )


READING_WORDS = {View.WAITING: "Waiting", View.DECIDED: "Decided"}
"""For who only reads, everything that waits is one view."""


def may_tick(rows: Sequence[QueueRow], view: View, reader: Reader) -> bool:
    """Whether there is anything to tick for this reader."""
    is_theirs = view is View.WAITING and not reader.is_only_reading
    return is_theirs and any(row.may_be_ticked for row in rows)


@dataclass(frozen=True)
class Links:
    """Where the page leads: `back` to once the opened request is decided, as an address and as a query to carry along.

    `stay`: to the same list; `open`: to the same with the request opened whose id is put behind. `shown`: what the
    list shows, as a query, to ask what became of it.
    """

    back: str
    tail: str
    stay: str
    open: str
    shown: str


def links(address: Mapping[str, str], rows: Sequence[Listed], opened: Listed | None) -> Links:
    """The links of a page with this address.

    After a decision the same list is shown, the next request opened, or the one before where this was the last.
    """
    kept = {name: value for name, value in address.items() if name != "selected" and value}
    place = rows.index(opened) if opened else 0
    beside = [*rows[place + 1 : place + 2], *rows[max(place - 1, 0) : place]]
    back = _queue_address({**kept, "selected": str(beside[0].pk)} if beside else kept)
    return Links(
        back=back,
        tail=f"?{urlencode({'back': back})}",
        stay=_queue_address({**kept, "selected": str(opened.pk)} if opened else kept),
        open=f"/{_queue_address({**kept, 'selected': ''})}",
        shown="&".join(f"shown={row.pk}:{row.revision}:{row.approvals}" for row in rows),
    )


def _queue_address(kept: Mapping[str, str]) -> str:
    return f"queue?{urlencode(kept)}" if kept else "queue"


def approved_words(access_request: AccessRequest) -> str:
    """What pressing *Approve* has done."""
    asked = f"{access_request.script_name}, asked by {access_request.requester}"
    if access_request.state == RequestState.APPROVED:
        return f"Approved: {asked}."
    needed = access_request.profile_version.approvals_needed
    return f"Your approval counts: {asked} has {access_request.approvals} of {needed}."


def to_approve(rows: Sequence[AccessRequest]) -> list[tuple[AccessRequest, str]]:
    """Requests that are about to be approved together, each with what it gives in words."""
    table = scope_table()
    return [
        (row, in_words(row.scopes, row.profile_version.profile.helpdesk.kind, table))
        for row in rows
    ]


def approved_together_words(rows: Sequence[AccessRequest]) -> str:
    """What approving several at once has done."""
    names = all_of([f"{row.script_name} of {row.requester}" for row in rows])
    return f"Approved {len(rows)}: {names}."
