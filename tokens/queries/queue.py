"""What stands in the queue: pages of requests in the order they are to be decided, at a cost that does not grow.

A page looks at the next two hundred requests of each seat along an index and at no more, whatever it
filters by; where it finds too few it says how far it looked and goes on from there (ADR 11).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache, reduce
from operator import or_
from typing import Any, NamedTuple

from django.db.models import (
    CharField,
    DateTimeField,
    Exists,
    F,
    Max,
    OuterRef,
    Q,
    QuerySet,
)

from accounts.models import AuditEvent, User
from accounts.together import Prepared, Read, Row, given, together
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Decision,
    HelpdeskLink,
    SavedView,
)
from tokens.queries import order
from tokens.queries.listed import LAST_WORD_BY, Listed, as_listed
from tokens.queries.order import Place, View, make_cursor, read_cursor
from tokens.queries.readers import Kind, Reader
from tokens.queries.requests import readable
from tokens.queries.seats import Seat
from tokens.states import RequestState

PAGE = 50
WINDOW = 200
"""How many requests of a seat a page looks at."""
MOST_COUNTED = 100
COUNTED_AMONG = 150
"""Among how many of each group those that wait for a person are counted."""
MOST_KINDS = 200
"""Of how many kinds of readers the statements are kept."""


NOW = given("now", DateTimeField())


@dataclass(frozen=True)
class Filters:
    """What the reader wants to see of the queue; None and "" are everything."""

    view: View = View.WAITING
    profile_id: int | None = None
    requester_id: int | None = None
    helpdesk_id: int | None = None
    risk: str = ""
    older_than: timedelta | None = None
    text: str = ""

    @property
    def narrows(self) -> bool:
        """Whether it leaves out some of what the view holds."""
        return self.shape != Shape(self.view)

    @property
    def shape(self) -> "Shape":
        """What the statement of a page depends on; the rest are values in it."""
        narrowed = tuple(name for name in NARROWED if getattr(self, name))
        return Shape(self.view, narrowed, len(self.text.split()))

    def values(self, *, now: datetime) -> dict[str, Any]:
        """What stands in the places of filters of this shape."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.shape.narrowed}
        if self.older_than:
            found["older_than"] = now - self.older_than
        return found | {f"word {place}": word for place, word in enumerate(self.text.split())}


class Shape(NamedTuple):
    """Filters whose pages ask the database in the same words: these columns, and so many words to be found."""

    view: View
    narrowed: tuple[str, ...] = ()
    words: int = 0


NARROWED = {
    "profile_id": Q(profile=given("profile_id")),
    "requester_id": Q(requester=given("requester_id")),
    "helpdesk_id": Q(profile__helpdesk=given("helpdesk_id")),
    "risk": Q(profile_version__risk=given("risk", CharField())),
    "older_than": Q(revised_at__lte=given("older_than", DateTimeField())),
}
"""Filter → what it leaves."""


@dataclass(frozen=True)
class Page:
    """Up to fifty rows, and where the next ones start ("": these were the last).

    `looked_until` is given where the page ends because it has looked far enough, not because it is full.
    """

    rows: list[Listed]
    after: str = ""
    looked_until: datetime | None = None


# --- Which requests a page looks at ------------------------------------------------------------------

Parts = Mapping[str, QuerySet[AccessRequest]]
"""The requests of a view by the seat they are decided from, each in the order of its index."""


def _parts(reader: Reader, view: View, *, start: Place | None, now: datetime) -> Parts:
    """What this reader may see of a view, from behind `start` on."""
    rows = AccessRequest.objects.order_by(*order.of(view))
    if view is View.DECIDED:
        rows = rows.filter(ended_at__isnull=False)
    else:
        rows = rows.filter(state=RequestState.PENDING, decide_by__gt=now)
    if start is not None:
        rows = rows.filter(order.behind(view, start))
    reads_all = reader.is_only_reading or (reader.reads_all and view is not View.WAITING)
    if reader.seats is None or reads_all:
        return {"all": rows}
    if not reader.seats:
        return {"none": rows.none()}
    return {f"{place}": _from(seat, rows, view=view) for place, seat in enumerate(reader.seats)}


def _from(seat: Seat, rows: QuerySet[AccessRequest], *, view: View) -> QuerySet[AccessRequest]:
    """The requests decided from a seat; of one whose holder is away, what waits for that one voice."""
    rows = rows.filter(seat.requests)
    waits_for_another = view is View.WAITING and not seat.is_own
    return rows.exclude(_is_heard(seat.holder)) if waits_for_another else rows


def _all_of(parts: Iterable[QuerySet[AccessRequest]], *, most: int) -> QuerySet[AccessRequest]:
    """The first so many of each part, in no order."""
    windows = [part[:most].values("pk") for part in parts]
    if len(windows) == 1:
        return AccessRequest.objects.filter(pk__in=windows[0])
    each = [AccessRequest.objects.filter(pk__in=window).values("pk") for window in windows]
    return AccessRequest.objects.filter(pk__in=each[0].union(*each[1:], all=True))


def edges(reader: Reader, view: View, *, after: str, now: datetime) -> dict[str, Prepared]:
    """For each group the last request a page looks at, where there are further ones; `page` needs them."""
    start = read_cursor(after)
    values = {**reader.values, "now": now, **order.values("start", start)}
    reads = _edges(reader.kind, view, WINDOW, is_first=start is None)
    return {name: Prepared(read, values) for name, read in reads.items()}


@lru_cache(MOST_KINDS)
def _edges(kind: Kind, view: View, window: int, *, is_first: bool) -> Mapping[str, Read]:
    start = None if is_first else order.somewhere("start")
    parts = _parts(kind.any_reader(), view, start=start, now=NOW)
    return {
        f"edge {name}": part.annotate(at=F(order.moment_of(view))).values("pk", "at")[
            window - 1 : window
        ]
        for name, part in parts.items()
    }


def _wait_for(reader: Reader, rows: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
    """Without what this person may not decide: their own, and what they have decided already."""
    if reader.is_only_reading:
        return rows
    themselves = HelpdeskLink.objects.filter(user=reader.user, helpdesk_user=OuterRef("acts_as_id"))
    rows = rows.exclude(requester=reader.user).exclude(Exists(themselves))
    return rows.exclude(_is_heard(reader.user))


def _is_heard(person: User) -> Q:
    """What somebody has decided on as it stands, or somebody in their place; see policies/deciding.py."""
    said = Decision.objects.filter(access_request=OuterRef("pk"), revision=OuterRef("revision"))
    return Q(Exists(said.filter(Q(approver=person) | Q(stands_in_for=person))))


# --- What a page asks --------------------------------------------------------------------------------


def waiting(reader: Reader, *, now: datetime) -> Prepared:
    """What waits for this person, counted to a hundred, among the first of each seat and no further."""
    return Prepared(_waiting(reader.kind), {**reader.values, "now": now})


@lru_cache(MOST_KINDS)
def _waiting(kind: Kind) -> Read:
    reader = kind.any_reader()
    parts = _parts(reader, View.WAITING, start=None, now=NOW)
    rows = _all_of(parts.values(), most=COUNTED_AMONG)
    return _wait_for(reader, rows).values("pk")[:MOST_COUNTED]


def profiles() -> Prepared:
    """The profiles a queue can be filtered by, with their helpdesks."""
    return Prepared(_profiles())


@cache
def _profiles() -> Read:
    rows = AccessProfile.objects.filter(current__isnull=False)
    named = rows.order_by("helpdesk__name", "current__name")
    return named.values("pk", "helpdesk_id", "current__name", "helpdesk__name")[:200]


def saved(user: User) -> Prepared:
    """The states of the queue that somebody has named."""
    return Prepared(_saved(), {"reader": user.pk})


@cache
def _saved() -> Read:
    rows = SavedView.objects.filter(user=given("reader"))
    return rows.order_by("name", "pk").values("pk", "name", "query")


def person(pk: int) -> Read:
    """Who one is, for a page that shows only what they asked for."""
    return User.objects.filter(pk=pk).values("name", "email")


def page(reader: Reader, filters: Filters, *, after: str, edges: list[Row], now: datetime) -> Page:
    """The first rows behind a cursor. A bad cursor is the first page.

    `edges`: what the reads of `edges` for the same reader, view and cursor have found.
    """
    view, start = filters.view, read_cursor(after)
    ends = [Place(edge["at"], edge["pk"]) for edge in edges]
    edge = (max(ends) if view is View.DECIDED else min(ends)) if ends else None
    read = _page(reader.kind, filters.shape, is_first=start is None, is_last=edge is None)
    values = {
        **reader.values, **filters.values(now=now), "now": now, **order.values("start", start), **order.values("edge", edge),
    }  # fmt: skip
    rows = [Listed(**row) for row in together({"page": Prepared(read, values)})["page"]]
    if len(rows) > PAGE:
        return Page(rows[:PAGE], make_cursor(_place_of(view, rows[PAGE - 1])))
    if edge is not None:
        return Page(rows, make_cursor(edge), looked_until=edge.at)
    return Page(rows)


def _place_of(view: View, row: Listed) -> Place:
    at = row.ended_at if view is View.DECIDED else row.decide_by
    assert at is not None  # what is over has its end
    return Place(at, row.pk)


@lru_cache(MOST_KINDS)
def _page(kind: Kind, shape: Shape, *, is_first: bool, is_last: bool) -> Read:
    """The requests between two places, but for what the filters leave out; one more than a page holds."""
    reader, view = kind.any_reader(), shape.view
    start = None if is_first else order.somewhere("start")
    until = Q() if is_last else order.up_to(view, order.somewhere("edge"))
    parts = _parts(reader, view, start=start, now=NOW)
    wanted = [_filtered(part.filter(until), shape, reader) for part in parts.values()]
    return as_listed(_all_of(wanted, most=PAGE + 1)).order_by(*order.of(view))[: PAGE + 1]


def _filtered(
    rows: QuerySet[AccessRequest], shape: Shape, reader: Reader
) -> QuerySet[AccessRequest]:
    if shape.view is View.WAITING:
        rows = _wait_for(reader, rows)
    for name in shape.narrowed:
        rows = rows.filter(NARROWED[name])
    for place in range(shape.words):
        word = given(f"word {place}", CharField())
        rows = rows.filter(
            Q(script_name__icontains=word)
            | Q(purpose__icontains=word)
            | Q(requester__name__icontains=word)
            | Q(requester__email__icontains=word)
        )
    return rows


def ticked(pks: Collection[int]) -> list[AccessRequest]:
    """Requests by their ids, in the order of the queue, each with `last_word_by`."""
    rows = readable(AccessRequest.objects.filter(pk__in=pks))
    return list(rows.annotate(last_word_by=LAST_WORD_BY).order_by(*order.of(View.WAITING)))


class Shown(NamedTuple):
    """How a request stood when a page showed it waiting."""

    revision: int
    approvals: int


def changed(reader: Reader, shown: Mapping[int, Shown]) -> dict[AccessRequest, AuditEvent]:
    """Of requests this person may see, shown like this: those that changed since, and by what last."""
    rows = AccessRequest.objects.filter(pk__in=shown)
    if reader.seats is not None and not reader.reads_all:
        theirs = [seat.requests for seat in reader.seats]
        rows = rows.filter(reduce(or_, theirs, Q(pk__in=[])))
    since = [
        row
        for row in rows
        if row.state != RequestState.PENDING or shown[row.pk] != (row.revision, row.approvals)
    ]
    if not since:
        return {}
    events = AuditEvent.objects.filter(
        target_type=AccessRequest.__name__, target_id__in=[str(row.pk) for row in since]
    )
    newest = events.order_by().values("target_id").annotate(newest=Max("id")).values("newest")
    last = {int(event.target_id): event for event in AuditEvent.objects.filter(pk__in=newest)}
    return {row: last[row.pk] for row in since if row.pk in last}
