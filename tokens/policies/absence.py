"""Who may stand in for whom, and for how long."""

from datetime import datetime, timedelta

from accounts.models import GROUPS_HOLD, User
from accounts.roles import Role, roles_of
from tokens.refusals import YES, Answer, no

FURTHEST = timedelta(days=366)


def may_stand_in(away: User, instead: User) -> Answer:
    """Somebody else, who works here and decides: auditors change nothing."""
    if instead.pk == away.pk or not instead.is_active:
        return no("Name somebody else.")
    if Role.AUDITOR in roles_of(instead):
        return no("An auditor changes nothing, so cannot decide in your place.")
    return YES


def absence_fits(starts_at: datetime, ends_at: datetime, *, now: datetime) -> Answer:
    """It ends after it starts and after now, lasts no longer than groups hold, and starts within a year."""
    if not max(starts_at, now) < ends_at:
        return no("It ends before it starts, or is over.")
    if ends_at - starts_at > GROUPS_HOLD:
        return no(f"Somebody can stand in for {GROUPS_HOLD.days} days at most.")
    return YES if starts_at <= now + FURTHEST else no("It has to start within a year.")
