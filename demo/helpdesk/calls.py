"""What one request carries through the middleware: its token, its fault, and how it is answered."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from demo.helpdesk.issuing import Twist
from demo.helpdesk.models import Token

_KEY = "demo_helpdesk.call"

Farewell = Callable[[socket.socket, HttpResponseBase], None]


@dataclass
class Call:
    """Notes about one request, kept in its META.

    `done` is the status the helpdesk itself came to, whatever the caller then hears; None where a
    fault kept the request from it. `is_late`: the caller had gone before the helpdesk went to work.
    `shown` names the grant_type and the digests of what was presented. `farewell` is what an
    unanswered connection gets before it is closed.
    """

    token: Token | None = None
    fault: str = ""
    done: int | None = None
    is_answered: bool = True
    is_late: bool = False
    shows_own_only: bool = False
    spares_refresh: bool = False
    farewell: Farewell | None = None
    shown: dict[str, Any] = field(default_factory=dict)
    twists: list[Twist] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, Any]:
        """What an event says of the fault its request met; nothing where it met none."""
        if not self.fault:
            return {}
        return {"fault": self.fault, "late": self.is_late}


def call_of(request: HttpRequest) -> Call:
    """The notes about this request."""
    call: Call = request.META.setdefault(_KEY, Call())
    return call
