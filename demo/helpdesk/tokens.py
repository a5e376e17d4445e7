"""`/api/v2/oauth/tokens` and `/clients`: list, show, current, delete.

An administrator with a wide token sees every token; anybody else sees his own, and a 404 for others.
What is unknown of Zendesk: whether a narrow token may look at itself. Here it may, until
DEMO_HELPDESK_CURRENT_NEEDS names a scope; ending itself it may always.
"""

from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse

from demo.helpdesk import paging, shapes
from demo.helpdesk.access import Caller, needs
from demo.helpdesk.answers import forbidden, not_found
from demo.helpdesk.calls import call_of
from demo.helpdesk.configuration import configuration
from demo.helpdesk.issuing import delete
from demo.helpdesk.models import OAuthClient, Token


def lives(now: datetime) -> Q:
    """One half of the token works."""
    access_lives = Q(access_ended_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))
    refresh_lives = (
        Q(refresh_digest__isnull=False)
        & Q(refresh_ended_at=None)
        & (Q(refresh_expires_at=None) | Q(refresh_expires_at__gt=now))
    )
    return access_lives | refresh_lives


def listed(now: datetime) -> QuerySet[Token]:
    """The rows list and show know: not removed, and one half of them still lives."""
    return Token.objects.select_related("client").filter(lives(now), removed_at=None)


@needs("read")
def index(request: HttpRequest, caller: Caller) -> HttpResponse:
    """All tokens for an administrator who says `all=true`, own ones for anybody else: always a 200."""
    rows = listed(caller.now)
    sees_all = caller.user.is_admin and not call_of(request).shows_own_only
    if not sees_all or request.GET.get("all") != "true":
        rows = rows.filter(user=caller.user)
    if "client_id" in request.GET:
        number = paging.whole_number("client_id", request.GET["client_id"])
        rows = rows.filter(client_id=number)
    shape = partial(shapes.token, request)
    return paging.answer(request, "tokens", paging.Rows(rows, shape), always_cursor=True)


@needs()
def current(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The token that asks."""
    _demand_look_at_itself(caller)
    return JsonResponse({"token": shapes.token(request, caller.token)})


@needs()
def delete_current(_request: HttpRequest, _caller: Caller) -> HttpResponse:
    """Zendesk's trap, reported by two users: 204, and nothing happens. Delete by id."""
    return HttpResponse(status=204)


@needs()
def show(request: HttpRequest, caller: Caller, token_id: int) -> HttpResponse:
    """One token by id."""
    if token_id == caller.token.id:
        _demand_look_at_itself(caller)
    else:
        caller.demand("read")
    return JsonResponse({"token": shapes.token(request, _visible(caller, token_id))})


@needs()
def destroy(request: HttpRequest, caller: Caller, token_id: int) -> HttpResponse:
    """End one token by id: 204, or 404 when it is gone already."""
    call = call_of(request)
    if token_id != caller.token.id:
        caller.demand("write")
    with transaction.atomic():
        token = _visible(caller, token_id)
        delete(
            token, because="deleted by id", by=caller.user.id, now=caller.now,
            spares_refresh=call.spares_refresh, **call.facts,
        )  # fmt: skip
    return HttpResponse(status=204)


@needs("read")
def clients(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The account's OAuth clients, for administrators."""
    if not caller.user.is_admin:
        raise forbidden("You do not have access to this page.")
    rows = OAuthClient.objects.all()
    return paging.answer(request, "clients", paging.Rows(rows, partial(shapes.client, request)))


def _visible(caller: Caller, token_id: int) -> Token:
    rows = listed(caller.now).filter(id=token_id)
    if not caller.user.is_admin:
        rows = rows.filter(user=caller.user)
    token = rows.first()
    if token is None:
        raise not_found()
    return token


def _demand_look_at_itself(caller: Caller) -> None:
    if configuration().current_needs:
        caller.demand(configuration().current_needs)
