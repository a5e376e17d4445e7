"""Pages of whoever asks: my access, asking, one request, amending, withdrawing."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import clock
from accounts.decorators import fresh_groups, requires, signed_in
from accounts.models import User
from accounts.roles import Role
from tokens import permissions, policies
from tokens.forms import prefilled
from tokens.forms import requests as request_forms
from tokens.forms.fields import RefusableForm
from tokens.models import AccessRequest, Credential
from tokens.operations import requests as operations
from tokens.operations.moves import stale
from tokens.presenters import asking
from tokens.presenters import my_access as mine
from tokens.presenters import requests as presenters
from tokens.presenters.history import history
from tokens.presenters.words import span_words
from tokens.queries import requests as queries
from tokens.queries.credentials import use_of
from tokens.queries.pages import newest, read_before
from tokens.refusals import Denied, Invalid, StaleState

T = TypeVar("T")
OVER = ("before", "requests_before")
"""Where in the address each list of *Ended access* says where it is: access, requests."""


# --- What the views share ----------------------------------------------------------------------------


def load_request(request: HttpRequest, pk: int) -> AccessRequest:
    """A request this person may see; a 404 for any other, so that its number says nothing."""
    found = queries.request_by_id(pk)
    if found is None or not permissions.may_see_request(signed_in(request), found):
        raise Http404("There is no such request, or it is not yours to see.")
    return found


def tried(form: RefusableForm, operation: Callable[[], T]) -> T | None:
    """What the operation made; None when nothing was sent, or the form is wrong and now says why."""
    if not form.is_valid():
        return None
    try:
        return operation()
    except Invalid as refusal:
        form.refused(refusal)
        return None


def form_page(
    request: HttpRequest, template: str, form: forms.Form, **shown: object
) -> HttpResponse:
    """A page with a form; one that comes back because of what it holds is a 422."""
    status = 422 if form.errors else 200
    return render(request, template, {"form": form, **shown}, status=status)


def _own_number(request: HttpRequest, name: str) -> int | None:
    """An id in the address; None when it is not there, a 404 when it is no number."""
    word = request.GET.get(name)
    if word is None:
        return None
    if not (word.isascii() and word.isdigit() and len(word) < 19):
        raise Http404("There is no such thing of yours.")
    return int(word)


# --- My access ---------------------------------------------------------------------------------------


@requires(Role.AGENT)
@require_safe
def my_access(request: HttpRequest) -> HttpResponse:
    """What one's scripts may do now, what waits and what is ending."""
    now = clock.now()
    shown = {"mine": mine.my_access(signed_in(request), now=now), "now": now}
    return render(request, "my_access.html", shown)


@requires(Role.AGENT)
@require_safe
def ended(request: HttpRequest) -> HttpResponse:
    """One's access that is over, and one's requests that came to nothing."""
    user = signed_in(request)
    places = {name: read_before(request.GET.get(name, "")) for name in OVER}
    access, more_access = newest(queries.ended_of(user), before=places[OVER[0]])
    requests, more_requests = newest(queries.not_granted_to(user), before=places[OVER[1]])
    shown = {
        "ended": mine.ended(access),
        "requests": [(row, presenters.again_path(row)) for row in requests],
        "pages": _pages(request.path, OVER[0], places, more_access),
        "requests_pages": _pages(request.path, OVER[1], places, more_requests),
        "now": clock.now(),
    }
    return render(request, "my_access_ended.html", shown)


def _pages(
    path: str, name: str, places: Mapping[str, int | None], further: int | None
) -> dict[str, str]:
    """The addresses of a list's first and next page, where it has them; other lists stay where they are."""
    others = {other: place for other, place in places.items() if place and other != name}
    return {
        "first": f"{path}?{urlencode(others)}" if places[name] else "",
        "next": f"{path}?{urlencode({**others, name: further})}" if further else "",
    }


# --- Asking ------------------------------------------------------------------------------------------


@requires(Role.AGENT)
@require_http_methods(["GET", "HEAD", "POST"])
@fresh_groups
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for new access, or with `renews` in the address for more time on what one has."""
    if (renews := _own_number(request, "renews")) is not None:
        return _renew(request, renews)
    now, user = clock.now(), signed_in(request)
    offers = asking.offers(user)
    form = request_forms.AskForm(
        request.POST or None, by=user, offers=offers, initial=_start(request, offers)
    )
    if made := tried(form, lambda: _submit(form, user, now=now)):
        return redirect("access_request", made.pk)
    shown = {**_beside(user, form, now=now), "frozen": asking.frozen(offers)}
    return form_page(request, "requests/new.html", form, **shown)


def _submit(
    form: request_forms.AskForm | request_forms.RenewForm, by: User, *, now: datetime
) -> AccessRequest:
    return operations.submit(wish=form.wish(), by=by, key=form.cleaned_data["key"], now=now)


def _start(request: HttpRequest, offers: Sequence[asking.Offer]) -> dict[str, Any]:
    """What the form starts with: an old request of one's own, else what the address says."""
    again = _own_number(request, "again")
    if again is None:
        return prefilled.by_address(request.GET, offers)
    before = queries.own_request(signed_in(request), again)
    if before is None:
        raise Http404("There is no such request of yours.")
    return prefilled.by_old_request(before, offers)


def _beside(
    user: User,
    form: request_forms.TermsForm,
    *,
    now: datetime,
    credential: Credential | None = None,
) -> dict[str, object]:
    """What every page with a wish shows beside its fields."""
    return {
        "lengths": form.lengths(credential, now=now),
        "least": policies.least_days(credential, now=now) if credential else 1,
        "people": queries.other_people(user),
        "decide_within": span_words(settings.DECIDE_WITHIN),
        "now": now,
    }


def _renew(request: HttpRequest, pk: int) -> HttpResponse:
    now, user = clock.now(), signed_in(request)
    credential = queries.own_credential(user, pk)
    if credential is None:
        raise Http404("There is no such access of yours.")
    if not (answer := policies.is_renewable(credential, now=now)):
        raise StaleState(answer.reason, href=f"/credentials/{pk}", label="Open this access")
    offer = asking.offer_of(credential.profile_version.profile, user)
    if offer is None or not offer.may:
        raise Denied(offer.may.reason if offer else "This access can no longer be asked for.")
    before = queries.last_request_for(credential)
    form = request_forms.RenewForm(
        request.POST or None, by=user, credential=credential,
        initial=prefilled.by_last_request(before),
    )  # fmt: skip
    if made := tried(form, lambda: _submit(form, user, now=now)):
        return redirect("access_request", made.pk)
    shown = _beside(user, form, now=now, credential=credential)
    shown["renewal"] = asking.renewal(credential, offer, before, now=now)
    shown["use"] = use_of(credential)
    return form_page(request, "requests/renew.html", form, **shown)


# --- One request -------------------------------------------------------------------------------------


@requires(Role.AGENT)
@require_safe
@fresh_groups
def access_request(request: HttpRequest, pk: int) -> HttpResponse:
    """One request: for its requester, for those who decide it, and as a record afterwards."""
    now, user = clock.now(), signed_in(request)
    found = load_request(request, pk)
    card = presenters.card(found, user, now=now)
    shown = {
        "card": card,
        "own": presenters.own_request(found, user, card),
        "may_open": found.credential and permissions.may_see_credential(user, found.credential),
        "asked": found,
        "history": history(found),
        "now": now,
    }
    return render(request, "requests/request.html", shown)


def _own_pending(request: HttpRequest, pk: int) -> AccessRequest:
    """One's own request while it can be changed."""
    found = load_request(request, pk)
    if found.requester_id != signed_in(request).pk:
        raise Denied("Only the person who asked can change this request.")
    if not permissions.may_change_request(signed_in(request), found):
        refusal = stale(found)
        refusal.href, refusal.label = f"/requests/{pk}", "Open the request"
        raise refusal
    return found


@requires(Role.AGENT)
@require_http_methods(["GET", "HEAD", "POST"])
@fresh_groups
def amend(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a request that waits; deciding starts anew."""
    now, user = clock.now(), signed_in(request)
    found = _own_pending(request, pk)
    offer = asking.offer_of(found.profile, user)
    if offer is None:
        raise Denied("This access can no longer be asked for.")
    form = request_forms.AmendForm(
        request.POST or None, by=user, access_request=found, offer=offer,
        initial=prefilled.from_request(found),
    )  # fmt: skip
    if tried(form, lambda: _amend(form, found, user, now=now)):
        return redirect("access_request", pk)
    shown = _beside(user, form, now=now, credential=found.credential)
    return form_page(request, "requests/amend.html", form, asked=found, offer=offer, **shown)


def _amend(
    form: request_forms.AmendForm, found: AccessRequest, by: User, *, now: datetime
) -> AccessRequest:
    revision = form.cleaned_data["revision"]
    return operations.amend(
        access_request=found, revision=revision, wish=form.wish(), by=by, now=now
    )


@requires(Role.AGENT)
@require_http_methods(["GET", "HEAD", "POST"])
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a request back, after a page that asks."""
    found = _own_pending(request, pk)
    if request.method == "POST":
        operations.withdraw(access_request=found, by=signed_in(request), now=clock.now())
        return redirect("my_access")
    return render(request, "requests/withdraw.html", {"asked": found})
