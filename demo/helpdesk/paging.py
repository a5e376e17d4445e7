"""How lists come in pages: by cursor (`page[size]`, `page[after]`) or by offset, never both."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse

from demo.helpdesk.answers import Refused, bad_parameter

LARGEST_PAGE = 100
LAST_BY_OFFSET = 10_000
LARGEST_ID = 2**63 - 1

Shape = Callable[[Any], dict[str, Any]]


class Listing(Protocol):
    """Objects in the order of their ids, of which a page can be cut."""

    def count(self) -> int:
        """How many there are."""

    def after(self, last_id: int, size: int) -> list[dict[str, Any]]:
        """At most `size` objects with an id above `last_id`."""

    def at(self, place: int, size: int) -> list[dict[str, Any]]:
        """At most `size` objects from the `place`-th on."""


@dataclass(frozen=True)
class Rows:
    """A listing of database rows, each shown by `shape`."""

    rows: QuerySet[Any]
    shape: Shape

    def count(self) -> int:
        return self.rows.count()

    def after(self, last_id: int, size: int) -> list[dict[str, Any]]:
        return [self.shape(row) for row in self.rows.filter(id__gt=last_id).order_by("id")[:size]]

    def at(self, place: int, size: int) -> list[dict[str, Any]]:
        return [self.shape(row) for row in self.rows.order_by("id")[place : place + size]]


@dataclass(frozen=True)
class Fixed:
    """A listing of objects that never change."""

    objects: list[dict[str, Any]]

    def count(self) -> int:
        return len(self.objects)

    def after(self, last_id: int, size: int) -> list[dict[str, Any]]:
        return [one for one in self.objects if one["id"] > last_id][:size]

    def at(self, place: int, size: int) -> list[dict[str, Any]]:
        return self.objects[place : place + size]


def answer(
    request: HttpRequest, name: str, listing: Listing, *, always_cursor: bool = False
) -> JsonResponse:
    """The page asked for, under `name`. Raises Refused (400) on a parameter that makes no sense."""
    by_cursor = always_cursor or "page[size]" in request.GET or "page[after]" in request.GET
    if by_cursor and ("page" in request.GET or "per_page" in request.GET):
        raise bad_parameter("page", "Cursor and offset pages cannot be mixed.")
    page = _by_cursor if by_cursor else _by_offset
    return JsonResponse(page(request, name, listing))


def whole_number(name: str, text: str, *, least: int = 0, most: int = LARGEST_ID) -> int:
    """A parameter as a number. Raises Refused (400)."""
    is_number = text.isascii() and text.isdigit() and len(text) < 20
    if not is_number or not least <= int(text) <= most:
        raise bad_parameter(name, f"{name} must be a number between {least} and {most}.")
    return int(text)


def _by_cursor(request: HttpRequest, name: str, listing: Listing) -> dict[str, Any]:
    size = whole_number(
        "page[size]", request.GET.get("page[size]", str(LARGEST_PAGE)), least=1, most=LARGEST_PAGE
    )
    last_id = _id_in(request.GET.get("page[after]", ""))
    found = listing.after(last_id, size + 1)
    has_more, found = len(found) > size, found[:size]
    cursor = cursor_of(found[-1]["id"]) if found else None
    following = _address(request, {"page[after]": cursor}) if has_more else None
    return {
        name: found,
        "meta": {"has_more": has_more, "after_cursor": cursor, "before_cursor": None},
        "links": {"next": following, "prev": None},
    }


def _by_offset(request: HttpRequest, name: str, listing: Listing) -> dict[str, Any]:
    size = whole_number("per_page", request.GET.get("per_page", "100"), least=1, most=LARGEST_PAGE)
    page = whole_number("page", request.GET.get("page", "1"), least=1)
    place = (page - 1) * size
    if place >= LAST_BY_OFFSET:
        raise Refused(
            422, {"error": "invalid", "description": "Number of results is limited to 10000."}
        )
    count = listing.count()
    return {
        name: listing.at(place, size),
        "count": count,
        "next_page": _address(request, {"page": page + 1}) if place + size < count else None,
        "previous_page": _address(request, {"page": page - 1}) if page > 1 else None,
    }


def _address(request: HttpRequest, changes: dict[str, Any]) -> str:
    query = {name: request.GET.getlist(name) for name in request.GET} | changes
    return f"{request.build_absolute_uri(request.path)}?{urlencode(query, doseq=True)}"


def cursor_of(last_id: int) -> str:
    """The cursor of the page that begins after this id."""
    return base64.urlsafe_b64encode(f"after:{last_id}".encode()).decode()


def _id_in(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(cursor).decode().partition(":")
    except (ValueError, binascii.Error):
        word, number = "", ""
    if word != "after":
        raise bad_parameter("page[after]", "This cursor was not made by this helpdesk.")
    return whole_number("page[after]", number)
