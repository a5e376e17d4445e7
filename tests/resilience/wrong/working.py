"""Wrong about work: budget, claims, serving, audit and decisions."""

import random
import time
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from accounts import audit
from accounts.models import User
from tests.resilience.wrong import NO_STORM, swap, wrong
from tokens import limiter, outbox, policies, tasks, worker
from tokens.models import AccessRequest, Decision, Grant, Job
from tokens.operations import decisions
from tokens.provisioning import issuing


@wrong(
    "does-nothing", caught_by="unsettled", seconds=6, settles_within=12, share=0.0,
    plans=("short",), **NO_STORM,
)  # fmt: skip
def does_nothing() -> None:
    """A portal that makes no mistake because it does no work."""
    swap(worker, run_due=lambda **_: 0)


@wrong("served-too-long", caught_by="late_served", share=0.0, plans=("stays",), **NO_STORM)
def served_too_long() -> None:
    """A token is handed out for as long as the helpdesk lets it live."""

    def seconds_to_tell(grant: Grant, *, now: datetime) -> int | None:
        ends = grant.access_expires_at
        return int((ends - now).total_seconds()) if ends and ends > now else None

    swap(policies, seconds_to_tell=seconds_to_tell)


@wrong("refreshed-too-early", caught_by="killed_early", share=0.0, plans=("stays",), **NO_STORM)
def refreshed_too_early() -> None:
    """A pair is replaced whenever somebody asks, whatever clients were told."""
    right = policies.seconds_to_tell

    def seconds_to_tell(grant: Grant, *, now: datetime) -> int | None:
        with transaction.atomic():
            outbox.order(
                Job.Kind.REFRESH, grant.credential_id or 0, helpdesk=grant.helpdesk, now=now
            )
        return right(grant, now=now)

    swap(policies, seconds_to_tell=seconds_to_tell)
    swap(issuing, _is_due=lambda *_: True)


@wrong("unique-while-open", caught_by="repeated", share=0.0, plans=("stays",), **NO_STORM)
def unique_while_open() -> None:
    """A refresh token is guarded only while a call is open, and a job may have two workers."""
    right, held = issuing._is_due, outbox._held

    def is_due(*asked: Any) -> bool:
        found = right(*asked)
        time.sleep(random.uniform(0, 0.5) if found else 0)
        return found

    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX IF EXISTS one_successor_per_grant")
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()  # the web's processes are forks of this one
    swap(issuing, _is_due=is_due)
    swap(
        outbox,
        _held=lambda worker, now: {**held(worker, now), "claimed_until": now},
        renew_claim=lambda _job, *, now: True,
    )


@wrong(
    "unshared-429", caught_by="over_limit", share=0.0, plans=("short",), at_once=10,
    HELPDESK_PRODUCTION_REQUESTS_PER_MINUTE="150", **NO_STORM,
)  # fmt: skip
def unshared_429() -> None:
    """Each process has a budget of its own, and what the helpdesk says of it, 429s among that, teaches nobody."""
    rates = {slug: config.requests_per_minute for slug, config in settings.HELPDESKS.items()}
    own = limiter.LocalLimiter(rates)
    swap(tasks, shared_limiter=lambda: own)
    swap(limiter.BudgetGate, heard=lambda *_args, **_said: None)


@wrong("audit-after-commit", caught_by="unaudited", share=0.1)
def audit_after_commit() -> None:
    """What was done is recorded once it is done, in a transaction of its own."""
    right = audit.record

    def record(event: str, **facts: Any) -> None:
        def later() -> None:
            time.sleep(0.05)
            with transaction.atomic():
                right(event, **facts)

        transaction.on_commit(later)

    swap(audit, record=record)


@wrong("read-then-write-approval", caught_by="decided", share=0.0, plans=("contested",), **NO_STORM)
def read_then_write_approval() -> None:
    """How many have approved is read, and written a moment later."""

    def approve(
        *, access_request_id: int, revision: int, scopes: frozenset[str], days: int,
        reason: str, by: User, now: datetime,
    ) -> AccessRequest:  # fmt: skip
        asked, _ = decisions._load(access_request_id, by)
        said: dict[str, Any] = {"scopes": scopes, "days": days, "reason": reason, "now": now}
        asked.approvals += 1
        time.sleep(0.3)
        with transaction.atomic():
            AccessRequest.objects.filter(pk=asked.pk).update(approvals=asked.approvals)
            decisions._decide(asked, Decision.Verdict.APPROVE, by=by, **said)
            audit.record("request.approved", by=by, target=asked, revision=revision, **said)
            if asked.approvals >= asked.profile_version.approvals_needed:
                decisions._grant(asked, now=now)
        return asked

    swap(decisions, approve=approve)


@wrong("approve-without-count-up", caught_by="decided", share=0.0, plans=("contested",), **NO_STORM)
def approve_without_count_up() -> None:
    """The decision is inserted, and nobody counts: the first approval grants."""

    def count_up(asked: AccessRequest, *, revision: int, now: datetime) -> None:
        asked.approvals = asked.profile_version.approvals_needed

    swap(decisions, _count_up=count_up)
