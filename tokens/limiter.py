"""When the next request to a helpdesk may go out: one budget per helpdesk, shared by all workers, urgent first.

Slots are spaced evenly at 99 % of the configured requests a minute, so that no minute, wherever it starts,
holds more than are allowed. Other users of the helpdesk's account eat the same limit: a 429 pauses everybody.
"""

import heapq
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from threading import Condition, Lock
from typing import Any, Protocol

import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry as RedisRetry

from tokens.connectors.base import Retry

logger = logging.getLogger(__name__)

SHARE = 0.99
"""Of the configured rate. Measured: at 0.99 no 429, at 1 a few."""
LATE = 0.3
"""Seconds by which a slot taken late does not delay the next. 60.3 s at 0.99 is still under a minute's worth."""
LONGEST_PAUSE = 3600.0
"""Seconds a pause lasts at most, whatever the helpdesk asked for."""
LOOK_EVERY = 0.25
"""Seconds a waiter sleeps at most before it looks again: somebody ahead may have given up."""
_MICRO = 1_000_000


class LimiterDown(Exception):
    """No slot can be asked for at present; the text is a sentence. Work waits, nothing is lost."""


@dataclass(frozen=True)
class LimiterState:
    """What the operator's page shows of one helpdesk's budget."""

    per_minute: float
    waiting: int
    paused_for: float
    """Seconds until a pause the helpdesk asked for is over; 0 for none."""


class Limiter(Protocol):
    """Hands out the slots of each helpdesk's budget. Every method may raise `LimiterDown`, within a second."""

    def take(self, slug: str, *, urgent: bool, wait: float) -> bool:
        """Wait at most `wait` seconds for a slot. Urgent callers go before all others, else first come first served.

        False, perhaps at once, when none can come in time.
        """

    def pause(self, slug: str, seconds: float) -> None:
        """Give no slot to anybody for so long. A longer pause that runs already stays."""

    def state(self, slug: str) -> LimiterState:
        """The budget as it stands."""


@dataclass(frozen=True)
class Pace:
    """How far apart the slots of one rate are, in seconds, and how late one may be without loss."""

    interval: float
    slack: float

    @classmethod
    def of(cls, per_minute: int) -> "Pace":
        """The pace for a number of requests a minute. Raises `ValueError` for less than one."""
        if per_minute < 1:
            raise ValueError(f"{per_minute} requests a minute is no rate; write 1 or more.")
        interval = 60 / (per_minute * SHARE)
        return cls(interval, min(interval / 2, LATE))

    @property
    def per_minute(self) -> float:
        return 60 / self.interval

    def due(self, planned: float, now: float) -> float:
        """When the next slot counts as due: a little late delays nobody, an idle budget saves nothing up."""
        return now if now - planned > self.interval else max(planned, now - self.slack)


class _Paces:
    """The pace of each configured helpdesk."""

    def __init__(self, rates: Mapping[str, int]) -> None:
        self._paces = {slug: Pace.of(rate) for slug, rate in rates.items()}

    def __getitem__(self, slug: str) -> Pace:
        """Raises `LimiterDown` for a helpdesk without a rate: one that was taken out of HELPDESKS."""
        try:
            return self._paces[slug]
        except KeyError:
            raise LimiterDown(f"No rate of requests is configured for {slug}.") from None


# Shared by all workers: Redis. Its own clock and one script at a time make one line of all waiters.
#
# Kept per helpdesk: `pace`, when the next slot is due, until when everybody pauses and the last ticket;
# `line`, the waiters in order; `signs`, until when each waiter counts as alive. What is in none of these
# but the database is lost with a flush, and the worst that does is one slot too early.

_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, slack, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local waiter, place, urgent = ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'

local kept = redis.call('HMGET', KEYS[1], 'next', 'paused')
local due, paused = tonumber(kept[1] or 0), tonumber(kept[2] or 0)

-- After a clock was set back no slot may be due later than one interval, no pause longer than the longest.
if due > now + interval or paused > now + longest then
    due, paused = math.min(due, now + interval), math.min(paused, now + longest)
    redis.call('HSET', KEYS[1], 'next', string.format('%.0f', due),
        'paused', string.format('%.0f', paused))
end

-- A slot a little late does not delay the next; an idle budget saves nothing up.
if now - due > interval then due = now else due = math.max(due, now - slack) end
local open = math.max(due, paused)

if place == 0 then
    place = redis.call('HINCRBY', KEYS[1], 'ticket', 1)
    if not urgent then place = place + 2 ^ 52 end
end
redis.call('ZADD', KEYS[2], string.format('%.0f', place), waiter)
redis.call('ZADD', KEYS[3], string.format('%.0f', now + 1500000), waiter)
redis.call('PEXPIRE', KEYS[1], 7200000)
redis.call('PEXPIRE', KEYS[2], 60000)
redis.call('PEXPIRE', KEYS[3], 60000)

local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
while first ~= waiter and tonumber(redis.call('ZSCORE', KEYS[3], first) or 0) < now do
    redis.call('ZREM', KEYS[2], first)
    redis.call('ZREM', KEYS[3], first)
    first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
end

if first == waiter and open <= now then
    redis.call('ZREM', KEYS[2], waiter)
    redis.call('ZREM', KEYS[3], waiter)
    redis.call('HSET', KEYS[1], 'next', string.format('%.0f', due + interval))
    return {1, place, 0, 0}
end
local soonest = math.max(open - now, 0)
return {0, place, soonest, soonest + redis.call('ZRANK', KEYS[2], waiter) * interval}
"""

_PAUSE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local kept = math.min(tonumber(redis.call('HGET', KEYS[1], 'paused') or 0), now + ARGV[2])
redis.call('HSET', KEYS[1], 'paused', string.format('%.0f', math.max(kept, now + ARGV[1])))
redis.call('PEXPIRE', KEYS[1], 7200000)
"""

_STATE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local paused = math.min(tonumber(redis.call('HGET', KEYS[1], 'paused') or 0), now + ARGV[1])
return {math.max(paused - now, 0), redis.call('ZCOUNT', KEYS[2], string.format('%.0f', now), '+inf')}
"""


@dataclass
class _Wish:
    """One caller of `take` while it waits; `place` is its ticket, 0 before it has one."""

    slug: str
    urgent: bool
    pace: Pace
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    place: int = 0


class RedisLimiter:
    """The budgets shared by every worker that uses the same Redis."""

    def __init__(self, client: redis.Redis, rates: Mapping[str, int]) -> None:
        self._client = client
        self._paces = _Paces(rates)
        self._take, self._pause, self._state = map(client.register_script, (_TAKE, _PAUSE, _STATE))

    @classmethod
    def at(cls, url: str, rates: Mapping[str, int]) -> "RedisLimiter":
        """A limiter with connections of its own. Raises `ValueError` for an address of another form."""
        client = redis.Redis.from_url(
            url,
            socket_connect_timeout=0.4,
            socket_timeout=0.4,
            retry=RedisRetry(NoBackoff(), 0),
        )
        return cls(client, rates)

    def take(self, slug: str, *, urgent: bool, wait: float) -> bool:
        """See `Limiter`."""
        wish = _Wish(slug, urgent, self._paces[slug])
        end = time.monotonic() + wait
        has_slot = False
        try:
            while True:
                has_slot, soonest, likely = self._ask(wish)
                left = end - time.monotonic()
                if has_slot or left <= 0 or soonest > left:
                    return has_slot
                time.sleep(min(max(likely, 0.001), LOOK_EVERY, left))
        finally:
            if not has_slot:
                self._leave(wish)

    def _ask(self, wish: _Wish) -> tuple[bool, float, float]:
        """Whether it is our turn, else in how many seconds at the soonest and most likely."""
        pace = wish.pace
        said = _redis(
            lambda: self._take(
                keys=_keys(wish.slug),
                args=[
                    round(pace.interval * _MICRO), round(pace.slack * _MICRO),
                    round(LONGEST_PAUSE * _MICRO), wish.name, wish.place, int(wish.urgent),
                ],
            )
        )  # fmt: skip
        wish.place = said[1]
        return bool(said[0]), said[2] / _MICRO, said[3] / _MICRO

    def _leave(self, wish: _Wish) -> None:
        """Stand in nobody's way; a waiter that cannot say so is passed over after a moment."""
        if not wish.place:
            return
        _, line, signs = _keys(wish.slug)
        with suppress(LimiterDown):
            _redis(lambda: self._client.zrem(line, wish.name))
            _redis(lambda: self._client.zrem(signs, wish.name))

    def pause(self, slug: str, seconds: float) -> None:
        """See `Limiter`."""
        args = [round(_bounded(seconds) * _MICRO), round(LONGEST_PAUSE * _MICRO)]
        _redis(lambda: self._pause(keys=_keys(slug)[:1], args=args))

    def state(self, slug: str) -> LimiterState:
        """See `Limiter`."""
        pace = self._paces[slug]
        pace_key, _, signs = _keys(slug)
        args = [round(LONGEST_PAUSE * _MICRO)]
        paused, waiting = _redis(lambda: self._state(keys=[pace_key, signs], args=args))
        return LimiterState(pace.per_minute, waiting, paused / _MICRO)


def _keys(slug: str) -> list[str]:
    """The braces keep one helpdesk's keys on one node of a cluster."""
    return [f"keydesk:limiter:{{{slug}}}:{name}" for name in ("pace", "line", "signs")]


def _redis(call: Callable[[], Any]) -> Any:
    """One call to Redis. Its own errors may quote the address, so only their kind is told."""
    try:
        return call()
    except (redis.RedisError, OSError) as error:
        raise LimiterDown(
            f"The limiter's Redis does not answer ({type(error).__name__})."
        ) from None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_PAUSE)


# For one process alone: its threads stand in the same kind of line.


class LocalLimiter:
    """The budgets of a process that works without Redis, as `manage.py work` does. Never down."""

    def __init__(self, rates: Mapping[str, int]) -> None:
        self._paces = _Paces(rates)
        self._lines: dict[str, _Line] = {}
        self._lock = Lock()

    def take(self, slug: str, *, urgent: bool, wait: float) -> bool:
        """See `Limiter`."""
        return self._line(slug).take(urgent=urgent, wait=wait)

    def pause(self, slug: str, seconds: float) -> None:
        """See `Limiter`."""
        self._line(slug).pause(_bounded(seconds))

    def state(self, slug: str) -> LimiterState:
        """See `Limiter`."""
        return self._line(slug).state()

    def _line(self, slug: str) -> "_Line":
        with self._lock:
            if slug not in self._lines:
                self._lines[slug] = _Line(self._paces[slug])
            return self._lines[slug]


class _Line:
    """The line before one helpdesk: who waits, most urgent first, and when the next slot is due."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._moved = Condition()
        self._tickets = itertools.count()
        self._waiting: list[tuple[bool, int]] = []
        self._next = self._paused = 0.0

    def take(self, *, urgent: bool, wait: float) -> bool:
        end = time.monotonic() + wait
        with self._moved:
            me = (not urgent, next(self._tickets))
            heapq.heappush(self._waiting, me)
            try:
                return self._await_turn(me, end)
            finally:
                self._waiting.remove(me)
                heapq.heapify(self._waiting)
                self._moved.notify_all()

    def _await_turn(self, me: tuple[bool, int], end: float) -> bool:
        while True:
            now = time.monotonic()
            due = self._pace.due(self._next, now)
            opens = max(due, self._paused)
            is_first = self._waiting[0] == me
            if is_first and opens <= now:
                self._next = due + self._pace.interval
                return True
            if now >= end or opens > end:
                return False
            self._moved.wait((opens if is_first else end) - now)

    def pause(self, seconds: float) -> None:
        with self._moved:
            self._paused = max(self._paused, time.monotonic() + seconds)
            self._moved.notify_all()

    def state(self) -> LimiterState:
        with self._moved:
            left = max(0.0, self._paused - time.monotonic())
            return LimiterState(self._pace.per_minute, len(self._waiting), left)


class BudgetGate:
    """`connectors.base.Gate` over a limiter, for the calls of one job.

    `has_slot` says that the caller took the first request's slot before it claimed the job.
    """

    def __init__(
        self,
        limiter: Limiter,
        slug: str,
        *,
        deadline: float,
        urgent: bool = False,
        has_slot: bool = False,
    ) -> None:
        self.deadline = deadline
        self.urgent = urgent
        self._limiter = limiter
        self._slug = slug
        self._has_slot = has_slot

    def enter(self) -> None:
        """Wait for a slot, at most as long as the call itself may take. Raises `Retry`: nothing was sent."""
        if self._has_slot:
            self._has_slot = False
            return
        try:
            has_come = self._limiter.take(self._slug, urgent=self.urgent, wait=self.deadline)
        except LimiterDown as error:
            raise Retry(str(error)) from error
        if not has_come:
            raise Retry("The helpdesk's budget of requests had no room in time.")

    def heard(self, *, limit: int | None, remaining: int | None, retry_after: float | None) -> None:
        """Obey a wish to wait, for all workers. Never raises: the answer that carried it counts.

        The announced limit is not learned from: the pace is the configured one.
        """
        if retry_after is None:
            return
        try:
            self._limiter.pause(self._slug, retry_after)
        except LimiterDown as error:
            logger.warning("The pause of %s could not be shared: %s", self._slug, error)


@cache
def shared_limiter() -> RedisLimiter:
    """This process's end of the budget that all workers share. Raises `ImproperlyConfigured`."""
    rates = {slug: config.requests_per_minute for slug, config in settings.HELPDESKS.items()}
    if not settings.REDIS_URL:
        raise ImproperlyConfigured(
            "REDIS_URL is not set, so workers cannot share a helpdesk's budget of requests. "
            "Set it to redis://host:6379/0, or drain due jobs with manage.py work."
        )
    try:
        return RedisLimiter.at(settings.REDIS_URL, rates)
    except ValueError:
        raise ImproperlyConfigured(
            "REDIS_URL is not an address of a Redis server; write redis://host:6379/0."
        ) from None
