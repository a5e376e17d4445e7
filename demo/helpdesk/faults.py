"""Faults on order: what may go wrong between a request and its answer.

`KINDS` is the whole registry: a kind is a function of the fault, the request and the rest of the
helpdesk, and returns the answer. Kinds that bend the token being made hand a twist to the token
endpoint and let the request go on.
"""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace

from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect

from demo.helpdesk.calls import call_of
from demo.helpdesk.issuing import Draft
from demo.helpdesk.models import Fault, HelpdeskUser

Next = Callable[[HttpRequest], HttpResponseBase]
Kind = Callable[[Fault, HttpRequest, Next], HttpResponseBase]
Bend = Callable[[Fault, Draft], Draft]

_PAGE = "<!doctype html><title>Down for maintenance</title><h1>We will be back soon</h1>"
_ELSEWHERE = "http://127.0.0.1:9/elsewhere"
_LATER = 3_600


class Faults:
    """Middleware: the next ordered fault that matches befalls the request."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        fault = None if request.path.startswith("/control/") else _take(request)
        if fault is None:
            return self.get_response(request)
        call_of(request).fault = fault.kind
        return KINDS[fault.kind](fault, request, self.get_response)


def _take(request: HttpRequest) -> Fault | None:
    """Use up one time of the first fault that matches; two threads never take the same one."""
    for fault in Fault.objects.filter(times__gt=0).order_by("id"):
        if _matches(fault, request):
            left = Fault.objects.filter(id=fault.id, times__gt=0)
            if left.update(times=F("times") - 1):
                return fault
    return None


def _matches(fault: Fault, request: HttpRequest) -> bool:
    return (
        fault.method in {"*", request.method}
        and request.path.startswith(fault.path)
        and (not fault.grant_type or fault.grant_type == _grant_type(request))
    )


def _grant_type(request: HttpRequest) -> str:
    if request.content_type != "application/json":
        return request.POST.get("grant_type", "")
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(request.body)
        if isinstance(body, dict):
            return str(body.get("grant_type", ""))
    return ""


# --- Answers that are wrong, late or missing ------------------------------------------------------


def _instead(status: int, body: str, content_type: str) -> Kind:
    """Nothing is done, and this is the answer."""

    def kind(_fault: Fault, _request: HttpRequest, _go_on: Next) -> HttpResponseBase:
        return HttpResponse(body, status=status, content_type=content_type)

    return kind


def _afterwards(status: int, body: str, content_type: str) -> Kind:
    """It is done, and this is the answer all the same."""

    def kind(_fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
        go_on(request)
        return HttpResponse(body, status=status, content_type=content_type)

    return kind


def _drop_before(_fault: Fault, request: HttpRequest, _go_on: Next) -> HttpResponseBase:
    """Nothing is done, and the connection closes without an answer."""
    return _unanswered(request)


def _drop_after(_fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """It is done, and the connection closes without an answer."""
    go_on(request)
    return _unanswered(request)


def _stall(fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """It is done and answered, but only after some seconds."""
    time.sleep(fault.seconds or 0)
    return go_on(request)


def _late_commit(fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """Nobody hears anything, and after some seconds it is done all the same."""
    time.sleep(fault.seconds or 0)
    go_on(request)
    return _unanswered(request)


def _too_many(fault: Fault, _request: HttpRequest, _go_on: Next) -> HttpResponseBase:
    """Over the limit; `Retry-After` only where the fault has seconds."""
    headers = {} if fault.seconds is None else {"Retry-After": f"{fault.seconds:.0f}"}
    return HttpResponse(
        "Too many requests\n", status=429, content_type="text/plain", headers=headers
    )


def _redirect(_fault: Fault, _request: HttpRequest, _go_on: Next) -> HttpResponseBase:
    """Go somewhere else."""
    return HttpResponseRedirect(_ELSEWHERE)


def _unanswered(request: HttpRequest) -> HttpResponseBase:
    """An answer that never leaves: the connection is closed once the request is in the log."""
    call_of(request).is_answered = False
    return HttpResponse()


# --- Tokens that are not what was asked for -------------------------------------------------------


def _bends(bend: Bend) -> Kind:
    """The token made by this request is bent."""

    def kind(fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
        call_of(request).twists.append(lambda draft: bend(fault, draft))
        return go_on(request)

    return kind


def _other_user(_fault: Fault, draft: Draft) -> Draft:
    others = HelpdeskUser.objects.filter(active=True, role="agent").exclude(id=draft.user.id)
    return replace(draft, user=others.order_by("id").first() or draft.user)


def _wider_scopes(_fault: Fault, draft: Draft) -> Draft:
    more = next(one for one in ("users:write", "tickets:write") if one not in draft.scopes)
    return replace(draft, scopes=(*draft.scopes, more))


def _narrower_scopes(_fault: Fault, draft: Draft) -> Draft:
    return replace(draft, scopes=draft.scopes[:-1])


def _no_expiry(_fault: Fault, draft: Draft) -> Draft:
    return replace(draft, access_seconds=None)


def _later_expiry(fault: Fault, draft: Draft) -> Draft:
    return replace(draft, access_seconds=(draft.access_seconds or 0) + _more(fault))


def _later_refresh_expiry(fault: Fault, draft: Draft) -> Draft:
    return replace(draft, refresh_seconds=(draft.refresh_seconds or 0) + _more(fault))


def _more(fault: Fault) -> int:
    return int(_LATER if fault.seconds is None else fault.seconds)


KINDS: dict[str, Kind] = {
    "html": _instead(200, _PAGE, "text/html"),
    "html_after": _afterwards(200, _PAGE, "text/html"),
    "empty": _instead(200, "", "application/json"),
    "empty_after": _afterwards(200, "", "application/json"),
    "500_before": _instead(500, "Internal Server Error\n", "text/plain"),
    "500_after": _afterwards(500, "Internal Server Error\n", "text/plain"),
    "drop_before": _drop_before,
    "drop_after": _drop_after,
    "stall": _stall,
    "late_commit": _late_commit,
    "429": _too_many,
    "redirect": _redirect,
    "other_user": _bends(_other_user),
    "wider_scopes": _bends(_wider_scopes),
    "narrower_scopes": _bends(_narrower_scopes),
    "no_expiry": _bends(_no_expiry),
    "later_expiry": _bends(_later_expiry),
    "later_refresh_expiry": _bends(_later_refresh_expiry),
}
