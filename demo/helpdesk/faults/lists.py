"""A list of tokens that is not the list: pages repeated, missing or changing, and a list cut short."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from demo.helpdesk.calls import call_of
from demo.helpdesk.faults.fits import lists_tokens
from demo.helpdesk.faults.kind import Kind, Next
from demo.helpdesk.faults.records import rewrites
from demo.helpdesk.models import Fault
from demo.helpdesk.paging import cursor_of

Page = dict[str, Any]


def _bent(change: Callable[[Page], Page]) -> Kind:
    return Kind(rewrites(change), lists_tokens)


def _repeated_page(fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """The next page is this one again."""
    again = request.GET.get("page[after]") or cursor_of(0)
    return rewrites(lambda page: _going_on(page, again))(fault, request, go_on)


def _missing_page(page: Page) -> Page:
    """None of this page's objects, but the way on is the right one."""
    return page | {"tokens": []}


def _missing_row(page: Page) -> Page:
    """One object less, as if it had moved to a page already read."""
    return page | {"tokens": page["tokens"][1:]}


def _changing_page(page: Page) -> Page:
    """The list moves while it is read: this page's last object comes again on the next one."""
    found = page["tokens"]
    return _going_on(page, cursor_of(found[-1]["id"] - 1 if found else 0))


def _short_list(page: Page) -> Page:
    """It ends in the middle of this page, and says that it is whole."""
    found = page["tokens"]
    ended = page["meta"] | {"has_more": False}
    return page | {"tokens": found[: len(found) // 2], "meta": ended}


def _no_meta(page: Page) -> Page:
    """It does not say whether there is more."""
    return {name: value for name, value in page.items() if name != "meta"}


def _going_on(page: Page, cursor: str) -> Page:
    return page | {"meta": page["meta"] | {"has_more": True, "after_cursor": cursor}}


def _own_only(_fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """The caller's own tokens alone, as if an agent had asked."""
    call_of(request).shows_own_only = True
    return go_on(request)


KINDS = {
    "repeated_page": Kind(_repeated_page, lists_tokens),
    "missing_page": _bent(_missing_page),
    "missing_row": _bent(_missing_row),
    "changing_page": _bent(_changing_page),
    "short_list": _bent(_short_list),
    "no_meta": _bent(_no_meta),
    "own_only": Kind(_own_only, lists_tokens),
}
