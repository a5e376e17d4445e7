"""`/api/v2/tickets`: list, show, comments, update. What a light agent may do stands in `_refuse_light`."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from demo.helpdesk import paging, shapes
from demo.helpdesk.access import Caller, needs
from demo.helpdesk.answers import forbidden, not_found, record_invalid
from demo.helpdesk.bodies import json_object
from demo.helpdesk.models import Comment, Ticket

STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
LONGEST_COMMENT = 65_535


@dataclass(frozen=True)
class Change:
    """What an update changes; None leaves it as it is."""

    status: str | None
    tags: list[str] | None
    comment: str | None
    is_public: bool


@needs("tickets:read")
def index(request: HttpRequest, _caller: Caller) -> HttpResponse:
    """All tickets."""
    rows = paging.Rows(Ticket.objects.all(), partial(shapes.ticket, request))
    return paging.answer(request, "tickets", rows)


@needs("tickets:read")
def show(request: HttpRequest, _caller: Caller, ticket_id: int) -> HttpResponse:
    """One ticket."""
    return JsonResponse({"ticket": shapes.ticket(request, _found(ticket_id))})


@needs("tickets:read")
def comments(request: HttpRequest, _caller: Caller, ticket_id: int) -> HttpResponse:
    """The comments of one ticket, oldest first."""
    rows = Comment.objects.filter(ticket=_found(ticket_id))
    return paging.answer(request, "comments", paging.Rows(rows, shapes.comment))


@needs("tickets:write")
def update(request: HttpRequest, caller: Caller, ticket_id: int) -> HttpResponse:
    """Change status or tags, or add a comment. Fields that are none of these are ignored."""
    change = _change_in(json_object(request))
    _refuse_light(caller, change)
    with transaction.atomic():
        ticket = _found(ticket_id)
        if ticket.status == "closed":
            raise record_invalid("status", "Status: closed prevents ticket update")
        audit = _apply(change, ticket, caller)
    return JsonResponse({"ticket": shapes.ticket(request, ticket), "audit": audit})


def _found(ticket_id: int) -> Ticket:
    ticket = Ticket.objects.filter(id=ticket_id).first()
    if ticket is None:
        raise not_found()
    return ticket


def _refuse_light(caller: Caller, change: Change) -> None:
    """A light agent reads, and writes private comments only."""
    is_more = change.status or change.tags is not None or (change.comment and change.is_public)
    if caller.user.is_light_agent and is_more:
        raise forbidden("Light agents read tickets and add private comments only.")


def _change_in(body: dict[str, Any]) -> Change:
    fields = body.get("ticket")
    if not isinstance(fields, dict):
        raise record_invalid("ticket", "The body must have a ticket.")
    comment = fields.get("comment") or {}
    if not isinstance(comment, dict):
        raise record_invalid("comment", "A comment must be an object with a body.")
    return Change(
        status=_status(fields.get("status")),
        tags=_tags(fields.get("tags")),
        comment=_text(comment.get("body")),
        is_public=comment.get("public") is not False,
    )


def _status(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value in STATUSES):
        return value
    raise record_invalid("status", f"Status: must be one of {', '.join(STATUSES)}")


def _tags(value: object) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(_is_tag(one) for one in value):
        raise record_invalid("tags", "Tags: must be a list of words")
    return sorted(set(value))


def _is_tag(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 80 and value.split() == [value]


def _text(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value.strip()) <= LONGEST_COMMENT:
        raise record_invalid("comment", "Comment: must be a text, and not too long")
    return value


def _apply(change: Change, ticket: Ticket, caller: Caller) -> dict[str, Any]:
    events: list[dict[str, Any]] = []
    for field in ("status", "tags"):
        value = getattr(change, field)
        if value is not None and value != getattr(ticket, field):
            previous = getattr(ticket, field)
            setattr(ticket, field, value)
            events.append(
                {"type": "Change", "field_name": field, "value": value, "previous_value": previous}
            )
    if change.comment is not None:
        events.append(_commented(change, ticket, caller))
    ticket.updated_at = caller.now
    ticket.save()
    return {
        "id": ticket.id * 1_000 + len(events),
        "ticket_id": ticket.id,
        "author_id": caller.user.id,
        "created_at": shapes.date(caller.now),
        "events": [{"id": number, **event} for number, event in enumerate(events, 1)],
    }


def _commented(change: Change, ticket: Ticket, caller: Caller) -> dict[str, Any]:
    comment = Comment.objects.create(
        ticket=ticket,
        author=caller.user,
        body=change.comment or "",
        public=change.is_public,
        created_at=caller.now,
    )
    return {"type": "Comment", "body": comment.body, "public": comment.public}
