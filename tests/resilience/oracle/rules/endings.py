"""Whether what ends does end, and on time: `outlived`."""

from collections.abc import Iterator

from tests.resilience.oracle.database import Credential, Grant
from tests.resilience.oracle.desk import Living
from tests.resilience.oracle.rules.finding import Finding, View

ENDED = ("revoking", "revoked", "lapsed", "cancelled")
"""What is lost has not ended: it ends as well, when its lease does or somebody says so."""


def outlived(view: View) -> Iterator[Finding]:
    """No access half past its lease by more than the least life, none served by an ended credential's grant."""
    for credential in view.base.credentials.values():
        yield from _not_ended(view, credential)
    for grant in view.base.grants.values():
        credential = view.base.credentials.get(grant.credential_id or 0)
        if credential is not None:
            yield from _asked(view, credential, grant)
            if grant.state == "live" and credential.state in ENDED:
                yield Finding(
                    "outlived",
                    f"credential {credential.client_id} is {credential.state}, grant {grant.id} live",
                )
        token = view.desk.alive.get(grant.remote_id or 0)
        if token is not None and token.has_access:
            yield from _alive(view, grant, credential, token)


def _asked(view: View, credential: Credential, grant: Grant) -> Iterator[Finding]:
    """What was asked of the helpdesk reaches no further than the lease, or the least life."""
    lease = (
        view.lease_at(credential, grant.intended_at) or grant.intended_at + 86_400 * credential.days
    )
    longest = max(view.times.access_least, lease - grant.intended_at)
    if grant.purpose == "close":
        longest = view.times.access_least
    if grant.asked_access_seconds > longest + 1.0:
        yield Finding(
            "outlived",
            f"grant {grant.id} asked for {grant.asked_access_seconds} s, its lease allowed {longest:.0f} s",
        )


def _alive(
    view: View, grant: Grant, credential: Credential | None, token: Living
) -> Iterator[Finding]:
    if grant.state == "doomed" and grant.doomed_at is not None:
        late = view.late_by(grant.doomed_at, view.times.revocation(view.queued))
        if late > 0 and not view.is_being_tried("close", grant.id):
            yield Finding(
                "outlived", f"grant {grant.id}: doomed long ago, its access half lives", 1.0
            )
    if credential is None:
        return
    yield from _beyond_lease(view, grant, credential, token)


def _not_ended(view: View, credential: Credential) -> Iterator[Finding]:
    """A lease that is over is found by the next sweep, whatever the helpdesk says."""
    if credential.lives_until is None or credential.state in ENDED:
        return
    bound = view.times.due_every + view.times.sweep_every + view.times.noise
    if view.late_by(credential.lives_until, bound) > 0:
        yield Finding(
            "outlived",
            f"credential {credential.client_id}: its end is past, it is {credential.state}",
            1.0,
        )


def _beyond_lease(
    view: View, grant: Grant, credential: Credential, token: Living
) -> Iterator[Finding]:
    """A promise that holds whatever goes wrong, unless the helpdesk itself lied about the end.

    What is made to close another, which may be after the lease, lives the least life from its making.
    """
    made = view.desk.made_by_id.get(token.id)
    lease = view.lease_at(credential, grant.intended_at)
    if not made or not lease or made[-1].is_bent or _was_changed(view, token):
        return
    if grant.purpose == "close":
        lease = max(lease, made[-1].at)
    latest = lease + view.times.access_least + 1.0
    if token.expires_at is None or token.expires_at > latest:
        beyond = "for ever" if token.expires_at is None else f"{token.expires_at - lease:.0f} s"
        yield Finding("outlived", f"token {token.id} reaches {beyond} past its lease", 2.0)


def _was_changed(view: View, token: Living) -> bool:
    return any(death.how == "changed" for death in view.desk.deaths.get(token.id, []))
