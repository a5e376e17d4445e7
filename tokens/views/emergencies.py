"""Pages of the big red switch: which there were, what a new one would end, ordering it, how far it has come."""

import logging
import time
from http import HTTPStatus

from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import clock
from accounts.decorators import fresh_groups, recently_authenticated, requires, signed_in
from tokens import permissions
from tokens.forms.emergencies import OrderForm, SubjectForm
from tokens.models import Emergency
from tokens.operations import emergencies as operations
from tokens.presenters import emergencies as presenters
from tokens.queries import emergencies as queries
from tokens.queries.emergencies import Subject
from tokens.queries.pages import read_before
from tokens.refusals import Denied

logger = logging.getLogger(__name__)

AT_ONCE = 1.0
"""Seconds a click may take to end what it can; workers do the rest."""
STEP = 10


@require_http_methods(["GET", "HEAD", "POST"])
@requires(permissions.may_read_all)
@fresh_groups
@recently_authenticated
def emergencies(request: HttpRequest) -> HttpResponse:
    """Choosing, seeing what would end, ordering it; and all there were. Auditors only read."""
    may_order = permissions.may_end_everything(signed_in(request))
    is_order = request.method == "POST"
    if is_order and not may_order:
        raise Denied(may_order.reason)
    sent = request.POST if is_order else request.GET
    form = SubjectForm(sent if "subject" in sent or is_order else None)
    if may_order and form.is_valid():
        return _one(request, form.cleaned_data["subject"])
    found, before = queries.emergencies(before=read_before(request.GET.get("before", "")))
    shown = {
        "form": form, "may_order": may_order, "rows": presenters.rows(found), "now": clock.now(),
        "next_href": f"?before={before}" if before else "",
        "first_href": request.path if "before" in request.GET else "",
    }  # fmt: skip
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_order else HTTPStatus.OK
    return render(request, "emergencies/emergencies.html", shown, status=status)


def _one(request: HttpRequest, subject: Subject) -> HttpResponse:
    """What would end, and the order of it."""
    form = OrderForm(request.POST if request.method == "POST" else None, subject=subject)
    if form.is_valid():
        reason, by = form.cleaned_data["reason"], signed_in(request)
        made = operations.order(subject=subject, reason=reason, by=by, now=clock.now())
        _begin(made)
        return redirect("emergency", made.pk)
    shown = {
        "form": form, "subject": subject, "reach": queries.reach(subject),
        "open_one": queries.open_one(subject), "now": clock.now(),
    }  # fmt: skip
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "emergencies/order.html", shown, status=status)


def _begin(emergency: Emergency) -> None:
    """What can be ended within the click. The order stands already, so nothing here may fail it."""
    until = time.monotonic() + AT_ONCE
    try:
        for _ in range(operations.BATCH // STEP):
            ended = operations.carry_on(emergency=emergency, now=clock.now(), most=STEP)
            if ended < STEP or time.monotonic() > until:
                break
    except DatabaseError:
        logger.exception("Emergency %s goes on without the click that ordered it.", emergency.pk)


@require_safe
@requires(permissions.may_read_all)
def emergency(request: HttpRequest, pk: int) -> HttpResponse:
    """How far one has come. Asked with the mark of what is shown it answers 204 while nothing has changed."""
    found = queries.emergency_by_id(pk)
    if found is None:
        raise Http404("There is no such emergency.")
    now = clock.now()
    page = presenters.page(found, now=now)
    if request.headers.get("HX-Request") and request.GET.get("seen") == page.mark:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return render(request, "emergencies/emergency.html", {"page": page, "now": now})
