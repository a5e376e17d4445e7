"""The portal with a few pages more, one for each guard of accounts/decorators.py."""

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import path

from accounts import clock
from accounts.decorators import (
    fresh_groups,
    is_recently_authenticated,
    recently_authenticated,
    requires,
    signed_in,
)
from accounts.roles import Role, roles_of
from portal.urls import handler400, handler403, handler404, handler500
from portal.urls import urlpatterns as portal_urls

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


@requires()
def anybody(request: HttpRequest) -> HttpResponse:
    """Says who is there."""
    person = signed_in(request)
    roles = ",".join(sorted(roles_of(person)))
    is_recent = is_recently_authenticated(request, clock.now())
    lines = f"you={person.name} roles={roles} recent={is_recent} query={request.GET.urlencode()}"
    return HttpResponse(lines, content_type="text/plain; charset=utf-8")


@requires(Role.APPROVER, Role.ADMIN)
@fresh_groups
def decide(request: HttpRequest) -> HttpResponse:
    """A page that decides."""
    if request.method == "POST":
        return HttpResponse(
            f"decided={request.POST['reason']}", content_type="text/plain; charset=utf-8"
        )
    return _form(request, "A page that decides")


@requires()
@recently_authenticated
def secret(request: HttpRequest) -> HttpResponse:
    """A page that shows a key on POST."""
    if request.method == "POST":
        return HttpResponse("the secret", content_type="text/plain; charset=utf-8")
    return _form(request, "A page with a key")


def _form(request: HttpRequest, heading: str) -> HttpResponse:
    token = get_token(request)
    return HttpResponse(
        f"<title>{heading}</title><h1>{heading}</h1><form method=post action={request.path}>"
        f"<input type=hidden name=csrfmiddlewaretoken value={token}>"
        "<label>Reason <input name=reason></label><button>Go on</button></form>"
    )


urlpatterns = [
    path("guarded/anybody", anybody),
    path("guarded/decide", decide),
    path("guarded/secret", secret),
    *portal_urls,
]
