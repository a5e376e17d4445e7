"""What one request carries through the middleware: its token, its fault, and whether it is answered."""

from dataclasses import dataclass, field

from django.http import HttpRequest

from demo.helpdesk.issuing import Twist
from demo.helpdesk.models import Token

_KEY = "demo_helpdesk.call"


@dataclass
class Call:
    """Notes about one request, kept in its META."""

    token: Token | None = None
    fault: str = ""
    is_answered: bool = True
    twists: list[Twist] = field(default_factory=list)


def call_of(request: HttpRequest) -> Call:
    """The notes about this request."""
    call: Call = request.META.setdefault(_KEY, Call())
    return call
