"""What clients are handed, and how long it holds: `unproved`, `wider` and its kin, `killed_early`, `late_served`."""

from collections.abc import Iterator
from dataclasses import replace

from tests.resilience.oracle.database import Credential, Grant, Words
from tests.resilience.oracle.desk import Death, Made
from tests.resilience.oracle.rules.finding import Finding, Served, View
from tests.resilience.oracle.rules.ownership import gaps
from tests.resilience.oracle.times import EPSILON

TOLERANCE = 60.0
"""Seconds by which a token may live longer than was asked for."""
LATENCY = 2.0
"""Seconds between a moment that is written down and the commit or the answer that follows it."""


# --- Proof, and whether what was proved is what was approved --------------------------------------


def unproved(view: View) -> Iterator[Finding]:
    """Nothing is handed out before its proof, which the helpdesk saw asked for, and each hand-out has its row."""
    for one in view.served:
        what = f"{one.entry.client_id} at {one.entry.at:.2f}"
        latest = one.told_by
        if one.made is None:
            yield Finding("unproved", f"{what}: handed out what the helpdesk never made", 2.0)
        elif one.grant is None:
            sentence = f"{what}: handed out token {one.made.token_id}, which no grant of it names"
            yield Finding("unproved", sentence, 2.0)
        elif one.grant.proved_at is None or one.grant.proved_at > latest + EPSILON:
            yield Finding("unproved", f"{what}: handed out from grant {one.grant.id} before proof")
        elif not view.desk.was_looked_at(one.made.token_id, since=one.made.at, until=latest):
            yield Finding("unproved", f"{what}: nobody asked the helpdesk of {one.made.token_id}")
        elif not view.base.said("Grant", one.grant.id, "grant.proved"):
            yield Finding("unproved", f"{what}: grant {one.grant.id} has no record of its proof")
        elif not one.has_row:
            yield Finding("unaudited", f"{what}: no row says that it was handed out", 2.0)


def bound(view: View) -> Iterator[Finding]:
    """Live and handed-out tokens: the right user, client and scopes, and two ends (four rules)."""
    for grant in view.base.grants.values():
        credential = view.base.credentials.get(grant.credential_id or 0)
        token = view.desk.alive.get(grant.remote_id or 0)
        if grant.state != "live" or credential is None:
            continue
        if token is None:
            yield from _elsewhere(view, grant)
            continue
        if not _may_still_be_noticed(view, token.id):
            ends = (token.expires_at, token.refresh_expires_at)
            for found in _unlike(credential, token.id, token.user_id, token.scopes, ends):
                yield replace(found, patience=1.0)  # changed after the log was read, perhaps
    for one in view.served:
        if one.made is not None and one.credential is not None:
            ends = (one.made.expires_at, one.made.refresh_expires_at)
            made = one.made
            yield from _unlike(one.credential, made.token_id, made.user_id, made.scopes, ends)
            yield from _too_long(made, one.grant)
    yield from _terms(view)


def _elsewhere(view: View, grant: Grant) -> Iterator[Finding]:
    """A live grant that names a token which was never one of our client's."""
    if grant.remote_id is not None and grant.remote_id not in view.desk.made_by_id:
        yield Finding(
            "wrong_client",
            f"grant {grant.id} is live on token {grant.remote_id} of no call of ours",
            1.0,
        )


def _may_still_be_noticed(view: View, token_id: int) -> bool:
    """Whether somebody changed the token so lately that no list need have shown it yet."""
    changes = [one.at for one in view.desk.deaths.get(token_id, []) if one.how == "changed"]
    if not changes:
        return False
    last = max(changes)
    return view.late_by(last, view.times.unowned) - gaps(view, last) <= 0


def _unlike(
    credential: Credential,
    token_id: int,
    user_id: int | None,
    scopes: Words,
    ends: tuple[float | None, float | None],
) -> Iterator[Finding]:
    what = f"token {token_id} of {credential.client_id}"
    if user_id != credential.acts_as:
        yield Finding("wrong_user", f"{what} is user {user_id}, approved was {credential.acts_as}")
    if scopes != credential.scopes:
        may = " ".join(sorted(scopes))
        approved = " ".join(sorted(credential.scopes))
        yield Finding("wider", f"{what} may {may}, approved was {approved}")
    if None in ends:
        yield Finding("endless", f"{what} has a half without an end")


def _too_long(made: Made, grant: Grant | None) -> Iterator[Finding]:
    """More than a minute longer than was asked for is no end that was asked for, of either half."""
    if grant is None:
        return
    since = grant.answered_at or made.at
    for half, ends, asked in (
        ("access", made.expires_at, grant.asked_access_seconds),
        ("refresh", made.refresh_expires_at, grant.asked_refresh_seconds),
    ):
        beyond = 0.0 if ends is None else ends - since - asked
        if beyond > TOLERANCE + 1.0:
            yield Finding(
                "endless",
                f"token {made.token_id}: its {half} half lives {beyond:.0f} s longer than was asked for",
            )


def _terms(view: View) -> Iterator[Finding]:
    """A credential's own terms lie within what was asked for and offered."""
    for request in view.base.requests.values():
        credential = view.base.credentials.get(request.credential_id or 0)
        what = f"request {request.id}"
        if not request.scopes <= request.offered:
            yield Finding("wider", f"{what} asks for more than its profile offers")
        if request.state != "approved" or credential is None:
            continue
        if (
            not request.granted_scopes <= request.scopes
            or (request.granted_days or 0) > request.days
        ):
            yield Finding("wider", f"{what} was granted more than it asked for")
        if not request.is_renewal and credential.scopes != request.granted_scopes:
            yield Finding("wider", f"{credential.client_id} has other scopes than were approved")
        if not request.is_renewal and credential.days > (request.granted_days or 0):
            yield Finding("wider", f"{credential.client_id} lives longer than was approved")


# --- How long what was told holds -----------------------------------------------------------------


def killed_early(view: View) -> Iterator[Finding]:
    """No token dies before the `expires_in` its client was told, but for reasons on record."""
    for one in view.served:
        if one.made is None or one.credential is None:
            continue
        death = view.desk.died(one.made.token_id, before=one.promised_until - EPSILON)
        if death is None or death.at < one.made.at:
            continue
        if not _is_excused(view, one, one.credential, death):
            early = one.promised_until - death.at
            yield Finding(
                "killed_early",
                f"token {one.made.token_id} of {one.entry.client_id} was {death.how} {early:.1f} s "
                "before the time its client was told",
                1.0,
            )


def _is_excused(view: View, one: Served, credential: Credential, death: Death) -> bool:
    latest = death.at + EPSILON
    return (
        _was_ended(view, credential, latest)
        or _was_replaced(view, one, credential, latest)
        or _came_from_outside(view, one, death)
        or _answer_was_unknown(view, one, death)
        or _was_lost(view, one, credential, latest)
    )


def _was_ended(view: View, credential: Credential, latest: float) -> bool:
    events = ("credential.revoked", "credential.expired", "credential.cancelled")
    return any(at <= latest for at in view.base.said("Credential", credential.id, *events))


def _was_replaced(view: View, one: Served, credential: Credential, latest: float) -> bool:
    """A person pressed *Replace now* while this token was the one in clients' hands."""
    assert one.made is not None
    pressed = view.base.said("Credential", credential.id, "key.replaced")
    pressed += view.ledger.marked("replace", client_id=credential.client_id)
    return any(one.made.at - LATENCY <= at <= latest for at in pressed)


def _came_from_outside(view: View, one: Served, death: Death) -> bool:
    """The test, or somebody on the helpdesk, did it."""
    assert one.made is not None
    if death.how in ("changed", "expired") or view.ledger.marked(
        "outside", token_id=death.token_id
    ):
        return True
    if death.because == "another consent of this user":
        learned = [row.at for row in view.base.audits if row.event == "helpdesk.learned"]
        return not any(at <= death.at for at in learned)
    changed = view.desk.changed_users.get(one.made.user_id or 0, [])
    touched = [d.at for d in view.desk.deaths.get(death.token_id, []) if d.how == "changed"]
    return any(one.made.at <= at <= death.at + EPSILON for at in (*changed, *touched))


def _answer_was_unknown(view: View, one: Served, death: Death) -> bool:
    """A refresh nobody heard of killed it, sent no sooner than clients were told the token lives."""
    return death.how == "refreshed" and any(
        grant.state in ("sent", "unknown", "written_off")
        and (grant.sent_at or 0.0) <= death.at + EPSILON
        and not (one.told_by < (grant.sent_at or 0.0) < one.promised_until - EPSILON)
        for grant in _refreshes_of(view, death.token_id)
    )


def _refreshes_of(view: View, token_id: int) -> list[Grant]:
    """The rows whose call showed the refresh half of a token."""
    rows = view.base.by_remote.get(token_id, [])
    return [one for row in rows for one in view.base.successors.get(row.id, [])]


def _was_lost(view: View, one: Served, credential: Credential, latest: float) -> bool:
    """Lost for a reason: a refresh that did not go well, a change from outside, or a lie of the helpdesk."""
    assert one.made is not None
    lost = view.base.said("Credential", credential.id, "credential.lost")
    return any(
        at <= latest
        and (
            view.may_have_been_lied_to(at)
            or any((grant.sent_at or 0.0) <= at for grant in _refreshes_of(view, one.made.token_id))
        )
        for at in lost
        if at >= one.made.at
    )


def late_served(view: View) -> Iterator[Finding]:
    """Nothing is handed out past `serve_until`, told to live past it, or out once its access has ended."""
    for one in view.served:
        if one.made is None or one.credential is None or one.grant is None:
            continue
        what = f"{one.entry.client_id} at {one.at:.2f}"
        until = _serve_until(view, one, one.grant, one.credential)
        if one.promised_until > until + EPSILON:
            beyond = one.promised_until - until
            yield Finding("late_served", f"{what}: told {beyond:.1f} s more than it may be served")
        ends = one.made.expires_at
        if ends is not None and one.promised_until > ends + EPSILON:
            yield Finding("late_served", f"{what}: told more than the token lives")
        yield from _after_the_end(view, one, one.credential, one.grant, what)


def _serve_until(view: View, one: Served, grant: Grant, credential: Credential) -> float:
    """Three quarters of its life, or the lease's end; while a refresh is unknown, until the next try."""
    assert one.made is not None
    sent, expires = grant.sent_at or one.made.at, one.made.expires_at or one.made.at
    lease = view.lease_at(credential, grant.proved_at or sent) or 0.0
    until = lease if expires + 1.0 >= lease else sent + (expires - sent) * 0.75
    waits = [
        (refresh.sent_at or 0.0) + view.times.minimum_age
        for refresh in _refreshes_of(view, one.made.token_id)
        if refresh.state != "refused" and (refresh.sent_at or 0.0) <= one.told_by + EPSILON
    ]
    return min(max([until, *waits]), max(expires, until))


def _after_the_end(
    view: View, one: Served, credential: Credential, grant: Grant, what: str
) -> Iterator[Finding]:
    ends = view.base.written(
        "Credential", credential.id, "credential.revoked", "credential.expired"
    )
    if ends and one.at > ends[0] + LATENCY:
        yield Finding("late_served", f"{what}: handed out {one.at - ends[0]:.1f} s after its end")
    yield from _while_lost(view, one, credential, what)
    if credential.lives_until is not None and one.at > credential.lives_until + LATENCY:
        yield Finding("late_served", f"{what}: handed out after its lease")
    for at in view.base.written("Credential", credential.id, "key.replaced"):
        if (grant.proved_at or one.at) < at < one.at - LATENCY:
            yield Finding("late_served", f"{what}: handed out the token that was replaced")


def _while_lost(view: View, one: Served, credential: Credential, what: str) -> Iterator[Finding]:
    """Called lost, and not connected again by then.

    A list calls many lost under one moment, one commit after the other: the last may come later by all the noise there is.
    """
    held_up = max(LATENCY, view.times.noise)
    written = view.base.written("Credential", credential.id, "credential.lost")
    before = [at for at in written if one.at > at + held_up]
    if not before:
        return
    named = view.base.said("Credential", credential.id, "credential.lost")[len(before) - 1]
    again = view.base.said("Credential", credential.id, "credential.activated")
    if not any(named <= at <= one.told_by + EPSILON for at in again):
        sentence = f"{what}: handed out {one.at - before[-1]:.1f} s after it was called lost"
        yield Finding("late_served", sentence)
