"""How beat bears a broker that is away: with a line, and going on."""

import logging
from typing import Any

from celery.beat import PersistentScheduler, SchedulingError

logger = logging.getLogger(__name__)


class Beat(PersistentScheduler):  # type: ignore[misc]  # Celery has no types
    """Celery's own scheduler, but for what it says when a message cannot be sent."""

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one message. One that cannot be sent is sent again when it is next due."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            logger.warning("%s was not sent: %s", entry.task, error.__cause__ or error)
