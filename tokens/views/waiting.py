"""How does a call wait for a refresh without holding up the rest? Many wait, one of them looks.

Per process and credential one waiter at a time polls the database; the others sleep on its condition and
hold no database connection. At most seven eighths of a process's threads may wait at once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from threading import BoundedSemaphore, Condition, Lock

from django.conf import settings
from django.db import connection, connections, transaction

from accounts import clock
from accounts.models import User
from tokens import outbox, policies
from tokens.models import ClientSecret, Credential
from tokens.operations import keys
from tokens.queries import credentials as queries
from tokens.states import CredentialState

POLL = 0.15
"""Seconds between two looks at the database, at first; later a quarter of what the refresh has taken so far."""
COME_BACK = 5
"""Seconds after which a client that got nothing is asked to call again."""

Lead = Callable[[float], bool]
"""Look until the wait is over (True) or the given monotonic moment has come (False)."""


class Busy(Exception):
    """No token can be handed out yet; the client may come back in `COME_BACK` seconds."""


@dataclass
class Flight:
    """Those who wait for the same thing."""

    condition: Condition = field(default_factory=Condition)
    waiters: int = 0
    is_led: bool = False
    is_settled: bool = False

    def take_lead(self, deadline: float) -> bool:
        """Sleep until the lead is free (True), the wait is over or the time is up (False)."""
        with self.condition:
            while not self.is_settled and (left := deadline - time.monotonic()) > 0:
                if not self.is_led:
                    self.is_led = True
                    return True
                self.condition.wait(left)
        return False

    def hand_over(self, *, is_settled: bool) -> None:
        """Let everybody go, or the next one look."""
        with self.condition:
            self.is_led, self.is_settled = False, is_settled
            self.condition.notify_all()


class Flights:
    """The waits of one process."""

    def __init__(self, most: int) -> None:
        self._places = BoundedSemaphore(most)
        self._lock = Lock()
        self._flights: dict[int, Flight] = {}

    def wait(self, key: int, lead: Lead, *, seconds: float) -> bool:
        """Wait at most so long until somebody's `lead` says that it is over. Raises `Busy` when full."""
        deadline = time.monotonic() + seconds
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            flight = self._join(key)
            try:
                return _follow(flight, lead, deadline)
            finally:
                self._leave(key, flight)
        finally:
            self._places.release()

    def _join(self, key: int) -> Flight:
        with self._lock:
            flight = self._flights.get(key)
            if flight is None or flight.is_settled:
                flight = self._flights[key] = Flight()
            flight.waiters += 1
            return flight

    def _leave(self, key: int, flight: Flight) -> None:
        with self._lock:
            flight.waiters -= 1
            is_over = flight.is_settled or not flight.waiters
            if is_over and self._flights.get(key) is flight:
                del self._flights[key]


def _follow(flight: Flight, lead: Lead, deadline: float) -> bool:
    while flight.take_lead(deadline):
        is_settled = False
        try:
            is_settled = lead(deadline)
        finally:
            flight.hand_over(is_settled=is_settled)
    return flight.is_settled


FLIGHTS = Flights(settings.WEB_THREADS * 7 // 8)


def current_token(
    credential: Credential,
    *,
    secret: ClientSecret | None,
    address: str | None,
    now: datetime,
    by: User | None = None,
) -> keys.HandedOut:
    """The access token a client may have now; waits for a refresh where one is due.

    Raises `StaleState` when it is disconnected or has ended, also while waiting, and `Busy` when no
    token comes in time, at once where none is asked for any more.
    """
    hand_out = partial(
        keys.hand_out, credential_id=credential.pk, secret=secret, address=address, by=by
    )
    handed = None
    if credential.state != CredentialState.ISSUING:
        handed = hand_out(now=now)
    if handed is None and policies.is_about_to_end(credential, now=now):
        raise Busy
    if handed is None and _wait_for(credential.pk):
        handed = hand_out(now=clock.now())
    if handed is None:
        raise Busy
    return handed


def _wait_for(credential_id: int) -> bool:
    _let_go_of_database()
    seconds = settings.TOKEN_WAIT.total_seconds()
    try:
        return FLIGHTS.wait(
            credential_id, lambda until: _lead(credential_id, until), seconds=seconds
        )
    except Busy:
        _order(credential_id)  # so that who comes back finds it done
        raise


def _lead(credential_id: int, deadline: float) -> bool:
    """Order the refresh, nudge again when it may begin, and look until a token can be handed out."""
    began, nudge_at = time.monotonic(), _order(credential_id)
    while True:
        if nudge_at is not None and time.monotonic() >= nudge_at:
            began, nudge_at = time.monotonic(), None
            _nudge(credential_id)
        if _is_over(credential_id):
            return True
        _let_go_of_database()
        now = time.monotonic()
        if now >= deadline:
            return False
        wake_at = min(deadline, now + max(POLL, (now - began) / 4), nudge_at or deadline)
        time.sleep(max(0.0, wake_at - now))


def _order(credential_id: int) -> float | None:
    """Owe the refresh. Returns the monotonic moment at which it may begin, if that is still to come."""
    now = clock.now()
    credential, grant = queries.for_serving(credential_id)
    if credential.state != CredentialState.ACTIVE:
        return None
    if not queries.is_refresh_backing_off(credential, now=now):
        keys.order_refresh(credential, now=now)
    if grant is None or grant.serve_until is None or grant.serve_until <= now:
        return None
    return time.monotonic() + (grant.serve_until - now).total_seconds()


def _nudge(credential_id: int) -> None:
    credential, _ = queries.for_serving(credential_id)
    with transaction.atomic():
        outbox.nudge(credential.helpdesk.slug)


def _is_over(credential_id: int) -> bool:
    """Whether waiting any longer would change nothing: a token can be handed out, or none ever will."""
    credential, grant = queries.for_serving(credential_id)
    if credential.state == CredentialState.ISSUING:
        return False
    if credential.state != CredentialState.ACTIVE:
        return True
    return grant is not None and policies.seconds_to_tell(grant, now=clock.now()) is not None


def _let_go_of_database() -> None:
    """Who waits holds no connection; inside a transaction there is nothing that could be let go."""
    if not connection.in_atomic_block:
        connections.close_all()
