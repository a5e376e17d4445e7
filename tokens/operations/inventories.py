"""What a complete list of all tokens settles: what is gone, and what nobody owns."""

from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet

from tokens import outbox
from tokens.models import Credential, Grant, InventoryRun, Job, SeenToken
from tokens.operations import grants
from tokens.states import GRANT_OPEN, CredentialState, GrantState

OWNING = (GrantState.ANSWERED, GrantState.LIVE, GrantState.DOOMED)


def settle(*, run: InventoryRun, now: datetime) -> None:
    """Act on a complete list: bury the deleted that it lacks, end the strays, ask again what waits for it."""
    if not run.is_complete:
        return
    for grant in _confirmed_absent(run):
        grants.bury(grant, now=now)
    _end_strays(run, now=now)
    waiting = Credential.objects.filter(
        helpdesk=run.helpdesk, state=CredentialState.REVOKING,
        grants__state=GrantState.WRITTEN_OFF,
    ).distinct()  # fmt: skip
    for credential in waiting:
        outbox.order(Job.Kind.CONFIRM, credential.pk, helpdesk=run.helpdesk, now=now)


def _confirmed_absent(run: InventoryRun) -> list[Grant]:
    """Doomed pairs deleted before the list began, dead in both halves, that the list lacks."""
    listed = SeenToken.objects.filter(last_run=run).values("remote_id")
    doomed = Grant.objects.filter(
        helpdesk=run.helpdesk, state=GrantState.DOOMED, deleted_at__lt=run.started_at
    )
    absent = list(doomed.exclude(remote_id__in=listed).select_related("helpdesk"))
    for grant in doomed.filter(remote_id__in=listed):
        Grant.objects.filter(pk=grant.pk).update(deleted_at=None)
        outbox.order(Job.Kind.CLOSE, grant.pk, helpdesk=grant.helpdesk, now=run.started_at)
    return [grant for grant in absent if is_refresh_half_dead(grant, at=run.started_at)]


def is_refresh_half_dead(grant: Grant, *, at: datetime) -> bool:
    """Whether the refresh half can make nothing any more: proved dead, or past its expiry."""
    ends = grant.refresh_expires_at
    return grant.is_refresh_dead or (ends is not None and ends <= at)


def strays(run: InventoryRun) -> QuerySet[SeenToken]:
    """Tokens that stood in two lists a minimum age apart and that no pair of ours is.

    No token of a user with an open call is judged: it may be that call's.
    """
    owned = Grant.objects.filter(helpdesk=run.helpdesk, state__in=OWNING, remote_id__isnull=False)
    busy = Grant.objects.filter(
        helpdesk=run.helpdesk, state__in=GRANT_OPEN, credential__isnull=False
    )
    return (
        SeenToken.objects.filter(
            last_run=run, first_run__started_at__lte=run.started_at - settings.MINIMUM_AGE
        )
        .exclude(remote_id__in=owned.values("remote_id"))
        .exclude(remote_user_id__in=busy.values("credential__acts_as__remote_id"))
    )


def _end_strays(run: InventoryRun, *, now: datetime) -> None:
    found = list(strays(run))
    live = Grant.objects.filter(helpdesk=run.helpdesk, state=GrantState.LIVE).count()
    most = max(3, live // 10)
    if len(found) > most:
        InventoryRun.objects.filter(pk=run.pk).update(
            error=f"{len(found)} tokens that nobody owns, more than {most}: a person must look."
        )
        return
    for seen in found:
        grants.adopt(helpdesk=run.helpdesk, seen=seen, now=now)


def appeared_since(*, before: InventoryRun, after: InventoryRun) -> QuerySet[SeenToken]:
    """Tokens of the later list that the earlier did not have and that no pair of ours is."""
    owned = Grant.objects.filter(
        helpdesk=after.helpdesk, state__in=OWNING, remote_id__isnull=False
    ).values("remote_id")
    return SeenToken.objects.filter(last_run=after, first_run__gt=before.pk).exclude(
        remote_id__in=owned
    )
