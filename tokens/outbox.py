"""What workers owe: job rows, written with the change that wants them; and the nudge that says "look now".

A row is never lost; a nudge may be. Backoff has full jitter: after n failed tries a job waits a random
time up to the n-th of `settings.BACKOFF`.
"""

import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from threading import Lock

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Least

from tokens.models import Helpdesk, Job

logger = logging.getLogger(__name__)

AT_ONCE = 0
"""What somebody asked for: a click is in nobody's line, though ten thousand ends are due. And what calls nobody."""
ENDING = 1
"""Up to here it is access that ends, or the list an end waits for: before everything that gives access."""
URGENCY = {
    Job.Kind.CONFIRM: AT_ONCE,
    Job.Kind.CLOSE: ENDING,
    Job.Kind.EXCHANGE: 2,
    Job.Kind.REFRESH: 3,
    Job.Kind.LINK: 4,
    Job.Kind.INVENTORY: 5,
}
SILENT = frozenset({Job.Kind.CONFIRM})
"""Kinds that ask nothing of the helpdesk, so they need no slot of its budget."""
AHEAD = 16
"""Among how many of the most urgent jobs a worker picks, so that many workers rarely want the same one."""
TRIES_BEFORE_RED = 6
_NUDGES_APART = 0.05
"""Seconds between two messages of a process: who ends a thousand at once need not say so a thousand times."""


def overtakes(job: Job) -> bool:
    """Whether its calls go before all others: those that end access.

    A list that waits for nobody's call is begun at once, but its hundred pages are not in a click's way.
    """
    return job.urgency <= ENDING and job.kind != Job.Kind.INVENTORY


def order(
    kind: Job.Kind,
    target_id: int,
    *,
    helpdesk: Helpdesk,
    now: datetime,
    not_before: datetime | None = None,
    urgency: int | None = None,
) -> None:
    """Owe `kind` for `target_id`, not before the given moment. An open one is hastened, never doubled."""
    due = not_before or now
    level = URGENCY[kind] if urgency is None else urgency
    key = f"{kind}:{helpdesk.slug}:{target_id}"
    hastened = Job.objects.filter(key=key, done_at=None).update(
        orders=F("orders") + 1,
        not_before=Least(F("not_before"), due),
        urgency=Least(F("urgency"), level),
        parked_because="",
    )
    if not hastened:
        job = Job(
            helpdesk=helpdesk, kind=kind, target_id=target_id, key=key,
            urgency=level, not_before=due, created_at=now,
        )  # fmt: skip
        Job.objects.bulk_create([job], ignore_conflicts=True)
    if due <= now:
        nudge(helpdesk.slug)


def order_list(helpdesk: Helpdesk, *, now: datetime, is_awaited: bool = False) -> None:
    """Owe the list of all tokens; one that an end or a person waits for before everything that gives access."""
    urgency = AT_ONCE if is_awaited else None
    order(Job.Kind.INVENTORY, helpdesk.pk, helpdesk=helpdesk, now=now, urgency=urgency)


def due_jobs(helpdesk: Helpdesk, now: datetime) -> QuerySet[Job]:
    """Open jobs whose time has come and that nobody holds, most urgent first."""
    return Job.objects.filter(
        Q(claimed_until=None) | Q(claimed_until__lte=now),
        helpdesk=helpdesk,
        done_at=None,
        not_before__lte=now,
        parked_because="",
    ).order_by("urgency", "not_before", "id")


def ahead(helpdesk: Helpdesk, now: datetime) -> list[Job]:
    """The sixteen most urgent due jobs."""
    return list(due_jobs(helpdesk, now)[:AHEAD])


def claim(helpdesk: Helpdesk, *, worker: str, now: datetime) -> Job | None:
    """Take one of the sixteen most urgent due jobs, by conditional update; None when nothing is due.

    For who has a slot of the budget: of equally urgent ones those that need it come first.
    """
    candidates = ahead(helpdesk, now)
    most_urgent = [job for job in candidates if job.urgency == candidates[0].urgency]
    random.shuffle(most_urgent)
    most_urgent.sort(key=lambda job: job.kind in SILENT)
    return _take_one(most_urgent, helpdesk, worker, now)


def claim_silent(
    candidates: list[Job], helpdesk: Helpdesk, *, worker: str, now: datetime
) -> Job | None:
    """The same for who has no slot: of these jobs, which `ahead` found, only one that needs none."""
    silent = [job for job in candidates if job.kind in SILENT]
    random.shuffle(silent)
    return _take_one(silent, helpdesk, worker, now)


def _take_one(candidates: list[Job], helpdesk: Helpdesk, worker: str, now: datetime) -> Job | None:
    for job in candidates:
        if due_jobs(helpdesk, now).filter(pk=job.pk).order_by().update(**_held(worker, now)):
            job.refresh_from_db()
            return job
    return None


def renew_claim(job: Job, *, now: datetime) -> bool:
    """Hold on to a job for another while. False when another worker has it by now."""
    return bool(
        Job.objects.filter(pk=job.pk, done_at=None, claimed_by=job.claimed_by).update(
            claimed_until=now + settings.CLAIM
        )
    )


def _held(worker: str, now: datetime) -> dict[str, object]:
    return {"claimed_by": worker, "claimed_until": now + settings.CLAIM, "tries": F("tries") + 1}


def finish(job: Job, *, now: datetime) -> None:
    """Close a job; one that was ordered again while it ran is handed back instead."""
    _let_go(job, done_at=now, error="")


def postpone(job: Job, *, until: datetime, now: datetime) -> None:
    """Hand a job back until a known moment; that is waiting, not failing, so no try is counted.

    One that waits for longer than any pause after a failure has failed at nothing: what it failed at before is over.
    """
    if until - now > timedelta(seconds=max(settings.BACKOFF)):
        _let_go(job, not_before=until, tries=0, error="", error_at=None)
    else:
        _let_go(job, not_before=until, tries=max(0, job.tries - 1))


def fail(job: Job, *, sentence: str, now: datetime, after: float | None = None) -> None:
    """Hand a job back with the reason, for another try after a jittered pause or the `after` asked for.

    Also one that was ordered again while it ran: who asks for it more often does not make it work.
    """
    seconds = after if after is not None else pause(job.tries)
    logger.warning("Job %s failed its try %s: %s", job.key, job.tries, sentence)
    _held_by(job).update(
        claimed_until=None, claimed_by="", not_before=now + timedelta(seconds=seconds),
        error=sentence[:500], error_at=now,
    )  # fmt: skip


def _let_go(job: Job, **changes: object) -> None:
    """End the claim. One that was ordered again while it ran is due as it was ordered, not as `changes` say."""
    held = _held_by(job)
    free: dict[str, object] = {"claimed_until": None, "claimed_by": ""}
    if not held.filter(orders=job.orders).update(**free, **changes):
        held.update(**free, tries=0)


def _held_by(job: Job) -> QuerySet[Job]:
    """The job's row, while whoever claimed it so still has it."""
    return Job.objects.filter(pk=job.pk, claimed_by=job.claimed_by, done_at=None)


def release(worker: str) -> int:
    """Hand back what a process that ends now still holds, by how its workers' names begin; how many jobs that were."""
    held = Job.objects.filter(claimed_by__startswith=worker, done_at=None)
    return held.update(claimed_until=None, claimed_by="")


def pause(tries: int) -> float:
    """Seconds to wait after `tries` failed tries: anything between half a second and the table's bound."""
    bounds = settings.BACKOFF
    bound = bounds[min(max(tries, 1), len(bounds)) - 1]
    return random.uniform(0.5, bound)  # noqa: S311 - jitter, no secret


class _Publisher:
    """One background thread that publishes nudges, the first at once; the same slug twice in its queue is once."""

    def __init__(self) -> None:
        self._pending: set[str] = set()
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nudge")

    def publish_soon(self, slug: str) -> None:
        with self._lock:
            if slug in self._pending:
                return
            self._pending.add(slug)
        self._thread.submit(self._publish, slug)

    def _publish(self, slug: str) -> None:
        with self._lock:
            self._pending.discard(slug)
        try:
            current_app.send_task("tokens.run_due", args=[slug], retry=False, ignore_result=True)
        except Exception as error:
            logger.warning("No nudge for %s: %s. The sweep will find the work.", slug, error)
        time.sleep(_NUDGES_APART)


@cache
def _publisher() -> _Publisher:
    """Made at the first nudge of a process, so that no thread is forked."""
    return _Publisher()


def nudge(slug: str) -> None:
    """After the commit, tell a worker to look. Never waits for the broker and never raises."""
    transaction.on_commit(lambda: nudge_now(slug), robust=True)


def nudge_now(slug: str) -> None:
    """Tell a worker to look at what is committed. Needs no database, never waits for the broker and never raises."""
    if settings.CELERY_BROKER_URL:
        _publisher().publish_soon(slug)
