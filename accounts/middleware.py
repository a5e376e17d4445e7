"""What happens around every page for the sake of the person: their session's end, and their time zone."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY, logout
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts import clock, sessions
from accounts.models import User
from accounts.operations import DEACTIVATED

UPDATED = "You were signed out, because Keydesk was updated."
GetResponse = Callable[[HttpRequest], HttpResponse]


class SessionLimits:
    """Ends a session that was idle for SESSION_IDLE, is older than SESSION_ABSOLUTE, or whose person left.

    The page is then asked for by nobody, and the sign-in page says why.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        why = self._why_over(request)
        if why:
            logout(request)
            request.session[sessions.WHY_ENDED] = why
        return self.get_response(request)

    def _why_over(self, request: HttpRequest) -> str:
        if not isinstance(request.user, User):
            # Django takes a deactivated person for nobody, but leaves their session alone.
            if request.session.get(BACKEND_SESSION_KEY) not in (
                None,
                *settings.AUTHENTICATION_BACKENDS,
            ):
                return UPDATED
            return DEACTIVATED if SESSION_KEY in request.session else ""
        now = clock.of_page(request.user)
        why = sessions.why_over(request.session, now=now)
        # A page that follows by itself is no activity of a person.
        if not why and not request.headers.get("HX-Request"):
            sessions.touch(request.session, now=now)
        return why


class ReaderTimeZone:
    """Shows times in the reader's zone: the one of their company sign-in, else TIME_ZONE."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        zone = settings.READERS_TIME_ZONE
        if isinstance(request.user, User) and request.user.time_zone:
            zone = request.user.time_zone
        with timezone.override(ZoneInfo(zone)):
            return self.get_response(request)
