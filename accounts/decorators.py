"""Who may see a page, and how sure must we be that it is them?

Every view carries `@public` or `@requires(...)`, outermost; both leave `.permission` on the view, by which
a guard test walks all addresses. `@fresh_groups` and `@recently_authenticated` stand below.
"""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Any, Protocol

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from accounts import clock, oidc, redirects, sessions
from accounts.models import User
from accounts.oidc import Purpose
from accounts.roles import Role, roles_of

View = Callable[..., HttpResponse]

KEPT_POST = "kept_post"
MOST_KEPT = 20_000
"""Characters of a form that are kept while its groups are read again."""


class Answer(Protocol):
    """Yes or no, with a sentence; tokens' permissions answer so."""

    @property
    def reason(self) -> str: ...

    def __bool__(self) -> bool: ...


Permission = Callable[[User], Answer]


def public(view: View) -> View:
    """Anybody may come here, signed in or not."""
    view.permission = "public"  # type: ignore[attr-defined]
    return view


def requires(*permissions: Role | Permission) -> Callable[[View], View]:
    """Only people with one of these roles, and to whom every permission function named says yes.

    Without an argument: everybody who is signed in. Nobody signed in is led to the sign-in page and
    back; somebody without the right reads a sentence (403).
    """
    needed = permissions or (Role.AGENT,)

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not isinstance(request.user, User):
                return to_sign_in(request)
            refusal = _refusal(request.user, needed)
            if refusal:
                return render(request, "403.html", {"sentence": refusal}, status=403)
            return view(request, *args, **kwargs)

        checked.permission = needed  # type: ignore[attr-defined]
        return checked

    return decorate


def _refusal(user: User, needed: tuple[Role | Permission, ...]) -> str:
    """Why not, or nothing where they may."""
    roles = [one for one in needed if isinstance(one, Role)]
    if roles and not roles_of(user) & set(roles):
        return f"Only {_listed(roles)} see this page."
    answers = [one(user) for one in needed if not isinstance(one, Role)]
    return next((answer.reason for answer in answers if not answer), "")


def _listed(roles: list[Role]) -> str:
    words = [f"{role.value}s" for role in roles]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the sign-in page, and back to where the person was: to the page of a form, not to its address.

    A view whose own address must not be kept names another one as its `return_to`.
    """
    is_page = request.method in {"GET", "HEAD"}
    next_path = request.get_full_path() if is_page else redirects.came_from(request)
    if request.resolver_match is not None:
        next_path = getattr(request.resolver_match.func, "return_to", next_path)
    address = redirects.sign_in_address(redirects.local_path(next_path))
    if request.headers.get("HX-Request"):
        # A fragment must not be replaced by the sign-in page: htmx loads the whole page anew.
        return HttpResponse(
            status=HTTPStatus.NO_CONTENT, content_type="text/plain", headers={"HX-Refresh": "true"}
        )
    return HttpResponseRedirect(address)


def signed_in(request: HttpRequest) -> User:
    """The person who is signed in, for views below `@requires`."""
    assert isinstance(request.user, User)
    return request.user


def is_recently_authenticated(request: HttpRequest, now: datetime) -> bool:
    """Whether this person proved who they are within RECENT_AUTHENTICATION."""
    return sessions.is_recent(request.session, now=now)


def recently_authenticated(view: View) -> View:
    """A form that is posted here counts only from somebody who proved who they are a moment ago.

    Otherwise the person is asked to do so, and comes back to the page with the form. Reading is free.
    """

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        is_page = request.method in {"GET", "HEAD"}
        if is_page or is_recently_authenticated(request, clock.now()):
            return view(request, *args, **kwargs)
        return confirm_page(request, redirects.came_from(request), status=HTTPStatus.FORBIDDEN)

    return checked


def confirm_page(request: HttpRequest, next_path: str, *, status: int = 200) -> HttpResponse:
    """The page that asks somebody to prove who they are, and leads on to `next_path`."""
    return render(request, "accounts/confirm.html", {"next": next_path}, status=status)


def has_fresh_groups(user: User, now: datetime) -> bool:
    """Whether the person's groups were read within GROUPS_FRESH."""
    read_at = user.groups_read_at
    return read_at is not None and now - read_at <= settings.GROUPS_FRESH


def fresh_groups(view: View) -> View:
    """For pages that decide, edit or show a key: groups older than GROUPS_FRESH are read again first.

    By a silent round trip to the identity provider and back. A form posted with stale groups is kept
    in the session meanwhile and shown again to be sent. Raises `Refused` where the provider is away.
    """

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = signed_in(request)
        if has_fresh_groups(user, clock.of_page(user)):
            return view(request, *args, **kwargs)
        next_path = request.get_full_path()
        if request.method not in {"GET", "HEAD"}:
            next_path = _keep_post(request)
        return oidc.send(request, purpose=Purpose.GROUPS, next_path=next_path)

    return checked


def _keep_post(request: HttpRequest) -> str:
    """Where to come back to: the page that shows the kept form, or the form's own page if it is too big."""
    fields = [
        (name, value)
        for name, values in request.POST.lists()
        for value in values
        if name != "csrfmiddlewaretoken"
    ]
    if request.FILES or sum(len(name) + len(value) for name, value in fields) > MOST_KEPT:
        return redirects.came_from(request)
    request.session[KEPT_POST] = {
        "path": request.get_full_path(),
        "fields": fields,
        "came_from": redirects.came_from(request),
    }
    return reverse("accounts:send_again")
