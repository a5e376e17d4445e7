"""The pages on which people come and go: sign in, sign out, confirm who they are."""

from django.conf import settings
from django.contrib.auth import logout
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import clock, oidc, operations, redirects, sessions
from accounts.decorators import KEPT_POST, confirm_page, public, requires, signed_in
from accounts.models import User
from accounts.oidc import PROVIDER_ID, Purpose
from accounts.refusals import Refused

SIGNED_OUT = "You are signed out of Keydesk."


@public
@never_cache
@require_GET
def sign_in(request: HttpRequest) -> HttpResponse:
    """One button. Somebody who is signed in already goes on to where they wanted to be."""
    next_path = redirects.local_path(request.GET.get("next"))
    if isinstance(request.user, User):
        return HttpResponseRedirect(next_path)
    why = request.session.pop(sessions.WHY_ENDED, "")
    return render(request, "account/login.html", {"next": next_path, "why": why})


@public
@never_cache
@require_POST
def to_provider(request: HttpRequest, provider_id: str) -> HttpResponse:
    """The button's address: off to the identity provider."""
    _demand_known(provider_id)
    next_path = redirects.local_path(request.POST.get("next"))
    try:
        return oidc.send(request, purpose=Purpose.SIGN_IN, next_path=next_path)
    except Refused as refusal:
        return failure_page(request, refusal, next_path)


@public
@never_cache
@require_GET
def from_provider(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Where the identity provider sends people back to; registered there."""
    _demand_known(provider_id)
    try:
        return oidc.receive(request)
    except Refused as refusal:
        return failure_page(request, refusal, settings.LOGIN_REDIRECT_URL)


def _demand_known(provider_id: str) -> None:
    if provider_id != PROVIDER_ID:
        raise Http404


def failure_page(request: HttpRequest, refusal: Refused, next_path: str) -> HttpResponse:
    """Why it did not work, and the way to try again."""
    is_in = isinstance(request.user, User)
    context = {
        "sentence": refusal.sentence,
        "heading": "Not confirmed" if is_in else "You could not be signed in",
        "again": next_path if is_in else redirects.sign_in_address(next_path),
        "again_label": "Back to Keydesk" if is_in else "Try again",
    }
    page = "socialaccount/authentication_error.html"
    return render(request, page, context, status=refusal.status)


@public
@never_cache
@require_http_methods(["GET", "POST"])
def sign_out(request: HttpRequest) -> HttpResponse:
    """Asks once on GET; ends the session on POST."""
    if not isinstance(request.user, User):
        return HttpResponseRedirect(redirects.sign_in_address(settings.LOGIN_REDIRECT_URL))
    if request.method == "GET":
        return render(request, "account/logout.html")
    operations.sign_out(user=request.user, now=clock.now())
    logout(request)
    request.session[sessions.WHY_ENDED] = SIGNED_OUT
    return HttpResponseRedirect(redirects.sign_in_address(settings.LOGIN_REDIRECT_URL))


@requires()
@never_cache
@require_http_methods(["GET", "POST"])
def reauthenticate(request: HttpRequest) -> HttpResponse:
    """Prove at the identity provider who you are, and come back to `next`."""
    if request.method == "GET":
        return confirm_page(request, redirects.local_path(request.GET.get("next")))
    next_path = redirects.local_path(request.POST.get("next"))
    try:
        return oidc.send(request, purpose=Purpose.CONFIRM, next_path=next_path)
    except Refused as refusal:
        return failure_page(request, refusal, next_path)


@requires()
@never_cache
@require_GET
def send_again(request: HttpRequest) -> HttpResponse:
    """A form that was posted while the groups were stale, kept and ready to be sent."""
    kept = request.session.pop(KEPT_POST, None)
    if kept is None:
        return HttpResponseRedirect(settings.LOGIN_REDIRECT_URL)
    return render(request, "accounts/send_again.html", {"kept": kept, "person": signed_in(request)})
