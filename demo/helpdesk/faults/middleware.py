"""Every request to OAuth or the API meets the first fault on order that matches, else the weather."""

from django.http import HttpRequest, HttpResponseBase

from demo.helpdesk.calls import call_of
from demo.helpdesk.faults.kind import Next
from demo.helpdesk.faults.kinds import KINDS
from demo.helpdesk.faults.orders import take
from demo.helpdesk.faults.weather import weather
from demo.helpdesk.models import Fault

_SPARED = "/control/"


class Faults:
    """Middleware: notes what the helpdesk itself came to, and lets faults stand before it."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        fault = None if request.path.startswith(_SPARED) else _next_fault(request)
        if fault is None:
            return self._go_on(request)
        call_of(request).fault = fault.kind
        return KINDS[fault.kind].act(fault, request, self._go_on)

    def _go_on(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        call_of(request).done = response.status_code
        return response


def _next_fault(request: HttpRequest) -> Fault | None:
    if fault := take(request):
        return fault
    now = weather()
    return now.draw(request) if now else None
