"""Sign a test client in as a person of the cast, as a sign-in at the identity provider would have."""

from datetime import datetime

from django.conf import settings
from django.test import Client

from accounts import clock, operations, sessions
from accounts.claims import Claims
from accounts.models import User
from demo.people import BY_KEY, Person

JUST_NOW = "just now"


def claims_of(person: Person | str) -> Claims:
    """What the demo's identity provider says about a person of demo/people.py (or their key)."""
    found = BY_KEY[person] if isinstance(person, str) else person
    return Claims(
        issuer=settings.OIDC_SERVER_URL,
        subject=found.key,
        name=found.name,
        email=found.email,
        email_verified=True,
        time_zone="Europe/Amsterdam",
        groups=frozenset(found.groups),
    )


def sign_in(
    client: Client, person: Person | str, *, authenticated_at: datetime | str | None = JUST_NOW
) -> User:
    """Make the client this person's browser. `authenticated_at=None`: not recently confirmed.

    The row is made or updated by the real operation; the look-up job a real sign-in orders is not.
    """
    now = clock.now()
    user = operations.sign_in(claims=claims_of(person), now=now)
    client.force_login(user)
    at = now if authenticated_at == JUST_NOW else authenticated_at
    assert not isinstance(at, str)
    session = client.session
    sessions.begin(session, now=now, authenticated_at=at)
    session.save()
    return user
