"""What tests may change from outside, over loopback: the next fault, and people's groups."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from demo.identity_provider import faults
from demo.people import BY_KEY

Control = Callable[..., HttpResponse]


def _refuse(sentence: str) -> HttpResponse:
    return JsonResponse({"error": sentence}, status=400)


def control(view: Control) -> Control:
    """Only from this machine, with `X-Demo-Control: 1` and a JSON object, which becomes `body`."""

    @csrf_exempt
    @require_POST
    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        is_near = request.META.get("REMOTE_ADDR") == "127.0.0.1"
        if not is_near or request.headers.get("X-Demo-Control") != "1":
            return HttpResponseForbidden("Controls are for this machine's tests.")
        try:
            body = json.loads(request.body)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return _refuse("Send a JSON object.")
        return view(request, body, *args, **kwargs)

    return checked


@control
def next_fault(request: HttpRequest, body: dict[str, Any]) -> HttpResponse:
    """`{"fault": "no_groups"}` for the next exchange; `{"fault": ""}` takes it back."""
    try:
        faults.order(str(body.get("fault", "")))
    except KeyError:
        return _refuse(f"Known faults: {', '.join(sorted(faults.KNOWN))}.")
    return JsonResponse({})


@control
def person(request: HttpRequest, body: dict[str, Any], key: str) -> HttpResponse:
    """`{"groups": ["agents"]}` from the next sign-in on; `{"groups": null}` gives back the usual ones."""
    groups = body.get("groups")
    is_list = isinstance(groups, list) and all(isinstance(group, str) for group in groups)
    if key not in BY_KEY or not (groups is None or is_list):
        return _refuse("There is no such person, or groups is no list of names.")
    cache.set(f"groups:{key}", groups, timeout=None)
    return JsonResponse({})
