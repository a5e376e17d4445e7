"""With nothing going wrong any more, everything comes to an end: `unsettled`, and `disobeyed` of what was ordered."""

from collections.abc import Iterator

from tests.resilience.oracle.database import OWNING, Grant, Job
from tests.resilience.oracle.rules.endings import ENDED
from tests.resilience.oracle.rules.finding import Finding, View

KEEPS_COMING = ("inventory", "link")


def unsettled(view: View) -> Iterator[Finding]:
    """What still waits for a worker."""
    for grant in view.base.grants.values():
        if grant.state in ("intended", "sent", "answered", "unknown"):
            yield Finding("unsettled", f"grant {grant.id} is {grant.state}")
        if grant.state == "doomed" and not _only_waits(view, grant):
            waits = _job_of(view, "close", grant.id)
            yield Finding("unsettled", f"grant {grant.id} is doomed and not gone{waits}")
    for credential in view.base.credentials.values():
        if credential.state in ("issuing", "revoking"):
            waits = _job_of(view, "confirm", credential.id)
            yield Finding(
                "unsettled", f"credential {credential.client_id} is {credential.state}{waits}"
            )
    for job in view.base.jobs:
        if _is_late(view, job):
            said = f": {job.error}" if job.error else ""
            yield Finding("unsettled", f"job {job.kind} {job.target_id} is not done{said}")
    yield from _strays(view)
    yield from _emergencies(view)


def _job_of(view: View, kind: str, target_id: int) -> str:
    """What is known of the job that should see to it, as the end of a sentence."""
    job = view.jobs.get((kind, target_id))
    if job is None:
        return "; no job is open for it"
    error = f", after: {job.error}" if job.error else ""
    return f"; its job is due in {job.not_before - view.now:.0f} s{error}"


def _strays(view: View) -> Iterator[Finding]:
    """Tokens that live and that no row owns: two lists and a revocation end them.

    But for a refresh half that a delete has spared, which no list shows any more, and for what is called
    gone, which is another rule's.
    """
    told = (*OWNING, "gone")
    for token in view.desk.alive.values():
        is_owned = any(one.state in told for one in view.base.by_remote.get(token.id, []))
        was_deleted = any(one.how == "deleted" for one in view.desk.deaths.get(token.id, []))
        if not is_owned and not was_deleted:
            yield Finding("unsettled", f"token {token.id} of user {token.user_id} is nobody's")


def _emergencies(view: View) -> Iterator[Finding]:
    """What was ordered to be ended, all of it."""
    for order in view.base.emergencies:
        if order.finished_at is None:
            yield Finding("unsettled", f"emergency {order.id} is not finished")
        for held in view.base.credentials.values():
            subjects = {
                "person": held.owner_id, "profile": held.profile_id, "helpdesk": held.helpdesk_id,
            }  # fmt: skip
            is_meant = subjects[order.kind] == order.subject_id
            if is_meant and held.id <= order.newest_credential_id and held.state not in ENDED:
                yield Finding(
                    "disobeyed",
                    f"{held.client_id} is {held.state}, though emergency {order.id} was to end it",
                )


def _only_waits(view: View, grant: Grant) -> bool:
    """It is certainly over; its refresh half, which this row does not hold, waits for its own end.

    A token that a list showed as nobody's may be of a pair whose id is unknown, which was swapped meanwhile.
    """
    token = view.desk.alive.get(grant.remote_id or 0)
    deaths = view.desk.deaths.get(grant.remote_id or 0, [])
    is_over = any(one.how in ("deleted", "refreshed") for one in deaths)
    is_held = bool(grant.refresh_sealed)
    return is_over and not is_held and not (token and token.has_access)


def _is_late(view: View, job: Job) -> bool:
    """Due for longer than the sweep that would find it; an inventory is due again and again."""
    times = view.times
    slack = times.due_every + times.sweep_every + times.deadline
    slack += times.inventory_every if job.kind in KEEPS_COMING else 0.0
    return job.not_before < view.now - slack and not job.parked_because
