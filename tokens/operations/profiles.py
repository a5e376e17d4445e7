"""The terms of access profiles: each edit is a new version; one that widens them takes a second admin."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max

from accounts import audit
from accounts.models import User
from accounts.roles import fresh
from tokens import permissions, policies
from tokens.models import AccessProfile, ProfileVersion
from tokens.refusals import Invalid, StaleState, insist

TERMS = (
    "name", "words", "scopes", "risk", "longest_days", "access_token_seconds",
    "ask_groups", "approver_group", "lead_decides", "approvals_needed", "policy_days",
)  # fmt: skip


def edit(
    *, profile: AccessProfile, seen: int, terms: dict[str, Any], by: User, now: datetime
) -> list[str]:
    """New terms for a profile whose version `seen` was shown. Returns in what they widen it; then they wait.

    Terms that wait already are given up for these. Raises `Denied`, `Invalid` where nothing changes,
    `StaleState` where somebody edited it meanwhile.
    """
    insist(permissions.may_operate(fresh(by)))
    with transaction.atomic():
        current = _held(profile)
        if current.number != seen:
            raise StaleState(f"“{current}” has been edited since you opened the page.")
        if all(getattr(current, term) == terms[term] for term in TERMS):
            raise Invalid("Nothing has changed.")
        give_up(profile, by=by, now=now)
        version = make_version(profile, terms, editor=by, now=now)
        widens = policies.widening(current, version)
        event = "profile.proposed" if widens else "profile.changed"
        _point(
            profile, proposed=version if widens else None, current=current if widens else version
        )
        audit.record(event, by=by, target=profile, now=now, **told(current, version))
    return widens


def make_version(
    profile: AccessProfile, terms: dict[str, Any], *, editor: User | None, now: datetime
) -> ProfileVersion:
    """The next version of a profile; nobody asks under it until the profile points to it."""
    last = profile.versions.aggregate(last=Max("number"))["last"] or 0
    return ProfileVersion.objects.create(
        profile=profile, number=last + 1, editor=editor, created_at=now, **terms
    )


def give_up(profile: AccessProfile, *, by: User | None, now: datetime) -> None:
    """Terms that wait are none any more, since others come. Within the transaction that brings them."""
    if profile.proposed is not None:
        number = profile.proposed.number
        AccessProfile.objects.filter(pk=profile.pk).update(proposed=None)
        audit.record("profile.dropped", by=by, target=profile, now=now, number=number)


def confirm(*, profile: AccessProfile, number: int, seen: int, by: User, now: datetime) -> None:
    """Let proposed terms take effect in the place of those that were `seen`.

    Raises `Denied`, also to who wrote them, `StaleState`, and `Invalid` where a scope is granted no more.
    """
    insist(permissions.may_operate(fresh(by)))
    with transaction.atomic():
        current, proposed = _held(profile), _proposal(profile, number)
        if current.number != seen:
            raise StaleState(f"“{current}” has been edited since you opened the page.")
        for name in sorted(proposed.scopes):
            if not policies.scope_is_grantable(name, bare_write=settings.BARE_WRITE_ALLOWED):
                raise Invalid(f"{name} is not granted here any more.")
        insist(permissions.may_confirm(by, proposed))
        _point(profile, proposed=None, current=proposed)
        audit.record("profile.confirmed", by=by, target=profile, now=now, **told(current, proposed))


def drop(*, profile: AccessProfile, number: int, by: User, now: datetime) -> None:
    """Give proposed terms up. Raises `Denied` and `StaleState`."""
    insist(permissions.may_operate(fresh(by)))
    with transaction.atomic():
        _held(profile)
        _proposal(profile, number)
        give_up(profile, by=by, now=now)


def told(before: ProfileVersion | None, after: ProfileVersion) -> dict[str, Any]:
    """What the audit keeps of an edit: the number, and the terms before and after."""
    terms = {term: getattr(before, term) for term in TERMS} if before else None
    return {
        "number": after.number, "before": terms, "after": {t: getattr(after, t) for t in TERMS},
    }  # fmt: skip


def hold(profile_id: int) -> None:
    """Hold a profile's row until the commit: what else is about it comes wholly before or after."""
    AccessProfile.objects.filter(pk=profile_id).update(slug=F("slug"))


def _held(profile: AccessProfile) -> ProfileVersion:
    """The current terms, with the profile's row held."""
    hold(profile.pk)
    profile.refresh_from_db()
    if profile.current is None or profile.retired_at is not None:
        raise StaleState("This access can no longer be asked for, so its terms stay as they are.")
    return profile.current


def _proposal(profile: AccessProfile, number: int) -> ProfileVersion:
    if profile.proposed is None or profile.proposed.number != number:
        raise StaleState("These terms no longer wait for a second admin.")
    return profile.proposed


def _point(profile: AccessProfile, **versions: ProfileVersion | None) -> None:
    AccessProfile.objects.filter(pk=profile.pk).update(**versions)
    profile.refresh_from_db()
