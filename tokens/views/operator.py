"""Pages of whoever keeps an eye on everything: the inventory of all access, and the audit."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts import clock
from accounts.decorators import requires
from tokens import permissions
from tokens.forms.credentials import AuditForm, InventoryForm, ListForm
from tokens.presenters import operator as presenters
from tokens.queries import operator as queries
from tokens.queries.pages import read_before


@require_GET
@requires(permissions.may_read_all)
def inventory(request: HttpRequest) -> HttpResponse:
    """All access there is, the newest first; ends that do not come on top."""
    now, form = clock.now(), InventoryForm(request.GET)
    wanted = queries.Wanted(form.states(), form.chosen("helpdesk"), form.chosen("owner"))
    lines, before = queries.inventory(wanted, before=_before(request))
    shown = {
        "rows": presenters.inventory_rows(lines, now=now),
        "stuck": presenters.stuck_rows(now=now),
        "states": presenters.STATES,
        **_list_page(request, form, before),
    }
    return render(request, "operator/inventory.html", {**shown, "now": now})


@require_GET
@requires(permissions.may_read_all)
def audit(request: HttpRequest) -> HttpResponse:
    """Everything that was done, the newest first, each as a sentence."""
    form = AuditForm(request.GET)
    number = form.chosen("number")
    asked = queries.Asked(
        form.chosen("event"),
        form.chosen("actor"),
        form.chosen("kind"),
        int(number) if number else None,
    )
    events, before = queries.audit(asked, before=_before(request))
    shown = {"rows": presenters.audit_rows(events), **_list_page(request, form, before)}
    return render(request, "operator/audit.html", {**shown, "now": clock.now()})


def _before(request: HttpRequest) -> int | None:
    return read_before(request.GET.get("before", ""))


def _list_page(request: HttpRequest, form: ListForm, before: int | None) -> dict[str, Any]:
    """The filter, and the addresses of the next and the first page with the same filter."""
    kept = {name: form.chosen(name) for name in form.fields if form.chosen(name)}
    is_first = _before(request) is None
    return {
        "form": form,
        "clear_href": request.path if kept or form.errors else "",
        "next_href": f"?{urlencode({**kept, 'before': before})}" if before else "",
        "first_href": "" if is_first else f"?{urlencode(kept)}" if kept else request.path,
    }
