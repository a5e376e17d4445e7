"""What an emergency is about, what it would end, and how far it has come. Nothing here changes a row."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from accounts.models import AuditEvent, User
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Credential,
    Emergency,
    Grant,
    Helpdesk,
    Job,
    ProfileVersion,
)
from tokens.queries.credentials import held_up_by_a_list
from tokens.queries.pages import newest
from tokens.states import (
    CREDENTIAL_ENDED,
    CREDENTIAL_USABLE,
    CredentialState,
    GrantState,
    RequestState,
)

STANDING = (*CREDENTIAL_USABLE, CredentialState.AWAITING_CONSENT)
"""States in which there is something an emergency has to end."""
MOST_LISTED = 20
NEXT_LISTED = 5

Kind = Emergency.Kind
COLUMNS = {
    Kind.PERSON: "owner_id",
    Kind.PROFILE: "profile_version__profile_id",
    Kind.HELPDESK: "helpdesk_id",
}
"""What of a credential says that it belongs to a subject of each kind."""


# --- Subjects ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """Whose, or what, all access is: `note` tells two of the same name apart."""

    kind: Kind
    pk: int
    name: str
    note: str = ""

    @property
    def key(self) -> str:
        """How it stands in a form and an address."""
        return f"{self.kind.value}:{self.pk}"

    @property
    def label(self) -> str:
        return f"{self.name} ({self.note})" if self.note else self.name

    @property
    def words(self) -> str:
        """What is ended, within a sentence."""
        if self.kind == Kind.HELPDESK:
            return f"all access on {self.name}"
        if self.kind == Kind.PROFILE:
            return f"all access “{self.name}” on {self.note}"
        return f"all access of {self.name}"

    def credentials(self) -> QuerySet[Credential]:
        """All of it there ever was."""
        return Credential.objects.filter(**{COLUMNS[self.kind]: self.pk})


def find(key: str) -> Subject | None:
    """The subject a form or an address names, if there is one."""
    word, _, number = key.partition(":")
    is_number = number.isascii() and number.isdigit() and len(number) < 19
    if word not in Kind.values or not is_number:
        return None
    return next(iter(_named(Kind(word), [int(number)])), None)


def choices() -> dict[Kind, list[Subject]]:
    """Everybody and everything that has something to end, by name."""
    # What stands has not ended: without saying so, or for a DISTINCT, SQLite reads every access there ever was.
    standing = Credential.objects.filter(state__in=STANDING, ended_at=None)
    found = set(standing.values_list(*(COLUMNS[kind] for kind in Kind)))
    pks = zip(*found, strict=True) if found else ((),) * len(Kind)
    return {kind: _named(kind, set(those)) for kind, those in zip(Kind, pks, strict=True)}


def _named(kind: Kind, pks: Iterable[int]) -> list[Subject]:
    if kind == Kind.PERSON:
        people = User.objects.filter(pk__in=pks).order_by("name", "pk")
        return [Subject(kind, row.pk, str(row), row.email) for row in people]
    if kind == Kind.HELPDESK:
        helpdesks = Helpdesk.objects.filter(pk__in=pks).order_by("name")
        return [Subject(kind, row.pk, row.name) for row in helpdesks]
    profiles = AccessProfile.objects.filter(pk__in=pks).select_related("current", "helpdesk")
    found = [Subject(kind, row.pk, str(row), row.helpdesk.name) for row in profiles]
    return sorted(found, key=lambda one: (one.name, one.note))


def subjects(emergencies: Iterable[Emergency]) -> dict[int, Subject]:
    """Of each emergency, by its id, what it is about: one query for each kind."""
    wanted: dict[Kind, dict[int, list[int]]] = {kind: defaultdict(list) for kind in Kind}
    for row in emergencies:
        wanted[Kind(row.kind)][row.subject_id].append(row.pk)
    return {
        pk: subject
        for kind, rows in wanted.items() if rows
        for subject in _named(kind, list(rows)) for pk in rows[subject.pk]
    }  # fmt: skip


def subject_of(emergency: Emergency) -> Subject:
    """What one emergency is about. Nothing of what it can be about is ever deleted."""
    return subjects([emergency])[emergency.pk]


# --- Before: what it would end -----------------------------------------------------------------------


@dataclass(frozen=True)
class Reach:
    """What an emergency would end now, and what it would leave alone."""

    connected: int
    waiting: int
    people: int
    ending: int
    requests: int

    @property
    def total(self) -> int:
        return self.connected + self.waiting


def reach(subject: Subject) -> Reach:
    """How many accesses work or wait to be connected, of how many people; what ends already; what is asked for."""
    found = subject.credentials().aggregate(
        connected=Count("pk", filter=Q(state__in=CREDENTIAL_USABLE)),
        waiting=Count("pk", filter=Q(state=CredentialState.AWAITING_CONSENT)),
        people=Count("owner", filter=Q(state__in=STANDING), distinct=True),
        ending=Count("pk", filter=Q(state=CredentialState.REVOKING)),
    )
    return Reach(**found, requests=_pending(subject).count())


def _pending(subject: Subject) -> QuerySet[AccessRequest]:
    """New access that somebody may still approve; a renewal is closed with what it would renew."""
    columns = {
        Kind.PERSON: "requester",
        Kind.PROFILE: "profile",
        Kind.HELPDESK: "profile__helpdesk",
    }
    return AccessRequest.objects.filter(
        state=RequestState.PENDING, is_renewal=False, **{columns[subject.kind]: subject.pk}
    )


def open_one(subject: Subject) -> Emergency | None:
    """The emergency that is under way for a subject."""
    rows = Emergency.objects.filter(
        kind=subject.kind, subject_id=subject.pk, finished_at__isnull=True
    )
    return rows.select_related("ordered_by").first()


# --- Meanwhile: what stands under it -----------------------------------------------------------------


def over_a_credential(at: str = "") -> Exists:
    """For a query of credentials: whether an open emergency covers the row. `at` leads from other rows to it."""
    covers = Q()
    for kind, column in COLUMNS.items():
        covers |= Q(kind=kind, subject_id=OuterRef(f"{at}{column}"))
    return Exists(
        Emergency.objects.filter(
            covers, finished_at__isnull=True, newest_credential_id__gte=OuterRef(f"{at}id")
        )
    )


def over(credential: Credential) -> Emergency | None:
    """The open emergency that covers a credential, be its turn still to come. One query."""
    profile = ProfileVersion.objects.filter(pk=credential.profile_version_id).values("profile_id")
    covers = (
        Q(kind=Kind.PERSON, subject_id=credential.owner_id)
        | Q(kind=Kind.HELPDESK, subject_id=credential.helpdesk_id)
        | Q(kind=Kind.PROFILE, subject_id__in=profile)
    )
    rows = Emergency.objects.filter(
        covers, finished_at__isnull=True, newest_credential_id__gte=credential.pk
    )
    return rows.select_related("ordered_by").order_by("pk").first()


def over_request(access_request: AccessRequest) -> Emergency | None:
    """The open emergency about whom or what a request is for new access of. One query."""
    profile = AccessProfile.objects.filter(pk=access_request.profile_id)
    rows = Emergency.objects.filter(
        Q(kind=Kind.PERSON, subject_id=access_request.requester_id)
        | Q(kind=Kind.PROFILE, subject_id=access_request.profile_id)
        | Q(kind=Kind.HELPDESK, subject_id__in=profile.values("helpdesk_id")),
        finished_at__isnull=True,
    )
    return rows.order_by("pk").first()


def covered(emergency: Emergency) -> QuerySet[Credential]:
    """Everything of its subject that was there when it was ordered, whatever has become of it."""
    rows = Credential.objects.filter(pk__lte=emergency.newest_credential_id)
    return rows.filter(**{COLUMNS[Kind(emergency.kind)]: emergency.subject_id})


def left_of(emergency: Emergency) -> QuerySet[Credential]:
    """What it has still to end: found from the rows alone, so that nothing but them need survive."""
    return covered(emergency).filter(state__in=STANDING)


def open_emergencies() -> list[Emergency]:
    """Those under way, the oldest first."""
    rows = Emergency.objects.filter(finished_at__isnull=True).select_related("ordered_by")
    return list(rows.order_by("pk"))


# --- The pages ---------------------------------------------------------------------------------------


def emergency_by_id(pk: int) -> Emergency | None:
    return Emergency.objects.select_related("ordered_by").filter(pk=pk).first()


def emergencies(*, before: int | None) -> tuple[list[Emergency], int | None]:
    """Up to fifty, the newest first, and the id the next page ends before (None: no more)."""
    return newest(Emergency.objects.select_related("ordered_by"), before=before)


@dataclass(frozen=True)
class Progress:
    """Of what an emergency found: how much is left, ending, gone; and how much was ending before it."""

    left: int
    ending: int
    gone: int
    earlier: int

    @property
    def total(self) -> int:
        return self.left + self.ending + self.gone

    @property
    def begun(self) -> int:
        """Ended or ending: nothing of these is handed out, whatever the helpdesk says."""
        return self.ending + self.gone


def progress(emergency: Emergency) -> Progress:
    """How far it has come, in one query."""
    since = Q(ending_since__gte=emergency.ordered_at) | Q(ending_since__isnull=True)
    is_ending = Q(state=CredentialState.REVOKING)
    is_over = Q(state__in=CREDENTIAL_ENDED, ended_at__gte=emergency.ordered_at)
    found = covered(emergency).aggregate(
        left=Count("pk", filter=Q(state__in=STANDING)),
        ending=Count("pk", filter=is_ending & since),
        gone=Count("pk", filter=is_over & since),
        earlier=Count("pk", filter=is_ending & Q(ending_since__lt=emergency.ordered_at)),
    )
    return Progress(**found)


@dataclass(frozen=True)
class Left:
    """One access whose turn is still to come; `error` where Keydesk has tried and could not."""

    credential: Credential
    error: AuditEvent | None


def left(emergency: Emergency) -> list[Left]:
    """What is still to be ended: what could not be on top, then the oldest."""
    hindered = {int(row.target_id): row for row in _hindered(emergency)}
    rows = left_of(emergency).select_related("owner", "helpdesk").order_by("pk")
    first = list(rows.filter(pk__in=hindered)[:MOST_LISTED])
    rest = list(rows.exclude(pk__in=hindered)[:NEXT_LISTED])
    return [Left(row, hindered.get(row.pk)) for row in first + rest]


def _hindered(emergency: Emergency) -> list[AuditEvent]:
    rows = AuditEvent.objects.filter(
        event="emergency.hindered", target_type="Credential", at__gte=emergency.ordered_at
    )
    return list(rows.order_by("-id")[:200])


def is_noted(emergency: Emergency, credential: Credential) -> bool:
    """Whether it has been written down already that this one could not be ended."""
    return AuditEvent.objects.filter(
        target_type="Credential", target_id=str(credential.pk),
        event="emergency.hindered", at__gte=emergency.ordered_at,
    ).exists()  # fmt: skip


@dataclass(frozen=True)
class Failing:
    """One access that is ending, and the jobs of its end that have failed, the worst first."""

    credential: Credential
    since: datetime | None
    jobs: list[Job]


def failing(emergency: Emergency) -> list[Failing]:
    """Ends that have failed at least once, the most tried first."""
    ending = covered(emergency).filter(state=CredentialState.REVOKING)
    doomed = Grant.objects.filter(state=GrantState.DOOMED, credential__in=ending)
    jobs = Job.objects.filter(
        Q(kind=Job.Kind.CONFIRM, target_id__in=ending.values("pk"))
        | Q(kind=Job.Kind.CLOSE, target_id__in=doomed.values("pk")),
        done_at__isnull=True,
    ).exclude(error="")
    found = _by_credential(list(jobs.order_by("-tries", "id")[: MOST_LISTED * 3]))
    failed = Job.objects.exclude(error="")
    known = {one.credential.pk for one in found}
    listed = held_up_by_a_list(ending.exclude(pk__in=known), failed, most=MOST_LISTED - len(found))
    return found + [Failing(row, row.ending_since, [job]) for row, job in listed.items()]


def _by_credential(jobs: list[Job]) -> list[Failing]:
    closing = [job.target_id for job in jobs if job.kind == Job.Kind.CLOSE]
    owners = dict(Grant.objects.filter(pk__in=closing).values_list("pk", "credential_id"))
    by_credential: dict[int, list[Job]] = defaultdict(list)
    for job in jobs:
        owner = owners.get(job.target_id) if job.kind == Job.Kind.CLOSE else job.target_id
        if owner is not None:
            by_credential[owner].append(job)
    rows = Credential.objects.select_related("owner", "helpdesk").in_bulk(by_credential)
    found = [Failing(rows[pk], rows[pk].ending_since, of) for pk, of in by_credential.items()]
    return found[:MOST_LISTED]
