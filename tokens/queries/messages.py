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
from tokens.models import Credential, MailChoice, Notification
from tokens.states import CredentialState

CONNECT_WAITING = "connect.waiting:"
"""How the event begins that tells an owner so."""
MOST_SHOWN = 50
REMEMBERED = timedelta(days=7)
"""How long a message that was given up is spoken of."""


def halfway_to_connect(*, now: datetime) -> QuerySet[Credential]:
    """Access for which half of the time to connect is over, and nobody has been told so."""
    at = Value(now, output_field=DateTimeField())
    event = Concat(Value(CONNECT_WAITING), Cast(OuterRef("pk"), CharField()))
    rows = Credential.objects.filter(
        ~Exists(Notification.objects.filter(event=event)),
        state=CredentialState.AWAITING_CONSENT, connect_by__gt=now,
    ).annotate(waited=at - F("ordered_at"), left=F("connect_by") - at)  # fmt: skip
    return rows.filter(waited__gte=F("left"))


# --- How somebody wants their mail ---------------------------------------------------------------------


def mail_choice(user: User) -> MailChoice.How:
    """At once, unless they chose otherwise."""
    row = MailChoice.objects.filter(user=user).first()
    return MailChoice.How(row.how) if row else MailChoice.How.AT_ONCE


def waiting_for_a_daily_mail(user: User, *, now: datetime) -> int:
    """How many messages of this person wait for it."""
    rows = Notification.objects.filter(recipient=user, sent_at=None, bundle=None)
    return rows.filter(not_before__gt=now).count()


# --- What the operator is shown ------------------------------------------------------------------------


@dataclass(frozen=True)
class Post:
    """What waits at one place; `destination` is "" for mail."""

    destination: str
    waiting: int = 0
    later: int = 0
    """Messages that wait for somebody's daily mail."""
    away: int = 0
    refused: int = 0
    given_up: int = 0
    oldest_at: datetime | None = None
    error: str = ""


def post(names: Iterable[str], *, now: datetime) -> list[Post]:
    """Mail, each destination named, and any other that something waits for."""
    found = {one.destination: one for one in _counted(now=now)}
    order = ["", *names]
    return [found.get(name, Post(name)) for name in [*order, *sorted(set(found) - set(order))]]


def _counted(*, now: datetime) -> Iterator[Post]:
    is_open, is_later = Q(given_up_at=None), Q(not_before__gt=now, tries=0)
    is_waiting = is_open & ~is_later
    rows = Notification.objects.filter(sent_at=None).values("destination")
    counted = rows.annotate(
        waiting=Count("pk", filter=is_waiting),
        later=Count("pk", filter=is_open & is_later),
        away=Count("pk", filter=is_open & Q(failure=Notification.Failure.AWAY)),
        refused=Count("pk", filter=is_open & Q(failure=Notification.Failure.REFUSED)),
        given_up=Count("pk", filter=Q(given_up_at__gt=now - REMEMBERED)),
        oldest_at=Min("created_at", filter=is_waiting),
    )
    for row in counted:
        yield Post(**row, error=_last_error(row["destination"]))


def _last_error(name: str) -> str:
    failed = Notification.objects.filter(destination=name, sent_at=None).exclude(error="")
    return failed.order_by("-not_before").values_list("error", flat=True).first() or ""


def unsent_messages() -> list[Notification]:
    """Messages whose sending has failed and that are still to be sent, the oldest first."""
    rows = Notification.objects.filter(sent_at=None, given_up_at=None, tries__gt=0).exclude(
        error=""
    )
    return list(rows.select_related("recipient").order_by("created_at", "id")[:MOST_SHOWN])
