"""What is learned of a helpdesk by trying: kept on its row, with an audit row for each change of mind."""

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from accounts import audit
from accounts.models import User
from tokens import permissions
from tokens.models import Credential, Grant, Helpdesk
from tokens.refusals import StaleState, insist
from tokens.states import GRANT_OPEN, CredentialState, GrantState


def hold(helpdesk: Helpdesk) -> None:
    """Hold the helpdesk's row until the commit, so that two who change it come one after the other."""
    Helpdesk.objects.filter(pk=helpdesk.pk).update(kind=F("kind"))


def learn(*, helpdesk: Helpdesk, name: str, is_so: bool, now: datetime) -> None:
    """Keep what was just found out. Known already: nothing changes."""
    word = "yes" if is_so else "no"
    helpdesk.refresh_from_db(fields=["capabilities"])
    if helpdesk.capabilities.get(name) == word:
        return  # without holding the row: who ends other access holds it before a credential's
    with transaction.atomic():
        hold(helpdesk)
        known = Helpdesk.objects.values_list("capabilities", flat=True).get(pk=helpdesk.pk)
        if known.get(name) != word:
            known = {**known, name: word}
            Helpdesk.objects.filter(pk=helpdesk.pk).update(capabilities=known)
            audit.record(
                "helpdesk.learned", by=None, target=helpdesk, now=now, what=name, is_so=is_so
            )
    helpdesk.capabilities = known


def forget(*, helpdesk: Helpdesk, name: str, by: User | None, now: datetime) -> None:
    """Believe no longer what was found out; the next call that can tell finds it out anew.

    `by`: an admin, or None where Keydesk itself was told otherwise. Raises `Denied`, and `StaleState` when
    nothing is known under this name.
    """
    if by is not None:
        insist(permissions.may_operate(by))
    with transaction.atomic():
        hold(helpdesk)
        known = Helpdesk.objects.values_list("capabilities", flat=True).get(pk=helpdesk.pk)
        if name not in known:
            raise StaleState(
                "Keydesk knows nothing about this any more, so there is nothing to forget."
            )
        rest = {other: word for other, word in known.items() if other != name}
        Helpdesk.objects.filter(pk=helpdesk.pk).update(capabilities=rest)
        audit.record(
            "helpdesk.forgot",
            by=by,
            target=helpdesk,
            now=now,
            what=name,
            was_so=known[name] == "yes",
        )
    helpdesk.capabilities = rest


def siblings(credential: Credential, *, now: datetime) -> QuerySet[Grant]:
    """Live pairs of the same person's other access on the helpdesk, with no call of theirs open.

    Only those no half of which ends within a minimum age, so that their own end explains nothing: a script
    that runs once a day has an access half that ended long ago.
    """
    return (
        Grant.objects.filter(
            _no_half_ends_soon(now), helpdesk=credential.helpdesk_id, state=GrantState.LIVE,
            credential__state=CredentialState.ACTIVE, credential__acts_as=credential.acts_as_id,
        )
        .exclude(credential=credential.pk)
        .exclude(credential__grants__state__in=GRANT_OPEN)
        .select_related("helpdesk")
        .order_by("-access_expires_at")
    )  # fmt: skip


def is_untouched(*, now: datetime) -> Q:
    """Live pairs that no end of ours is about, and whose own is not near; their refresh is for the caller to rule out."""
    return _no_half_ends_soon(now) & Q(state=GrantState.LIVE)


def _no_half_ends_soon(now: datetime) -> Q:
    soon = now + settings.MINIMUM_AGE
    return (Q(access_expires_at__gt=soon) | Q(access_expires_at__lte=now)) & Q(
        refresh_expires_at__gt=soon
    )
