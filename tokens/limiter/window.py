"""What the answers of a helpdesk teach about its budget, and the pace that follows.

The same limit is eaten by others who use the account. Each answer may say the limit, how many requests remain
of the window (a minute, in which the helpdesk counts) and when the window ends. The rule, in plain words:

- *Which answer counts.* The one whose request left last. An answer that arrives after that of a later request
  is old news and changes nothing, so no order of arrival can undo what is known.
- *What is left.* What that answer said remains, less every slot handed out since its request left: those are under
  way, or will be counted next. Answers are therefore kept as `room`: the number of the last slot there is room for.
- *The end of the window* is the earliest that any of its answers named, because seconds are told in whole numbers and
  arrive late; 60 s after the window's first answer where none is named, which is never too early. A new window is
  one that ends later, or, where no end is named, one with far more room than the old one can have had.
- *Others* took the room that was lost since the window's first answer, as far as bad order (a hundredth of the limit)
  does not explain it. They are expected to go on at that rate, from the last answer to the window's end.
- *The pace.* What is left, less a hundredth in reserve and less what others are expected to take, at least
  half of it, spread over what is left of the window. Nothing for us left: no slot until the window is over.
- *A window is over* a second after its end; then nothing is known of it, and the plain pace holds until an answer tells.

No header can speed us up: the plain pace is the fastest there is. None can stop us for longer than a window, because
no end further away is believed. A limit of less than one is no limit; one above the configured changes nothing.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

from tokens.limiter.base import Heard, Pace

WINDOW = 60.0
"""Seconds in which a helpdesk counts its limit, at most (its limits are requests a minute)."""
OVER = 1.0
"""Seconds past its end until a window is certainly over: ends are told in whole seconds, rounded either way."""
NEXT = 2.0
"""Seconds by which a later end is another window's."""
LIMIT_KNOWN = 2 * WINDOW
"""Seconds an announced limit is believed without being heard again."""
HUNDREDTH = 0.01
"""Of the limit: what is held in reserve from others, and what of a loss of room may be no more than bad order."""
TENTH = 0.1
"""Of the limit: more room than so many too much is a new window's."""
SETTLED = 5.0
"""Seconds over which others are judged at least, so that two requests at once are no storm."""


@dataclass
class _Window:
    """What is known of the present window. `room` and `most` are numbers of slots, times are this process's."""

    room: int
    most: int
    first_room: int
    begun: float
    ends: float


@dataclass(frozen=True)
class Course:
    """What holds at one moment: the pace, until when there is no slot at all (0 for now), and what is left."""

    pace: Pace
    closed_until: float
    left: int | None


class Lesson:
    """One helpdesk's budget as learned by one process. `scripts` holds the same rule for all workers."""

    def __init__(self, configured: int) -> None:
        self._configured = configured
        self._announced: tuple[int, float] | None = None
        self._given = 0
        self._slots: deque[float] = deque()
        self._asked = float("-inf")
        self._window: _Window | None = None

    def gave(self, now: float) -> None:
        """A slot was handed out."""
        self._given += 1
        self._slots.append(now)
        while self._slots[0] < now - WINDOW:
            self._slots.popleft()

    def learn(self, heard: Heard, now: float) -> None:
        """Take in one answer."""
        asked = now - heard.took
        if heard.took > WINDOW or asked < self._asked:
            return
        if heard.limit is not None and heard.limit >= 1:
            self._announced = (heard.limit, now + LIMIT_KNOWN)
        if heard.remaining is not None:
            self._asked = asked
            self._fit(heard, heard.remaining, asked, now)

    def _fit(self, heard: Heard, remaining: int, asked: float, now: float) -> None:
        """Change the window for an answer that counts, or begin one."""
        since = len(self._slots) - bisect_right(self._slots, asked)
        room, most = self._given - since + remaining, self._given + remaining
        ends = _end(heard, now)
        window = self._open_window(now)
        if window is None or self._is_next(window, room, ends):
            self._window = _Window(room, most, room, asked, ends or now + WINDOW)
            return
        window.room, window.most = room, min(window.most, most)
        window.ends = min(window.ends, ends or window.ends)

    def _is_next(self, window: _Window, room: int, ends: float | None) -> bool:
        if ends is not None:
            return ends > window.ends + NEXT
        return room > window.most + max(2, TENTH * self._limit)

    def _open_window(self, now: float) -> _Window | None:
        """The window, unless it is over."""
        if self._window is not None and now > self._window.ends + OVER:
            self._window = None
        return self._window

    def announced(self, now: float) -> int | None:
        """The limit last announced, while it is believed."""
        if self._announced is not None and now > self._announced[1]:
            self._announced = None
        return self._announced[0] if self._announced else None

    @property
    def _limit(self) -> int:
        return min(self._configured, self._announced[0] if self._announced else self._configured)

    def plain(self, now: float) -> Pace:
        """The fastest pace there may be now, whatever an answer says yet."""
        self.announced(now)
        return Pace.of(self._limit)

    def course(self, now: float) -> Course:
        """What holds now."""
        plain = self.plain(now)
        window = self._open_window(now)
        if window is None:
            return Course(plain, 0.0, None)
        left, span = window.room - self._given, window.ends - now
        others = self._others(window)
        ours = left - self._reserve(others) - others * (now - self._asked)
        if ours < 1:
            return Course(plain, window.ends + OVER, max(left, 0))
        usable = max(ours - others * span, ours / 2)
        return Course(Pace(max(plain.interval, span / usable)), 0.0, left)

    def _others(self, window: _Window) -> float:
        """Requests a second that others are seen to make."""
        lost = window.first_room - window.most - max(2, HUNDREDTH * self._limit)
        return max(0.0, lost) / max(SETTLED, self._asked - window.begun)

    def _reserve(self, others: float) -> float:
        return max(1.0, HUNDREDTH * self._limit) if others else 0.0


def _end(heard: Heard, now: float) -> float | None:
    """When the window ends; one further away than a window is none that can be believed."""
    if heard.resets_in is None or not 0 <= heard.resets_in <= WINDOW:
        return None
    return now + heard.resets_in
