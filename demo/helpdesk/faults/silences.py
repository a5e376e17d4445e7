"""Answers that come late, in drops, in part, without end, or never."""

import time

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from demo.helpdesk import connections
from demo.helpdesk.calls import Farewell, call_of
from demo.helpdesk.connections import connection_of, hang_up, has_left, keep_open
from demo.helpdesk.faults.fits import has_a_body
from demo.helpdesk.faults.kind import Act, Kind, Next
from demo.helpdesk.models import Fault

_HALF_OPEN = 60.0


def _drop_before(_fault: Fault, request: HttpRequest, _go_on: Next) -> HttpResponseBase:
    """Nothing is done, and the connection closes without an answer."""
    return _unanswered(request, HttpResponse())


def _drop_after(_fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """It is done, and the connection closes without an answer."""
    return _unanswered(request, go_on(request))


def _stall(fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """It is done and answered, but only after some seconds."""
    time.sleep(fault.seconds or 0)
    call_of(request).is_late = has_left(connection_of(request))
    return go_on(request)


def _late_commit(fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """Nobody hears anything, and after some seconds it is done all the same.

    Who is still there after half of them is cut off, so that it always comes after the caller's end.
    """
    seconds, start = fault.seconds or 0, time.monotonic()
    connection = connection_of(request)
    if not has_left(connection, within=seconds / 2):
        hang_up(connection)
    time.sleep(max(0, start + seconds - time.monotonic()))
    call_of(request).is_late = True
    return _unanswered(request, go_on(request))


def _half_open(fault: Fault, request: HttpRequest, _go_on: Next) -> HttpResponseBase:
    """Nothing is done and nothing answered; the connection stays open for some seconds."""
    return _silence(fault, request, HttpResponse())


def _half_open_after(fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
    """It is done; then nothing is answered, and the connection stays open for some seconds."""
    return _silence(fault, request, go_on(request))


def _silence(fault: Fault, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    seconds = _HALF_OPEN if fault.seconds is None else fault.seconds
    call_of(request).farewell = lambda connection, _: keep_open(connection, seconds)
    return _unanswered(request, response)


def _instead_of_the_answer(farewell: Farewell) -> Act:
    """It is done, and the connection gets this."""

    def act(_fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
        response = go_on(request)
        call_of(request).farewell = farewell
        return _unanswered(request, response)

    return act


def _unanswered(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """An answer that never leaves whole: the connection is closed once the request is in the log."""
    call_of(request).is_answered = False
    return response


KINDS = {
    "stall": Kind(_stall, waits=True),
    "drop_before": Kind(_drop_before),
    "drop_after": Kind(_drop_after),
    "late_commit": Kind(_late_commit, waits=True),
    "half_open": Kind(_half_open, waits=True),
    "half_open_after": Kind(_half_open_after, waits=True),
    "body_drip": Kind(_instead_of_the_answer(connections.drip_body), has_a_body),
    "header_drip": Kind(_instead_of_the_answer(connections.drip_headers)),
    "endless_body": Kind(_instead_of_the_answer(connections.send_without_end), has_a_body),
    "cut_short": Kind(_instead_of_the_answer(connections.cut_short), has_a_body),
    "garbage": Kind(_instead_of_the_answer(connections.send_garbage)),
}
