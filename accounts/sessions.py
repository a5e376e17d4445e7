"""How long does a session last, and how long ago did the person prove who they are?

Stamps in the session, in ISO 8601: `signed_in_at`, `seen_at`, `authenticated_at` (the identity
provider's `auth_time`). No clock here: `now` is an argument.
"""

from datetime import datetime, timedelta
from importlib import import_module

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

SIGNED_IN_AT = "signed_in_at"
SEEN_AT = "seen_at"
AUTHENTICATED_AT = "authenticated_at"
WHY_ENDED = "why_ended"
SEEN_EVERY = timedelta(minutes=5)


def begin(session: SessionBase, *, now: datetime, authenticated_at: datetime | None) -> None:
    """Stamp a session at sign-in; `authenticated_at` is None where the identity provider does not say."""
    session[SIGNED_IN_AT] = session[SEEN_AT] = now.isoformat()
    session.pop(AUTHENTICATED_AT, None)
    if authenticated_at is not None:
        session[AUTHENTICATED_AT] = authenticated_at.isoformat()


def confirm(session: SessionBase, *, authenticated_at: datetime) -> None:
    """Stamp a session after a re-authentication, under a new key."""
    session[AUTHENTICATED_AT] = authenticated_at.isoformat()
    session.cycle_key()


def touch(session: SessionBase, *, now: datetime) -> None:
    """Note that the person is there, at most every five minutes, so that reading pages writes nothing."""
    seen_at = stamp(session, SEEN_AT)
    if stamp(session, SIGNED_IN_AT) is None:
        session[SIGNED_IN_AT] = now.isoformat()
    if seen_at is None or now - seen_at >= SEEN_EVERY:
        session[SEEN_AT] = now.isoformat()


def why_over(session: SessionBase, *, now: datetime) -> str:
    """The sentence that says why this session is over, or nothing while it lasts."""
    signed_in_at, seen_at = stamp(session, SIGNED_IN_AT), stamp(session, SEEN_AT)
    if signed_in_at is not None and now - signed_in_at >= settings.SESSION_ABSOLUTE:
        return f"You were signed out: a session lasts {_words(settings.SESSION_ABSOLUTE)}."
    if seen_at is not None and now - seen_at >= settings.SESSION_IDLE:
        return f"You were signed out after {_words(settings.SESSION_IDLE)} without activity."
    return ""


def is_recent(session: SessionBase, *, now: datetime) -> bool:
    """Whether the person proved who they are within RECENT_AUTHENTICATION."""
    at = stamp(session, AUTHENTICATED_AT)
    return at is not None and now - at <= settings.RECENT_AUTHENTICATION


def forget_ended() -> None:
    """Delete the sessions whose time is over, also those of people who only looked at the sign-in page."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


def stamp(session: SessionBase, key: str) -> datetime | None:
    """One of the stamps, or None where there is none that can be read."""
    value = session.get(key)
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _words(duration: timedelta) -> str:
    minutes = int(duration.total_seconds() // 60)
    if minutes % 60:
        return f"{minutes} minutes"
    return "an hour" if minutes == 60 else f"{minutes // 60} hours"
