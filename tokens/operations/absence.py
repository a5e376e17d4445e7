"""Out of office: naming who decides in one's place, and being back."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from accounts import audit
from accounts.models import StandIn, User
from accounts.roles import fresh
from tokens import notifications, permissions
from tokens.refusals import Invalid, insist

LONGEST = timedelta(days=60)
"""How long somebody may be away at a time: their groups are not read again meanwhile."""
FURTHEST = timedelta(days=366)


def name_stand_in(
    *, away: User, instead: User, starts_at: datetime, ends_at: datetime, now: datetime
) -> StandIn:
    """Let somebody decide in one's place from one moment to another; what was arranged before ends.

    Raises `Denied` for who decides nothing themselves, `Invalid` for spans and people that cannot be.
    """
    insist(permissions.may_name_stand_in(fresh(away)))
    if instead.pk == away.pk or not instead.is_active:
        raise Invalid("Name somebody else who works here.")
    if not max(starts_at, now) < ends_at:
        raise Invalid("It ends before it starts, or is over.")
    if ends_at - starts_at > LONGEST:
        raise Invalid(f"Somebody can stand in for {LONGEST.days} days at most.")
    if starts_at > now + FURTHEST:
        raise Invalid("It has to start within a year.")
    with transaction.atomic():
        _end_what_was(away, now)
        row = StandIn.objects.create(
            away=away, instead=instead, starts_at=starts_at, ends_at=ends_at, made_at=now
        )
        audit.record(
            "person.stand_in_named", by=away, target=away, now=now,
            instead=str(instead), starts_at=starts_at, ends_at=ends_at,
        )  # fmt: skip
        notifications.stands_in(row, now=now)
    return row


def be_back(*, away: User, now: datetime) -> None:
    """Nobody stands in any more; where nobody did, nothing is done."""
    with transaction.atomic():
        if _end_what_was(away, now):
            audit.record("person.stand_in_ended", by=away, target=away, now=now)


def _end_what_was(away: User, now: datetime) -> int:
    """The person's row is held, so that two at once come one after the other."""
    User.objects.filter(pk=away.pk).update(name=F("name"))
    return away.stand_ins.filter(ended_at=None).update(ended_at=now)
