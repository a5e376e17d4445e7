"""Which requests a kind of fault can befall: elsewhere it would do nothing, or nothing sensible."""

from collections.abc import Callable

from django.http import HttpRequest

from demo.helpdesk.calls import call_of
from demo.helpdesk.issuing import digest
from demo.helpdesk.models import Token
from demo.helpdesk.presented import TOKEN_ENDPOINT

Fit = Callable[[HttpRequest], bool]
LIST, _CLIENTS = "/api/v2/oauth/tokens", "/api/v2/oauth/clients"
_PAIRS = {"authorization_code", "refresh_token"}


def anything(_request: HttpRequest) -> bool:
    """Every request."""
    return True


def has_a_body(request: HttpRequest) -> bool:
    """What is answered with more than a status; a delete is not."""
    return request.method != "DELETE"


def makes_a_token(request: HttpRequest) -> bool:
    """The token endpoint."""
    return request.method == "POST" and request.path == TOKEN_ENDPOINT


def makes_a_pair(request: HttpRequest) -> bool:
    """An exchange or a refresh."""
    return makes_a_token(request) and call_of(request).shown.get("grant_type") in _PAIRS


def asks_the_api(request: HttpRequest) -> bool:
    """Everything a bearer is shown for."""
    return request.path.startswith("/api/")


def reads_the_api(request: HttpRequest) -> bool:
    """What is answered with objects that have ids."""
    return request.method == "GET" and asks_the_api(request)


def reads_tokens(request: HttpRequest) -> bool:
    """List, show and current."""
    return request.method == "GET" and request.path.startswith(LIST)


def lists_tokens(request: HttpRequest) -> bool:
    """One page of the list of tokens."""
    return request.method == "GET" and request.path == LIST


def lists(request: HttpRequest) -> bool:
    """One page of the token or client list: what must be a list."""
    return lists_tokens(request) or (request.method == "GET" and request.path == _CLIENTS)


def deletes_a_token(request: HttpRequest) -> bool:
    """A delete by id."""
    return request.method == "DELETE" and request.path.startswith(f"{LIST}/")


def looks_for_a_token(request: HttpRequest) -> bool:
    """A delete or a show by id: what can be answered with a 404."""
    is_by_id = request.path.removeprefix(f"{LIST}/").isdigit()
    return request.method in {"GET", "DELETE"} and is_by_id


def has_service_access(request: HttpRequest) -> bool:
    """The bearer is one of the service client's."""
    secret = request.headers.get("Authorization", "").partition(" ")[2].strip()
    if not asks_the_api(request) or not secret:
        return False
    return Token.objects.filter(access_digest=digest(secret), client__is_service=True).exists()
