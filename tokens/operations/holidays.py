"""Which days are not worked. What waits already keeps its clock."""

from datetime import date, datetime, timedelta

from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import User
from accounts.roles import fresh
from tokens import permissions
from tokens.models import Holiday
from tokens.refusals import Invalid, insist

FURTHEST = timedelta(days=3 * 366)


def add(*, day: date, name: str, by: User, today: date, now: datetime) -> Holiday:
    """Enter a day that is not worked. Raises `Denied`, and `Invalid` for the past, three years on, and a second time."""
    insist(permissions.may_operate(fresh(by)))
    if day < today:
        raise Invalid("That day is over.")
    if day > today + FURTHEST:
        raise Invalid("Enter days of the next three years.")
    try:
        with transaction.atomic():
            holiday = Holiday.objects.create(day=day, name=name)
            audit.record(
                "holiday.added", by=by, target=holiday, now=now, day=day.isoformat(), name=name
            )
    except IntegrityError as error:
        raise Invalid("That day is entered already.") from error
    return holiday


def remove(*, holiday: Holiday, by: User, now: datetime) -> None:
    """Make a day a working day again. Raises `Denied`; a day that somebody else took out is gone all the same."""
    insist(permissions.may_operate(fresh(by)))
    with transaction.atomic():
        told = {"day": holiday.day.isoformat(), "name": holiday.name}
        if Holiday.objects.filter(pk=holiday.pk).delete()[0]:
            audit.record("holiday.removed", by=by, target=holiday, now=now, **told)
