"""Faults on order: each befalls the next `times` requests that match and that its kind fits.

The rows outlive a restart; this process, the only one, keeps the open ones in memory.
"""

from threading import Lock

from django.db import transaction
from django.http import HttpRequest

from demo.helpdesk.calls import call_of
from demo.helpdesk.faults.kinds import KINDS
from demo.helpdesk.models import Fault

_lock = Lock()
_open: list[Fault] | None = None


def replace_all(faults: list[Fault]) -> None:
    """These orders and no others."""
    global _open  # noqa: PLW0603 - one process, one list
    with _lock:
        with transaction.atomic():
            Fault.objects.all().delete()
            Fault.objects.bulk_create(faults)
        _open = None


def take(request: HttpRequest) -> Fault | None:
    """Use up one time of the first order that matches; two threads never take the same one."""
    global _open  # noqa: PLW0603
    if _open == []:
        return None
    with _lock:
        if _open is None:
            _open = list(Fault.objects.filter(times__gt=0).order_by("id"))
        fault = next((one for one in _open if _matches(one, request)), None)
        if fault is not None:
            fault.times -= 1
            fault.save(update_fields=["times"])
            _open = [one for one in _open if one.times]
        return fault


def _matches(fault: Fault, request: HttpRequest) -> bool:
    wanted, shown = fault.grant_type, call_of(request).shown
    return (
        fault.method in {"*", request.method}
        and request.path.startswith(fault.path)
        and (not wanted or wanted == shown.get("grant_type"))
        and KINDS[fault.kind].fits(request)
    )
