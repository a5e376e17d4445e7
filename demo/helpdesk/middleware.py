"""What happens to every request: the `.json` suffix, the log of what was served, safe pages."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponseBase

from demo.helpdesk import clock
from demo.helpdesk.calls import call_of
from demo.helpdesk.configuration import configuration
from demo.helpdesk.connections import connection_of, hang_up
from demo.helpdesk.events import record
from demo.helpdesk.presented import presented_by

Next = Callable[[HttpRequest], HttpResponseBase]
RECORDED = ("/api/", "/oauth/")


class JsonSuffix:
    """`/api/v2/users/me.json` is `/api/v2/users/me`: clients use either."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/api/v2/") and request.path_info.endswith(".json"):
            request.path_info = request.path_info.removesuffix(".json")
            request.path = request.path_info
        return self.get_response(request)


class RecordRequests:
    """One event for every request to the API or to OAuth, written before its answer leaves."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(RECORDED):
            return self.get_response(request)
        call, arrived = call_of(request), clock.now()
        call.shown = presented_by(request)
        response = self.get_response(request)
        _record(request, response, arrived)
        if not call.is_answered:
            connection = connection_of(request)
            if call.farewell:
                call.farewell(connection, response)
            hang_up(connection)
        return response


def _record(request: HttpRequest, response: HttpResponseBase, arrived: datetime) -> None:
    """`status` is what the caller was sent whole, `done` what the helpdesk itself came to, some time after it `arrived`."""
    call = call_of(request)
    record(
        "request.served",
        at=clock.now(),
        token=call.token,
        method=request.method,
        path=request.path[:500],
        status=response.status_code if call.is_answered else None,
        done=call.done,
        fault=call.fault or None,
        late=call.is_late,
        arrived=arrived.isoformat(),
        **call.shown,
    )


class PageSafety:
    """Pages run no script, load only our own style, and are kept nowhere.

    Chrome checks the redirect that a form post ends on, and Allow ends on the portal.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        portal = urlsplit(configuration().redirect_uri)
        self.policy = (
            "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {portal.scheme}://{portal.netloc}"
        )

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.setdefault("Content-Security-Policy", self.policy)
        response.setdefault("X-Frame-Options", "DENY")
        response.setdefault("Cache-Control", "no-store")
        return response
