"""Calls to the helpdesk: within the budget, never repeated blindly, each with its record: `over_limit`, `repeated`, `unaudited`."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from tests.resilience.oracle.database import TERMINAL, Grant, Snapshot
from tests.resilience.oracle.desk import Sent
from tests.resilience.oracle.rules.finding import Finding, View
from tests.resilience.oracle.times import EPSILON

TAKEN_UP_LATE = 1.0
"""Seconds by which the helpdesk may take up a call later than that. By the portal's own rows the minimum age is exact."""


def over_limit(view: View) -> Iterator[Finding]:
    """The helpdesk's own limiter had nothing to refuse, in windows where nobody else called."""
    for window, refused in view.desk.refusals.items():
        if refused and not view.desk.others[window]:
            yield Finding(
                "over_limit",
                f"window {window}: more than {view.requests_per_minute} requests were made",
            )


# --- Sent twice -----------------------------------------------------------------------------------


def repeated(view: View) -> Iterator[Finding]:
    """A code is sent once; a refresh token again only a minimum age after a call nobody heard of."""
    for (what, digest), sent in view.desk.sent.items():
        if len(sent) > 1:
            yield from _sent_again(view, what, digest, sent)
    yield from _rows_sent_again(view)


def _sent_again(view: View, what: str, digest: str, sent: list[Sent]) -> Iterator[Finding]:
    times = view.times
    least = times.minimum_age - times.deadline - times.send_within - TAKEN_UP_LATE
    for before, after in pairwise(sorted(sent, key=lambda one: one.arrived)):
        if _did_nothing(before):
            continue
        gap = after.arrived - before.arrived
        if what == "code":
            yield Finding("repeated", f"code {digest} was sent again after {_said(before)}")
        elif gap < least:
            yield Finding(
                "repeated",
                f"refresh token {digest} was sent again {gap:.1f} s after {_said(before)}",
            )


def _did_nothing(sent: Sent) -> bool:
    """The caller was told that certainly nothing was done."""
    return sent.status is not None and 400 <= sent.status < 500 and sent.status != 408


def _said(sent: Sent) -> str:
    return f"an answer of {sent.status}" if sent.status else "no answer"


def _rows_sent_again(view: View) -> Iterator[Finding]:
    """The same by the portal's rows: of one code, and of one refresh half."""
    by_code: dict[int, list[Grant]] = defaultdict(list)
    by_half: dict[int, list[Grant]] = defaultdict(list)
    for grant in sorted(view.base.grants.values(), key=lambda grant: grant.sent_at or 0.0):
        if grant.sent_at is not None and grant.connection_id is not None:
            by_code[grant.connection_id].append(grant)
        if grant.sent_at is not None and grant.replaces_id is not None:
            by_half[grant.replaces_id].append(grant)
    for grants in by_code.values():
        for first, second in pairwise(grants):
            if first.state != "refused":
                yield Finding("repeated", f"grant {second.id} sent the code of grant {first.id}")
    for grants in by_half.values():
        for first, second in pairwise(grants):
            yield from _half_again(view, first, second)


def _half_again(view: View, first: Grant, second: Grant) -> Iterator[Finding]:
    apart = (second.sent_at or 0.0) - (first.sent_at or 0.0)
    what = f"grant {second.id} sent the refresh half of grant {first.id} again"
    if first.state == "refused":
        return
    if first.state != "written_off":
        yield Finding("repeated", f"{what}, which is {first.state}")
    elif apart < view.times.minimum_age - EPSILON:
        yield Finding("repeated", f"{what} after {apart:.1f} s")


# --- Records --------------------------------------------------------------------------------------


def unaudited(view: View) -> Iterator[Finding]:
    """Each pair the helpdesk made had its row before the call; each deletion and each state has its own."""
    yield from _made_without_record(view)
    yield from _own_access_without_record(view)
    yield from _deleted_without_record(view)
    yield from _grants_without_record(view)
    yield from _credentials_without_record(view.base)
    yield from _requests_without_record(view.base)


def _made_without_record(view: View) -> Iterator[Finding]:
    """Per user and kind, no moment has seen more pairs made than calls recorded before it."""
    sent: dict[tuple[int | None, bool], list[float]] = defaultdict(list)
    for grant in view.base.grants.values():
        told = view.base.said("Grant", grant.id, "grant.sent")
        if grant.sent_at is not None and told:
            sent[view.base.user_of(grant), grant.purpose == "exchange"].append(told[0])
    for recorded in sent.values():
        recorded.sort()
    made: Counter[tuple[int | None, bool]] = Counter()
    for one in sorted(view.desk.made, key=lambda one: one.at):
        kind = (one.actor, one.kind == "exchange")
        made[kind] += 1
        if bisect_right(sent[kind], one.at + EPSILON) < made[kind]:
            made[kind] -= 1
            yield Finding(
                "unaudited", f"token {one.token_id} was made by {one.kind}, no row said so before"
            )


def _own_access_without_record(view: View) -> Iterator[Finding]:
    """No moment has seen the portal's own access given more often than it was said to be asked for before."""
    said = view.base.said("Helpdesk", view.base.helpdesk_id, "helpdesk.access_asked")
    taken = 0
    for at in sorted(view.desk.service_taken):
        taken += 1
        if bisect_right(said, at + EPSILON) < taken:
            taken -= 1
            yield Finding("unaudited", "access of our own was given, no row said so before")


def _deleted_without_record(view: View) -> Iterator[Finding]:
    for token_id, deaths in view.desk.deaths.items():
        by_id = [one for one in deaths if one.how == "deleted" and one.because == "deleted by id"]
        if not by_id or view.ledger.marked("outside", token_id=token_id):
            continue
        rows = view.base.by_remote.get(token_id, [])
        doomed = [
            at
            for row in rows
            for at in view.base.said("Grant", row.id, "grant.doomed", "grant.adopted")
        ]
        if not any(at <= by_id[0].at + EPSILON for at in doomed):
            yield Finding("unaudited", f"token {token_id} was deleted, no row said so before", 1.0)


def _missing(
    base: Snapshot, kind: str, row: object, wanted: Iterable[tuple[bool, str]]
) -> Iterator[Finding]:
    """A finding for each thing that is so and that none of its events (a | b) tells."""
    number: int = row.id  # type: ignore[attr-defined]
    for is_so, events in wanted:
        if is_so and not base.said(kind, number, *events.split("|")):
            yield Finding("unaudited", f"{kind} {number} has no record of {events}")


def _grants_without_record(view: View) -> Iterator[Finding]:
    base = view.base
    for row in base.grants.values():
        if row.state in TERMINAL and (row.gone_at or row.settled_at or view.now) < view.horizon:
            continue
        yield from _missing(base, "Grant", row, (
            (row.sent_at is not None, "grant.sent"),
            (row.answered_at is not None, "grant.answered"),
            (row.proved_at is not None, "grant.proved"),
            (row.doomed_at is not None, "grant.doomed|grant.adopted"),
            (row.deleted_at is not None, "grant.deleted"),
            (row.state == "gone", "grant.buried"),
            (row.state == "refused", "grant.refused"),
            (row.state == "abandoned", "grant.abandoned"),
            (row.state == "replaced", "grant.replaced"),
            (row.state in ("unknown", "written_off"), "grant.lost_track_of"),
            (row.state == "written_off", "grant.written_off"),
        ))  # fmt: skip


def _credentials_without_record(base: Snapshot) -> Iterator[Finding]:
    for row in base.credentials.values():
        yield from _missing(base, "Credential", row, (
            (True, "credential.ordered"),
            (row.issued_at is not None, "credential.activated"),
            (row.state == "issuing", "connection.consented"),
            (row.state == "lost", "credential.lost"),
            (row.state == "lapsed", "credential.lapsed"),
            (row.state == "cancelled", "credential.cancelled"),
            (row.ending_since is not None, "credential.revoked|credential.expired"),
            (row.state == "revoked", "credential.ended"),
        ))  # fmt: skip


def _requests_without_record(base: Snapshot) -> Iterator[Finding]:
    for row in base.requests.values():
        ends = (row.state != "pending", f"request.{row.state}")
        yield from _missing(base, "AccessRequest", row, ((True, "request.submitted"), ends))
        amended = len(base.said("AccessRequest", row.id, "request.amended"))
        if row.revision != amended + 1:
            yield Finding(
                "unaudited",
                f"request {row.id} is revision {row.revision}, {amended} changes recorded",
            )
    for verdict, event in (("approve", "request.approved"), ("deny", "request.denied")):
        decided = Counter(d.access_request_id for d in base.decisions if d.verdict == verdict)
        for row in base.requests.values():
            told = len(base.said("AccessRequest", row.id, event))
            if told != decided[row.id]:
                yield Finding(
                    "unaudited",
                    f"request {row.id}: {decided[row.id]} decisions, {told} {event} rows",
                )
