"""The account's budget: so many API and token requests a minute, whoever makes them."""

from collections.abc import Callable

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from demo.helpdesk import clock
from demo.helpdesk.configuration import configuration
from demo.helpdesk.models import RateWindow

COUNTED = ("/api/", "/oauth/tokens")
WINDOW = 60
"""Seconds of real time: a budget protects the machine, so the clock that can be set is none of it."""


class RateLimit:
    """Middleware: counts a request, refuses it over the limit and tells the budget on every answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(COUNTED):
            return self.get_response(request)
        limit = configuration().requests_per_minute
        minute, seconds_left = _now()
        used = _count(minute)
        response = self.get_response(request) if used <= limit else _refusal(seconds_left)
        _tell(response, limit, max(0, limit - used), seconds_left)
        return response


def _now() -> tuple[int, int]:
    minute, passed = divmod(clock.real_now().timestamp(), WINDOW)
    return int(minute), max(1, round(WINDOW - passed))


def _count(minute: int) -> int:
    """Count one request and return how many this minute has had. Old minutes are forgotten."""
    with transaction.atomic():
        window = RateWindow.objects.filter(minute=minute)
        if not window.update(used=F("used") + 1):
            RateWindow.objects.all().delete()
            RateWindow.objects.create(minute=minute, used=1)
        return window.get().used


def _refusal(seconds_left: int) -> HttpResponse:
    return HttpResponse(
        "Number of allowed API requests per minute exceeded\n",
        status=429,
        content_type="text/plain; charset=utf-8",
        headers={"Retry-After": str(seconds_left)},
    )


def _tell(response: HttpResponseBase, limit: int, remaining: int, seconds_left: int) -> None:
    response["X-Rate-Limit"] = str(limit)
    response["X-Rate-Limit-Remaining"] = str(remaining)
    response["ratelimit-limit"] = str(limit)
    response["ratelimit-remaining"] = str(remaining)
    response["ratelimit-reset"] = str(seconds_left)
