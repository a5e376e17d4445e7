"""How is each helpdesk's line, and what needs a person? For the operator's page and the banner. Flat in queries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, OuterRef, Q, Subquery

from accounts.models import AuditEvent, User
from accounts.together import Read, Row
from tokens.models import (
    Credential,
    Grant,
    Helpdesk,
    HelpdeskUser,
    InventoryRun,
    Job,
)
from tokens.states import GrantState

MOST_SHOWN = 50

# --- What needs a person: one query for the banner of every page ---------------------------------------


@dataclass(frozen=True)
class Watch:
    """One helpdesk, and what about it somebody should look at."""

    helpdesk: Helpdesk
    newest_id: int | None
    """The newest complete inventory."""
    held_back: int
    """Findings that wait for a person's word."""
    to_confirm_id: int | None
    """The inventory an admin's word is awaited about: what is held back, or what ends a freeze."""
    ends_restored: bool
    """Whether that word ends the freeze after a restored backup."""
    stuck: int
    """Jobs that have failed so often that they stand in red."""


def watching(*, least_tries: int) -> Read:
    """Every helpdesk, by name, with what about it needs a person; jobs are stuck after `least_tries`."""
    complete = InventoryRun.objects.filter(helpdesk=OuterRef("pk"), is_complete=True)
    newest = complete.order_by("-pk")
    waiting = newest.filter(held_back__gt=0, confirmed_at=None)
    red = Job.objects.filter(helpdesk=OuterRef("pk"), done_at=None, tries__gte=least_tries)
    rows = Helpdesk.objects.annotate(
        newest_id=Subquery(newest.values("pk")[:1]),
        newest_at=Subquery(newest.values("started_at")[:1]),
        waiting_id=Subquery(waiting.values("pk")[:1]),
        waiting_at=Subquery(waiting.values("started_at")[:1]),
        held_back=Subquery(waiting.values("held_back")[:1]),
        red=Subquery(red.order_by().values("helpdesk").annotate(n=Count("pk")).values("n")),
    )
    read: Read = rows.order_by("name", "pk").values(*HELPDESK_COLUMNS, *LEARNED)
    return read


def watches_from(rows: Iterable[Row]) -> list[Watch]:
    """What `watching` has found."""
    return [_watch(row) for row in rows]


LEARNED = ("newest_id", "newest_at", "waiting_id", "waiting_at", "held_back", "red")
HELPDESK_COLUMNS = tuple(field.attname for field in Helpdesk._meta.concrete_fields)


def _watch(row: Row) -> Watch:
    helpdesk = Helpdesk.from_db(None, HELPDESK_COLUMNS, [row[name] for name in HELPDESK_COLUMNS])
    is_awaited = row["waiting_id"] is not None
    run_id = row["waiting_id"] if is_awaited else row["newest_id"]
    started_at = row["waiting_at"] if is_awaited else row["newest_at"]
    restored_at = helpdesk.restored_at
    ends_restored = bool(restored_at and started_at and restored_at <= started_at)
    return Watch(
        helpdesk=helpdesk,
        newest_id=row["newest_id"],
        held_back=row["held_back"] or 0,
        to_confirm_id=run_id if is_awaited or ends_restored else None,
        ends_restored=ends_restored,
        stuck=row["red"] or 0,
    )


# --- Since when and by whom ----------------------------------------------------------------------------


def last_events(helpdesks: Iterable[Helpdesk]) -> dict[tuple[int, str], AuditEvent]:
    """The latest freeze and the latest stop of each, by helpdesk and event."""
    ids = [str(helpdesk.pk) for helpdesk in helpdesks]
    if not ids:
        return {}
    rows = AuditEvent.objects.filter(
        target_type="Helpdesk", target_id__in=ids, event__in=("helpdesk.frozen", "helpdesk.stopped")
    )
    return {(int(row.target_id), row.event): row for row in rows.order_by("id")}


# --- Jobs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JobCount:
    """Open jobs of one kind on one helpdesk."""

    kind: Job.Kind
    due: int
    running: int
    waiting: int
    failing: int
    oldest_at: datetime


def job_counts(*, now: datetime) -> dict[int, list[JobCount]]:
    """Open jobs by helpdesk and kind, the most urgent kind first."""
    is_held, is_due = Q(claimed_until__gt=now), Q(not_before__lte=now)
    rows = (
        Job.objects.filter(done_at=None)
        .values("helpdesk_id", "kind")
        .annotate(
            due=Count("pk", filter=is_due & ~is_held | is_due & Q(claimed_until=None)),
            running=Count("pk", filter=is_held),
            waiting=Count("pk", filter=~is_due & (~is_held | Q(claimed_until=None))),
            failing=Count("pk", filter=~Q(error="")),
            oldest_at=Min("created_at"),
            most_urgent=Min("urgency"),
        )
        .order_by("helpdesk_id", "most_urgent", "kind")
    )
    found: dict[int, list[JobCount]] = defaultdict(list)
    for row in rows:
        found[row["helpdesk_id"]].append(
            JobCount(
                kind=Job.Kind(row["kind"]),
                due=row["due"],
                running=row["running"],
                waiting=row["waiting"],
                failing=row["failing"],
                oldest_at=row["oldest_at"],
            )
        )
    return found


@dataclass(frozen=True)
class RedJob:
    """A job that has failed too often, and what it is about."""

    job: Job
    about: str
    href: str


def red_jobs(*, least_tries: int, of: Helpdesk | None = None) -> list[RedJob]:
    """Jobs that have failed so often, on one helpdesk or any, the oldest first."""
    rows = Job.objects.filter(done_at=None, tries__gte=least_tries).select_related("helpdesk")
    if of is not None:
        rows = rows.filter(helpdesk=of)
    jobs = list(rows.order_by("created_at", "id")[:MOST_SHOWN])
    names = _names(jobs)
    return [RedJob(job, *names.get((job.kind, job.target_id), ("", ""))) for job in jobs]


OF_CREDENTIALS = (Job.Kind.CONFIRM, Job.Kind.EXCHANGE, Job.Kind.REFRESH)
Names = dict[tuple[str, int], tuple[str, str]]


def _names(jobs: Iterable[Job]) -> Names:
    """What the jobs are about: a name, and the page where it stands."""
    ids: dict[str, set[int]] = defaultdict(set)
    for job in jobs:
        ids[job.kind].add(job.target_id)
    held = {pk for kind in OF_CREDENTIALS for pk in ids[kind]}
    scripts = dict(Credential.objects.filter(pk__in=held).values_list("pk", "script_name"))
    found: Names = {
        (kind, pk): (scripts[pk], f"/credentials/{pk}")
        for kind in OF_CREDENTIALS
        for pk in ids[kind] & set(scripts)
    }
    tokens = Grant.objects.filter(pk__in=ids[Job.Kind.CLOSE])
    for pk, owner, name in tokens.values_list("pk", "credential_id", "credential__script_name"):
        found[Job.Kind.CLOSE, pk] = (
            (name, f"/credentials/{owner}") if owner else ("a token of nobody", "")
        )
    for pk, name in User.objects.filter(pk__in=ids[Job.Kind.LINK]).values_list("pk", "name"):
        found[Job.Kind.LINK, pk] = (name, "")
    return found


# --- Everything else that waits ------------------------------------------------------------------------


def unknown_calls() -> list[Grant]:
    """Calls without an answer, the oldest first; of many the first fifty."""
    rows = Grant.objects.filter(state=GrantState.UNKNOWN).select_related("credential", "helpdesk")
    return list(rows.order_by("sent_at", "id")[:MOST_SHOWN])


def unknown_counts() -> dict[int, int]:
    """How many calls are without an answer, by helpdesk."""
    rows = Grant.objects.filter(state=GrantState.UNKNOWN).values_list("helpdesk_id")
    return dict(rows.annotate(n=Count("pk")))


# --- Inventories ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inventories:
    """The last attempt to take the list of all tokens, and the last one that counts."""

    last: InventoryRun | None
    complete: InventoryRun | None


def inventories(found: Iterable[Watch]) -> Mapping[int, Inventories]:
    """By helpdesk. Two queries."""
    helpdesks = {watch.helpdesk.pk: watch.newest_id for watch in found}
    newest = InventoryRun.objects.filter(helpdesk=OuterRef("pk")).order_by("-started_at", "-id")
    last = dict(
        Helpdesk.objects.filter(pk__in=helpdesks)
        .annotate(last_id=Subquery(newest.values("pk")[:1]))
        .values_list("pk", "last_id")
    )
    wanted = {pk for pk in (*helpdesks.values(), *last.values()) if pk}
    runs = InventoryRun.objects.select_related("confirmed_by", "helpdesk").in_bulk(wanted)
    return {
        pk: Inventories(runs.get(last.get(pk) or 0), runs.get(complete or 0))
        for pk, complete in helpdesks.items()
    }


def run_by_id(pk: int) -> InventoryRun | None:
    """One inventory, for the page that asks for a word about it."""
    return InventoryRun.objects.select_related("helpdesk", "confirmed_by").filter(pk=pk).first()


def people_by_number(helpdesk: Helpdesk, numbers: Iterable[int | None]) -> dict[int, str]:
    """Names of the helpdesk's users that Keydesk has met, by their number there."""
    rows = HelpdeskUser.objects.filter(
        helpdesk=helpdesk, remote_id__in={number for number in numbers if number}
    )
    return dict(rows.values_list("remote_id", "name"))
