"""How messages go out: held before they are sent, tried again later, each once. By what means is the caller's.

A *place* is what can be away as a whole: the mail server, or one destination. A message is a row. Those that go out
together to one addressee are a *bundle*, which has its id from the first try on, the same at every try.
"""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from tokens.models import Notification, NotificationQuerySet

logger = logging.getLogger(__name__)

HOLD = timedelta(seconds=120)
FEW = 3
"""After so many tries it may be the bundle that is at fault, not the place."""
Failure = Notification.Failure
PAUSES = {Failure.AWAY: (30, 60, 300), Failure.REFUSED: (30, 60, 300, 900, 3600)}
"""Seconds after the first, second, … failed try, at most; the last one from then on. A place that is back is soon found."""
Clock = Callable[[], datetime]


class Away(Exception):
    """The place does not answer as it should. If that is so for others too, it is left alone until the next try."""


class Refused(Exception):
    """The place answered that it does not take this bundle; it may take the next."""


class Unmade(Exception):
    """Nothing that can be sent could be made of it: the place was not asked."""


class Hopeless(Exception):
    """There is nobody to send it to any more."""


class Outcome(Enum):
    """What became of one try, and so what it says of the place."""

    SENT = auto()
    AWAY = auto()
    REFUSED = auto()
    """The place answered, as it does when it takes a bundle."""
    NOT_ASKED = auto()
    """An error of our own, or nobody to send it to: it says nothing of the place."""


@dataclass(frozen=True)
class Bundle:
    """Messages to one addressee that go out together."""

    id: UUID
    rows: Sequence[Notification]


Send = Callable[[Bundle, datetime], None]
"""Sends one bundle or raises `Away`, `Refused`, `Unmade` or `Hopeless`; anything else is an error of our own."""


def send_due(
    place: NotificationQuerySet, *, send: Send, clock: Clock, together: int, most: int
) -> int:
    """Try what is due at one place: at most `most` bundles, each of at most `together` messages.

    Returns how many messages went out, not how many bundles.

    A bundle is held before it is sent, so that two senders do not send it twice; one whose sending
    is cut off by a crash is sent again, under the same id, which is the lesser evil.

    A place is away when two bundles in a row say so, or one does and no other shows that it answers: by taking
    one or refusing it. Else it is that one alone that is not taken. One that says nothing of the place does not
    count between two that do. After a few tries the next one is something new, where there is any: two that
    nobody can take would else hold up all others for ever.
    """
    sent, missed, has_answered = 0, None, False
    if rests(place, now=clock()):
        return 0
    for _ in range(most):
        is_witness = missed is not None and missed.rows[0].tries >= FEW
        bundle = take(place, now=clock(), together=together, is_witness=is_witness)
        if bundle is None:
            break
        outcome = _attempt(bundle, send, now=clock()) if bundle.rows else Outcome.NOT_ASKED
        sent += len(bundle.rows) if outcome is Outcome.SENT else 0
        if outcome is Outcome.AWAY and missed is not None:
            return sent
        if outcome is Outcome.AWAY:
            missed = bundle
        elif outcome is not Outcome.NOT_ASKED:
            _blame(missed)
            has_answered, missed = True, None
    if has_answered:
        _blame(missed)
    return sent


def rests(place: NotificationQuerySet, *, now: datetime) -> bool:
    """Whether the place was away at the last try, and the next one is not due."""
    return place.unsent().filter(failure=Failure.AWAY, not_before__gt=now).exists()


def take(
    place: NotificationQuerySet, *, now: datetime, together: int, is_witness: bool = False
) -> Bundle | None:
    """Hold the next bundle: the oldest that was tried before, else what is new for whoever waits longest.

    A witness is rather something that was not tried often, or never, for whomever.
    None: nothing is due. Without rows: somebody else was faster.
    """
    due = place.unsent().filter(not_before__lte=now).order_by("not_before", "id")
    tried = due.filter(bundle__isnull=False).order_by("id")
    if is_witness:
        rarely = tried.filter(tries__lte=FEW).first()
        first = rarely or due.filter(bundle=None).first() or tried.first()
    else:
        new = due.filter(bundle=None) if together == 1 else _for_whom_nothing_is_tried(due)
        first = tried.first() or new.first()
    if first is None:
        return None
    with transaction.atomic():
        same = due.filter(_same_bundle(first)).order_by("id").select_for_update()
        rows = list(same[:together])
        number = first.bundle or uuid4()
        Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
            bundle=number, not_before=now + HOLD, tries=F("tries") + 1
        )
    return Bundle(number, rows)


def _for_whom_nothing_is_tried(due: NotificationQuerySet) -> NotificationQuerySet:
    """New rows, but not while an earlier bundle to the same addressee is on its way: they are the next one together."""
    unsent = Notification.objects.unsent()
    tried = unsent.filter(bundle__isnull=False).exclude(failure=Failure.REFUSED)
    same = Q(recipient=OuterRef("recipient")) | Q(
        recipient=None, destination=OuterRef("destination")
    )
    return due.filter(~Exists(tried.filter(same)), bundle=None)


def _same_bundle(first: Notification) -> Q:
    if first.bundle is not None:
        return Q(bundle=first.bundle)
    return Q(bundle=None, recipient=first.recipient_id, destination=first.destination)


def _attempt(bundle: Bundle, send: Send, *, now: datetime) -> Outcome:
    """Send it and note what became of it."""
    try:
        send(bundle, now)
    except Away as error:
        return put_off(bundle, Outcome.AWAY, str(error), now=now)
    except Refused as error:
        return put_off(bundle, Outcome.REFUSED, str(error), now=now)
    except Unmade as error:
        return put_off(bundle, Outcome.NOT_ASKED, str(error), now=now)
    except Hopeless as error:
        return _give_up(bundle, str(error), now=now)
    except Exception as error:
        logger.exception("Bundle %s", bundle.id)
        said = f"An error of Keydesk's own ({type(error).__name__}); the log says more."
        return put_off(bundle, Outcome.NOT_ASKED, said, now=now)
    _rows(bundle).update(sent_at=now, error="", failure="")
    return Outcome.SENT


def put_off(bundle: Bundle, outcome: Outcome, error: str, *, now: datetime) -> Outcome:
    """Note why it was not sent, and when it is tried again. What was not asked for holds up nobody, like what is refused."""
    failure = Failure.AWAY if outcome is Outcome.AWAY else Failure.REFUSED
    tries, pauses = bundle.rows[0].tries + 1, PAUSES[failure]
    bound = pauses[min(tries, len(pauses)) - 1]
    pause = random.uniform(bound / 2, bound)  # noqa: S311 - jitter, no secret
    _rows(bundle).update(
        failure=failure, error=error[:300], not_before=now + timedelta(seconds=pause)
    )
    if failure == Failure.REFUSED:
        _part(bundle)
    logger.warning("Bundle %s was not sent: %s", bundle.id, error)
    return outcome


def _give_up(bundle: Bundle, error: str, *, now: datetime) -> Outcome:
    _rows(bundle).update(given_up_at=now, failure="", error=error[:300])
    logger.warning("Bundle %s is given up: %s", bundle.id, error)
    return Outcome.NOT_ASKED


def _blame(bundle: Bundle | None) -> None:
    """The place answers others: nothing waits for this one."""
    if bundle is None:
        return
    _rows(bundle).update(failure=Failure.REFUSED)
    _part(bundle)


def _part(bundle: Bundle) -> None:
    """What is not taken together is tried one by one: nothing of it has arrived, and one may have spoilt the rest."""
    for row in bundle.rows[1:]:
        Notification.objects.filter(pk=row.pk).update(bundle=uuid4())


def _rows(bundle: Bundle) -> NotificationQuerySet:
    return Notification.objects.filter(pk__in=[row.pk for row in bundle.rows])
