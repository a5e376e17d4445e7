"""`/control/…`: how tests and the seeding set the clock, change people and read tokens and log.

Only for who is on this machine and sends `X-Demo-Control: 1`, which no page of another origin can.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from demo.helpdesk import clock, paging
from demo.helpdesk.access import by_method
from demo.helpdesk.answers import Refused, not_found
from demo.helpdesk.bodies import flag, json_object, text
from demo.helpdesk.events import record
from demo.helpdesk.issuing import delete, delete_all_of, digest
from demo.helpdesk.models import (
    ADMIN,
    ADMIN_ROLE_TYPE,
    AGENT,
    END_USER,
    LIGHT_AGENT_ROLE_TYPE,
    Event,
    HelpdeskUser,
    Token,
)
from demo.helpdesk.scopes import unknown_in
from demo.helpdesk.tokens import lives

EVENTS_AT_ONCE = TOKENS_AT_ONCE = 1_000
ROLES: dict[str, tuple[str, int | None]] = {
    END_USER: (END_USER, None),
    AGENT: (AGENT, None),
    "light agent": (AGENT, LIGHT_AGENT_ROLE_TYPE),
    ADMIN: (ADMIN, ADMIN_ROLE_TYPE),
}


def guarded(**views: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """One address of the control, a view per method, for this machine alone."""

    def check(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def checked(request: HttpRequest, **kwargs: object) -> HttpResponse:
            is_here = request.META.get("REMOTE_ADDR") == "127.0.0.1"
            if not is_here or request.headers.get("X-Demo-Control") != "1":
                raise Refused(403, "The control is for this machine, with X-Demo-Control: 1.")
            return view(request, **kwargs)

        return checked

    return by_method(**{method: check(view) for method, view in views.items()})


def read_time(_request: HttpRequest) -> HttpResponse:
    """The helpdesk's time."""
    return JsonResponse({"now": clock.now().isoformat()})


def set_time(request: HttpRequest) -> HttpResponse:
    """`{"now": "<iso>"|null, "runs": false}`: a set time stands still, or runs on with `runs`."""
    body = json_object(request)
    if "now" not in body:
        raise Refused(400, "Say now: a time with its zone, or null for real time.")
    clock.set_now(_moment(body["now"]), is_running=flag(body, "runs") or False)
    record("clock.set", at=clock.now(), now=body["now"])
    return read_time(request)


def list_events(request: HttpRequest) -> HttpResponse:
    """`?after=<id>`: the next events of the log, oldest first; `has_more` says to ask again."""
    after = paging.whole_number("after", request.GET.get("after", "0"))
    rows = list(Event.objects.filter(id__gt=after).order_by("id")[: EVENTS_AT_ONCE + 1])
    found = [_event(row) for row in rows[:EVENTS_AT_ONCE]]
    return JsonResponse({"events": found, "has_more": len(rows) > EVENTS_AT_ONCE})


def _event(row: Event) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": row.at.isoformat(),
        "kind": row.kind,
        "token_id": row.token_id,
        "user_id": row.user_id,
        "client": row.client,
        "detail": row.detail,
    }


def change_user(request: HttpRequest, user_id: int) -> HttpResponse:
    """Patch `role` (also "light agent"), `suspended`, `active`, `email`, `external_id`.

    Deleting a user or taking the agent's role away ends all tokens of that user, as on Zendesk.
    """
    body, now = json_object(request), clock.now()
    if unknown := set(body) - {"role", "suspended", "active", "email", "external_id"}:
        raise Refused(400, f"The control cannot change {min(unknown)} of a user.")
    with transaction.atomic():
        user = HelpdeskUser.objects.filter(id=user_id).first()
        if user is None:
            raise not_found()
        _patch(user, body)
        user.updated_at = now
        user.save()
        record("user.changed", at=now, user_id=user.id, changes=body)
        if not user.is_staff:
            delete_all_of(user, because="user deleted or demoted", now=now)
    return JsonResponse({"id": user.id, "role": user.role, "role_type": user.role_type})


def _patch(user: HelpdeskUser, body: dict[str, Any]) -> None:
    if "role" in body:
        if body["role"] not in ROLES:
            raise Refused(400, f"The roles are: {', '.join(ROLES)}.")
        user.role, user.role_type = ROLES[body["role"]]
    for name in ("suspended", "active"):
        value = flag(body, name)
        if value is not None:
            setattr(user, name, value)
    if "email" in body:
        user.email = text(body, "email", "", 254)
    if "external_id" in body:
        user.external_id = text(body, "external_id", "", 255) or None
    taken = HelpdeskUser.objects.exclude(id=user.id)
    if taken.filter(email=user.email).exists():
        raise Refused(409, "Another user has that email.")
    if user.external_id and taken.filter(external_id=user.external_id).exists():
        raise Refused(409, "Another user has that external_id.")


def list_tokens(request: HttpRequest) -> HttpResponse:
    """Tokens with the state of both halves, no secret: every one there ever was.

    `?alive=1` leaves out those of which no half lives; `?after=<id>` gives the next ones, `has_more`
    says to ask again.
    """
    now, rows = clock.now(), Token.objects.select_related("client").order_by("id")
    if request.GET.get("alive") == "1":
        rows = rows.filter(lives(now))
    if "after" in request.GET:
        after = paging.whole_number("after", request.GET["after"])
        found = list(rows.filter(id__gt=after)[: TOKENS_AT_ONCE + 1])
    else:
        found = list(rows)
    has_more = "after" in request.GET and len(found) > TOKENS_AT_ONCE
    shown = found[:TOKENS_AT_ONCE] if has_more else found
    return JsonResponse({"tokens": [_token(row, now) for row in shown], "has_more": has_more})


def whose(request: HttpRequest) -> HttpResponse:
    """`{"access_token": "…"}`: which token that is, dead or alive. 404 where it is none."""
    body, now = json_object(request), clock.now()
    secret = text(body, "access_token", "", 10_000)
    rows = Token.objects.select_related("client")
    row = rows.filter(access_digest=digest(secret)).first()
    if row is None:
        raise not_found()
    return JsonResponse({"token_id": row.id, **_token(row, now)})


def _token(row: Token, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "client": row.client.identifier,
        "user_id": row.user_id,
        "scopes": row.scopes,
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at and row.expires_at.isoformat(),
        "refresh_expires_at": row.refresh_expires_at and row.refresh_expires_at.isoformat(),
        "access": row.access_state(now),
        "refresh": row.refresh_state(now),
        "is_removed": row.removed_at is not None,
        "ended_because": row.ended_because,
        "replaces": row.replaces_id,
    }


def expire_token(_request: HttpRequest, token_id: int) -> HttpResponse:
    """End the access half now, as if its time were over."""
    token, now = _known_token(token_id), clock.now()
    token.expires_at = now
    with transaction.atomic():
        token.save()
        record("token.expired", at=now, token=token)
    return JsonResponse({"token": _token(token, now)})


def delete_token(_request: HttpRequest, token_id: int) -> HttpResponse:
    """End a token as an administrator does in the admin center: what a DELETE of it would end."""
    token, now = _known_token(token_id), clock.now()
    with transaction.atomic():
        delete(token, because="deleted in the admin center", by=None, now=now)
    return JsonResponse({"token": _token(token, now)})


def change_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """Patch `scopes`, `user_id`, `expires_at`: what changed on the helpdesk behind everybody's back."""
    body, now = json_object(request), clock.now()
    if unknown := set(body) - {"scopes", "user_id", "expires_at"}:
        raise Refused(400, f"The control cannot change {min(unknown)} of a token.")
    token = _known_token(token_id)
    if "scopes" in body:
        token.scopes = _scopes(body["scopes"])
    if "user_id" in body:
        token.user = _known_user(body["user_id"])
    if "expires_at" in body:
        token.expires_at = _moment(body["expires_at"])
    with transaction.atomic():
        token.save()
        record("token.changed", at=now, token=token, changes=body)
    return JsonResponse({"token": _token(token, now)})


def _known_token(token_id: int) -> Token:
    token = Token.objects.select_related("client").filter(id=token_id).first()
    if token is None:
        raise not_found()
    return token


def _known_user(number: object) -> HelpdeskUser:
    user = HelpdeskUser.objects.filter(id=number).first() if type(number) is int else None
    if user is None:
        raise Refused(400, "There is no user with that user_id.")
    return user


def _scopes(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Refused(400, "scopes is a list of names.")
    if unknown := unknown_in(value):
        raise Refused(400, f"There is no scope {unknown[0][:80]}.")
    return value


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 2000 <= moment.year <= 2100:
        raise Refused(400, "A time is written like 2026-11-23T18:00:00+00:00, or null.")
    return moment.astimezone(UTC)
