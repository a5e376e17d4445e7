"""The budget of one process alone, as `manage.py work` has it without Redis: its threads stand in one line."""

import heapq
import itertools
import time
from collections.abc import Mapping
from threading import Condition, Lock

from tokens.limiter.base import LOOK_EVERY, Heard, LimiterState, Rates, bounded, rank
from tokens.limiter.window import Course, Lesson


class LocalLimiter:
    """The budgets of a process that works without Redis. Never down."""

    def __init__(self, rates: Mapping[str, int]) -> None:
        self._rates = Rates(rates)
        self._lines: dict[str, _Line] = {}
        self._lock = Lock()

    def take(self, slug: str, *, urgent: bool, wait: float, in_hand: bool = False) -> bool:
        """See `Limiter`."""
        return self._line(slug).take(rank(urgent=urgent, in_hand=in_hand), wait=wait)

    def pause(self, slug: str, seconds: float) -> None:
        """See `Limiter`."""
        self._line(slug).pause(bounded(seconds))

    def learn(self, slug: str, heard: Heard) -> None:
        """See `Learner`."""
        self._line(slug).learn(heard)

    def state(self, slug: str) -> LimiterState:
        """See `Limiter`."""
        return self._line(slug).state()

    def _line(self, slug: str) -> "_Line":
        with self._lock:
            if slug not in self._lines:
                self._lines[slug] = _Line(self._rates[slug])
            return self._lines[slug]


class _Line:
    """The line before one helpdesk: who waits, most urgent first, and when the last slot was due."""

    def __init__(self, configured: int) -> None:
        self._configured = configured
        self._lesson = Lesson(configured)
        self._moved = Condition()
        self._tickets = itertools.count()
        self._waiting: list[tuple[int, int]] = []
        self._last = self._paused = float("-inf")

    def take(self, rank: int, *, wait: float) -> bool:
        end = time.monotonic() + wait
        with self._moved:
            me = (rank, next(self._tickets))
            heapq.heappush(self._waiting, me)
            try:
                return self._await_turn(me, end)
            finally:
                self._waiting.remove(me)
                heapq.heapify(self._waiting)
                self._moved.notify_all()

    def _await_turn(self, me: tuple[int, int], end: float) -> bool:
        while True:
            now = time.monotonic()
            course = self._lesson.course(now)
            due = course.pace.due(self._last, now)
            opens = max(due, self._paused, course.closed_until)
            if self._waiting[0] == me and opens <= now:
                self._last = due
                self._lesson.gave(now)
                return True
            if now >= end or self._paused > end or self._certain(now) > end:
                return False
            self._moved.wait(min(max(opens - now, 0.001), LOOK_EVERY, end - now))

    def _certain(self, now: float) -> float:
        """When a slot is due at the soonest, whatever an answer may say yet."""
        return self._lesson.plain(now).due(self._last, now)

    def pause(self, seconds: float) -> None:
        with self._moved:
            self._paused = max(self._paused, time.monotonic() + seconds)
            self._moved.notify_all()

    def learn(self, heard: Heard) -> None:
        with self._moved:
            self._lesson.learn(heard, time.monotonic())
            self._moved.notify_all()

    def state(self) -> LimiterState:
        with self._moved:
            now = time.monotonic()
            course = self._lesson.course(now)
            return LimiterState(
                per_minute=_rate(course),
                waiting=len(self._waiting),
                paused_for=max(0.0, self._paused - now, course.closed_until - now),
                configured=self._configured,
                announced=self._lesson.announced(now),
                remaining=course.left,
            )


def _rate(course: Course) -> float:
    return 0.0 if course.closed_until else course.pace.per_minute
