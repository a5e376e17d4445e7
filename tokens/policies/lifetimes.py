"""How long: what to ask the helpdesk for, how long what came may be served, when an end is near."""

from datetime import datetime, timedelta

from django.conf import settings

from tokens.models import Credential, Grant
from tokens.models.requests import Rhythm
from tokens.refusals import YES, Answer, moment_words, no
from tokens.states import CredentialState

ENDS_SOON = timedelta(days=7)
EVERY: dict[str, timedelta] = {
    Rhythm.HOURLY: timedelta(hours=1), Rhythm.DAILY: timedelta(days=1),
    Rhythm.WEEKLY: timedelta(days=7), Rhythm.MONTHLY: timedelta(days=31),
}  # fmt: skip
IDLE_LEAST = timedelta(days=7)
IDLE_UNSAID = timedelta(days=30)
A_DAY = timedelta(days=1)


def ends_soon(credential: Credential, *, now: datetime) -> bool:
    """Whether its end is near: within a week, or before a script that runs more rarely has run once more."""
    if credential.lives_until is None:
        return False
    return credential.lives_until - now < max(ENDS_SOON, EVERY.get(credential.rhythm, ENDS_SOON))


def ended_early(credential: Credential) -> bool:
    """Whether it is ending, and by somebody's word rather than by time."""
    if credential.state != CredentialState.REVOKING or credential.ending_since is None:
        return False
    return credential.lives_until is None or credential.ending_since < credential.lives_until


def least_days(credential: Credential, *, now: datetime) -> int:
    """The fewest days from now that reach beyond the end it has: a renewal for fewer would change nothing."""
    if credential.lives_until is None:
        return 1
    return max(1, (credential.lives_until - now) // A_DAY + 1)


def moves_the_end(credential: Credential, *, days: int, now: datetime) -> Answer:
    """Whether a renewal for so many days from now changes something: it only ever moves the end further."""
    least = least_days(credential, now=now)
    if days >= least or credential.lives_until is None:
        return YES
    return no(
        f"It lives until {moment_words(credential.lives_until)} as it is, so this would change "
        f"nothing. It takes at least {least} days from today."
    )


def is_idle(credential: Credential, *, last_used_at: datetime | None, now: datetime) -> bool:
    """Whether it was not used for longer than twice what its script said, and a week at least.

    A script that said it runs once is idle a day after it has run; one that said nothing, after thirty days.
    """
    since = last_used_at or credential.issued_at
    if since is None:
        return False
    if credential.rhythm == Rhythm.ONCE and last_used_at is not None:
        return now - since > A_DAY
    every = EVERY.get(credential.rhythm)
    return now - since > (max(IDLE_LEAST, 2 * every) if every else IDLE_UNSAID)


def access_seconds(credential: Credential, *, now: datetime) -> int:
    """How long an access token to ask for: the profile's wish, cut to the lease, within the helpdesk's bounds."""
    lease_end = credential.lives_until or now + timedelta(days=credential.days)
    left = int((lease_end - now).total_seconds())
    least = int(settings.ACCESS_TOKEN_LEAST.total_seconds())
    most = int(settings.ACCESS_TOKEN_MOST.total_seconds())
    return max(least, min(credential.access_token_seconds, left, most))


def refresh_seconds(credential: Credential, *, now: datetime, access: int) -> int:
    """How long a refresh token to ask for: to the end of the lease, within the helpdesk's bounds."""
    lease_end = credential.lives_until or now + timedelta(days=credential.days)
    left = int((lease_end - now).total_seconds())
    least = int(settings.REFRESH_TOKEN_LEAST.total_seconds())
    most = int(settings.REFRESH_TOKEN_MOST.total_seconds())
    return max(least, access, min(left, most))


def reaches_until(now: datetime) -> datetime:
    """Until when what is asked for now may yet be made: time to send it, a slot, and a late commit."""
    late_commits = settings.MINIMUM_AGE - settings.CODE_LIFE - settings.SEND_WITHIN
    return now + settings.SEND_WITHIN + settings.CALL_DEADLINE + late_commits


def is_about_to_end(credential: Credential, *, now: datetime) -> bool:
    """Whether no pair is asked for any more: one made after the lease would outlive it by more than its least life."""
    return credential.lives_until is not None and credential.lives_until <= reaches_until(now)


def serve_until(
    *, sent_at: datetime, access_expires_at: datetime, lives_until: datetime
) -> datetime:
    """Until when a token may be handed out: three quarters of its life, or the lease's end if it reaches it."""
    if access_expires_at >= lives_until:
        return lives_until
    return sent_at + (access_expires_at - sent_at) * 3 / 4


def seconds_to_tell(grant: Grant, *, now: datetime) -> int | None:
    """The `expires_in` a client is told; None when the token must not be served any more."""
    if grant.is_withheld or grant.serve_until is None:
        return None
    left = grant.serve_until - now
    if left < settings.SERVE_LEAST:
        return None
    return int((left - settings.SERVE_MARGIN).total_seconds())


def needs_keep_alive(grant: Grant, lives_until: datetime, *, now: datetime) -> bool:
    """Whether the refresh half would end before the lease does, and soon."""
    ends = grant.refresh_expires_at
    return ends is not None and ends < lives_until and ends - settings.KEEP_ALIVE_MARGIN <= now
