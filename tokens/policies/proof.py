"""Whether what the helpdesk says of a token is exactly what was approved."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from tokens.connectors.base import TokenRecord
from tokens.models import Credential, Grant
from tokens.refusals import YES, Answer, no


@dataclass(frozen=True)
class Wanted:
    """What a new pair has to be, to be kept."""

    client_number: int
    user_id: int
    scopes: frozenset[str]
    access_by: datetime
    refresh_by: datetime


def wanted(credential: Credential, grant: Grant, *, client_number: int) -> Wanted:
    """What was asked for with `grant`; expiries may be later by the tolerance, counted from the answer."""
    start = (grant.answered_at or grant.intended_at) + settings.EXPIRY_TOLERANCE
    return Wanted(
        client_number=client_number,
        user_id=credential.acts_as.remote_id,
        scopes=credential.scopes,
        access_by=start + timedelta(seconds=grant.asked_access_seconds),
        refresh_by=start + timedelta(seconds=grant.asked_refresh_seconds),
    )


def is_proved(record: TokenRecord, want: Wanted) -> Answer:
    """Whether the helpdesk's own description of a token is exactly what was approved."""
    if record.client_id != want.client_number:
        return no("The token belongs to another application.")
    if record.user_id != want.user_id:
        return no("Somebody else was signed in on the helpdesk.")
    if record.scopes != want.scopes:
        return no("The helpdesk gave other permissions than were approved.")
    if record.expires_at is None or record.refresh_expires_at is None:
        return no("The helpdesk gave a token without an end.")
    if record.expires_at > want.access_by or record.refresh_expires_at > want.refresh_by:
        return no("The helpdesk gave a token that lives longer than was asked for.")
    return YES


def lacks_proof(record: TokenRecord) -> bool:
    """Whether a description leaves out something the proof needs."""
    needed = (record.client_id, record.user_id, record.scopes, record.expires_at)
    return None in needed or record.refresh_expires_at is None


def is_as_proved(record: TokenRecord, grant: Grant) -> Answer:
    """Whether the helpdesk still describes a live token as it was approved and proved.

    Its ends may not move past what was proved, nor past the lease and the helpdesk's least life.
    """
    assert grant.credential is not None
    credential = grant.credential
    if record.user_id != credential.acts_as.remote_id:
        return no("On the helpdesk its token acts as somebody else now.")
    if record.scopes != credential.scopes:
        return no("On the helpdesk its token has other permissions now than were approved.")
    if record.expires_at is None or record.refresh_expires_at is None:
        return no("On the helpdesk its token has no end any more.")
    access_by = _latest(
        credential.lives_until, settings.ACCESS_TOKEN_LEAST, grant.access_expires_at
    )
    refresh_by = _latest(
        credential.lives_until, settings.REFRESH_TOKEN_LEAST, grant.refresh_expires_at
    )
    if record.expires_at > access_by or record.refresh_expires_at > refresh_by:
        return no("On the helpdesk its token lives longer now than it may.")
    return YES


def _latest(lease_end: datetime | None, least: timedelta, proved: datetime | None) -> datetime:
    """The latest end that is right: the lease's and the least life, or what was proved if that is later."""
    assert lease_end is not None
    return max(lease_end + least, proved or lease_end) + settings.EXPIRY_TOLERANCE
