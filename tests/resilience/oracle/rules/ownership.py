"""Whose each living token is: `unowned`, `two_pairs`, `false_end`, `dropped`."""

from collections import Counter
from collections.abc import Iterator
from math import inf

from tests.resilience.oracle.database import OWNING, TERMINAL, Credential, Grant, Run
from tests.resilience.oracle.desk import Living, Made
from tests.resilience.oracle.rules.finding import Finding, View
from tests.resilience.oracle.times import EPSILON, merged, overlap

LOST_TRACK = ("unknown", "written_off", "refused", "abandoned")
CAN_NAME = ("sent", "answered", "unknown", "doomed")
HELD_BY = {"live": ("active",), "answered": ("issuing", "active")}
"""In which states of its access a row may keep a token alive. What is lost or over dooms both as it is called so."""


def unowned(view: View) -> Iterator[Finding]:
    """Every living token is named by exactly one row that owns it for an access, or is too young to be judged."""
    for token in view.desk.alive.values():
        owners = [one for one in view.base.by_remote.get(token.id, []) if one.state in OWNING]
        if len({owner.credential_id for owner in owners}) > 1:
            ids = ", ".join(str(owner.id) for owner in owners)
            yield Finding("unowned", f"token {token.id} has several owners: grants {ids}", 1.0)
        if any(one.state == "live" and one.credential_id is None for one in owners):
            yield Finding("unowned", f"token {token.id} is kept, and no credential's")
        for owner in owners:
            yield from _of_no_access(view, token, owner)
        if not owners and not _is_under_way(view, token):
            yield from _without_owner(view, token)


def _of_no_access(view: View, token: Living, owner: Grant) -> Iterator[Finding]:
    """Kept for an access that is lost or over. An answer may wait until a worker takes it up."""
    credential = view.base.credentials.get(owner.credential_id or 0)
    if credential is None or credential.state in HELD_BY.get(owner.state, (credential.state,)):
        return
    since = owner.answered_at or owner.intended_at
    if owner.state == "live" or view.late_by(since, view.times.unowned) > 0:
        yield Finding(
            "unowned",
            f"token {token.id} is kept by grant {owner.id}, and {credential.client_id} has no use for it",
        )


def _made(view: View, token: Living) -> Made | None:
    made = view.desk.made_by_id.get(token.id)
    return made[-1] if made else None


def _is_under_way(view: View, token: Living) -> bool:
    """Whether a call that is not settled can still name it."""
    made = _made(view, token)
    return made is not None and any(
        grant.state in CAN_NAME and grant.remote_id is None for grant in view.makers(made)
    )


def _without_owner(view: View, token: Living) -> Iterator[Finding]:
    since = token.created_at
    made = _made(view, token)
    since = max(since, made.at) if made else since
    late = view.late_by(since, view.times.unowned) - _held_up(view, token, since)
    what = f"token {token.id} of user {token.user_id}"
    if late > 0:
        yield Finding("unowned", f"{what}: no row owns it, and its time is over", 1.0)
    elif _was_passed_over(view, token):
        yield Finding("unowned", f"{what}: two complete lists showed it, no row owns it", 1.0)


def _held_up(view: View, token: Living, since: float) -> float:
    """Seconds in which no list could judge it: calls open for its user, lists that failed or were held back."""
    busy = busy_spans(view, token)
    runs = [run for run in view.base.runs if run.started_at >= since]
    spoiled = [run for run in runs if run.is_complete and (run.error or _is_busy(run, busy))]
    waited = overlap(busy, since, view.now) + view.times.inventory_every * len(spoiled)
    return waited + gaps(view, since)


def gaps(view: View, since: float) -> float:
    """Time without a complete list in which some were tried and failed; not where none was tried."""
    times, started, failed, lost = view.times, since, False, 0.0
    for run in [run for run in view.base.runs if run.started_at >= since]:
        if run.is_complete:
            lost += max(0.0, run.started_at - started - times.inventory_every) * failed
            started, failed = run.started_at, False
        failed = failed or not run.is_complete
    return lost + max(0.0, view.now - started - times.inventory_every) * failed


def busy_spans(view: View, token: Living) -> list[tuple[float, float]]:
    """When a call was open that may have made a token: for its user, sent before a list had it, or little later."""
    seen = view.base.seen.get(token.id)
    first = view.runs.get(seen.first_run_id) if seen else None
    until = (first.finished_at or first.started_at) + view.times.inventory_every if first else inf
    return merged(
        (grant.intended_at, grant.closed_at or view.now)
        for grant in view.asked_for.get(token.user_id, [])
        if (grant.sent_at or view.now) <= until
    )


def _is_busy(run: Run, busy: list[tuple[float, float]]) -> bool:
    ended = run.finished_at or run.started_at
    return any(start < ended + 2.0 and end > run.started_at - EPSILON for start, end in busy)


def _was_passed_over(view: View, token: Living) -> bool:
    """Whether the portal's own lists had everything that is needed to end it."""
    seen, runs = view.base.seen.get(token.id), view.runs
    first, last = (
        (runs.get(seen.first_run_id), runs.get(seen.last_run_id)) if seen else (None, None)
    )
    if first is None or last is None or last.finished_at is None or last.error:
        return False
    apart = last.started_at - first.started_at >= view.times.minimum_age + EPSILON
    times = view.times
    settled = view.late_by(last.finished_at, times.claim + times.sweep_every + times.noise) > 0
    return apart and settled and not _is_busy(last, busy_spans(view, token))


def two_pairs(view: View) -> Iterator[Finding]:
    """At most one live grant, and at most one living pair that is not on its way out, per credential."""
    live = Counter(one.credential_id for one in view.base.grants.values() if one.state == "live")
    for credential_id, count in live.items():
        if credential_id is not None and count > 1:
            yield Finding("two_pairs", f"credential {credential_id} has {count} live grants")
    for credential_id, grants in view.base.by_credential.items():
        held = {one.remote_id for one in grants if one.state in ("live", "answered")}
        living = sorted(one for one in held if one is not None and one in view.desk.alive)
        if len(living) > 1:
            yield Finding("two_pairs", f"credential {credential_id} holds living pairs {living}")


def false_end(view: View) -> Iterator[Finding]:
    """What is called gone or revoked has no living half."""
    for grant in view.base.grants.values():
        if grant.state != "gone" or grant.remote_id is None:
            continue
        if _lives(view, grant.remote_id) and not _is_reborn(view, grant):
            yield Finding("false_end", f"grant {grant.id} is gone, token {grant.remote_id} lives")
    for made in view.desk.made:
        yield from _born_ended(view, made)
    for credential in view.base.credentials.values():
        if credential.state == "revoked":
            yield from _ended_before(view, credential)


def _ended_before(view: View, credential: Credential) -> Iterator[Finding]:
    """A call or a pair of a revoked credential that is not over."""
    for grant in view.base.by_credential.get(credential.id, []):
        if grant.state not in TERMINAL:
            yield Finding(
                "false_end",
                f"credential {credential.client_id} is revoked, its grant {grant.id} {grant.state}",
            )


def _lives(view: View, token_id: int) -> bool:
    """Whether a half lives, unless it is one that a lying delete spared although the access half lived."""
    token = view.desk.alive.get(token_id)
    if token is None:
        return False
    return token.has_access or not any(
        death.how == "deleted" and death.spares_refresh and _outlasted(token, death.at)
        for death in view.desk.deaths.get(token_id, [])
    )


def _outlasted(token: Living, moment: float) -> bool:
    return token.expires_at is None or token.expires_at > moment


def _is_reborn(view: View, grant: Grant) -> bool:
    """A helpdesk may give the pair that follows the same id."""
    return any(
        one.id != grant.id and one.state in OWNING
        for one in view.base.by_remote[grant.remote_id or 0]
    )


def _born_ended(view: View, made: Made) -> Iterator[Finding]:
    """A pair that a revoked credential's call made, though no row names it, or only one of nobody's does."""
    named = view.base.by_remote.get(made.token_id, [])
    token = view.desk.alive.get(made.token_id)
    if token is None or not _lives(view, made.token_id):
        return
    if named and not (token.has_access and all(one.purpose == "stray" for one in named)):
        return
    recent = [
        grant
        for grant in view.makers(made)
        if made.at - (grant.sent_at or 0.0) < view.times.minimum_age and grant.remote_id is None
    ]
    owners = {grant.credential_id for grant in recent if grant.state != "refused"}
    if len(owners) != 1:
        return
    credential = view.base.credentials[owners.pop() or 0]
    if credential.state == "revoked":
        yield Finding(
            "false_end",
            f"credential {credential.client_id} is revoked, its token {made.token_id} lives",
        )


def dropped(view: View) -> Iterator[Finding]:
    """A pair whose answer was read becomes live or doomed; it is not forgotten and not called refused."""
    times = view.times
    for grant in view.base.grants.values():
        if grant.state == "answered" and grant.answered_at is not None:
            bound = times.revocation(view.queued) + times.claim
            waits = view.is_being_tried("exchange", grant.credential_id or 0)
            waits = waits or view.is_being_tried("refresh", grant.credential_id or 0)
            if not waits and view.late_by(grant.answered_at, bound) > 0:
                yield Finding("dropped", f"grant {grant.id} stays answered, nobody proves it", 2.0)
        if view.base.said("Grant", grant.id, "grant.answered") and grant.state in LOST_TRACK:
            sentence = f"grant {grant.id} was answered, and is {grant.state} all the same"
            yield Finding("dropped", sentence, 1.0)
    for made in view.desk.made:
        yield from _forgotten(view, made)


def _forgotten(view: View, made: Made) -> Iterator[Finding]:
    sent = view.desk.answered.get(made.token_id)
    if sent is None or made.token_id in view.base.by_remote:
        return
    makers = view.makers(made)
    since = made.at - view.times.minimum_age
    if len(makers) > 1 and (makers[1].sent_at or 0.0) > since:
        return  # it cannot be told which of two calls made it
    for grant in makers[:1]:
        quick = sent.at - (grant.sent_at or 0.0) < view.times.deadline / 2
        lost = grant.state in ("unknown", "written_off") and quick and not _has_died(view, made)
        if lost or grant.state in ("refused", "abandoned"):
            yield Finding(
                "dropped",
                f"grant {grant.id} is {grant.state}, but token {made.token_id} was its answer",
                1.0,
            )


def _has_died(view: View, made: Made) -> bool:
    """Whether the test killed somebody who may have been the one to hear the answer."""
    late = view.times.claim + view.times.deadline + view.times.noise
    return any(-1.0 <= at - made.at <= late for at in view.ledger.marked("kill"))
