"""What the page of one access and the token endpoint read. Nothing here changes a row."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from accounts.models import AuditEvent, User
from tokens.models import (
    AccessRequest,
    ClientSecret,
    Connection,
    Credential,
    Fetch,
    Grant,
    Helpdesk,
    Job,
)
from tokens.queries import inventories
from tokens.states import CREDENTIAL_CONNECTED, CredentialState, GrantState, RequestState


def credential_by_id(pk: int) -> Credential | None:
    """One credential, for a page; whether this reader may see it is for permissions to say."""
    rows = Credential.objects.select_related(
        "helpdesk", "owner", "deputy", "acts_as", "profile_version"
    )
    return rows.filter(pk=pk).first()


def connected_as(acts_as_id: int) -> QuerySet[Credential]:
    """Access that works, or is being connected, as one user of a helpdesk; the oldest first."""
    rows = Credential.objects.filter(acts_as=acts_as_id, state__in=CREDENTIAL_CONNECTED)
    return rows.select_related("owner", "helpdesk", "deputy").order_by("pk")


@dataclass(frozen=True)
class Use:
    """How much an access was used: every token handed out counts."""

    fetches: int
    last_at: datetime | None


def use_of(credential: Credential) -> Use:
    """How often a token was handed out, and when last."""
    found = Fetch.objects.filter(credential=credential).aggregate(n=Count("id"), last=Max("at"))
    return Use(found["n"], found["last"])


def secrets_of(credential: Credential, *, now: datetime) -> list[ClientSecret]:
    """The secrets that work now, the newest first."""
    rows = ClientSecret.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), credential=credential)
    return list(rows.order_by("-id"))


def current_secret(credential: Credential) -> ClientSecret | None:
    """The secret without an end."""
    return ClientSecret.objects.filter(credential=credential, ends_at=None).first()


def requests_of(credential: Credential) -> list[AccessRequest]:
    """The request that made this access, and its renewals, oldest first."""
    return list(credential.access_requests.order_by("id"))


def open_renewal(credential: Credential) -> AccessRequest | None:
    """The renewal that waits for a decision."""
    rows = credential.access_requests.filter(state=RequestState.PENDING, is_renewal=True)
    return rows.first()


def consented_at(credential: Credential) -> datetime | None:
    """When the latest consent came back from the helpdesk."""
    rows = credential.connections.filter(outcome="consented").order_by("-used_at")
    return rows.values_list("used_at", flat=True).first()


def fruitless_consents(user: User, helpdesk: Helpdesk, *, since: datetime) -> int:
    """How many consents of this person came back from the helpdesk since then and gave nothing that was kept."""
    rows = Connection.objects.filter(
        user=user, credential__helpdesk=helpdesk, outcome="consented", used_at__gt=since
    )
    return rows.exclude(grants__proved_at__isnull=False).count()


def live_grant(credential: Credential) -> Grant | None:
    """The token pair in use."""
    return credential.grants.filter(state=GrantState.LIVE).first()


# --- Ending ------------------------------------------------------------------------------------------


def jobs_of_ending(credential: Credential) -> list[Job]:
    """What workers still owe for an access that is ending, the one that has failed most on top.

    Where only a call without an answer is left of it, that is the list of all tokens; and once that has
    shown what the call may have made, the end of these.
    """
    doomed = credential.grants.filter(state=GrantState.DOOMED).values("pk")
    owed = Q(kind=Job.Kind.CONFIRM, target_id=credential.pk)
    if doomed.exists():
        owed |= Q(kind=Job.Kind.CLOSE, target_id__in=doomed)
    elif waiting_for_a_list(Credential.objects.filter(pk=credential.pk)).exists():
        owed |= Q(kind=Job.Kind.INVENTORY, target_id=credential.helpdesk_id)
        owed |= Q(
            kind=Job.Kind.CLOSE, target_id__in=_strays_that_may_be_of(credential).values("pk")
        )
    return list(Job.objects.filter(owed, done_at=None).order_by("-tries", "not_before"))


def _strays_that_may_be_of(credential: Credential) -> QuerySet[Grant]:
    run = inventories.newest(credential.helpdesk)
    if run is None:
        return Grant.objects.none()
    return Grant.objects.filter(
        helpdesk=credential.helpdesk_id, purpose=Grant.Purpose.STRAY, state=GrantState.DOOMED,
        remote_id__in=inventories.may_be_of(credential, run).values("remote_id"),
    )  # fmt: skip


def needing_a_list(rows: QuerySet[Credential]) -> QuerySet[Credential]:
    """Of these, the ends of which a call was written off: what it made only the list of all tokens tells."""
    lost = Grant.objects.filter(credential=OuterRef("pk"), state=GrantState.WRITTEN_OFF)
    return rows.filter(Exists(lost), state=CredentialState.REVOKING)


def waiting_for_a_list(rows: QuerySet[Credential]) -> QuerySet[Credential]:
    """Of these, the ends that need a list and nothing else any more."""
    doomed = Grant.objects.filter(credential=OuterRef("pk"), state=GrantState.DOOMED)
    return needing_a_list(rows).filter(~Exists(doomed)).select_related("owner", "helpdesk")


def held_up_by_a_list(
    rows: QuerySet[Credential], jobs: QuerySet[Job], *, most: int
) -> dict[Credential, Job]:
    """Of these ends, those that wait for a list that is among `jobs`, the longest ending first."""
    lists = {job.target_id: job for job in jobs.filter(kind=Job.Kind.INVENTORY, done_at=None)}
    waiting = waiting_for_a_list(rows).filter(helpdesk__in=lists)
    return {row: lists[row.helpdesk_id] for row in waiting.order_by("ending_since", "pk")[:most]}


# --- The token endpoint ------------------------------------------------------------------------------


def for_serving(credential_id: int) -> tuple[Credential, Grant | None]:
    """A credential and its live pair, as they are now. Raises `Credential.DoesNotExist`."""
    credential = Credential.objects.select_related("helpdesk").get(pk=credential_id)
    return credential, live_grant(credential)


def all_for_serving(
    credential_ids: Collection[int],
) -> list[tuple[Credential, Grant | None]]:
    """The same of many, in two queries."""
    live = Grant.objects.filter(credential__in=credential_ids, state=GrantState.LIVE)
    grants = {grant.credential_id: grant for grant in live}
    return [(row, grants.get(row.pk)) for row in Credential.objects.filter(pk__in=credential_ids)]


def is_refresh_backing_off(credential: Credential, *, now: datetime) -> bool:
    """Whether the refresh it owes has failed and waits for its next try: more calls do not hasten it."""
    return Job.objects.filter(
        kind=Job.Kind.REFRESH, target_id=credential.pk, done_at=None, parked_because="",
        error_at__isnull=False, not_before__gt=now,
    ).exists()  # fmt: skip


def who_ended(credential: Credential) -> str:
    """The person whose word ended it; "" where it was time, or Keydesk."""
    last = AuditEvent.objects.filter(
        target_type="Credential", target_id=str(credential.pk),
        event__in=("credential.revoked", "credential.cancelled"), actor__startswith="user:",
    ).order_by("-id").first()  # fmt: skip
    return last.actor_name if last else ""
