"""How the helpdesk says no: Zendesk's four error bodies, its OAuth errors and its plain text.

A view raises `Refused`; the middleware turns it into the answer, after the transaction rolled back.
"""

from collections.abc import Callable, Mapping

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render

MACHINE_PATHS = ("/api/", "/oauth/tokens", "/control/")


class Refused(Exception):
    """An answer that is a refusal: `body` is a JSON object, or text where Zendesk sends text."""

    def __init__(
        self,
        status: int,
        body: Mapping[str, object] | str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def response(self) -> HttpResponse:
        """The HTTP answer."""
        if isinstance(self.body, str):
            text = f"{self.body}\n"
            kind = "text/plain; charset=utf-8"
            return HttpResponse(text, status=self.status, content_type=kind, headers=self.headers)
        return JsonResponse(dict(self.body), status=self.status, headers=self.headers)


class PageRefused(Exception):
    """A page that is a refusal: `sentence` is what the person reads."""

    def __init__(
        self, sentence: str, *, title: str = "This cannot go on", status: int = 400
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.title = title
        self.status = status


class Refusals:
    """Middleware: a refusal raised in a view becomes its answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The refusal's answer; None lets any other exception be the 500 it is."""
        if isinstance(error, Refused):
            return error.response()
        if isinstance(error, PageRefused):
            return refusal_page(request, error.title, error.sentence, error.status)
        return None


def refusal_page(request: HttpRequest, title: str, sentence: str, status: int) -> HttpResponse:
    """An error page with one sentence."""
    context = {"title": title, "sentence": sentence}
    return render(request, "demo_helpdesk/refused.html", context, status=status)


def not_found() -> Refused:
    """The record is gone, or hidden from who asks."""
    return Refused(404, {"error": "RecordNotFound", "description": "Not found"})


def missing_scope(scope: str) -> Refused:
    """The token lacks a scope; a refresh would not help."""
    sentence = f"You are missing the following required scopes: {scope}"
    return Refused(403, {"error": "Forbidden", "description": sentence})


def forbidden(sentence: str) -> Refused:
    """The user behind the token may not do this, whatever the scopes."""
    return Refused(403, {"error": {"title": "Forbidden", "message": sentence}})


def bad_parameter(name: str, sentence: str) -> Refused:
    """A query parameter makes no sense."""
    problem = {
        "code": "InvalidParameter",
        "title": f"Invalid parameter: {name}",
        "detail": sentence,
    }
    return Refused(400, {"errors": [problem]})


def record_invalid(field: str, sentence: str, *, status: int = 422) -> Refused:
    """A field of a record makes no sense."""
    body = {
        "error": "RecordInvalid",
        "description": "Record validation errors",
        "details": {field: [{"error": "InvalidValue", "description": sentence}]},
    }
    return Refused(status, body)


def oauth_error(code: str, description: str, *, status: int = 400) -> Refused:
    """An error of the token endpoint (RFC 6749 section 5.2)."""
    return Refused(status, {"error": code, "error_description": description})


def invalid_token() -> Refused:
    """The bearer is dead: expired, revoked or never issued."""
    return oauth_error(
        "invalid_token",
        "The access token provided is expired, revoked, malformed or invalid for other reasons.",
        status=401,
    )


def no_credential() -> Refused:
    """No bearer was sent, or something that is not one."""
    return Refused(401, {"error": "Couldn't authenticate you"})


def bad_request(_request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django itself could not read."""
    return Refused(400, "This request cannot be read.").response()


def nothing_here(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address nobody serves."""
    if request.path.startswith(MACHINE_PATHS):
        return Refused(404, {"error": "InvalidEndpoint", "description": "Not found"}).response()
    return refusal_page(request, "Nothing here", "The demo helpdesk has no page here.", 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """A fault of the demo helpdesk itself; the log of its process has the traceback."""
    sentence = "The demo helpdesk failed. Its log has the cause."
    if request.path.startswith(MACHINE_PATHS):
        body = {"error": {"title": "Internal Server Error", "message": sentence}}
        return Refused(500, body).response()
    return HttpResponse(f"{sentence}\n", status=500, content_type="text/plain; charset=utf-8")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form came without its token: an old tab, or cookies switched off."""
    sentence = "This form is out of date. Go back, load the page again and repeat the click."
    return refusal_page(request, "Out of date", sentence, 403)
