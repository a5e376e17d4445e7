"""What Celery calls, by name: each task is one call. The rows are the truth; a task only looks.

Here too: how a worker process starts, shows that it lives, and ends.
"""

import logging
import os
import sys
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from threading import Event, Lock, Thread, Timer

from celery import shared_task
from celery.signals import worker_init, worker_ready, worker_shutting_down
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection

from accounts import clock
from tokens import outbox, worker
from tokens.connectors.registry import connector_for
from tokens.crew import Crew
from tokens.limiter import shared_limiter
from tokens.messages import mail, webhooks
from tokens.operations import emergencies, heartbeats, sweeps

logger = logging.getLogger(__name__)

THREADS = 16
"""Where the worker does not say how many it has."""
crew = Crew(THREADS)
_ENDS_AT_ONCE, _BREATH = 20, 0.2
"""So many leases are ended in a row, then so many seconds are left to those who delete their tokens: nothing is
handed out past its end anyway, and ten thousand ends must not keep the database from the first deletion."""
_KEEP_WITHIN = 1.0
"""Seconds after the deadline of the last call in which its answer is kept by a process that ends."""
_HAND_BACK_WITHIN = 1.0
"""Seconds a process that ends waits for the database to hear what it hands back."""
_ending = Event()
_expiring = Lock()
_mailing = Lock()
_telling: dict[str, Lock] = {}
"""By destination."""


# --- The process -------------------------------------------------------------------------------------


@worker_init.connect
def refuse_to_start(sender: object = None, **_: object) -> None:
    """A worker that lacks a secret, or the Redis all workers share, ends at once with a sentence."""
    if missing := worker.lacking():
        sys.exit(missing)
    if not settings.CELERY_BROKER_URL:
        sys.exit("A worker needs CELERY_BROKER_URL or REDIS_URL, such as redis://host:6379/0.")
    try:
        shared_limiter()
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    threads = getattr(sender, "concurrency", None) or THREADS
    crew.most = fair_share(threads, helpdesks=len(settings.HELPDESKS))


def fair_share(threads: int, *, helpdesks: int) -> int:
    """How many threads one helpdesk may hold: three quarters shared by all, the rest is for sweeps and mail."""
    return max(1, threads * 3 // 4 // max(1, helpdesks))


@worker_ready.connect
def begin(**_: object) -> None:
    """Show life from now on, and look at once: what was owed while nobody worked waits for no beat."""
    Thread(target=_show_life, name="heartbeat", daemon=True).start()
    emergencies.nudge()
    for slug in settings.HELPDESKS:
        outbox.nudge(slug)


def _show_life() -> None:
    """Apart from the tasks, so that a dead beat and a dead worker look different."""
    while True:
        try:
            heartbeats.beat(heartbeats.WORKER, now=clock.now())
        except (OperationalError, InterfaceError) as error:
            logger.warning("The worker cannot show that it lives: %s", _first_line(error))
        finally:
            connection.close()
        if _ending.wait(settings.DUE_SWEEP.total_seconds()):
            return


@worker_shutting_down.connect
def end(**_: object) -> None:
    """Begin no further job. A call in flight has its deadline to be answered and kept; then the process ends.

    Celery's thread pool would wait for ever. Who waits for a slot of the budget then holds nothing; what
    is in hand is handed back, and a call that was cut off is one whose answer is unknown. How long that takes at
    most stands in docs/install.md.
    """
    crew.end()
    _ending.set()
    patience = Timer(settings.CALL_DEADLINE.total_seconds() + _KEEP_WITHIN, _leave)
    patience.daemon = True
    patience.start()


def _leave() -> None:
    """End, whatever the database does: what it does not hear of is free when its claim ends."""
    handing_back = Thread(target=_hand_back, name="hand-back", daemon=True)
    handing_back.start()
    handing_back.join(_HAND_BACK_WITHIN)
    logging.shutdown()
    os._exit(0)


def _hand_back() -> None:
    try:
        count = outbox.release(worker.process_name())
        logger.warning("The worker ends with work in hand; jobs handed back: %s", count)
    except (OperationalError, InterfaceError) as error:
        logger.warning("The worker ends with work in hand: %s", _first_line(error))
    finally:
        connection.close()


# --- The tasks ---------------------------------------------------------------------------------------


def _bearing_outages(task: Callable[..., None]) -> Callable[..., None]:
    """Without a database there is nothing to do but to say so: what is owed is found when it is back."""

    @wraps(task)
    def run(*args: str) -> None:
        try:
            task(*args)
        except (OperationalError, InterfaceError) as error:
            logger.warning(
                "%s: the database does not answer: %s", task.__name__, _first_line(error)
            )

    return run


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


@shared_task(name="tokens.run_due")
@_bearing_outages
def run_due(slug: str) -> None:
    """Work off what is due on one helpdesk. Who finds work calls one more, so that a heap is met by all."""
    is_first = True

    def one() -> bool:
        nonlocal is_first
        taken = worker.run_due(
            slug=slug, clock=clock.now, limiter=shared_limiter(), connect=connector_for, most=1,
            may_begin=crew.may_begin,
        )  # fmt: skip
        if taken and is_first and crew.has_room(slug):
            outbox.nudge(slug)
            is_first = False
        return bool(taken)

    crew.work(slug, one)


@shared_task(name="tokens.sweep")
@_bearing_outages
def sweep() -> None:
    """Find what time changed and what messages missed."""
    sweeps.sweep(now=clock.now())


@shared_task(name="tokens.expire")
@_bearing_outages
def expire() -> None:
    """End what has reached its end, at its moment: who finds that an end falls before beat's next message waits for it."""
    _once_at_a_time(_expiring, lambda: _expire_until(clock.now() + settings.DUE_SWEEP))


def _expire_until(last: datetime) -> None:
    while not _ending.is_set():
        now = clock.now()
        if sweeps.expire_credentials(now=now, most=_ENDS_AT_ONCE):
            _ending.wait(_BREATH)
            continue
        soonest = sweeps.next_end(after=now)
        if soonest is None or soonest > last:
            return
        _ending.wait(max(0.0, (soonest - now).total_seconds()))


@shared_task(name="tokens.send_mail")
@_bearing_outages
def send_mail() -> None:
    """Send what is waiting to be sent. One thread of a worker at a time: a slow mail server takes no other."""
    _once_at_a_time(_mailing, lambda: mail.send_due(clock=clock.now))


@shared_task(name="tokens.tell_destination")
@_bearing_outages
def tell_destination(name: str) -> None:
    """Send one destination what waits for it. One thread each: a slow one takes no other, and mail knows nothing of it."""
    if name in settings.WEBHOOKS:
        lock = _telling.setdefault(name, Lock())
        _once_at_a_time(lock, lambda: webhooks.send_due(name, clock=clock.now))


def _once_at_a_time(lock: Lock, act: Callable[[], object]) -> None:
    """Whoever comes while it runs goes away: what is left is found the next time."""
    if not lock.acquire(blocking=False):
        return
    try:
        act()
    finally:
        lock.release()


@shared_task(name="tokens.beat")
@_bearing_outages
def beat() -> None:
    """Show that beat sends and a worker takes."""
    heartbeats.beat(heartbeats.BEAT, now=clock.now())


@shared_task(name="tokens.carry_on_emergencies")
@_bearing_outages
def carry_on_emergencies() -> None:
    """End what an admin ordered to be ended all at once, batch after batch, until nothing moves."""
    while not _ending.is_set() and emergencies.carry_on_all(now=clock.now()):
        pass
