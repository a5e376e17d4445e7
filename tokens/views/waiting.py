"""How does a call wait for a refresh without holding up the rest? Many wait, one of them looks.

Of all who wait in a process one at a time is on the lookout: it asks the database about everything that is waited
for, in one go. The others sleep and hold no database connection. At most seven eighths of a process's threads may
wait at once.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import BoundedSemaphore, Condition, Lock
from typing import Literal, NamedTuple

from django.conf import settings
from django.db import InterfaceError, OperationalError

from accounts import clock, database
from accounts.models import User
from tokens import outbox, policies
from tokens.models import ClientSecret, Credential, Grant
from tokens.operations import keys
from tokens.queries import credentials as queries
from tokens.states import CredentialState

logger = logging.getLogger(__name__)

POLL, MOST_APART = 0.15, 2.0
"""Seconds between two looks at what has just begun to be waited for; later a quarter of what it has taken so far, but
no more than this."""
COME_BACK = 5
"""Seconds after which a client that got nothing is asked to call again, and what is waited for is ordered again."""


class Busy(Exception):
    """No token can be handed out yet; the client may come back in `COME_BACK` seconds."""


class Nudge(NamedTuple):
    """Tell the workers of this helpdesk to look, at this monotonic moment: before it they can do nothing."""

    at: float
    slug: str


Order = Callable[[int], Nudge | None]
"""Owe what is waited for; may be done again."""


@dataclass
class Wait:
    """One thing that is waited for, by one call or by many. Moments are monotonic."""

    key: int
    began: float
    look_at: float
    ordered_at: float | None = None
    nudge: Nudge | None = None
    waiters: int = 0
    is_over: bool = False

    @property
    def order_at(self) -> float:
        """When it is to be ordered, for the first time or again."""
        return self.began if self.ordered_at is None else self.ordered_at + COME_BACK


class Waits:
    """The waits of one process. `look` says which of these keys nobody needs to wait for any longer."""

    def __init__(
        self,
        most: int,
        *,
        order: Order,
        look: Callable[[Collection[int]], Collection[int]],
        nudge: Callable[[str], None],
    ) -> None:
        self._places = BoundedSemaphore(most)
        self._order, self._look, self._nudge = order, look, nudge
        lock = Lock()
        self._over, self._news = Condition(lock), Condition(lock)
        self._awaited: dict[int, Wait] = {}
        self._has_lookout = False

    def wait(self, key: int, *, seconds: float) -> bool:
        """Wait at most so long until a look says that it is over. Raises `Busy` when full.

        Of those who wait for the same one orders it, and again after a while. What `order`, `look` or `nudge`
        raises is that one's alone; another takes over. Not for a thread that is inside a transaction.
        """
        deadline = time.monotonic() + seconds
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            wait = self._join(key)
            try:
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

    def _follow(self, wait: Wait, deadline: float) -> bool:
        while (turn := self._turn(wait, deadline)) != "":
            if turn == "order":
                self._order_it(wait)
                continue
            try:
                self._look_out(wait, deadline)
            finally:
                self._hand_over()
        return wait.is_over

    def _turn(self, wait: Wait, deadline: float) -> Literal["", "order", "lookout"]:
        """Sleep until there is something for this thread to do; "" when the wait is over or the time is up."""
        with self._over:
            while not wait.is_over and (now := time.monotonic()) < deadline:
                if wait.order_at <= now:
                    wait.ordered_at = now
                    return "order"
                if not self._has_lookout:
                    self._has_lookout = True
                    return "lookout"
                self._over.wait(min(deadline, wait.order_at) - now)
        return ""

    def _order_it(self, wait: Wait) -> None:
        try:
            nudge = self._order(wait.key)
        except BaseException:
            with self._over:
                wait.ordered_at = None
                self._over.notify_all()
                self._news.notify()
            raise
        with self._over:
            wait.nudge = nudge
            self._news.notify()

    def _hand_over(self) -> None:
        with self._over:
            self._has_lookout = False
            self._over.notify_all()

    def _look_out(self, own: Wait, deadline: float) -> None:
        """Nudge and look for everybody, until one's own wait is over, is to be ordered again, or the time is up."""
        while not own.is_over and min(deadline, own.order_at) > time.monotonic():
            for slug in self._due_for_a_nudge():
                self._nudge(slug)
            keys = self._keys()
            self._settle(keys, self._look(keys))
            self._rest(own, deadline)

    def _due_for_a_nudge(self) -> set[str]:
        with self._over:
            now, slugs = time.monotonic(), set()
            for wait in self._awaited.values():
                if wait.nudge is not None and wait.nudge.at <= now:
                    slugs.add(wait.nudge.slug)
                    wait.began, wait.nudge = now, None
            return slugs

    def _keys(self) -> list[int]:
        with self._over:
            return list(self._awaited)

    def _settle(self, keys: Collection[int], over: Collection[int]) -> None:
        with self._over:
            now = time.monotonic()
            for key in keys:
                wait = self._awaited.get(key)
                if wait is None:
                    continue  # nobody waits for it any more
                if key in over:
                    wait.is_over = True
                    del self._awaited[key]
                else:
                    wait.look_at = now + min(MOST_APART, max(POLL, (now - wait.began) / 4))
            if over:
                self._over.notify_all()

    def _rest(self, own: Wait, deadline: float) -> None:
        """Until the next look or nudge, or until somebody begins to wait for something else."""
        with self._over:
            waits = self._awaited.values()
            moments = [wait.look_at for wait in waits]
            moments += [wait.nudge.at for wait in waits if wait.nudge is not None]
            left = min([deadline, own.order_at, *moments]) - time.monotonic()
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
    """Whether it is over; who has waited in vain looks once more for itself."""
    database.let_go()
    seconds = settings.TOKEN_WAIT.total_seconds()
    try:
        return WAITS.wait(credential_id, seconds=seconds) or bool(_look([credential_id]))
    except Busy:
        _order(credential_id)  # so that who comes back finds it done
        raise


def _order(credential_id: int) -> Nudge | None:
    """Owe the refresh. If it may not begin yet, the nudge that is due then."""
    try:
        now = clock.now()
        credential, grant = queries.for_serving(credential_id)
        if credential.state != CredentialState.ACTIVE:
            return None
        if not queries.is_refresh_backing_off(credential, now=now):
            keys.order_refresh(credential, now=now)
        if grant is None or grant.serve_until is None or grant.serve_until <= now:
            return None
        at = time.monotonic() + (grant.serve_until - now).total_seconds()
        return Nudge(at, credential.helpdesk.slug)
    finally:
        database.let_go()


def _look(credential_ids: Collection[int]) -> set[int]:
    """Of these, those for which waiting any longer would change nothing; none while the database is away."""
    try:
        now = clock.now()
        found = queries.all_for_serving(credential_ids)
        return {row.pk for row, grant in found if _is_settled(row, grant, now=now)}
    except (OperationalError, InterfaceError) as error:
        logger.warning("Nobody can look for those who wait: %s", error)
        return set()
    finally:
        database.let_go()


def _is_settled(credential: Credential, grant: Grant | None, *, now: datetime) -> bool:
    """Whether a token can be handed out, or none ever will."""
    if credential.state == CredentialState.ISSUING:
        return False
    if credential.state != CredentialState.ACTIVE:
        return True
    return grant is not None and policies.seconds_to_tell(grant, now=now) is not None


WAITS = Waits(settings.WEB_THREADS * 7 // 8, order=_order, look=_look, nudge=outbox.nudge_now)
