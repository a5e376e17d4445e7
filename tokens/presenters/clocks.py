"""The three clocks of a request, never mixed, and an access near its end."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from tokens import policies
from tokens.models import AccessRequest, Credential
from tokens.presenters.words import days_words, span_words
from tokens.states import CredentialState, RequestState


@dataclass(frozen=True)
class Clocks:
    """The three dates of a request: moments, or words where there is none (yet)."""

    decide_by: datetime | str
    connect_by: datetime | str
    lives_until: datetime | str


def clocks(access_request: AccessRequest, *, now: datetime) -> Clocks:
    """Until when to decide, to connect, and to live; of a pending one as if it were approved now."""
    held, is_open = access_request.credential, access_request.state == RequestState.PENDING
    days = access_request.granted_days or access_request.days
    if access_request.state not in (RequestState.PENDING, RequestState.APPROVED):
        return Clocks("ended", "not approved", "not approved")
    decide_by = access_request.decide_by if is_open else "decided"
    if is_open and held is None:
        after = f"{span_words(settings.CONNECT_BY_WITHIN)} after"
        return Clocks(decide_by, after, until(held, days, now=now))
    assert held is not None  # a renewal has its credential from the start, an approved one got it
    connect_by = held.connect_by if held.issued_at is None else "connected"
    if is_open:
        return Clocks(decide_by, "stays connected", until(held, days, now=now))
    return Clocks(decide_by, connect_by, held.lives_until or f"{days_words(days)} from connecting")


def until(credential: Credential | None, days: int, *, now: datetime) -> datetime:
    """The end that so many days from now make; what lives longer already keeps its end."""
    end = now + timedelta(days=days)
    if credential is not None and credential.lives_until is not None:
        return max(end, credential.lives_until)
    return end


def shown_state(credential: Credential, *, now: datetime) -> str:
    """The state a badge shows: active access near its end "ends soon"."""
    if credential.state == CredentialState.ACTIVE and policies.ends_soon(credential, now=now):
        return "ends_soon"
    return credential.state
