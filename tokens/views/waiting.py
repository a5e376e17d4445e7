"""How does a call wait for a refresh without holding up the rest? Many wait, one of them looks.

Of all who wait in a process one at a time is on the lookout: it asks the database about everything that is waited
for, in one go. The others sleep and hold no database connection. At most seven eighths of a process's threads may
wait at once.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import BoundedSemaphore, Condition, Lock

from django.conf import settings
from django.db import connection, connections, transaction

from accounts import clock
from accounts.models import User
from tokens import outbox, policies
from tokens.models import ClientSecret, Credential, Grant
from tokens.operations import keys
from tokens.queries import credentials as queries
from tokens.states import CredentialState

POLL = 0.15
"""Seconds between two looks at what has just begun to be waited for; later a quarter of what it has taken so far."""
COME_BACK = 5
"""Seconds after which a client that got nothing is asked to call again."""

Order = Callable[[int], float | None]
"""Owe what is waited for. Returns the monotonic moment from which on a nudge helps, or None."""


class Busy(Exception):
    """No token can be handed out yet; the client may come back in `COME_BACK` seconds."""


@dataclass
class Wait:
    """One thing that is waited for, by one call or by many. Moments are monotonic."""

    key: int
    began: float
    look_at: float
    nudge_at: float | None = None
    waiters: int = 0
    is_ordered: bool = False
    is_over: bool = False


class Waits:
    """The waits of one process. `look` says which of these keys nobody needs to wait for any longer."""

    def __init__(
        self,
        most: int,
        *,
        look: Callable[[Collection[int]], Collection[int]],
        nudge: Callable[[int], None],
    ) -> None:
        self._places = BoundedSemaphore(most)
        self._look, self._nudge = look, nudge
        lock = Lock()
        self._over, self._news = Condition(lock), Condition(lock)
        self._awaited: dict[int, Wait] = {}
        self._has_lookout = False

    def wait(self, key: int, order: Order, *, seconds: float) -> bool:
        """Wait at most so long until a look says that it is over. Raises `Busy` when full.

        Of those who wait for the same the first orders it; what that raises is the first one's alone.
        """
        deadline = time.monotonic() + seconds
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            wait = self._join(key)
            try:
                self._order(wait, order)
                return self._follow(wait, deadline)
            finally:
                self._leave(wait)
        finally:
            self._places.release()

    def _join(self, key: int) -> Wait:
        with self._over:
            now = time.monotonic()
            wait = self._awaited.setdefault(key, Wait(key, began=now, look_at=now))
            wait.waiters += 1
            return wait

    def _leave(self, wait: Wait) -> None:
        with self._over:
            wait.waiters -= 1
            if not wait.waiters and self._awaited.get(wait.key) is wait:
                del self._awaited[wait.key]

    def _order(self, wait: Wait, order: Order) -> None:
        with self._over:
            if wait.is_ordered:
                return
            wait.is_ordered = True
        try:
            nudge_at = order(wait.key)
        except BaseException:
            wait.is_ordered = False  # who comes next does it
            raise
        with self._over:
            wait.nudge_at = nudge_at
            self._news.notify()

    def _follow(self, wait: Wait, deadline: float) -> bool:
        while self._takes_the_lookout(wait, deadline):
            try:
                self._look_out(wait, deadline)
            finally:
                self._hand_over()
        return wait.is_over

    def _takes_the_lookout(self, wait: Wait, deadline: float) -> bool:
        """Sleep until nobody is on the lookout (True), the wait is over or the time is up (False)."""
        with self._over:
            while not wait.is_over and (left := deadline - time.monotonic()) > 0:
                if not self._has_lookout:
                    self._has_lookout = True
                    return True
                self._over.wait(left)
        return False

    def _hand_over(self) -> None:
        with self._over:
            self._has_lookout = False
            self._over.notify_all()

    def _look_out(self, own: Wait, deadline: float) -> None:
        """Nudge and look for everybody, until one's own wait is over or the time is up."""
        while not own.is_over and time.monotonic() < deadline:
            for key in self._due_for_a_nudge():
                self._nudge(key)
            self._settle(self._look(self._keys()))
            self._rest(own, deadline)

    def _due_for_a_nudge(self) -> list[int]:
        with self._over:
            now = time.monotonic()
            due = [
                w for w in self._awaited.values() if w.nudge_at is not None and w.nudge_at <= now
            ]
            for wait in due:
                wait.began, wait.nudge_at = now, None
            return [wait.key for wait in due]

    def _keys(self) -> list[int]:
        with self._over:
            return list(self._awaited)

    def _settle(self, over: Collection[int]) -> None:
        with self._over:
            now = time.monotonic()
            for key in over:
                if (wait := self._awaited.pop(key, None)) is not None:
                    wait.is_over = True
            for wait in self._awaited.values():
                wait.look_at = now + max(POLL, (now - wait.began) / 4)
            if over:
                self._over.notify_all()

    def _rest(self, own: Wait, deadline: float) -> None:
        """Until the next look or nudge, or until somebody begins to wait for something else."""
        with self._over:
            waits = self._awaited.values()
            moments = [wait.look_at for wait in waits] + [w.nudge_at for w in waits if w.nudge_at]
            left = min([deadline, *moments]) - time.monotonic()
            if left > 0 and not own.is_over:
                pause(self._news, left)


def pause(news: Condition, seconds: float) -> None:
    """Sleep so long, or until there is news."""
    news.wait(seconds)


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
    try:
        return WAITS.wait(credential_id, _order, seconds=settings.TOKEN_WAIT.total_seconds())
    except Busy:
        _order(credential_id)  # so that who comes back finds it done
        raise


def _order(credential_id: int) -> float | None:
    """Owe the refresh. Returns the monotonic moment at which it may begin, if that is still to come."""
    try:
        now = clock.now()
        credential, grant = queries.for_serving(credential_id)
        if credential.state != CredentialState.ACTIVE:
            return None
        if not queries.is_refresh_backing_off(credential, now=now):
            keys.order_refresh(credential, now=now)
        if grant is None or grant.serve_until is None or grant.serve_until <= now:
            return None
        return time.monotonic() + (grant.serve_until - now).total_seconds()
    finally:
        _let_go_of_database()


def _nudge(credential_id: int) -> None:
    credential, _ = queries.for_serving(credential_id)
    with transaction.atomic():
        outbox.nudge(credential.helpdesk.slug)


def _look(credential_ids: Collection[int]) -> list[int]:
    """Of these, those for which waiting any longer would change nothing."""
    now = clock.now()
    try:
        found = queries.all_for_serving(credential_ids)
        return [row.pk for row, grant in found if _is_settled(row, grant, now=now)]
    finally:
        _let_go_of_database()


def _is_settled(credential: Credential, grant: Grant | None, *, now: datetime) -> bool:
    """Whether a token can be handed out, or none ever will."""
    if credential.state == CredentialState.ISSUING:
        return False
    if credential.state != CredentialState.ACTIVE:
        return True
    return grant is not None and policies.seconds_to_tell(grant, now=now) is not None


def _let_go_of_database() -> None:
    """Who waits holds no connection; inside a transaction there is nothing that could be let go."""
    if not connection.in_atomic_block:
        connections.close_all()


WAITS = Waits(settings.WEB_THREADS * 7 // 8, look=_look, nudge=_nudge)
