"""Out of office: naming who decides in one's place, and being back."""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from accounts import audit
from accounts.absence import stand_in_of
from accounts.models import StandIn, User
from accounts.roles import fresh
from tokens import notifications, permissions, policies
from tokens.refusals import Invalid, insist


def name_stand_in(
    *, away: User, instead: User, starts_at: datetime, ends_at: datetime, now: datetime
) -> StandIn:
    """Let somebody decide in one's place from one moment to another; what was arranged before ends.

    Raises `Denied` for who decides nothing themselves, `Invalid` for spans and people that cannot be.
    """
    insist(permissions.may_name_stand_in(fresh(away)))
    for answer in (
        policies.may_stand_in(away, fresh(instead)),
        policies.absence_fits(starts_at, ends_at, now=now),
    ):
        if not answer:
            raise Invalid(answer.reason)
    with transaction.atomic():
        _end_what_was(away, now)
        row = StandIn.objects.create(
            away=away, instead=instead, starts_at=starts_at, ends_at=ends_at, created_at=now
        )
        audit.record(
            "person.stand_in_named", by=away, target=away, now=now,
            instead=str(instead), first=starts_at, last=row.last_moment,
        )  # fmt: skip
        notifications.stands_in(row, now=now)
    return row


def be_back(*, away: User, now: datetime) -> None:
    """Nobody stands in any more; where nobody did, nothing is done."""
    with transaction.atomic():
        was = stand_in_of(away)
        if _end_what_was(away, now) and was is not None:
            audit.record("person.stand_in_ended", by=away, target=away, now=now)


def _end_what_was(away: User, now: datetime) -> int:
    """The person's row is held, so that two at once come one after the other."""
    User.objects.filter(pk=away.pk).update(name=F("name"))
    return away.stand_ins.filter(ended_at=None).update(ended_at=now)
