"""What changes about people: they sign in, confirm who they are, change groups, leave, come back.

Each is one transaction that writes its audit row. Who may do it is settled before; see the callers.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.claims import Claims, identity_of
from accounts.models import Membership, User
from accounts.refusals import Refused
from accounts.roles import Role, groups_of, roles_given, roles_of

DEACTIVATED = "Your account in Keydesk has been deactivated. Ask an administrator of Keydesk."


def sign_in(*, claims: Claims, now: datetime) -> User:
    """The person these claims are about, made at the first sign-in, as the identity provider knows them now.

    Identity is issuer and subject alone, never an e-mail address. Groups are rewritten every time.
    Raises `Refused` (403), with an audit row, for a person who was deactivated.
    """
    with transaction.atomic():
        user, is_new = User.objects.select_for_update().get_or_create(
            identity=claims.identity,
            defaults={
                "issuer": claims.issuer,
                "subject": claims.subject,
                "created_at": now,
                "password": _no_password(),
            },
        )
        if user.is_active:
            _update(user, claims, is_new=is_new, now=now)
            roles = sorted(roles_of(user))
            audit.record("person.signed_in", by=user, target=user, now=now, roles=roles)
            return user
        _record_refusal(user, reason="deactivated", now=now)
    raise Refused(DEACTIVATED)


def _no_password() -> str:
    blank = User()
    blank.set_unusable_password()
    return blank.password


def _update(user: User, claims: Claims, *, is_new: bool, now: datetime) -> None:
    user.name = claims.name
    user.email = claims.email
    user.email_verified = claims.email_verified
    user.time_zone = claims.time_zone
    user.lead_name = claims.lead_name
    user.groups_read_at = now
    user.save(
        update_fields=[
            "name",
            "email",
            "email_verified",
            "time_zone",
            "lead_name",
            "groups_read_at",
        ]
    )
    _rewrite_groups(user, claims.groups, is_new=is_new, now=now)


def _rewrite_groups(user: User, groups: frozenset[str], *, is_new: bool, now: datetime) -> None:
    """Make the rows say what the identity provider said; a role that came or went is recorded."""
    before = groups_of(user)
    user.memberships.exclude(group__in=groups).delete()
    Membership.objects.bulk_create(
        [Membership(user=user, group=group) for group in sorted(groups - before)],
        ignore_conflicts=True,
    )
    user.known_groups = groups
    if before != groups and not is_new:
        _record_change(user, before, groups, now=now)


def _record_change(
    user: User, before: frozenset[str], after: frozenset[str], *, now: datetime
) -> None:
    had = roles_given(subject=user.subject, groups=before)
    has = roles_given(subject=user.subject, groups=after)
    audit.record(
        "person.roles_changed",
        by=None,
        target=user,
        now=now,
        gained=_sorted(has - had),
        lost=_sorted(had - has),
        joined=sorted(after - before),
        left=sorted(before - after),
    )


def _sorted(roles: Iterable[Role]) -> list[str]:
    return sorted(role.value for role in roles)


def read_groups(*, user: User, claims: Claims, now: datetime) -> None:
    """What a silent round trip brought: this person's groups as they are now. Raises `Refused`."""
    with transaction.atomic():
        _demand_same(user, claims)
        _update(user, claims, is_new=False, now=now)


def confirm(*, user: User, claims: Claims, now: datetime) -> None:
    """The signed-in person has just authenticated again at the identity provider.

    Raises `Refused` (403), with an audit row, when it was somebody else who did.
    """
    with transaction.atomic():
        is_same = user.identity == claims.identity
        if is_same:
            _update(user, claims, is_new=False, now=now)
            audit.record("person.confirmed", by=user, target=user, now=now)
        else:
            audit.record(
                "person.confirmation_refused",
                by=user,
                target=user,
                now=now,
                reason="another person",
            )
    if not is_same:
        raise Refused(_other(user, claims))


def refuse_confirmation(*, user: User, reason: str, now: datetime) -> None:
    """Record that a confirmation of this person did not count, and why."""
    with transaction.atomic():
        audit.record("person.confirmation_refused", by=user, target=user, now=now, reason=reason)


def _demand_same(user: User, claims: Claims) -> None:
    if user.identity != claims.identity:
        raise Refused(_other(user, claims))


def _other(user: User, claims: Claims) -> str:
    return (
        f"The company sign-in says you are {claims.name}, but you are signed in to Keydesk as {user}. "
        "Nothing was done. Choose the right account at the company sign-in, or sign out of Keydesk."
    )


def refuse_sign_in(*, issuer: str, subject: str, reason: str, now: datetime) -> None:
    """Record that somebody Keydesk knows was not let in, and why. Somebody unknown leaves no row."""
    with transaction.atomic():
        user = User.objects.filter(identity=identity_of(issuer, subject)).first()
        if user is not None:
            _record_refusal(user, reason=reason, now=now)


def _record_refusal(user: User, *, reason: str, now: datetime) -> None:
    audit.record("person.sign_in_refused", by=user, target=user, now=now, reason=reason)


def sign_out(*, user: User, now: datetime) -> None:
    """Record that this person ended their session."""
    with transaction.atomic():
        audit.record("person.signed_out", by=user, target=user, now=now)


def deactivate(*, user: User, by: User | None, reason: str, now: datetime) -> None:
    """This person may no longer sign in or act, from this moment; sweeps end what they own.

    `by` is None where Keydesk itself learned of a leaver. Raises `Refused` (409) when it is so already.
    """
    with transaction.atomic():
        _switch(user, deactivated_at=now, was_active=True)
        audit.record("person.deactivated", by=by, target=user, now=now, reason=reason)


def reactivate(*, user: User, by: User, reason: str, now: datetime) -> None:
    """This person may sign in again. What ended meanwhile stays ended. Raises `Refused` (409)."""
    with transaction.atomic():
        _switch(user, deactivated_at=None, was_active=False)
        audit.record("person.reactivated", by=by, target=user, now=now, reason=reason)


def _switch(user: User, *, deactivated_at: datetime | None, was_active: bool) -> None:
    """One conditional update; 0 rows = somebody was first."""
    rows = User.objects.filter(pk=user.pk, deactivated_at__isnull=was_active)
    if not rows.update(deactivated_at=deactivated_at):
        state = "deactivated" if was_active else "active"
        raise Refused(f"{user} is {state} already.", status=409)
    user.deactivated_at = deactivated_at


def refuse(*, user: User, what: str, reason: str, now: datetime) -> None:
    """Record that somebody tried what they may not: `what` is the method and the path."""
    with transaction.atomic():
        audit.record("person.refused", by=user, target=user, now=now, what=what, reason=reason)
