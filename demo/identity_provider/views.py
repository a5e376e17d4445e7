"""Where one picks who one is. The protocol itself is allauth's; here is what it leaves to the site."""

import time
from http import HTTPStatus
from urllib.parse import parse_qs, urlencode, urlsplit

from allauth.idp.oidc import views as oidc
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from demo.identity_provider import faults
from demo.identity_provider.adapter import groups_of, remember_auth_time
from demo.identity_provider.configuration import configuration
from demo.people import BY_KEY, PEOPLE

AUTH_TIME, PICKED_FOR = "auth_time", "picked_for"


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """What this is, and who is signed in here."""
    person = BY_KEY.get(request.user.get_username())
    context = {"person": person, "portal_url": configuration().portal_url}
    return render(request, "identity_provider/home.html", context)


@require_GET
def authorize(request: HttpRequest) -> HttpResponse:
    """The authorization endpoint: `prompt=none` looks silently, anything else lets one pick a person.

    allauth knows neither picking nor `auth_time`: a pick is good for the one request it was made for.
    """
    is_silent = "none" in request.GET.get("prompt", "").split()
    is_picked = request.session.pop(PICKED_FOR, None) == request.get_full_path()
    if not is_silent and not is_picked:
        return HttpResponseRedirect(
            f"{reverse('account_login')}?{urlencode({'next': request.get_full_path()})}"
        )
    if is_picked:
        asked = request.GET.copy()
        asked.pop("prompt", None)
        request.GET = QueryDict(asked.urlencode())
    response: HttpResponse = oidc.authorization(request)
    codes = parse_qs(urlsplit(response.headers.get("Location", "")).query).get("code", [])
    for code in codes:
        remember_auth_time(code, request.session.get(AUTH_TIME))
    return response


@require_http_methods(["GET", "POST"])
def pick(request: HttpRequest) -> HttpResponse:
    """The list of people. Picking one is the whole sign-in, each time."""
    asked = request.POST if request.method == "POST" else request.GET
    next_path = asked.get("next", "")
    if not next_path.startswith(f"{reverse('idp:oidc:authorization')}?"):
        return HttpResponseRedirect(reverse("home"))
    user = User.objects.filter(username=request.POST.get("person", "")).first()
    if request.method == "POST" and user is not None:
        login(request, user)  # type: ignore[arg-type]  # mypy knows the portal's users only
        request.session[AUTH_TIME] = int(time.time())  # noqa: TID251 - this process has a clock of its own
        request.session[PICKED_FOR] = next_path
        return HttpResponseRedirect(next_path)
    people = [(person, groups_of(person.key)) for person in PEOPLE]
    context = {"people": people, "next": next_path, "current": request.user.get_username()}
    return render(request, "identity_provider/pick.html", context)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session here; those of other sites go on."""
    logout(request)
    return HttpResponseRedirect(reverse("home"))


@csrf_exempt
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    """The token endpoint, with the fault that was ordered for this exchange."""
    if faults.begin() == faults.DOWN:
        return HttpResponse("Down for a moment.", status=HTTPStatus.SERVICE_UNAVAILABLE)
    answer: HttpResponse = oidc.token(request)
    return faults.spoil_answer(answer) if answer.status_code == HTTPStatus.OK else answer


def unknown_page(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return render(request, "identity_provider/unknown.html", status=404)
