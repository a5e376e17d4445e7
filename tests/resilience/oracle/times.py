"""How long things may take: the portal's own times as a test scaled them, and the pauses it could not work in."""

from collections.abc import Iterable
from dataclasses import dataclass, field

EPSILON = 0.25
"""Seconds by which two clocks of one machine, and a row and its commit, may differ."""


@dataclass(frozen=True)
class Times:
    """Seconds. The last two have defaults; a test that scales the pauses between tries says so."""

    minimum_age: float
    inventory_every: float
    sweep_every: float
    due_every: float
    claim: float
    deadline: float
    send_within: float
    access_least: float
    slot: float
    """Between two calls, as the limit paces them."""
    backoff: float = 10.0
    """The longest pause after a failed try."""
    noise: float = 5.0
    """What a busy machine may add to anything."""

    def revocation(self, queued: int = 0) -> float:
        """From the row that wants a pair gone to its deletion, behind `queued` others; six calls each."""
        calls = 6 * (queued + 1) * self.slot
        return (
            calls + self.due_every + self.sweep_every + self.claim + 4 * self.deadline + self.noise
        )

    @property
    def unowned(self) -> float:
        """Until a token of nobody is gone: a minimum age, two inventory sweeps (each found by the next sweep) and one revocation."""
        sweeps = 2 * (self.inventory_every + self.sweep_every + 4 * self.deadline)
        return self.minimum_age + sweeps + self.revocation()


@dataclass
class Pauses:
    """Spans in which the system could not work: outages the test told of, and the wake of each fault and death."""

    wake: float
    """How long a fault or a death may hold up what it hit: its claim, then one backoff."""
    _outages: list[tuple[float, float]] = field(default_factory=list)
    _wakes: list[tuple[float, float]] = field(default_factory=list)

    def outage(self, start: float, end: float) -> None:
        """Nothing could be done, and then one backoff passes."""
        if (start, end + self.wake) not in self._outages:
            self._outages.append((start, end + self.wake))

    def blow(self, at: float) -> None:
        """A call went wrong or a process died."""
        if self._wakes and at <= self._wakes[-1][1]:
            first = self._wakes[-1]
            self._wakes[-1] = (min(first[0], at), max(first[1], at + self.wake))
        else:
            self._wakes.append((at, at + self.wake))

    def latest(self) -> float:
        """Until when anything was excused so far; 0: nothing was."""
        return max((end for _, end in [*self._outages, *self._wakes]), default=0.0)

    def lost(self, start: float, end: float) -> float:
        """Seconds of [start, end] that do not count."""
        return overlap([*self._outages, *self._wakes], start, end)

    def is_out(self, start: float, end: float) -> bool:
        """Whether an outage reached into that time."""
        return overlap(self._outages, start, end) > 0


def merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same time without overlaps, in order."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def overlap(spans: Iterable[tuple[float, float]], start: float, end: float) -> float:
    """How much of [start, end] the spans cover."""
    return sum(max(0.0, min(b, end) - max(a, start)) for a, b in merged(spans))
