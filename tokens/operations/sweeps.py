"""What time itself changes, and what a lost message missed: found from the database alone, oldest first.

Every sweep may run twice at once and at any time; each returns how many rows it moved.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts import sessions
from tokens import notifications, outbox
from tokens.models import (
    AccessRequest,
    Credential,
    Grant,
    Helpdesk,
    InventoryRun,
    Job,
    ProfileVersion,
)
from tokens.operations import credentials, emergencies, messages, requests
from tokens.queries.credentials import needing_a_list
from tokens.queries.messages import halfway_to_connect, not_told
from tokens.refusals import StaleState
from tokens.states import (
    CREDENTIAL_USABLE,
    GRANT_OPEN,
    CredentialState,
    GrantState,
    RequestState,
)

logger = logging.getLogger(__name__)

BATCH = 500
SOON = (14, 7, 1)


def carry_on_emergencies(*, now: datetime) -> int:
    """What somebody ordered to be ended all at once, and nobody has finished."""
    return emergencies.carry_on_all(now=now, most=BATCH)


def name_groups(*, now: datetime) -> int:
    """Requests that a web process of an older version made, which do not name the group they are for."""
    group = ProfileVersion.objects.filter(pk=OuterRef("profile_version")).values("approver_group")
    nameless = AccessRequest.objects.filter(approver_group="", state=RequestState.PENDING)
    return nameless.update(approver_group=Subquery(group[:1]))


def lapse_requests(*, now: datetime) -> int:
    """Requests nobody decided in time."""
    rows = AccessRequest.objects.filter(state=RequestState.PENDING, decide_by__lte=now)
    return _each(
        rows.select_related("requester").order_by("decide_by", "id")[:BATCH],
        lambda row: requests.lapse(access_request=row, now=now),
    )


def escalate_requests(*, now: datetime) -> int:
    """Requests that others are told of, since nobody has decided them."""
    rows = AccessRequest.objects.filter(state=RequestState.PENDING, escalate_at__lte=now)
    return _each(
        rows.select_related("profile_version").order_by("escalate_at", "id")[:BATCH],
        lambda row: requests.escalate(access_request=row, now=now),
    )


def lapse_credentials(*, now: datetime) -> int:
    """Access nobody connected in time."""
    rows = Credential.objects.filter(
        state=CredentialState.AWAITING_CONSENT, connect_by__lte=now
    ).select_related("owner", "deputy")
    return _each(
        rows.order_by("connect_by", "id")[:BATCH],
        lambda row: credentials.lapse(credential=row, now=now),
    )


def expire_credentials(*, now: datetime, most: int = BATCH) -> int:
    """Access that has reached its end, at most so much of it."""
    rows = Credential.objects.filter(state__in=CREDENTIAL_USABLE, lives_until__lte=now)
    return _each(
        rows.select_related("helpdesk").order_by("lives_until", "id")[:most],
        lambda row: credentials.expire(credential=row, now=now),
    )


def next_end(*, after: datetime) -> datetime | None:
    """When the next access reaches its end; None when there is none. What is overdue is the next sweep's."""
    rows = Credential.objects.filter(state__in=CREDENTIAL_USABLE, lives_until__gt=after)
    return rows.order_by("lives_until").values_list("lives_until", flat=True).first()


def end_for_leavers(*, now: datetime) -> int:
    """What belongs to people who left: pending requests are closed, access is ended."""
    reason = "Its owner has left."
    pending = AccessRequest.objects.filter(
        state=RequestState.PENDING, requester__deactivated_at__isnull=False
    )
    held = Credential.objects.filter(
        state__in=(*CREDENTIAL_USABLE, CredentialState.AWAITING_CONSENT),
        owner__deactivated_at__isnull=False,
    ).select_related("helpdesk")
    return _each(
        pending.order_by("requester__deactivated_at", "id")[:BATCH],
        lambda row: requests.close(access_request=row, reason=reason, now=now),
    ) + _each(
        held.order_by("owner__deactivated_at", "id")[:BATCH],
        lambda row: credentials.revoke(credential=row, by=None, reason=reason, now=now),
    )


def keep_alive(*, now: datetime) -> int:
    """Pairs whose refresh half would end before their lease: refreshed as soon as nobody is using them."""
    rows = Grant.objects.filter(
        state=GrantState.LIVE,
        credential__state=CredentialState.ACTIVE,
        refresh_expires_at__lt=F("credential__lives_until"),
        refresh_expires_at__lte=now + settings.KEEP_ALIVE_MARGIN,
    ).select_related("helpdesk", "credential")
    return _each(
        rows.order_by("refresh_expires_at", "id")[:BATCH],
        lambda row: _owe(
            Job.Kind.REFRESH, row.credential_id, row.helpdesk, now,
            not_before=max(now, row.serve_until or now),
        ),
    )  # fmt: skip


def find_stuck(*, now: datetime) -> int:
    """Whatever waits for a worker and has no open job, whyever that is."""
    issuing = Credential.objects.filter(state=CredentialState.ISSUING)
    ending = (
        Credential.objects.filter(state=CredentialState.REVOKING)
        .exclude(grants__state=GrantState.DOOMED)  # whose burial asks again
        .exclude(pk__in=_looked_at_since_the_last_list().values("target_id"))
    )
    lists = Job.objects.filter(kind=Job.Kind.INVENTORY, done_at=None)
    doomed = Grant.objects.filter(state=GrantState.DOOMED).exclude(
        deleted_at__isnull=False, is_refresh_dead=True, helpdesk__jobs__in=lists
    )
    left_open = (
        Credential.objects.filter(
            grants__state__in=GRANT_OPEN, grants__intended_at__lt=now - settings.MINIMUM_AGE
        )
        .exclude(
            state__in=(CredentialState.ISSUING, CredentialState.ACTIVE, CredentialState.REVOKING)
        )
        .distinct()
    )
    refreshing = Credential.objects.filter(
        state=CredentialState.ACTIVE, grants__state__in=GRANT_OPEN
    ).distinct()
    return (
        _without_job(Job.Kind.EXCHANGE, issuing, now)
        + _without_job(Job.Kind.CONFIRM, ending, now)
        + _without_job(Job.Kind.CONFIRM, left_open, now)
        + _without_job(Job.Kind.CLOSE, doomed, now)
        + _without_job(Job.Kind.REFRESH, refreshing, now)
    )


def _looked_at_since_the_last_list() -> QuerySet[Job]:
    """Looks at ends that found one waiting, and would find the same again until a list counts."""
    newest = InventoryRun.objects.filter(helpdesk=OuterRef("helpdesk"), is_complete=True)
    last = Subquery(newest.order_by("-pk").values("finished_at")[:1])
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    ending = Credential.objects.filter(state=CredentialState.REVOKING)
    return Job.objects.filter(
        kind=Job.Kind.CONFIRM,
        target_id__in=ending.values("pk"),
        done_at__gt=Coalesce(last, long_ago),
    )


def order_inventories(*, now: datetime) -> int:
    """The list of all tokens, when the last one was acted on long enough ago.

    Lists that only proved a token settle nothing, so they do not count; one that is owed is left its pace. For
    ends that wait for it, it goes before everything that gives access.
    """
    ends = needing_a_list(Credential.objects.all())
    awaited = set(ends.values_list("helpdesk", flat=True))
    owed_or_recent = Job.objects.filter(
        Q(done_at=None) | Q(done_at__gt=now - settings.INVENTORY_EVERY), kind=Job.Kind.INVENTORY
    )
    return _each(
        Helpdesk.objects.exclude(pk__in=owed_or_recent.values("helpdesk")),
        lambda helpdesk: _owe_list(helpdesk, now, is_awaited=helpdesk.pk in awaited),
    )


def _owe_list(helpdesk: Helpdesk, now: datetime, *, is_awaited: bool) -> None:
    with transaction.atomic():
        outbox.order_list(helpdesk, now=now, is_awaited=is_awaited)


def tell_ends_soon(*, now: datetime) -> int:
    """Owners hear 14, 7 and 1 days before the end, where the life is that long."""
    told = 0
    for days in SOON:
        rows = Credential.objects.filter(
            state__in=(CredentialState.ACTIVE, CredentialState.LOST),
            lives_until__gt=now + timedelta(days=days - 1),
            lives_until__lte=now + timedelta(days=days),
        ).filter(lives_until__gt=F("issued_at") + timedelta(days=days))
        ending = rows.select_related("owner", "deputy").order_by("lives_until", "id")
        told += _each(
            islice(not_told(ending, days), BATCH),
            partial(notifications.ends_soon, days=days, now=now),
        )
    return told


def tell_connect_waiting(*, now: datetime) -> int:
    """Owners hear once that half of the time to connect is over and nothing is connected."""
    rows = halfway_to_connect(now=now).select_related("owner", "deputy")
    return _each(
        rows.order_by("connect_by", "id")[:BATCH],
        partial(notifications.connect_waiting, now=now),
    )


def forget_sessions(*, now: datetime) -> int:
    """Sessions that are over. `now` is the other sweeps'; a session's end is by the process's own time."""
    sessions.forget_ended()
    return 0


SWEEPS: tuple[Callable[..., int], ...] = (
    carry_on_emergencies,
    name_groups,
    expire_credentials,
    lapse_requests,
    escalate_requests,
    lapse_credentials,
    end_for_leavers,
    keep_alive,
    find_stuck,
    order_inventories,
    tell_ends_soon,
    tell_connect_waiting,
    messages.give_up,
    forget_sessions,
)


def sweep(*, now: datetime) -> int:
    """All of them. Returns how many rows were moved. One that fails is logged and stops no other.

    Raises only what says that the database is away.
    """
    return sum(_swept(one, now=now) for one in SWEEPS)


def _swept(one: Callable[..., int], *, now: datetime) -> int:
    try:
        return one(now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("The sweep %s", one.__name__)
        return 0


def _owe(
    kind: Job.Kind,
    target_id: int | None,
    helpdesk: Helpdesk,
    now: datetime,
    *,
    not_before: datetime | None = None,
) -> None:
    assert target_id is not None
    with transaction.atomic():
        outbox.order(kind, target_id, helpdesk=helpdesk, now=now, not_before=not_before)


def _without_job(kind: Job.Kind, rows: QuerySet[Any], now: datetime) -> int:
    """Owe the job for each row that has none."""
    owed = Job.objects.filter(kind=kind, done_at=None)
    found = (
        rows.exclude(pk__in=owed.values("target_id"))
        .select_related("helpdesk")
        .order_by("id")[:BATCH]
    )
    return _each(found, lambda row: _owe(kind, row.pk, row.helpdesk, now))


def _each(rows: Iterable[Any], act: Callable[[Any], object]) -> int:
    """Act on each row; one that somebody else moved first is not ours any more.

    One that cannot be moved is logged and stops no other. A database that is away ends the sweep.
    """
    return sum(_acted(row, act) for row in rows)


def _acted(row: Any, act: Callable[[Any], object]) -> bool:
    try:
        act(row)
    except StaleState:
        return False
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("%s %s cannot be moved.", type(row).__name__, row.pk)
        return False
    return True
