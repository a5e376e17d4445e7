"""Which page does an error get? Each has one heading, one sentence, one way out."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader

from accounts import redirects


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: what the browser sent makes no sense."""
    sentence = "Keydesk could not read what your browser sent."
    return render(request, "400.html", {"sentence": sentence}, status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: not for this person."""
    sentence = "You may not see this page."
    return render(request, "403.html", {"sentence": sentence}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: nothing here, or nothing this person may know of."""
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: rendered without the request, because anything around it may be what is broken."""
    return HttpResponse(loader.get_template("500.html").render(), status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: the form did not come from a page of ours, or its page is too old."""
    back = redirects.came_from(request)
    return render(request, "403_csrf.html", {"back_href": back}, status=403)
