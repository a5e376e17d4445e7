"""Pages of whoever keeps the lines to the helpdesks running: how they are, freezing one, confirming a list."""

from http import HTTPStatus

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import clock
from accounts.decorators import fresh_groups, recently_authenticated, requires, signed_in
from tokens import findings, permissions
from tokens.forms.operations import ConfirmForm, FreezeForm
from tokens.models import Helpdesk, InventoryRun
from tokens.operations import capabilities, helpdesks, inventories
from tokens.presenters import alarms
from tokens.presenters import inventories as presenters
from tokens.presenters.operations import page
from tokens.queries import operations as queries
from tokens.refusals import StaleState

BACK = "Back to operations"


def _load(slug: str) -> Helpdesk:
    found = Helpdesk.objects.filter(slug=slug).first()
    if found is None:
        raise Http404("There is no such helpdesk.")
    return found


def _back(helpdesk: Helpdesk) -> HttpResponse:
    return redirect(f"{reverse('operations')}#{helpdesk.slug}")


@require_GET
@requires(permissions.may_read_all)
def operations(request: HttpRequest) -> HttpResponse:
    """How everything runs, and the one thing to do where it does not. Asks no helpdesk."""
    now = clock.now()
    shown = {
        "page": page(now=now),
        "may_act": permissions.may_operate(signed_in(request)),
        "now": now,
    }
    return render(request, "operator/operations.html", shown)


@require_http_methods(["GET", "POST"])
@requires(permissions.may_operate)
@fresh_groups
@recently_authenticated
def freeze(request: HttpRequest, slug: str) -> HttpResponse:
    """Hold new access on a helpdesk, after a page that says what that does."""
    helpdesk = _load(slug)
    form = FreezeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        reason = form.cleaned_data["reason"]
        helpdesks.freeze(helpdesk=helpdesk, by=signed_in(request), reason=reason, now=clock.now())
        return _back(helpdesk)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(
        request, "operator/freeze.html", {"helpdesk": helpdesk, "form": form}, status=status
    )


@require_POST
@requires(permissions.may_operate)
@fresh_groups
@recently_authenticated
def unfreeze(request: HttpRequest, slug: str) -> HttpResponse:
    """Let new access be issued again."""
    helpdesk = _load(slug)
    helpdesks.unfreeze(helpdesk=helpdesk, by=signed_in(request), now=clock.now())
    return _back(helpdesk)


@require_POST
@requires(permissions.may_operate)
@fresh_groups
@recently_authenticated
def take_inventory(request: HttpRequest, slug: str) -> HttpResponse:
    """Have workers take the list of all tokens now."""
    helpdesk = _load(slug)
    helpdesks.order_inventory(helpdesk=helpdesk, by=signed_in(request), now=clock.now())
    return _back(helpdesk)


@require_POST
@requires(permissions.may_operate)
@fresh_groups
@recently_authenticated
def forget_capability(request: HttpRequest, slug: str) -> HttpResponse:
    """Have Keydesk find out anew what it believes to have learned of a helpdesk."""
    helpdesk, name = _load(slug), request.POST.get("name", "")
    capabilities.forget(helpdesk=helpdesk, name=name, by=signed_in(request), now=clock.now())
    return _back(helpdesk)


@require_http_methods(["GET", "POST"])
@requires(permissions.may_operate)
@fresh_groups
@recently_authenticated
def confirm_inventory(request: HttpRequest, slug: str) -> HttpResponse:
    """Give one's word about a list, after a page with each thing that would be done."""
    helpdesk = _load(slug)
    if request.method == "POST":
        form = ConfirmForm(request.POST)
        inventories.confirm(
            run=_run_on_the_page(form, helpdesk), by=signed_in(request), now=clock.now(),
            shown=form.cleaned_data["shown"],
        )  # fmt: skip
        return _back(helpdesk)
    watch = next(w for w in alarms.watches() if w.helpdesk == helpdesk)
    run = queries.run_by_id(watch.to_confirm_id or 0)
    if run is None:
        return _back(helpdesk)
    found = findings.of(run, now=clock.now())
    shown = {
        "helpdesk": helpdesk, "run": run, "watch": watch, "now": clock.now(),
        "form": ConfirmForm(initial={"run": run.pk, "shown": findings.ids_of(found)}),
        "findings": presenters.findings(helpdesk, found.strays, found.suspects),
        "count": len(found), "more": max(0, len(found) - presenters.MOST_FINDINGS),
    }  # fmt: skip
    return render(request, "operator/confirm_inventory.html", shown)


def _run_on_the_page(form: ConfirmForm, helpdesk: Helpdesk) -> InventoryRun:
    run = queries.run_by_id(form.run_id)
    if run is None or run.helpdesk_id != helpdesk.pk:
        sentence = "The page did not say which list it is about. Open it again."
        raise StaleState(sentence, href=reverse("operations"), label=BACK)
    return run
