"""What stands in the queue: pages of requests in the order they are to be decided, at a cost that does not grow.

A page looks at the next few hundred requests of each group along an index and at no more, whatever it
filters by; where it finds too few it says how far it looked and goes on from there (ADR 11).
"""

import base64
import binascii
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
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
    Subquery,
)

from accounts.models import AuditEvent, User
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Comment,
    Decision,
    HelpdeskLink,
    SavedView,
)
from tokens.queries.seats import Seat
from tokens.queries.together import Prepared, Read, Row, given
from tokens.states import RequestState

PAGE = 50
WINDOW = 300
"""How many requests of a group a page looks at."""
MOST_COUNTED = 100
COUNTED_AMONG = 150
"""Among how many of each group those that wait for a person are counted."""
MOST_KINDS = 200
"""Of how many kinds of readers the statements are kept."""


class View(StrEnum):
    """Which requests: those that wait for the reader, all that wait and they may see, those that are over."""

    WAITING = "waiting"
    ALL = "all"
    DECIDED = "decided"


@dataclass(frozen=True)
class Reader:
    """Whose queue it is: the seats they decide from (None: an admin, who needs none), or somebody who only reads."""

    user: User
    seats: Sequence[Seat] | None
    reads_all: bool = False

    @property
    def is_only_reading(self) -> bool:
        """Whether nothing waits for them: an auditor who decides nothing."""
        return self.reads_all and self.seats is not None and not self.seats

    @property
    def kind(self) -> "Kind":
        """What the statements of their queue depend on; the rest are values in them."""
        seats = None if self.seats is None else tuple((s.column, s.is_own) for s in self.seats)
        return Kind(seats, self.reads_all)

    @property
    def values(self) -> dict[str, Any]:
        """What stands in the places of a reader of this kind."""
        found: dict[str, Any] = {"reader": self.user.pk}
        for place, seat in enumerate(self.seats or ()):
            found |= {f"seat {place}": seat.value, f"holder {place}": seat.holder.pk}
        return found


class Kind(NamedTuple):
    """Readers whose pages ask the database in the same words."""

    seats: tuple[tuple[str, bool], ...] | None
    reads_all: bool

    def any_reader(self) -> Reader:
        """A reader with a place wherever one of this kind has a value."""
        if self.seats is None:
            return Reader(given("reader"), None, self.reads_all)
        seats = [
            Seat(
                column,
                given(f"seat {place}", None if column == "lead" else CharField()),
                given(f"holder {place}"),
                is_own,
            )
            for place, (column, is_own) in enumerate(self.seats)
        ]
        return Reader(given("reader"), seats, self.reads_all)


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
        return any((
            self.profile_id, self.requester_id, self.helpdesk_id, self.risk, self.older_than, self.text,
        ))  # fmt: skip


@dataclass(frozen=True, order=True)
class Place:
    """Where a request stands in its view's order: its moment, then its id."""

    at: datetime
    pk: int


@dataclass(frozen=True)
class Page:
    """Up to fifty rows, each with `last_word_by`, and where the next ones start ("": these were the last).

    `looked_until` is given where the page ends because it has looked far enough, not because it is full.
    """

    rows: list[AccessRequest]
    after: str = ""
    looked_until: datetime | None = None


# --- Which requests a page looks at ------------------------------------------------------------------

Parts = Mapping[str, QuerySet[AccessRequest]]
"""The requests of a view by the seat they are decided from, each in the order of its index."""


def _parts(reader: Reader, view: View, *, start: Place | None, now: datetime) -> Parts:
    """What this reader may see of a view, from behind `start` on."""
    rows = AccessRequest.objects.order_by(*_order(view))
    if view is View.DECIDED:
        rows = rows.filter(ended_at__isnull=False)
    else:
        rows = rows.filter(state=RequestState.PENDING, decide_by__gt=now)
    if start is not None:
        rows = rows.filter(_behind(view, start))
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
    values = {**reader.values, "now": now}
    if start is not None:
        values |= {"start at": start.at, "start": start.pk}
    reads = _edges(reader.kind, view, WINDOW, is_first=start is None)
    return {name: Prepared(read, values) for name, read in reads.items()}


@lru_cache(MOST_KINDS)
def _edges(kind: Kind, view: View, window: int, *, is_first: bool) -> Mapping[str, Read]:
    start = None if is_first else Place(given("start at", DateTimeField()), given("start"))
    parts = _parts(kind.any_reader(), view, start=start, now=NOW)
    return {
        f"edge {name}": part.annotate(at=F(_at(view))).values("pk", "at")[window - 1 : window]
        for name, part in parts.items()
    }


def _at(view: View) -> str:
    return "ended_at" if view is View.DECIDED else "decide_by"


def _order(view: View) -> tuple[str, str]:
    return ("-ended_at", "-id") if view is View.DECIDED else ("decide_by", "id")


def _behind(view: View, start: Place) -> Q:
    """What comes after a place; the first condition is what an index is read from."""
    if view is View.DECIDED:
        further = Q(ended_at__lt=start.at) | Q(id__lt=start.pk)
        return Q(ended_at__lte=start.at) & further
    return Q(decide_by__gte=start.at) & (Q(decide_by__gt=start.at) | Q(id__gt=start.pk))


def _up_to(view: View, edge: Place) -> Q:
    """What comes no later than a place."""
    if view is View.DECIDED:
        return Q(ended_at__gte=edge.at) & (Q(ended_at__gt=edge.at) | Q(id__gte=edge.pk))
    return Q(decide_by__lte=edge.at) & (Q(decide_by__lt=edge.at) | Q(id__lte=edge.pk))


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
    view, parts = filters.view, _parts(reader, filters.view, start=read_cursor(after), now=now)
    ends = [Place(edge["at"], edge["pk"]) for edge in edges]
    edge = (max(ends) if view is View.DECIDED else min(ends)) if ends else None
    looked_at = [part.filter(_up_to(view, edge)) if edge else part for part in parts.values()]
    wanted = [_filtered(part, filters, reader, now=now) for part in looked_at]
    found = _readable(_all_of(wanted, most=PAGE + 1)).order_by(*_order(view))[: PAGE + 1]
    rows = list(found)
    if len(rows) > PAGE:
        return Page(rows[:PAGE], make_cursor(_place(view, rows[PAGE - 1])))
    if edge is not None:
        return Page(rows, make_cursor(edge), looked_until=edge.at)
    return Page(rows)


def _place(view: View, row: AccessRequest) -> Place:
    at = row.ended_at if view is View.DECIDED else row.decide_by
    assert at is not None  # what is over has its end
    return Place(at, row.pk)


def _readable(rows: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
    last_word = Comment.objects.filter(access_request=OuterRef("pk")).order_by("-id")
    return rows.select_related(
        "requester", "deputy", "acts_as", "credential", "profile_version__profile__helpdesk"
    ).annotate(last_word_by=Subquery(last_word.values("author_id")[:1]))


def _filtered(
    rows: QuerySet[AccessRequest], filters: Filters, reader: Reader, *, now: datetime
) -> QuerySet[AccessRequest]:
    if filters.view is View.WAITING:
        rows = _wait_for(reader, rows)
    wanted = {
        "profile": filters.profile_id,
        "requester": filters.requester_id,
        "profile__helpdesk": filters.helpdesk_id,
        "profile_version__risk": filters.risk,
        "revised_at__lte": now - filters.older_than if filters.older_than else None,
    }
    rows = rows.filter(**{name: value for name, value in wanted.items() if value})
    for word in filters.text.split():
        rows = rows.filter(
            Q(script_name__icontains=word)
            | Q(purpose__icontains=word)
            | Q(requester__name__icontains=word)
            | Q(requester__email__icontains=word)
        )
    return rows


def ticked(pks: Collection[int]) -> list[AccessRequest]:
    """Requests by their ids, in the order of the queue, each with `last_word_by`."""
    rows = _readable(AccessRequest.objects.filter(pk__in=pks))
    return list(rows.order_by(*_order(View.WAITING)))


def is_asked(row: AccessRequest) -> bool:
    """Whether the last word on a request that was read here is a question."""
    return getattr(row, "last_word_by", None) not in (None, row.requester_id)


def changed(reader: Reader, shown: Mapping[int, int]) -> dict[AccessRequest, AuditEvent]:
    """Of requests this person may see, shown in these revisions: those that changed since, and by what last."""
    rows = AccessRequest.objects.filter(pk__in=shown)
    if reader.seats is not None and not reader.reads_all:
        theirs = [seat.requests for seat in reader.seats]
        rows = rows.filter(reduce(or_, theirs, Q(pk__in=[])))
    since = [
        row for row in rows if row.state != RequestState.PENDING or row.revision != shown[row.pk]
    ]
    if not since:
        return {}
    events = AuditEvent.objects.filter(
        target_type=AccessRequest.__name__, target_id__in=[str(row.pk) for row in since]
    )
    newest = events.order_by().values("target_id").annotate(newest=Max("id")).values("newest")
    last = {int(event.target_id): event for event in AuditEvent.objects.filter(pk__in=newest)}
    return {row: last[row.pk] for row in since if row.pk in last}


# --- Cursors -----------------------------------------------------------------------------------------


def make_cursor(place: Place) -> str:
    """Where a page ends, as one opaque word."""
    return base64.urlsafe_b64encode(f"{place.at.isoformat()} {place.pk}".encode()).decode()


def read_cursor(word: str) -> Place | None:
    """What `make_cursor` wrote; None for anything else."""
    try:
        at, pk = base64.urlsafe_b64decode(word.encode()).decode().split()
        start = Place(datetime.fromisoformat(at), int(pk))
    except (ValueError, binascii.Error):
        return None
    is_ours = start.at.utcoffset() == timedelta(0) and 0 < start.pk < 2**63
    return start if is_ours else None
