"""The budget that all workers share through Redis: its own clock and one script at a time make one line of all waiters."""

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry as RedisRetry

from tokens.limiter import scripts
from tokens.limiter.base import LOOK_EVERY, Heard, LimiterDown, LimiterState, Rates, bounded, rank
from tokens.limiter.window import WINDOW

_MICRO = 1_000_000


@dataclass
class _Wish:
    """One caller of `take` while it waits; `place` is its ticket, 0 before it has one."""

    slug: str
    rank: int
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    place: int = 0


class RedisLimiter:
    """The budgets shared by every worker that uses the same Redis."""

    def __init__(self, client: redis.Redis, rates: Mapping[str, int]) -> None:
        self._client = client
        self._rates = Rates(rates)
        self._take, self._pause, self._learn, self._state = map(
            client.register_script, (scripts.TAKE, scripts.PAUSE, scripts.LEARN, scripts.STATE)
        )

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

    def take(self, slug: str, *, urgent: bool, wait: float, in_hand: bool = False) -> bool:
        """See `Limiter`."""
        wish = _Wish(slug, rank(urgent=urgent, in_hand=in_hand))
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
        said = self._run(self._take, wish.slug, wish.name, wish.place, wish.rank)
        wish.place = said[1]
        return bool(said[0]), said[2] / _MICRO, said[3] / _MICRO

    def _leave(self, wish: _Wish) -> None:
        """Stand in nobody's way; a waiter that cannot say so is passed over after a moment."""
        if not wish.place:
            return
        _, line, signs, *_ = keys(wish.slug)
        with suppress(LimiterDown):
            _redis(lambda: self._client.zrem(line, wish.name))
            _redis(lambda: self._client.zrem(signs, wish.name))

    def pause(self, slug: str, seconds: float) -> None:
        """See `Limiter`."""
        self._run(self._pause, slug, round(bounded(seconds) * _MICRO))

    def learn(self, slug: str, heard: Heard) -> None:
        """See `Learner`."""
        if heard.took > WINDOW:
            return
        known = (-1 if part is None else part for part in (heard.limit, heard.remaining))
        resets = -1 if heard.resets_in is None else round(heard.resets_in * _MICRO)
        self._run(self._learn, slug, round(heard.took * _MICRO), *known, resets)

    def state(self, slug: str) -> LimiterState:
        """See `Limiter`."""
        interval, closed, paused, announced, left, waiting = self._run(self._state, slug)
        return LimiterState(
            per_minute=0.0 if closed else 60 * _MICRO / float(interval),
            waiting=waiting,
            paused_for=max(closed, paused) / _MICRO,
            configured=self._rates[slug],
            announced=announced or None,
            remaining=None if left < 0 else left,
        )

    def _run(self, script: Any, slug: str, *words: str | int) -> Any:
        """One script about one helpdesk; its first word is the configured rate."""
        args = [self._rates[slug], *words]
        return _redis(lambda: script(keys=keys(slug), args=args))


def keys(slug: str) -> list[str]:
    """Where one helpdesk's budget is kept. The braces keep its keys on one node of a cluster."""
    names = ("pace", "line", "signs", "slots", "heard")
    return [f"keydesk:limiter:{{{slug}}}:{name}" for name in names]


def _redis(call: Callable[[], Any]) -> Any:
    """One call to Redis. Its own errors may quote the address, so only their kind is told."""
    try:
        return call()
    except (redis.RedisError, OSError) as error:
        raise LimiterDown(
            f"The limiter's Redis does not answer ({type(error).__name__})."
        ) from None


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
