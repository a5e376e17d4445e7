"""Answers that are whole but say something else: before anything is done, or after it was."""

import json
from datetime import timedelta

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.http import http_date

from demo.helpdesk import clock
from demo.helpdesk.answers import Refused, forbidden, invalid_token, not_found, oauth_error
from demo.helpdesk.calls import call_of
from demo.helpdesk.faults.fits import (
    asks_the_api,
    deletes_a_token,
    has_service_access,
    looks_for_a_token,
    makes_a_token,
)
from demo.helpdesk.faults.kind import Act, Kind, Next
from demo.helpdesk.models import Fault

_PAGE = "<!doctype html><title>Down for maintenance</title><h1>We will be back soon</h1>"
_HTML, _TEXT, _JSON = "text/html", "text/plain", "application/json"
_ELSEWHERE = "http://elsewhere.invalid/taken"
"""Another host, of a name that nobody can ever look up."""
_CUT = json.dumps({"access_token": "half an ans"})[:-3]


def _instead(status: int, body: str, content_type: str) -> Act:
    """Nothing is done, and this is the answer."""

    def act(_fault: Fault, _request: HttpRequest, _go_on: Next) -> HttpResponseBase:
        return HttpResponse(body, status=status, content_type=content_type)

    return act


def _afterwards(status: int, body: str, content_type: str) -> Act:
    """It is done, and this is the answer all the same."""

    def act(_fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
        go_on(request)
        return HttpResponse(body, status=status, content_type=content_type)

    return act


def _refuses(refused: Refused) -> Act:
    """Nothing is done, and this is the reason given."""

    def act(_fault: Fault, _request: HttpRequest, _go_on: Next) -> HttpResponseBase:
        return refused.response()

    return act


def _too_many(fault: Fault, _request: HttpRequest, _go_on: Next) -> HttpResponseBase:
    """Over the limit; `Retry-After` only where the fault has seconds."""
    return _over_the_limit(None if fault.seconds is None else f"{fault.seconds:.0f}")


def _too_many_until(fault: Fault, _request: HttpRequest, _go_on: Next) -> HttpResponseBase:
    """Over the limit until a date, which HTTP allows in `Retry-After`."""
    until = clock.real_now() + timedelta(seconds=fault.seconds or 0)
    return _over_the_limit(http_date(until.timestamp()))


def _too_many_saying(wish: str | None) -> Act:
    """Over the limit, with this wish whatever the fault's seconds."""

    def act(_fault: Fault, _request: HttpRequest, _go_on: Next) -> HttpResponseBase:
        return _over_the_limit(wish)

    return act


def _over_the_limit(wish: str | None) -> HttpResponse:
    headers = {} if wish is None else {"Retry-After": wish}
    return HttpResponse("Too many requests\n", status=429, content_type=_TEXT, headers=headers)


def _busy(fault: Fault, _request: HttpRequest, _go_on: Next) -> HttpResponseBase:
    """Down for maintenance; `Retry-After` only where the fault has seconds."""
    headers = {} if fault.seconds is None else {"Retry-After": f"{fault.seconds:.0f}"}
    return HttpResponse(_PAGE, status=503, content_type=_HTML, headers=headers)


def _redirect(_fault: Fault, _request: HttpRequest, _go_on: Next) -> HttpResponseBase:
    """Go somewhere else."""
    return HttpResponseRedirect(_ELSEWHERE)


def _redirect_after(_fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """It is done; now go somewhere else."""
    go_on(request)
    return HttpResponseRedirect(_ELSEWHERE)


def _spares_refresh(_fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """The access half is deleted, the refresh half lives on."""
    call_of(request).spares_refresh = True
    return go_on(request)


_NOBODY = oauth_error("invalid_client", "The client is unknown or its secret is wrong.")
_NOT_ALLOWED = forbidden("You do not have access to this page.")

KINDS = {
    "html": Kind(_instead(200, _PAGE, _HTML)),
    "html_after": Kind(_afterwards(200, _PAGE, _HTML)),
    "empty": Kind(_instead(200, "", _JSON)),
    "empty_after": Kind(_afterwards(200, "", _JSON)),
    "half_json_after": Kind(_afterwards(200, _CUT, _JSON)),
    "500_before": Kind(_instead(500, "Internal Server Error\n", _TEXT)),
    "500_after": Kind(_afterwards(500, "Internal Server Error\n", _TEXT)),
    "502_after": Kind(_afterwards(502, _PAGE, _HTML)),
    "503_before": Kind(_busy, waits=True),
    "redirect": Kind(_redirect),
    "redirect_after": Kind(_redirect_after),
    "429": Kind(_too_many, waits=True),
    "429_date": Kind(_too_many_until, waits=True),
    "429_bare": Kind(_too_many_saying(None)),
    "429_zero": Kind(_too_many_saying("0")),
    "401": Kind(_refuses(invalid_token()), asks_the_api),
    "403": Kind(_refuses(_NOT_ALLOWED), asks_the_api),
    "service_401": Kind(_refuses(invalid_token()), has_service_access),
    "service_403": Kind(_refuses(_NOT_ALLOWED), has_service_access),
    "invalid_client": Kind(_refuses(_NOBODY), makes_a_token),
    "404": Kind(_refuses(not_found()), looks_for_a_token),
    "404_html": Kind(_instead(404, _PAGE, _HTML), looks_for_a_token),
    "keeps_token": Kind(_instead(204, "", _JSON), deletes_a_token),
    "spares_refresh": Kind(_spares_refresh, deletes_a_token),
}
