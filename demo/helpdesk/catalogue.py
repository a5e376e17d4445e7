"""What never changes on a demo helpdesk: groups, macros and ticket fields, and their addresses."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from demo.helpdesk import paging, shapes
from demo.helpdesk.access import Caller, needs

_MADE = "2025-01-14T09:00:00Z"
GROUPS = {360000101: "Support", 360000102: "Billing", 360000103: "EMEA tier 2"}
_MACROS = {
    360000201: ("Close as solved", [("status", "solved")]),
    360000202: ("Ask for the invoice number", [("status", "pending")]),
    360000203: ("Hand over to billing", [("group_id", "360000102")]),
}
_FIELDS = {
    360000301: ("Subject", "subject"),
    360000302: ("Status", "status"),
    360000303: ("Type", "tickettype"),
    360000304: ("Priority", "priority"),
    360000305: ("Order number", "text"),
}


def _dated(request: HttpRequest, kind: str, number: int, **fields: Any) -> dict[str, Any]:
    address = shapes.url(request, f"{kind}/{number}")
    return {"id": number, "url": address, **fields, "created_at": _MADE, "updated_at": _MADE}


@needs("groups:read")
def groups(request: HttpRequest, _caller: Caller) -> HttpResponse:
    """The groups agents work in."""
    found = [
        _dated(request, "groups", number, name=name, description="", deleted=False)
        for number, name in GROUPS.items()
    ]
    return paging.answer(request, "groups", paging.Fixed(found))


@needs("macros:read")
def macros(request: HttpRequest, _caller: Caller) -> HttpResponse:
    """The macros everybody shares."""
    found = [
        _dated(
            request, "macros", number, title=title, active=True, restriction=None, position=place,
            actions=[{"field": field, "value": value} for field, value in actions],
        )
        for place, (number, (title, actions)) in enumerate(_MACROS.items(), 1)
    ]  # fmt: skip
    return paging.answer(request, "macros", paging.Fixed(found))


@needs("read")
def ticket_fields(request: HttpRequest, _caller: Caller) -> HttpResponse:
    """The fields of a ticket. As on Zendesk, `tickets:read` alone does not reach them."""
    found = [
        _dated(
            request, "ticket_fields", number, title=title, type=kind, active=True,
            required=False, removable=kind == "text", position=place,
        )
        for place, (number, (title, kind)) in enumerate(_FIELDS.items(), 1)
    ]  # fmt: skip
    return paging.answer(request, "ticket_fields", paging.Fixed(found))
