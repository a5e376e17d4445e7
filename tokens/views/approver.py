"""Deciding: approving, approving less, denying, and approving several that were ticked."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts import clock
from accounts.decorators import fresh_groups, requires, signed_in
from accounts.models import User
from accounts.operations import refuse
from tokens import permissions
from tokens.forms import decisions as decision_forms
from tokens.forms.queue import GOES_BACK, read_back, read_ticked
from tokens.models import AccessRequest
from tokens.operations import decisions
from tokens.operations.moves import stale
from tokens.presenters import queue as queue_words
from tokens.presenters import requests as presenters
from tokens.queries.requests import links_to_decide
from tokens.refusals import Denied, Invalid, StaleState
from tokens.states import RequestState
from tokens.views.requester import form_page, load_request, tried


def _undecided(request: HttpRequest, pk: int) -> AccessRequest:
    """A request this person may decide now, in the revision that was shown to them."""
    found = load_request(request, pk)
    links = links_to_decide(signed_in(request), found.acts_as.helpdesk_id)
    if not (answer := permissions.may_decide(signed_in(request), found, links)):
        raise Denied(answer.reason)
    if found.state != RequestState.PENDING or _shown_revision(request, found) != found.revision:
        raise stale(found)
    if said := decisions.already_decided(found, signed_in(request)):
        raise StaleState(said)
    return found


def _shown_revision(request: HttpRequest, found: AccessRequest) -> int:
    """The revision a posted page was made from; a page without one was tampered with."""
    if request.method != "POST":
        return found.revision
    form = decision_forms.RevisionForm(request.POST)
    if not form.is_valid():
        raise Invalid(str(form.errors["revision"][0]))
    revision: int = form.cleaned_data["revision"]
    return revision


@contextmanager
def _leading_to(pk: int) -> Iterator[None]:
    """A refusal because somebody was first leads to the request, where one sees who and how."""
    try:
        yield
    except StaleState as refusal:
        refusal.href, refusal.label = f"/requests/{pk}", "Open the request"
        raise


def _done(request: HttpRequest, found: AccessRequest, sentence: str) -> HttpResponse:
    """Back to where the decision was made: the queue with what is next, or the request."""
    messages.success(request, sentence)
    if back := back_of(request):
        return redirect(f"/{back}")
    return redirect("access_request", found.pk)


def back_of(request: HttpRequest) -> str:
    """The queue's address from which somebody came to decide; "" for who came from elsewhere."""
    return read_back(request.POST.get("back", request.GET.get("back", "")))


@requires()
@require_http_methods(["GET", "HEAD", "POST"])
@fresh_groups
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve as asked. What can write or is wide takes a second page that says what it gives."""
    now, user = clock.now(), signed_in(request)
    with _leading_to(pk):
        found = _undecided(request, pk)
        card = presenters.card(found, user, now=now)
        if request.method != "POST" or (card.is_risky and "confirmed" not in request.POST):
            shown = {"card": card, "asked": found, "back": back_of(request), "now": now}
            return render(request, "queue/approve.html", shown)
        found = decisions.approve(
            access_request_id=pk, revision=found.revision, scopes=found.scopes,
            days=found.days, reason="", by=user, now=now,
        )  # fmt: skip
    return _done(request, found, queue_words.approved_words(found))


@requires()
@require_http_methods(["GET", "HEAD", "POST"])
@fresh_groups
def narrow(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve fewer scopes or a shorter time than was asked for."""
    now, user = clock.now(), signed_in(request)
    with _leading_to(pk):
        found = _undecided(request, pk)
        card = presenters.card(found, user, now=now)
        form = decision_forms.NarrowForm(
            request.POST or None, access_request=found, scopes=card.scopes,
            initial={"revision": found.revision, "days": found.days},
        )  # fmt: skip
        approved = tried(form, lambda: _approve_less(form, found, user, now=now))
    if approved:
        return _done(request, approved, queue_words.approved_words(approved))
    back = back_of(request)
    return form_page(request, "queue/narrow.html", form, card=card, asked=found, back=back, now=now)


def _approve_less(
    form: decision_forms.NarrowForm, found: AccessRequest, by: User, *, now: datetime
) -> AccessRequest:
    said = form.cleaned_data
    return decisions.approve(
        access_request_id=found.pk, revision=found.revision, scopes=form.granted_scopes,
        days=said["days"], reason=said["reason"], by=by, now=now,
    )  # fmt: skip


@requires()
@require_http_methods(["GET", "HEAD", "POST"])
@fresh_groups
def deny(request: HttpRequest, pk: int) -> HttpResponse:
    """Deny, with a reason."""
    now, user = clock.now(), signed_in(request)
    with _leading_to(pk):
        found = _undecided(request, pk)
        form = decision_forms.DenyForm(request.POST or None, initial={"revision": found.revision})
        denied = tried(
            form,
            lambda: decisions.deny(
                access_request_id=pk, revision=found.revision,
                reason=form.cleaned_data["reason"], by=user, now=now,
            ),
        )  # fmt: skip
    if denied:
        return _done(request, denied, f"Denied: {denied.script_name}, asked by {denied.requester}.")
    return form_page(request, "queue/deny.html", form, asked=found, back=back_of(request), now=now)


@requires(permissions.decides_something)
@require_POST
@fresh_groups
def approve_ticked(request: HttpRequest) -> HttpResponse:
    """Approve what was ticked in the queue, after a page that names it."""
    now, user = clock.now(), signed_in(request)
    shown = read_ticked(request.POST.getlist("ticked"))
    rows = decisions.to_approve_together(shown, by=user, now=now)
    back = back_of(request) or GOES_BACK
    if "confirmed" not in request.POST:
        ticked = [f"{row.pk}:{shown[row.pk]}" for row in rows]
        page = {
            "lines": queue_words.to_approve(rows), "version": rows[0].profile_version,
            "ticked": ticked, "back": back, "now": now,
        }  # fmt: skip
        return render(request, "queue/approve_ticked.html", page)
    done = decisions.approve_together(shown=shown, by=user, now=now)
    for sentence in done.denied:
        refuse(user=user, what=f"POST {request.path}", reason=sentence, now=now)
    for row, sentence in done.refused:
        messages.warning(
            request, f"Not approved: {row.script_name}, asked by {row.requester}. {sentence}"
        )
    if done.approved:
        messages.success(request, queue_words.approved_together_words(done.approved))
    return redirect(f"/{back}")
