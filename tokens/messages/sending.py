"""How messages go out: held before they are sent, tried again later, each once. By what means is the caller's.

A *place* is what can be away as a whole: the mail server, or one destination. What goes to one addressee
is one message, whose rows share a `bundle` from the first try on, so that it has the same id at every try.
"""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from tokens.models import Notification

logger = logging.getLogger(__name__)

HOLD = timedelta(seconds=120)
Failure = Notification.Failure
PAUSES = {Failure.AWAY: (30, 60, 300), Failure.REFUSED: (30, 60, 300, 900, 3600)}
"""Seconds after the first, second, … failed try, at most; the last one from then on. A place that is back is soon found."""
Clock = Callable[[], datetime]


class Away(Exception):
    """The place does not answer as it should. If that is so for others too, it is left alone until the next try."""


class Refused(Exception):
    """The place does not take this message, and may take the next."""


class Hopeless(Exception):
    """There is nobody to send it to any more."""


@dataclass(frozen=True)
class Message:
    """Rows of one addressee that go out together."""

    id: UUID
    rows: Sequence[Notification]


Send = Callable[[Message, datetime], None]
"""Sends one message or raises `Away`, `Refused` or `Hopeless`; anything else is an error of our own."""


def send_due(
    place: QuerySet[Notification], *, send: Send, clock: Clock, together: int, most: int
) -> int:
    """Send what is due at one place, at most `most` messages of at most `together` rows. Returns how many rows went.

    A message is held before it is sent, so that two senders do not send it twice; one whose sending
    is cut off by a crash is sent again, under the same id, which is the lesser evil. A place is away when two
    messages in a row say so, or there is only one: if the next one goes, it was the first that is not taken.
    """
    sent, missed = 0, None
    for message in _taken(place, clock=clock, together=together, most=most):
        failure = _attempt(message, send, now=clock())
        if failure == Failure.AWAY:
            if missed is not None:
                break
            missed = message
        elif failure is None:
            sent += len(message.rows)
            if missed is not None:
                _blame(missed)
            missed = None
    return sent


def _taken(
    place: QuerySet[Notification], *, clock: Clock, together: int, most: int
) -> Iterator[Message]:
    """One message after the other, held for us; none while the place rests."""
    if rests(place, now=clock()):
        return
    for _ in range(most):
        message = take(place, now=clock(), together=together)
        if message is None:
            return
        if message.rows:
            yield message


def unsent(rows: QuerySet[Notification]) -> QuerySet[Notification]:
    """What is still to be sent of them."""
    return rows.filter(sent_at=None, given_up_at=None)


def rests(place: QuerySet[Notification], *, now: datetime) -> bool:
    """Whether the place was away at the last try, and the next one is not due."""
    return unsent(place).filter(failure=Failure.AWAY, not_before__gt=now).exists()


def take(place: QuerySet[Notification], *, now: datetime, together: int) -> Message | None:
    """Hold the next message: the oldest that was tried before, else what is new for whoever waits longest.

    None: nothing is due. Without rows: somebody else was faster.
    """
    due = unsent(place).filter(not_before__lte=now).order_by("not_before", "id")
    new = due.filter(bundle=None) if together == 1 else _for_whom_nothing_is_tried(due)
    first = due.filter(bundle__isnull=False).order_by("id").first() or new.first()
    if first is None:
        return None
    with transaction.atomic():
        same = due.filter(_same_message(first)).order_by("id").select_for_update()
        rows = list(same[:together])
        number = first.bundle or uuid4()
        Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
            bundle=number, not_before=now + HOLD, tries=F("tries") + 1
        )
    return Message(number, rows)


def _for_whom_nothing_is_tried(due: QuerySet[Notification]) -> QuerySet[Notification]:
    """New rows, but not while an earlier message to the same addressee is on its way: they are the next one together."""
    tried = unsent(Notification.objects.filter(bundle__isnull=False)).exclude(
        failure=Failure.REFUSED
    )
    same = Q(recipient=OuterRef("recipient")) | Q(
        recipient=None, destination=OuterRef("destination")
    )
    return due.filter(~Exists(tried.filter(same)), bundle=None)


def _same_message(first: Notification) -> Q:
    if first.bundle is not None:
        return Q(bundle=first.bundle)
    return Q(bundle=None, recipient=first.recipient_id, destination=first.destination)


def _attempt(message: Message, send: Send, *, now: datetime) -> Failure | None:
    """Send it and note what became of it. None: it went."""
    try:
        send(message, now)
    except Away as error:
        return put_off(message, Failure.AWAY, str(error), now=now)
    except Refused as error:
        return put_off(message, Failure.REFUSED, str(error), now=now)
    except Hopeless as error:
        return _give_up(message, str(error), now=now)
    except Exception as error:
        logger.exception("Message %s", message.id)
        said = f"An error of Keydesk's own ({type(error).__name__}); the log says more."
        return put_off(message, Failure.REFUSED, said, now=now)
    _rows(message).update(sent_at=now, error="", failure="")
    return None


def put_off(message: Message, failure: Failure, error: str, *, now: datetime) -> Failure:
    """Note why it was not sent, and when it is tried again."""
    tries, pauses = message.rows[0].tries + 1, PAUSES[failure]
    bound = pauses[min(tries, len(pauses)) - 1]
    pause = random.uniform(bound / 2, bound)  # noqa: S311 - jitter, no secret
    _rows(message).update(
        failure=failure, error=error[:300], not_before=now + timedelta(seconds=pause)
    )
    logger.warning("Message %s was not sent: %s", message.id, error)
    return failure


def _give_up(message: Message, error: str, *, now: datetime) -> Failure:
    _rows(message).update(given_up_at=now, failure="", error=error[:300])
    logger.warning("Message %s is given up: %s", message.id, error)
    return Failure.REFUSED


def _blame(message: Message) -> None:
    """The place takes others: nothing waits for this one."""
    _rows(message).update(failure=Failure.REFUSED)


def _rows(message: Message) -> QuerySet[Notification]:
    return Notification.objects.filter(pk__in=[row.pk for row in message.rows])
