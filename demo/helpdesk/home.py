"""The helpdesk's own page: what this process is, who is in it, and which tickets there are to try."""

from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from demo.helpdesk.models import Ticket
from demo.helpdesk.people import staff

_STYLE = Path(__file__).parent / "static" / "demo_helpdesk" / "helpdesk.css"


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Say what this is, for people who came by."""
    latest = Ticket.objects.select_related("requester").order_by("-updated_at", "-id")[:8]
    context = {"people": staff(), "tickets": latest, "base": request.build_absolute_uri("/")[:-1]}
    return render(request, "demo_helpdesk/home.html", context)


@require_safe
def style(_request: HttpRequest) -> HttpResponse:
    """The one stylesheet."""
    headers = {"Cache-Control": "max-age=300"}
    return HttpResponse(_STYLE.read_text(), content_type="text/css; charset=utf-8", headers=headers)
