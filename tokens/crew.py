"""How many threads of one worker process work for one helpdesk at once, and when do they stop?

Every message says "look now", and any number may come: delivered twice, late, or fifty at the same moment.
Whoever works already finds what a further message is about, so nobody waits in line for it, and the threads
that are left do what must not wait behind a heap of jobs: sweeps, mail, and the other helpdesks.
"""

from collections import Counter
from collections.abc import Callable
from threading import Lock


class Crew:
    """The threads of this process that work for each helpdesk, at most `most` at a time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = Lock()
        self._busy: Counter[str] = Counter()
        self._told_again: set[str] = set()
        self._is_ending = False

    def work(self, slug: str, one: Callable[[], bool]) -> None:
        """Call `one` until it says that nothing is left, or the process ends. At once over when enough do so.

        A message that comes while all are busy is not lost: the next who finds nothing looks once more.
        """
        if not self._enter(slug):
            return
        is_out = False
        try:
            while not is_out:
                while not self._is_ending and one():
                    pass
                is_out = self._may_leave(slug)
        finally:
            if not is_out:
                self._leave(slug)

    def has_room(self, slug: str) -> bool:
        """Whether one more would be let in."""
        return self._busy[slug] < self.most

    def may_begin(self) -> bool:
        """Whether a job may still be begun: not once the process ends."""
        return not self._is_ending

    def end(self) -> None:
        """Let everybody finish the job in hand and begin none. Takes no lock: a signal's handler calls it."""
        self._is_ending = True

    def _enter(self, slug: str) -> bool:
        with self._lock:
            if self._busy[slug] >= self.most:
                self._told_again.add(slug)
                return False
            self._busy[slug] += 1
            return True

    def _may_leave(self, slug: str) -> bool:
        """Leave, unless a message has come meanwhile; both under one lock, so that none falls in between."""
        with self._lock:
            if slug in self._told_again and not self._is_ending:
                self._told_again.discard(slug)
                return False
            self._busy[slug] -= 1
            return True

    def _leave(self, slug: str) -> None:
        with self._lock:
            self._busy[slug] -= 1
