"""What happens around every request: its id, the caller's address, safety headers, refusals as pages."""

import uuid
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from accounts import audit, clock, operations
from accounts.models import User
from accounts.refusals import Refused
from tokens.refusals import Denied, Invalid, Refusal, StaleState

GetResponse = Callable[[HttpRequest], HttpResponse]
Network = IPv4Network | IPv6Network


class RequestId:
    """One random id per request, in the answer's `X-Request-Id` and in every audit row it writes."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        made = str(uuid.uuid4())
        token = audit.request_id.set(made)
        try:
            response = self.get_response(request)
        finally:
            audit.request_id.reset(token)
        response["X-Request-Id"] = made
        return response


def networks(words: list[str]) -> list[Network]:
    """The networks of TRUSTED_PROXIES; `unix` is left to the caller. Raises ValueError."""
    return [ip_network(word, strict=False) for word in words if word != "unix"]


class TrustedProxy:
    """Believes `X-Forwarded-For` and `X-Forwarded-Proto` from TRUSTED_PROXIES, and from nobody else.

    Sets `request.client_address`. `unix` in TRUSTED_PROXIES trusts callers on a Unix socket, who have no
    address.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.trusts_sockets = "unix" in settings.TRUSTED_PROXIES
        try:
            self.networks = networks(settings.TRUSTED_PROXIES)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"TRUSTED_PROXIES: {error}. Write addresses or networks such as 10.0.0.0/8, or unix."
            ) from error

    def __call__(self, request: HttpRequest) -> HttpResponse:
        peer = request.META.get("REMOTE_ADDR", "")
        address = peer
        if self._is_trusted(peer):
            address = self._client(request.headers.get("X-Forwarded-For", ""), peer)
            if request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https":
                request.META["wsgi.url_scheme"] = "https"
        request.client_address = address  # type: ignore[attr-defined]
        return self.get_response(request)

    def _is_trusted(self, peer: str) -> bool:
        if not peer:
            return self.trusts_sockets
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.networks)

    def _client(self, forwarded: str, peer: str) -> str:
        """The last address that is no proxy of ours: what stands left of it anybody may have written."""
        for word in reversed(forwarded.split(",")):
            address = word.strip()
            try:
                ip_address(address)
            except ValueError:
                break
            if "%" in address:  # a zone of somebody else's machine, which no database keeps
                break
            peer = address
            if not self._is_trusted(address):
                break
        return peer


class SlowBodies:
    """A body that stops coming is given up, so that senders who went away hold no thread.

    Under gunicorn. One byte after the other is the proxy's part, which buffers whole requests (docs/install.md).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        connection = request.META.get("gunicorn.socket")
        if connection is not None:
            connection.settimeout(settings.SLOW_BODY.total_seconds())
        return self.get_response(request)


class SecurityHeaders:
    """What Django and the CSP do not set: no device access, no embedding elsewhere, nothing personal cached."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault(
            "Permissions-Policy",
            "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
        )
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if isinstance(getattr(request, "user", None), User):
            response.headers["Cache-Control"] = "no-store"
        return response


class Refusals:
    """A refusal that no view has caught becomes a page with its sentence."""

    statuses: dict[type[Refusal], int] = {Denied: 403, StaleState: 409, Invalid: 400}

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The page for one of our refusals; anything else goes on as the error it is.

        Somebody who tried what is not theirs leaves an audit row.
        """
        _note(request, error)
        if isinstance(error, Refused):
            return _page(request, error.status, error.sentence)
        for kind, status in self.statuses.items():
            if isinstance(error, kind):
                return _page(request, status, error.sentence, error.href, error.label)
        return None


def _note(request: HttpRequest, error: Exception) -> None:
    """Record what a signed-in person may not do: a refusal, or a form sent to what they may not see."""
    is_foreign = isinstance(error, Http404) and request.method == "POST"
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return
    if isinstance(error, Denied) or is_foreign:
        sentence = error.sentence if isinstance(error, Denied) else "Not theirs to see."
        operations.refuse(
            user=user, what=f"{request.method} {request.path}"[:200],
            reason=sentence, now=clock.now(),
        )  # fmt: skip


def _page(
    request: HttpRequest, status: int, sentence: str, href: str = "", label: str = ""
) -> HttpResponse:
    context = {"sentence": sentence, "back_href": href, "back_label": label}
    return render(request, f"{status}.html", context, status=status)
