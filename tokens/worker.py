"""How due jobs are worked off: a slot of the helpdesk's budget first, then the most urgent job, until none is due."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from tokens import outbox
from tokens.connectors.base import Broken, ClaimLost, ConnectorError, Gate, Remaining, Retry
from tokens.limiter import BudgetGate, Limiter, LimiterDown
from tokens.models import Helpdesk, Job
from tokens.operations import helpdesks
from tokens.provisioning import (
    Later,
    Line,
    close,
    confirm,
    exchange,
    inventory,
    link,
    open_line,
    refresh,
)
from tokens.provisioning.line import Clock, Connect
from tokens.refusals import StaleState
from tokens.sealing import Unsealable

logger = logging.getLogger(__name__)

SLOT_WAIT = 30.0
"""Seconds to wait for a slot before a worker lets go."""
LOOK_AGAIN = 0.2
"""Seconds after which who waits for a slot looks again what it would be for. Else a click that comes while everybody
waits for something less urgent stood behind the hundred pages of a list that one of them has in hand."""
WORK: dict[str, Callable[[Line, int], object]] = {
    Job.Kind.CLOSE: close,
    Job.Kind.CONFIRM: confirm,
    Job.Kind.EXCHANGE: exchange,
    Job.Kind.REFRESH: refresh,
    Job.Kind.LINK: link,
    Job.Kind.INVENTORY: lambda line, _: inventory(line),
}


@dataclass
class ClaimedGate:
    """The budget's gate for one job: the claim is renewed before each call, and a lost one makes no call."""

    budget: Gate
    job: Job
    clock: Clock

    @property
    def deadline(self) -> float:
        return self.budget.deadline

    def enter(self) -> None:
        self.budget.enter()
        if not outbox.renew_claim(self.job, now=self.clock()):
            raise ClaimLost("Another worker has taken over this job.")

    def heard(
        self, *, limit: int | None, remaining: Remaining | None, retry_after: float | None
    ) -> None:
        self.budget.heard(limit=limit, remaining=remaining, retry_after=retry_after)


def run_due(
    *,
    slug: str,
    clock: Clock,
    limiter: Limiter,
    connect: Connect,
    most: int = 1000,
    may_begin: Callable[[], bool] = lambda: True,
) -> int:
    """Work off what is due on one helpdesk, at most `most` jobs. Returns how many were taken up.

    `may_begin` is asked once more when a slot has come, which may take long: a process that ends claims nothing.

    Any number may run at once, in threads, processes and machines. Raises nothing a job can cause.
    """
    helpdesk = Helpdesk.objects.filter(slug=slug).first()
    taken = 0
    while helpdesk is not None and taken < most and _may_work(helpdesk, clock()):
        job = _claim_with_slot(helpdesk, limiter, clock, may_begin)
        if job is None:
            break
        taken += 1
        gate = BudgetGate(
            limiter, slug, deadline=settings.CALL_DEADLINE.total_seconds(),
            urgent=outbox.overtakes(job), has_slot=job.kind not in outbox.SILENT,
        )  # fmt: skip
        _work(job, helpdesk, ClaimedGate(gate, job, clock), clock=clock, connect=connect)
        helpdesk.refresh_from_db()
    return taken


def lacking() -> str:
    """What this process lacks to be a worker, as a sentence; "" when nothing.

    A worker without a key would lose what it is given, so it must not start.
    """
    names = [
        name for name in ("SEALING_KEYS", "WORKER_SEALING_KEYS") if not getattr(settings, name)
    ]
    for config in settings.HELPDESKS.values():
        names += config.missing_secrets
    names += [place.missing for place in settings.WEBHOOKS.values() if place.missing]
    return f"A worker needs {', '.join(names)}; see docs/install.md." if names else ""


def _may_work(helpdesk: Helpdesk, now: datetime) -> bool:
    """While our own access is refused a try is made only every `PROBE_EVERY`."""
    stopped = helpdesk.stopped_at
    return stopped is None or now >= stopped + settings.PROBE_EVERY


def _claim_with_slot(
    helpdesk: Helpdesk, limiter: Limiter, clock: Clock, may_begin: Callable[[], bool]
) -> Job | None:
    """The slot comes before the job, so that the job is the most urgent one at the moment it can be done.

    What asks nothing of the helpdesk needs no slot and wastes none.
    """
    end = time.monotonic() + SLOT_WAIT
    while (left := end - time.monotonic()) > 0:
        now = clock()
        ahead = outbox.ahead(helpdesk, now)
        if not ahead:
            return None
        silent = outbox.claim_silent(ahead, helpdesk, worker=_name(), now=now)
        if silent is not None:
            return silent
        is_urgent = ahead[0].urgency <= outbox.ENDING
        try:
            has_slot = _take_slot(limiter, helpdesk.slug, is_urgent=is_urgent, left=left)
        except LimiterDown as error:
            logger.warning("Work on %s waits: %s", helpdesk.slug, error)
            return None
        if has_slot and may_begin():
            return outbox.claim(helpdesk, worker=_name(), now=clock())
        if has_slot is not None or not may_begin():
            return None
    return None


def _take_slot(limiter: Limiter, slug: str, *, is_urgent: bool, left: float) -> bool | None:
    """Wait for a slot; False: none can come in the time that is left. None: look again what it would be for."""
    if is_urgent or left <= LOOK_AGAIN:
        return limiter.take(slug, urgent=is_urgent, wait=left)
    again = time.monotonic() + LOOK_AGAIN
    if limiter.take(slug, urgent=False, wait=LOOK_AGAIN):
        return True
    is_far = time.monotonic() < again  # no slot at all comes so soon
    return limiter.take(slug, urgent=False, wait=left) if is_far else None


def process_name() -> str:
    """How the names of this process's workers begin, on their claims."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:"


def _name() -> str:
    return f"{process_name()}{threading.get_ident() % 100_000}"


def _put_off(job: Job, later: Later, *, now: datetime) -> None:
    """Waiting is no failing, unless it is for a call that had no answer."""
    if later.failure:
        seconds = (later.until - now).total_seconds()
        outbox.fail(job, sentence=later.failure, now=now, after=max(0.0, seconds))
    else:
        outbox.postpone(job, until=later.until, now=now)


def _work(job: Job, helpdesk: Helpdesk, gate: Gate, *, clock: Clock, connect: Connect) -> None:
    """Do one job and settle its row, whatever happens."""
    try:
        line = open_line(helpdesk, gate=gate, clock=clock, connect=connect)
        if helpdesk.stopped_at is not None:
            line.must_be_admin()
        WORK[job.kind](line, job.target_id)
    except Later as later:
        _put_off(job, later, now=clock())
    except StaleState:
        outbox.finish(job, now=clock())
    except Broken as error:
        helpdesks.stop(
            helpdesk=helpdesk, reason=error.reason, now=clock(), of_agents=error.of_agents
        )
        outbox.postpone(job, until=clock() + settings.PROBE_EVERY, now=clock())
    except ConnectorError as error:
        after = error.after if isinstance(error, Retry) else None
        outbox.fail(job, sentence=error.reason, now=clock(), after=after)
    except (Unsealable, LimiterDown, ImproperlyConfigured) as error:
        outbox.fail(job, sentence=str(error), now=clock())
    except Exception as error:
        logger.exception("Job %s", job.key)
        sentence = f"An error of Keydesk's own ({type(error).__name__}); the log says more."
        outbox.fail(job, sentence=sentence, now=clock())
    else:
        outbox.finish(job, now=clock())
        helpdesks.resume(helpdesk=helpdesk, now=clock())
