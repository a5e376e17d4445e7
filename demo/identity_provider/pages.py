"""What keeps this process's pages safe and plain: headers, and the one stylesheet."""

from collections.abc import Callable
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

GetResponse = Callable[[HttpRequest], HttpResponse]
_STYLE = (Path(__file__).parent / "style.css").read_text()

# No form-action: picking a person is a form that ends, by redirects, on the portal.
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


class PageSafety:
    """No scripts, no frames, nothing cached."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


@require_GET
def style(request: HttpRequest) -> HttpResponse:
    """The stylesheet of this process and of the mailbox."""
    return HttpResponse(_STYLE, content_type="text/css", headers={"Cache-Control": "max-age=60"})
