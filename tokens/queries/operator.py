"""What operators read: the inventory of all access, what is stuck at its end, the audit table. Flat in queries."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery

from accounts.models import AuditEvent, User
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Credential,
    Emergency,
    Fetch,
    Grant,
    Helpdesk,
    Job,
)
from tokens.queries import emergencies
from tokens.queries.credentials import held_up_by_a_list
from tokens.queries.pages import newest
from tokens.states import CREDENTIAL_ENDED, CredentialState, GrantState

MOST_STUCK = 20


# --- The inventory -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """What the inventory is narrowed to; "" is everything."""

    states: tuple[str, ...]
    helpdesk: str = ""
    owner: str = ""


@dataclass(frozen=True)
class Line:
    """One credential of the inventory, with when it was last used."""

    credential: Credential
    last_used_at: datetime | None


def inventory(wanted: Wanted, *, before: int | None) -> tuple[list[Line], int | None]:
    """Up to fifty credentials, the newest first, and the id the next page ends before (None: no more)."""
    last_fetch = Fetch.objects.filter(credential=OuterRef("pk")).order_by("-at")
    rows = _narrowed(wanted).select_related("helpdesk", "owner", "acts_as")
    rows = rows.annotate(last_used=Subquery(last_fetch.values("at")[:1]))
    found, further = newest(rows, before=before)
    return [Line(row, row.last_used) for row in found], further


def _narrowed(wanted: Wanted) -> QuerySet[Credential]:
    rows = Credential.objects.filter(state__in=wanted.states)
    if set(wanted.states).isdisjoint(CREDENTIAL_ENDED):
        rows = rows.filter(ended_at=None)  # by an index of theirs alone, however much has ended
    if wanted.helpdesk:
        rows = rows.filter(helpdesk__slug=wanted.helpdesk)
    for word in wanted.owner.split():
        rows = rows.filter(Q(owner__name__icontains=word) | Q(owner__email__icontains=word))
    return rows


@dataclass(frozen=True)
class Stuck:
    """An end that has failed too often: of a credential, or of a token that belongs to nobody (None)."""

    helpdesk: Helpdesk
    credential: Credential | None
    since: datetime | None
    jobs: list[Job]


def stuck_ends(*, least_tries: int) -> list[Stuck]:
    """Ends of which a job has failed so often, the oldest first; one for each credential."""
    ends = (Job.Kind.CLOSE, Job.Kind.CONFIRM)
    jobs = list(
        Job.objects.filter(kind__in=ends, done_at=None, tries__gte=least_tries)
        .select_related("helpdesk")
        .order_by("-tries", "id")[:500]
    )
    closing = [job.target_id for job in jobs if job.kind == Job.Kind.CLOSE]
    grants = Grant.objects.filter(pk__in=closing, state=GrantState.DOOMED).in_bulk()
    found = _by_credential(jobs, grants)
    known = {one.credential.pk for one in found if one.credential}
    rest = Credential.objects.exclude(pk__in=known)
    red = Job.objects.filter(tries__gte=least_tries).select_related("helpdesk")
    listed = held_up_by_a_list(rest, red, most=MOST_STUCK)
    found += [Stuck(row.helpdesk, row, row.ending_since, [job]) for row, job in listed.items()]
    return found[:MOST_STUCK]


def _by_credential(jobs: list[Job], grants: dict[int, Grant]) -> list[Stuck]:
    of_credential: dict[int, list[Job]] = defaultdict(list)
    of_nobody: list[Stuck] = []
    for job in jobs:
        grant = grants.get(job.target_id) if job.kind == Job.Kind.CLOSE else None
        if job.kind == Job.Kind.CONFIRM:
            of_credential[job.target_id].append(job)
        elif grant is not None and grant.credential_id:
            of_credential[grant.credential_id].append(job)
        elif grant is not None:
            of_nobody.append(Stuck(job.helpdesk, None, grant.doomed_at, [job]))
    rows = Credential.objects.filter(pk__in=of_credential).select_related("helpdesk", "owner")
    named = [
        Stuck(
            row.helpdesk, row, row.ending_since or _doomed_since(grants, row), of_credential[row.pk]
        )
        for row in rows.order_by("ending_since", "pk")
        if row.state != CredentialState.REVOKED
    ]
    return named + of_nobody


def _doomed_since(grants: dict[int, Grant], credential: Credential) -> datetime | None:
    moments = [
        g.doomed_at for g in grants.values() if g.credential_id == credential.pk and g.doomed_at
    ]
    return min(moments, default=None)


# --- The audit table ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What the audit page is narrowed to; "" and None are everything."""

    event: str = ""
    actor: str = ""
    kind: str = ""
    number: int | None = None


def audit(asked: Asked, *, before: int | None) -> tuple[list[AuditEvent], int | None]:
    """Up to fifty events, the newest first, and the id the next page ends before (None: no more)."""
    rows = AuditEvent.objects.all()
    if asked.event:
        rows = rows.filter(event=asked.event)
    for word in asked.actor.split():
        rows = rows.filter(actor_name__icontains=word)
    if asked.kind:
        rows = rows.filter(target_type=asked.kind)
    if asked.number is not None:
        rows = rows.filter(target_id=str(asked.number))
    return newest(rows, before=before)


@dataclass(frozen=True)
class Target:
    """What an event is about: a name, and where it stands."""

    name: str
    href: str = ""


Key = tuple[str, str]


def targets(events: Iterable[AuditEvent]) -> dict[Key, Target]:
    """What the events are about, by type and id: one query for each type of thing."""
    ids: dict[str, set[int]] = defaultdict(set)
    for event in events:
        if event.target_id.isdigit():
            ids[event.target_type].add(int(event.target_id))
    return {
        **_requests(ids["AccessRequest"]),
        **_credentials(ids["Credential"]),
        **_grants(ids["Grant"]),
        **_emergencies(ids["Emergency"]),
        **_named("User", User.objects.filter(pk__in=ids["User"])),
        **_named("Helpdesk", Helpdesk.objects.filter(pk__in=ids["Helpdesk"])),
        **_named(
            "AccessProfile",
            AccessProfile.objects.filter(pk__in=ids["AccessProfile"]).select_related("current"),
        ),
    }


def _requests(ids: set[int]) -> dict[Key, Target]:
    rows = AccessRequest.objects.filter(pk__in=ids).values_list("pk", "script_name")
    return {("AccessRequest", str(pk)): Target(name, f"/requests/{pk}") for pk, name in rows}


def _credentials(ids: set[int]) -> dict[Key, Target]:
    rows = Credential.objects.filter(pk__in=ids).values_list("pk", "script_name")
    return {("Credential", str(pk)): Target(name, f"/credentials/{pk}") for pk, name in rows}


def _grants(ids: set[int]) -> dict[Key, Target]:
    rows = Grant.objects.filter(pk__in=ids)
    facts = rows.values_list("pk", "credential_id", "credential__script_name")
    return {
        ("Grant", str(pk)): Target(
            name or "nobody's token", f"/credentials/{owner}" if owner else ""
        )
        for pk, owner, name in facts
    }


def _emergencies(ids: set[int]) -> dict[Key, Target]:
    found = emergencies.subjects(Emergency.objects.filter(pk__in=ids) if ids else ())
    return {
        ("Emergency", str(pk)): Target(subject.label, f"/emergencies/{pk}")
        for pk, subject in found.items()
    }


def _named(
    kind: str, rows: QuerySet[User] | QuerySet[Helpdesk] | QuerySet[AccessProfile]
) -> dict[Key, Target]:
    return {(kind, str(row.pk)): Target(str(row)) for row in rows}
