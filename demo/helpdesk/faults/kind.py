"""What a kind of fault is: an act, the requests it fits, and what its seconds mean."""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponseBase

from demo.helpdesk.faults.fits import Fit, anything
from demo.helpdesk.models import Fault

Next = Callable[[HttpRequest], HttpResponseBase]
Act = Callable[[Fault, HttpRequest, Next], HttpResponseBase]


@dataclass(frozen=True)
class Kind:
    """A function of the fault, the request and the rest of the helpdesk, which returns the answer.

    `waits`: its seconds are a time to wait (of the helpdesk, or asked of the caller), and no life.
    """

    act: Act
    fits: Fit = anything
    waits: bool = False
