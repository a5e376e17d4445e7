"""Who sits at the browser: pick a person, switch, and who that is on every page."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from demo.helpdesk import clock
from demo.helpdesk.answers import PageRefused
from demo.helpdesk.configuration import configuration
from demo.helpdesk.models import ADMIN, AGENT, HelpdeskUser, OAuthClient

_KEY = "user"


def signed_in(request: HttpRequest) -> dict[str, object]:
    """Context of every page: the helpdesk's name, who is signed in, and where the portal is."""
    portal = urlsplit(configuration().redirect_uri)
    return {
        "helpdesk": configuration().name,
        "person": person_at(request),
        "portal": f"{portal.scheme}://{portal.netloc}",
    }


def person_at(request: HttpRequest) -> HelpdeskUser | None:
    """Who is signed in in this browser, read fresh; None also when that user may not any more."""
    if not hasattr(request, "session"):
        return None
    number = request.session.get(_KEY)
    user = HelpdeskUser.objects.filter(id=number).first() if number else None
    return user if user and user.is_staff else None


def staff() -> list[HelpdeskUser]:
    """The people who work here; the users that own OAuth clients are nobody's login."""
    owners = OAuthClient.objects.values("owner_id")
    rows = HelpdeskUser.objects.filter(active=True, role__in=(AGENT, ADMIN))
    return list(rows.exclude(id__in=owners).order_by("id"))


@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Pick a person: this is a demo, so there is no password."""
    onward = _onward(request)
    if request.method == "GET":
        context = {"people": staff(), "onward": onward}
        return render(request, "demo_helpdesk/sign_in.html", context)
    wanted = request.POST.get("person", "")
    user = next((one for one in staff() if str(one.id) == wanted), None)
    if user is None:
        raise PageRefused("Nobody of that name works here. Go back and pick a person.")
    if not user.may_sign_in:
        raise PageRefused(f"{user.name} is suspended here and cannot sign in.", status=403)
    HelpdeskUser.objects.filter(id=user.id).update(last_login_at=clock.now())
    request.session.flush()
    request.session[_KEY] = user.id
    return HttpResponseRedirect(onward)


def _onward(request: HttpRequest) -> str:
    """Where to go after signing in: a page of this helpdesk, else home."""
    wanted = request.POST.get("next", request.GET.get("next", "/"))
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if is_ours and wanted.startswith("/") else "/"
