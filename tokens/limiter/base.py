"""What every budget of requests promises, and how far apart its slots are.

Slots are spaced evenly at 99 % of the requests a minute that are configured, or of those announced where that is
less, so that no minute, wherever it starts, holds more than are allowed. `window` says what slows them further.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

SHARE = 0.99
"""Of the allowed rate. Measured: at 0.99 no 429, at 1 a few."""
LATE = 0.3
"""Seconds by which a slot taken late does not delay the next. 60.3 s at 0.99 is still under a minute's worth,
and on a busy machine a waiter may sleep several slots too long."""
LONGEST_PAUSE = 3600.0
"""Seconds a pause lasts at most, whatever the helpdesk asked for."""
LOOK_EVERY = 0.25
"""Seconds a waiter sleeps at most before it looks again: somebody ahead may have given up."""


class LimiterDown(Exception):
    """No slot can be asked for at present; the text is a sentence. Work waits, nothing is lost."""


@dataclass(frozen=True)
class LimiterState:
    """What the operator's page shows of one helpdesk's budget."""

    per_minute: float
    """Slots a minute at this moment; 0 while the window is used up."""
    waiting: int
    paused_for: float
    """Seconds until a pause the helpdesk asked for is over, or a used-up window; 0 for none."""
    configured: int = 0
    """Requests a minute as configured."""
    announced: int | None = None
    """Requests a minute as the helpdesk last said; None where it has said nothing lately."""
    remaining: int | None = None
    """What is left of the window for everybody, as far as known; None where nothing is."""


@dataclass(frozen=True)
class Heard:
    """What one answer said of the budget, None where it said nothing; `took`: seconds since its request left."""

    took: float
    limit: int | None = None
    remaining: int | None = None
    resets_in: float | None = None


def rank(*, urgent: bool, in_hand: bool) -> int:
    """Who goes before whom: urgent callers before all others, and of each kind those who have begun a job.

    Else a job of three calls would stand at the end of the line three times, and a long line let none come to its end.
    """
    return (0 if urgent else 2) + (0 if in_hand else 1)


class Limiter(Protocol):
    """Hands out the slots of each helpdesk's budget. Every method may raise `LimiterDown`, within a second."""

    def take(self, slug: str, *, urgent: bool, wait: float, in_hand: bool = False) -> bool:
        """Wait at most `wait` seconds for a slot, in the order of `rank`, and of coming.

        `in_hand`: for the next call of a job that has begun. False, perhaps at once, when none can come in time.
        """

    def pause(self, slug: str, seconds: float) -> None:
        """Give no slot to anybody for so long. A longer pause that runs already stays."""

    def state(self, slug: str) -> LimiterState:
        """The budget as it stands."""


@runtime_checkable
class Learner(Protocol):
    """A limiter that adapts to what answers say; one without an end has nothing to learn."""

    def learn(self, slug: str, heard: Heard) -> None:
        """Take in what an answer said, for everybody. Raises `LimiterDown`, within a second."""


@dataclass(frozen=True)
class Pace:
    """How far apart slots are, in seconds."""

    interval: float

    @classmethod
    def of(cls, per_minute: int) -> "Pace":
        """The pace for a number of requests a minute. Raises `ValueError` for less than one."""
        if per_minute < 1:
            raise ValueError(f"{per_minute} requests a minute is no rate; write 1 or more.")
        return cls(60 / (per_minute * SHARE))

    @property
    def per_minute(self) -> float:
        return 60 / self.interval

    def due(self, last: float, now: float) -> float:
        """When the slot after `last` counts as due: a little late delays nobody, an idle budget saves nothing up."""
        planned = last + self.interval
        is_idle = now - planned > max(self.interval, LATE)
        return now if is_idle else max(planned, now - LATE)


class Rates:
    """The configured requests a minute of each helpdesk. Raises `ValueError` for less than one."""

    def __init__(self, rates: Mapping[str, int]) -> None:
        self._rates = dict(rates)
        for rate in self._rates.values():
            Pace.of(rate)

    def __getitem__(self, slug: str) -> int:
        """Raises `LimiterDown` for a helpdesk without a rate: one that was taken out of HELPDESKS."""
        try:
            return self._rates[slug]
        except KeyError:
            raise LimiterDown(f"No rate of requests is configured for {slug}.") from None


def bounded(seconds: float) -> float:
    """A wish to wait, as far as it is obeyed."""
    return min(max(seconds, 0.0), LONGEST_PAUSE)
