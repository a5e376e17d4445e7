"""Which messages wait, where, and whom a message is owed. How they go out stands in messages/."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import (
    CharField,
    Count,
    DateTimeField,
    Exists,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Value,
)
from django.db.models.functions import Cast, Concat

from accounts.models import User
from tokens.destinations import MAIL, Kind
from tokens.models import Credential, MailChoice, Notification, NotificationQuerySet
from tokens.models.messages import UNSENT, for_a_daily_mail
from tokens.queries.pages import count_of
from tokens.states import CredentialState

Failure = Notification.Failure
MOST_SHOWN = 50
LOOKED_UP = 500
"""How many at a time are asked about."""
REMEMBERED = timedelta(days=7)
"""How long a message that was given up is spoken of."""


def halfway_to_connect(*, now: datetime) -> QuerySet[Credential]:
    """Access for which half of the time to connect is over, and nobody has been told so."""
    at = Value(now, output_field=DateTimeField())
    event = Concat(Value(f"{Kind.CONNECT_WAITING}:"), Cast(OuterRef("pk"), CharField()))
    rows = Credential.objects.filter(
        ~Exists(Notification.objects.filter(event=event)),
        state=CredentialState.AWAITING_CONSENT, connect_by__gt=now,
    ).annotate(waited=at - F("ordered_at"), left=F("connect_by") - at)  # fmt: skip
    return rows.filter(waited__gte=F("left"))


def end_event(credential: Credential, days: int) -> str:
    """The one event that an access reaches so many days before its end; a renewed one reaches another."""
    return f"{Kind.ENDS_SOON}:{credential.pk}:{credential.lives_until:%Y%m%d}:{days}"


def not_told(rows: QuerySet[Credential], days: int) -> Iterator[Credential]:
    """Those of which nobody has been told that their end is so many days away, in the order they come."""
    pks = list(rows.values_list("pk", flat=True))
    for start in range(0, len(pks), LOOKED_UP):
        some = rows.filter(pk__in=pks[start : start + LOOKED_UP])
        events = {end_event(row, days): row for row in some}
        told = Notification.objects.filter(event__in=events).values_list("event", flat=True)
        for event in set(told):
            del events[event]
        yield from events.values()


# --- How somebody wants their mail ---------------------------------------------------------------------


def mail_choice(user: User) -> MailChoice.How:
    """At once, unless they chose otherwise."""
    row = MailChoice.objects.filter(user=user).first()
    return MailChoice.How(row.how) if row else MailChoice.How.AT_ONCE


def waiting_for_a_daily_mail(user: User, *, now: datetime) -> int:
    """How many messages of this person wait for it, to a hundred."""
    return count_of(Notification.objects.filter(recipient=user).for_a_daily_mail(now))


# --- What the operator is shown ------------------------------------------------------------------------


@dataclass(frozen=True)
class PlaceCounts:
    """How many messages wait at one place, a destination or `MAIL`, and which failed for what."""

    destination: str
    waiting: int = 0
    later: int = 0
    """Messages that wait for somebody's daily mail."""
    away: int = 0
    refused: int = 0
    given_up: int = 0
    bundles_given_up: int = 0
    """The mails in which they would have gone: several messages may go in one."""
    oldest_at: datetime | None = None
    away_error: str = ""
    refused_error: str = ""
    given_up_error: str = ""

    @property
    def error(self) -> str:
        """The gravest of the three, for the table."""
        return self.away_error or self.refused_error or self.given_up_error


def places(names: Iterable[str], *, now: datetime) -> list[PlaceCounts]:
    """Mail, each destination named, and any other that something waits for."""
    found = {one.destination: one for one in _counted(now=now)}
    order = [MAIL, *names]
    others = sorted(set(found) - set(order))
    return [found.get(name, PlaceCounts(name)) for name in [*order, *others]]


def _counted(*, now: datetime) -> Iterator[PlaceCounts]:
    is_later, is_recent = for_a_daily_mail(now), Q(given_up_at__gt=now - REMEMBERED)
    is_waiting = UNSENT & ~is_later
    rows = Notification.objects.filter(sent_at=None).values("destination")
    counted = rows.annotate(
        waiting=Count("pk", filter=is_waiting),
        later=Count("pk", filter=is_later),
        away=Count("pk", filter=UNSENT & Q(failure=Failure.AWAY)),
        refused=Count("pk", filter=UNSENT & Q(failure=Failure.REFUSED)),
        given_up=Count("pk", filter=is_recent),
        bundles_given_up=Count("bundle", filter=is_recent, distinct=True),
        oldest_at=Min("created_at", filter=is_waiting),
    )
    for row in counted:
        here = Notification.objects.filter(destination=row["destination"])
        failed, given_up = here.unsent(), here.filter(is_recent, sent_at=None)
        yield PlaceCounts(
            **row,
            away_error=_latest_error(failed.filter(failure=Failure.AWAY), "-not_before"),
            refused_error=_latest_error(failed.filter(failure=Failure.REFUSED), "-not_before"),
            given_up_error=_latest_error(given_up, "-given_up_at"),
        )


def _latest_error(failed: NotificationQuerySet, latest: str) -> str:
    """No row says when it was last tried; the one that is tried again last stands for it."""
    return failed.exclude(error="").order_by(latest).values_list("error", flat=True).first() or ""


def failed_messages() -> list[Notification]:
    """Messages whose sending has failed and that are still to be sent, the oldest first."""
    rows = Notification.objects.unsent().filter(tries__gt=0).exclude(error="")
    return list(rows.select_related("recipient").order_by("created_at", "id")[:MOST_SHOWN])
