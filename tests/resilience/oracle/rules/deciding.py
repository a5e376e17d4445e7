"""Decisions of people, and those the portal takes by itself: `decided`, `early_judgement`."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.resilience.oracle.database import Audit, Decision, Grant, Request, Snapshot
from tests.resilience.oracle.desk import Made
from tests.resilience.oracle.rules.finding import Finding, View
from tests.resilience.oracle.times import EPSILON

LEAST_SHARE, SHARE = 3, 10
"""One list may end so many, or every tenth of what lives, without a person's word: strays, and what people have, apart."""
LOST_BY_A_LIST = re.compile(r"Its token was deleted on .*|.*\. It was thrown away\. .*")
"""What it says of an access that a list called lost; where a refresh or a proof did, it says something else."""
SAME = 0.05
"""Seconds by which two moments may differ that were written as one."""
HELD_UP = 1.5
"""Seconds that may pass between the moment a freeze writes down and its commit, on a busy machine."""


def decided(view: View) -> Iterator[Finding]:
    """Enough approvers, each once and none for themselves, of the revision that was shown; one credential."""
    base = view.base
    by_request: dict[int, list[Decision]] = defaultdict(list)
    for decision in base.decisions:
        by_request[decision.access_request_id].append(decision)
        if decision.approver_id is not None and decision.approver_id == decision.requester_id:
            yield Finding("decided", f"decision {decision.id} is on its approver's own request")
    for request in base.requests.values():
        for sentence in _wrongs(request, by_request[request.id]):
            yield Finding("decided", f"request {request.id} {sentence}")
    yield from _orders(base)


def _wrongs(request: Request, decisions: list[Decision]) -> Iterator[str]:
    twice = Counter((one.revision, one.approver_id) for one in decisions)
    if any(count > 1 for count in twice.values()):
        yield "was decided twice by one approver"
    if any(one.requester_id != request.requester_id for one in decisions):
        yield "was decided for another requester"
    now = [one for one in decisions if one.revision == request.revision]
    approvals = [one for one in now if one.verdict == "approve"]
    by_people = [one for one in approvals if one.approver_id is not None]
    if len(by_people) != request.approvals:
        yield f"counts {request.approvals} approvals, {len(by_people)} people approved"
    is_denied = any(one.verdict == "deny" for one in now)
    if is_denied != (request.state == "denied"):
        yield f"is {request.state}, and was {'' if is_denied else 'not '}denied"
    if request.state == "approved":
        yield from _wrongly_approved(request, approvals, len(by_people))


def _wrongly_approved(request: Request, approvals: list[Decision], people: int) -> Iterator[str]:
    is_policy = any(one.approver_id is None for one in approvals)
    if not is_policy and people < request.needed:
        yield f"is approved by {people} of {request.needed}"
    if not is_policy and people > request.needed:
        yield f"was approved by {people}, {request.needed} were enough"
    if approvals:
        scopes = frozenset.intersection(*(one.scopes for one in approvals))
        days = min(one.days for one in approvals)
        if scopes != request.granted_scopes or days != request.granted_days:
            yield "was granted something else than its approvers agree on"
    if request.credential_id is None:
        yield "is approved, and nothing was ordered"


def _orders(base: Snapshot) -> Iterator[Finding]:
    """One order per approved request, none without."""
    orders = Counter(
        row.credential_id
        for row in base.requests.values()
        if row.credential_id is not None and not row.is_renewal
    )
    for credential in base.credentials.values():
        if orders[credential.id] != 1:
            yield Finding(
                "decided",
                f"credential {credential.client_id} comes of {orders[credential.id]} requests",
            )
    told = Counter(
        row.facts.get("request") for row in base.audits if row.event == "credential.ordered"
    )
    for request_id, count in told.items():
        if count > 1:
            yield Finding("decided", f"request {request_id} ordered {count} credentials")


# --- What an inventory judges ---------------------------------------------------------------------


def early_judgement(view: View) -> Iterator[Finding]:
    """A stray is a minimum age old and nobody's; a loss has its reason; few at a time without a person."""
    adopted = [row for row in view.base.audits if row.event == "grant.adopted"]
    for row in adopted:
        made = view.desk.made_by_id.get(row.facts.get("remote_id") or 0)
        before = [one for one in made or [] if one.at <= row.at]
        if before:
            yield from _adopted(view, row, before[-1])
    lost = [row for row in view.base.audits if row.event == "credential.lost"]
    for row in lost:
        yield from _lost(view, row)
    yield from _too_many(view, "strays", Counter(row.at for row in adopted))
    yield from _too_many(view, "people's accesses", _lost_by_lists(view.base, lost))


def _adopted(view: View, row: Audit, made: Made) -> Iterator[Finding]:
    age = row.at - made.at
    if age < view.times.minimum_age - EPSILON and not _is_told_by_lists(view.base, row.at):
        yield Finding(
            "early_judgement", f"token {made.token_id} was taken for a stray after {age:.1f} s"
        )
    for other in view.base.by_remote.get(made.token_id, []):
        if other.purpose != "stray" and _owned_at(other, row.at):
            yield Finding(
                "early_judgement",
                f"token {made.token_id} of grant {other.id} was taken for a stray",
            )


def _is_told_by_lists(base: Snapshot, at: float) -> bool:
    """A proof by two lists that shows more than one new token dooms them all; whoever is proved is past that."""
    return any(
        one.list_before_id is not None
        and one.answered_at is not None
        and one.answered_at - 1.0 <= at <= (one.proved_at or one.gone_at or at) + 1.0
        for one in base.grants.values()
    )


def _owned_at(grant: Grant, at: float) -> bool:
    """Whether a row was known to own its token then."""
    since = grant.proved_at
    ends = [end for end in (grant.gone_at, grant.settled_at) if end is not None]
    return since is not None and since <= at and at < min(ends, default=at + 1.0)


def _lost(view: View, row: Audit) -> Iterator[Finding]:
    """A healthy token and no lie: then there was nothing to lose, whatever a refresh was answered with."""
    for grant in view.base.by_credential.get(int(row.target_id), []):
        if not _was_given_up(grant, row.at):
            continue
        if _is_healthy(view, grant, row.at) and not view.may_have_been_lied_to(row.at):
            yield Finding("early_judgement", f"grant {grant.id} was called lost, its token lived")


def _was_given_up(grant: Grant, at: float) -> bool:
    """Whether it was in clients' hands when its access was called lost, whatever became of it: most are doomed with it."""
    if grant.proved_at is None or grant.proved_at > at:
        return False
    if grant.doomed_at is not None:
        return grant.doomed_at > at - SAME
    return grant.settled_at is None or grant.settled_at > at + SAME


def _is_healthy(view: View, grant: Grant, at: float) -> bool:
    made = view.desk.made_by_id.get(grant.remote_id or 0)
    deaths = view.desk.deaths.get(grant.remote_id or 0, [])
    if not made or any(one.how != "expired" and one.at < at + EPSILON for one in deaths):
        return False
    ends = made[-1].refresh_expires_at
    changed = view.desk.changed_users.get(made[-1].user_id or 0, [])
    was_changed = any(made[-1].at - EPSILON <= one <= at for one in changed)
    return ends is not None and ends > at and not was_changed


def _lost_by_lists(base: Snapshot, lost: list[Audit]) -> Counter[float]:
    """When lists called accesses lost, and of how many people: who deletes all their own tokens is one.

    Also where a list shows tokens of theirs that nobody owns, by which the portal counts each: nobody kept what it showed.
    """
    by_lists = [row for row in lost if LOST_BY_A_LIST.fullmatch(row.facts.get("reason", ""))]
    held = [(row.at, base.credentials.get(int(row.target_id))) for row in by_lists]
    people = {(at, credential.acts_as) for at, credential in held if credential is not None}
    return Counter(at for at, _ in people)


def _too_many(view: View, what: str, ended: Counter[float]) -> Iterator[Finding]:
    """What was ended in one go, which has one moment."""
    words = [row.at for row in view.base.audits if row.event == "inventory.confirmed"]
    counts_for = 12 * view.times.inventory_every + view.times.noise
    for at, count in ended.items():
        live = sum(_was_live(grant, at) for grant in view.base.grants.values())
        has_word = any(_began(view, at) - counts_for <= word <= at for word in words)
        if count > max(LEAST_SHARE, live // SHARE) and not has_word:
            yield Finding(
                "early_judgement", f"{count} {what} ended at once with {live} live tokens"
            )


# --- What an admin ordered ------------------------------------------------------------------------


def disobeyed(view: View) -> Iterator[Finding]:
    """While a helpdesk is frozen no consent is turned into a token.

    What was sent before the order was written, as the numbers of their rows say, did not disobey it.
    """
    sent = {int(row.target_id): row.id for row in view.base.audits if row.event == "grant.sent"}
    for order, end in _freezes(view):
        for grant in view.base.grants.values():
            is_new = grant.purpose == "exchange" and grant.sent_at is not None
            is_after = sent.get(grant.id, order.id) >= order.id
            if is_new and is_after and order.at + HELD_UP < grant.intended_at < end - EPSILON:
                yield Finding("disobeyed", f"grant {grant.id} was begun while all was frozen")


def _freezes(view: View) -> Iterator[tuple[Audit, float]]:
    """Each freeze, and when a word ended it."""
    since: Audit | None = None
    for row in sorted(view.base.audits, key=lambda row: row.id):
        if row.event == "helpdesk.frozen":
            since = since or row
        elif row.event == "helpdesk.unfrozen" and since is not None:
            yield since, row.at
            since = None
    if since is not None:
        yield since, view.now


def _began(view: View, at: float) -> float:
    """When the list was begun that was acted on at a moment: until then a word given before must count."""
    runs = [run for run in view.base.runs if run.is_complete and run.finished_at is not None]
    ending = [run.started_at for run in runs if abs((run.finished_at or 0.0) - at) < 1.0]
    return min(ending, default=at)


def _was_live(grant: Grant, at: float) -> bool:
    ends = [end for end in (grant.doomed_at, grant.settled_at) if end is not None]
    return grant.proved_at is not None and grant.proved_at <= at <= min(ends, default=at)
