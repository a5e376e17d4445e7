"""Out of office: somebody decides in the place of somebody who is away, for a time.

Who stands in decides what the other may decide, and nothing else of theirs: no admin's pages, and nobody
passes on what they stand in for. What may be decided so stands in tokens/permissions.py.
"""

from datetime import datetime, timedelta

from django.db import transaction

from accounts import audit
from accounts.models import StandIn, User
from accounts.refusals import Refused

LONGEST = timedelta(days=60)
"""How long somebody may be away at a time: their groups are not read again meanwhile."""


def absent_of(user: User) -> tuple[User, ...]:
    """The active people in whose place this person decides now, read once per instance."""
    if user.known_absent is None:
        rows = StandIn.objects.in_force().filter(instead=user.pk, away__deactivated_at=None)
        user.known_absent = tuple(row.away for row in rows.select_related("away").order_by("pk"))
    return user.known_absent


def stand_in_of(user: User) -> StandIn | None:
    """What this person has arranged for when they are away, if it is not over."""
    return user.stand_ins.filter(ended_at=None).select_related("instead").first()


def arrange(
    *, away: User, instead: User, starts_at: datetime, ends_at: datetime, now: datetime
) -> StandIn:
    """Let somebody decide in one's place from one moment to another; what was arranged before ends.

    Raises `Refused` (400) for spans and people that cannot be.
    """
    if instead.pk == away.pk or not instead.is_active:
        raise Refused("Name somebody else who works here.", status=400)
    if not max(starts_at, now) < ends_at <= starts_at + LONGEST:
        raise Refused(
            f"It has to end after it starts and after today, and within {LONGEST.days} days.",
            status=400,
        )
    with transaction.atomic():
        User.objects.filter(pk=away.pk).update(
            name=away.name
        )  # two at once come one after the other
        away.stand_ins.filter(ended_at=None).update(ended_at=now)
        row = StandIn.objects.create(
            away=away, instead=instead, starts_at=starts_at, ends_at=ends_at, made_at=now
        )
        audit.record(
            "person.stand_in_named", by=away, target=away, now=now,
            instead=str(instead), starts_at=starts_at, ends_at=ends_at,
        )  # fmt: skip
    return row


def end(*, away: User, now: datetime) -> None:
    """Back again: nobody stands in any more."""
    with transaction.atomic():
        if away.stand_ins.filter(ended_at=None).update(ended_at=now):
            audit.record("person.stand_in_ended", by=away, target=away, now=now)
