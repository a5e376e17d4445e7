"""Wrong about work: budget, claims, serving, audit and decisions."""

import time
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from accounts import audit
from tests.resilience.wrong import wrong
from tokens import limiter, outbox, policies, worker
from tokens.models import AccessRequest, Grant, Helpdesk, Job
from tokens.operations import decisions
from tokens.provisioning import issuing


@wrong("does-nothing", caught_by="unsettled")
def does_nothing() -> None:
    """A portal that makes no mistake because it does no work."""
    worker.run_due = lambda **_: 0


@wrong("served-too-long", caught_by="late_served killed_early")
def served_too_long() -> None:
    """A token is handed out for as long as the helpdesk lets it live."""

    def seconds_to_tell(grant: Grant, *, now: datetime) -> int | None:
        ends = grant.access_expires_at
        return int((ends - now).total_seconds()) if ends and ends > now else None

    policies.seconds_to_tell = seconds_to_tell


@wrong("refreshed-too-early", caught_by="killed_early late_served")
def refreshed_too_early() -> None:
    """A pair is replaced whenever somebody asks, whatever clients were told."""
    issuing._is_due = lambda *_: True
    right = policies.seconds_to_tell

    def seconds_to_tell(grant: Grant, *, now: datetime) -> int | None:
        with transaction.atomic():
            outbox.order(
                Job.Kind.REFRESH, grant.credential_id or 0, helpdesk=grant.helpdesk, now=now
            )
        return right(grant, now=now)

    policies.seconds_to_tell = seconds_to_tell


@wrong("unique-while-open", caught_by="repeated two_pairs")
def unique_while_open() -> None:
    """A refresh token is guarded only while a call is open, and a job may have two workers."""
    _drop("one_successor_per_grant", "one_live_grant", "one_open_grant")

    def claim(helpdesk: Helpdesk, *, worker: str, now: datetime) -> Job | None:
        job = outbox.due_jobs(helpdesk, now).first() or (
            Job.objects.filter(helpdesk=helpdesk, done_at=None, kind=Job.Kind.REFRESH).first()
        )
        if job is not None:
            Job.objects.filter(pk=job.pk).update(claimed_by="everybody")
            job.claimed_by = "everybody"
        return job

    outbox.claim = claim
    issuing._is_due = lambda *_: True


def _drop(*indexes: str) -> None:
    with connection.cursor() as cursor:
        for name in indexes:
            cursor.execute(f"DROP INDEX IF EXISTS {name}")
    connection.close()


@wrong("unshared-429", caught_by="over_limit")
def unshared_429() -> None:
    """Each process paces itself, and a 429 is nobody else's business."""
    limiter.BudgetGate.heard = lambda *_args, **_said: None
    limiter.RedisLimiter.take = lambda *_args, **_wish: True


@wrong("audit-after-commit", caught_by="unaudited")
def audit_after_commit() -> None:
    """What was done is recorded once it is done, in a transaction of its own."""
    right = audit.record

    def record(event: str, **facts: Any) -> None:
        def later() -> None:
            time.sleep(0.05)
            with transaction.atomic():
                right(event, **facts)

        transaction.on_commit(later)

    audit.record = record


@wrong("read-then-write-approval", caught_by="decided")
def read_then_write_approval() -> None:
    """Whether a request still waits is read, and written a moment later."""

    def count_up(asked: AccessRequest, *, revision: int, now: datetime) -> None:
        AccessRequest.objects.filter(pk=asked.pk).update(approvals=asked.approvals + 1)
        asked.refresh_from_db()

    right = decisions._load

    def load(number: int, by: Any) -> AccessRequest:
        found = right(number, by)
        time.sleep(0.3)
        return found

    decisions._load, decisions._count_up = load, count_up


@wrong("approve-without-count-up", caught_by="decided")
def approve_without_count_up() -> None:
    """The decision is inserted, and nobody counts: the first approval grants."""

    def count_up(asked: AccessRequest, *, revision: int, now: datetime) -> None:
        asked.approvals = asked.profile_version.approvals_needed

    decisions._count_up = count_up
