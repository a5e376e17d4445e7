"""`/control/faults` and `/control/weather`: what shall go wrong, checked before it counts."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from demo.helpdesk.answers import Refused
from demo.helpdesk.bodies import flag, json_object, json_value, text
from demo.helpdesk.faults import orders
from demo.helpdesk.faults.kinds import KINDS
from demo.helpdesk.faults.weather import let_be, weather
from demo.helpdesk.models import Fault, WeatherSetting

_FIELDS = ("method", "path", "grant_type", "kind", "times", "seconds")
_TERMS = {"seed", "share", "kinds", "seconds", "scripts"}
_LONGEST = 10_000_000


def list_faults(_request: HttpRequest) -> HttpResponse:
    """The faults ordered, with the times they have left."""
    return JsonResponse({"faults": list(Fault.objects.order_by("id").values(*_FIELDS))})


def set_faults(request: HttpRequest) -> HttpResponse:
    """Replace the ordered faults by this list; an empty one clears them."""
    ordered = json_value(request)
    if not isinstance(ordered, list) or not all(isinstance(order, dict) for order in ordered):
        raise Refused(400, "Send a list of faults; an empty list clears them.")
    orders.replace_all([_fault(order) for order in ordered])
    return list_faults(request)


def _fault(order: dict[str, Any]) -> Fault:
    if unknown := set(order) - set(_FIELDS):
        raise Refused(400, f"A fault has no {min(unknown)}.")
    times = order.get("times", 1)
    if not isinstance(times, int) or not 0 < times <= 1_000_000:
        raise Refused(400, "times is a number from 1.")
    return Fault(
        method=text(order, "method", "*", 8),
        path=text(order, "path", "/", 255),
        grant_type=text(order, "grant_type", "", 64),
        kind=_kind(order.get("kind")),
        times=times,
        seconds=_seconds(order.get("seconds")),
    )


def _kind(name: object) -> str:
    if not isinstance(name, str) or name not in KINDS:
        raise Refused(400, f"The kinds of faults are: {', '.join(KINDS)}.")
    return name


def _seconds(value: object) -> float | None:
    if value is not None and not _is_number(value, 0, _LONGEST):
        raise Refused(400, "seconds is a number from 0, or left out.")
    return value  # type: ignore[return-value] # a number, see above


def _is_number(value: object, least: float, most: float) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and least <= value <= most  # type: ignore[operator]


def show_weather(_request: HttpRequest) -> HttpResponse:
    """The terms, and how often each kind has struck since they were set."""
    now, row = weather(), WeatherSetting.objects.filter(id=1).first()
    struck = dict(now.struck) if now else {}
    return JsonResponse({"terms": row.terms if row else {}, "struck": struck})


def set_weather(request: HttpRequest) -> HttpResponse:
    """`{"seed", "share", "kinds": {name: weight}, "seconds", "scripts"}`; `{}` clears it."""
    terms = json_object(request)
    if terms:
        _check(terms)
    let_be(terms)
    return show_weather(request)


def _check(terms: dict[str, Any]) -> None:
    if unknown := set(terms) - _TERMS:
        raise Refused(400, f"Weather has no {min(unknown)}.")
    if not _is_number(terms.get("share"), 0, 1):
        raise Refused(400, "share is a number from 0 to 1.")
    if not isinstance(terms.get("seed", 0), int):
        raise Refused(400, "seed is a whole number.")
    flag(terms, "scripts")
    _check_numbers(terms.get("kinds"), "kinds", 0.000_001)
    seconds = terms.get("seconds")
    if isinstance(seconds, dict):
        _check_numbers(seconds, "seconds", 0)
    else:
        _seconds(seconds)


def _check_numbers(value: object, name: str, least: float) -> None:
    """An object of kinds and numbers."""
    if not isinstance(value, dict) or not value:
        raise Refused(400, f"{name} is an object of kinds of faults and numbers.")
    for kind, number in value.items():
        _kind(kind)
        if not _is_number(number, least, _LONGEST):
            raise Refused(400, f"{name}: {kind} needs a number above 0.")
