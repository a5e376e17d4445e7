"""Who calls the API: the bearer's token and user, and whether its scopes reach."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from demo.helpdesk import clock
from demo.helpdesk.answers import Refused, forbidden, invalid_token, missing_scope, no_credential
from demo.helpdesk.calls import call_of
from demo.helpdesk.events import record
from demo.helpdesk.issuing import digest
from demo.helpdesk.models import HelpdeskUser, Token
from demo.helpdesk.scopes import covers

P = ParamSpec("P")


@dataclass(frozen=True)
class Caller:
    """Who calls: a living token, its user, and the helpdesk's time."""

    token: Token
    user: HelpdeskUser
    now: datetime

    def demand(self, scope: str) -> None:
        """Raises Refused (403) when the token's scopes do not cover `scope`."""
        if not covers(self.token.scopes, scope):
            raise missing_scope(scope)


Signed = Callable[Concatenate[HttpRequest, Caller, P], HttpResponse]
Plain = Callable[Concatenate[HttpRequest, P], HttpResponse]


def needs(*scopes: str) -> Callable[[Signed[P]], Plain[P]]:
    """A view for callers with a living token that covers every one of `scopes`."""

    def decorate(view: Signed[P]) -> Plain[P]:
        @wraps(view)
        def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            caller = identify(request)
            for scope in scopes:
                caller.demand(scope)
            return view(request, caller, *args, **kwargs)

        return checked

    return decorate


def has_credential(request: HttpRequest) -> bool:
    """Whether the request carries any Authorization header."""
    return bool(request.headers.get("Authorization"))


def identify(request: HttpRequest) -> Caller:
    """The caller behind the bearer. Raises Refused: 401 without a living token, 403 when suspended."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise no_credential()
    now = clock.now()
    found = Token.objects.select_related("user", "client")
    token = found.filter(access_digest=digest(secret.strip())).first()
    if token is None or not token.user.active:
        raise invalid_token()
    call_of(request).token = token
    _refuse_ended(token, now)
    if token.user.suspended:
        raise forbidden("This user is suspended.")
    _note_use(token, now)
    return Caller(token, token.user, now)


def _note_use(token: Token, now: datetime) -> None:
    """Dates are told in whole seconds, so a busy token is written once a second."""
    second = now.replace(microsecond=0)
    if token.used_at != second:
        token.used_at = second
        Token.objects.filter(id=token.id).update(used_at=second)


def _refuse_ended(token: Token, now: datetime) -> None:
    state = token.access_state(now)
    if state == "live":
        return
    if state == "expired":
        record("token.expired_on_use", at=now, token=token)
    raise invalid_token()


def by_method(**views: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """One address, a view per method; any other method is a 405. A bearer needs no form token."""

    @csrf_exempt
    def dispatch(request: HttpRequest, **kwargs: object) -> HttpResponse:
        view = views.get(request.method or "")
        if view is None:
            allowed = ", ".join(views)
            raise Refused(405, f"Only {allowed} is answered here.", {"Allow": allowed})
        return view(request, **kwargs)

    return dispatch
