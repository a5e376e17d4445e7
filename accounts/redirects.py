"""Where may a person be sent next? Only to a page of this portal, by its path."""

from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

LONGEST = 2000


def local_path(value: object, default: str = "") -> str:
    """`value` where it is a path of this portal outside `/accounts/`, else `default`, else the first page."""
    home: str = default or settings.LOGIN_REDIRECT_URL
    if not isinstance(value, str) or len(value) > LONGEST or not value.startswith("/"):
        return home
    if not url_has_allowed_host_and_scheme(value, allowed_hosts=None):
        return home
    return home if urlsplit(value).path.startswith("/accounts/") else value


def came_from(request: HttpRequest) -> str:
    """The page whose form was posted (same-origin `Referer`), else the posted address itself."""
    referer = urlsplit(request.headers.get("Referer", ""))
    if referer.netloc != request.get_host():
        return local_path(request.path)
    path = f"{referer.path}?{referer.query}" if referer.query else referer.path
    return local_path(path, default=local_path(request.path))


def sign_in_address(next_path: str) -> str:
    """The sign-in page, which leads on to `next_path`."""
    page = reverse("account_login")
    if next_path == settings.LOGIN_REDIRECT_URL:
        return page
    return f"{page}?{urlencode({'next': next_path})}"
