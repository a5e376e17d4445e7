"""`/api/v2/search?query=`: tickets and users. As reported of Zendesk it needs the broad `read`."""

from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from demo.helpdesk import paging, shapes
from demo.helpdesk.access import Caller, needs
from demo.helpdesk.answers import bad_parameter
from demo.helpdesk.models import HelpdeskUser, Ticket
from demo.helpdesk.users import matching


@needs("read")
def index(request: HttpRequest, _caller: Caller) -> HttpResponse:
    """What matches every word of `query`; `type:ticket` and `type:user` keep one kind."""
    words = request.GET.get("query", "").split()
    if not words:
        raise bad_parameter("query", "Say what to search for.")
    found: list[dict[str, Any]] = []
    if "type:user" not in words:
        found += _tickets(request, words)
    if "type:ticket" not in words:
        found += _users(request, words)
    return paging.answer(request, "results", paging.Fixed(found))


def _tickets(request: HttpRequest, words: list[str]) -> list[dict[str, Any]]:
    wanted = Q()
    for word in words:
        wanted &= _ticket_word(word)
    rows = Ticket.objects.filter(wanted).order_by("id")
    return [{**shapes.ticket(request, row), "result_type": "ticket"} for row in rows]


def _ticket_word(word: str) -> Q:
    field, colon, text = word.partition(":")
    if word == "type:ticket":
        return Q()
    if colon and field in {"status", "priority"}:
        return Q(**{field: text})
    if colon and field == "tags":
        return Q(tags__icontains=f'"{text}"')
    if colon and field == "requester":
        return Q(requester__email=text)
    return Q(subject__icontains=word) | Q(description__icontains=word)


def _users(request: HttpRequest, words: list[str]) -> list[dict[str, Any]]:
    rows = HelpdeskUser.objects.filter(matching(" ".join(words)), active=True).order_by("id")
    return [{**shapes.user(request, row), "result_type": "user"} for row in rows]
