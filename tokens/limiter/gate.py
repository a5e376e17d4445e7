"""What a connector's transport passes before each request and tells after it: one helpdesk's budget, for one job."""

import logging
import time

from tokens.connectors.base import Remaining, Retry
from tokens.limiter.base import Heard, Learner, Limiter, LimiterDown

logger = logging.getLogger(__name__)


class BudgetGate:
    """`connectors.base.Gate` over a limiter, for the calls of one job, which follow each other.

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
        self._entered_at = time.monotonic()

    def enter(self) -> None:
        """Wait for a slot, at most as long as the call itself may take. Raises `Retry`: nothing was sent."""
        if not self._has_slot:
            self._take()
        self._has_slot = False
        self._entered_at = time.monotonic()

    def _take(self) -> None:
        try:
            has_come = self._limiter.take(
                self._slug, urgent=self.urgent, wait=self.deadline, in_hand=True
            )
        except LimiterDown as error:
            raise Retry(str(error)) from error
        if not has_come:
            raise Retry("No slot of the helpdesk's budget of requests came free in time.")

    def heard(
        self, *, limit: int | None, remaining: Remaining | None, retry_after: float | None
    ) -> None:
        """Pass on to all workers what the answer said. Never raises: the answer that carried it counts."""
        took = time.monotonic() - self._entered_at
        said = (remaining.requests, remaining.resets_in) if remaining else (None, None)
        try:
            if isinstance(self._limiter, Learner) and (limit, remaining) != (None, None):
                self._limiter.learn(self._slug, Heard(took, limit, *said))
            if retry_after is not None:
                self._limiter.pause(self._slug, retry_after)
        except LimiterDown as error:
            logger.warning("The budget of %s could not be shared: %s", self._slug, error)
