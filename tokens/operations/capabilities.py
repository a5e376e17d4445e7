"""What is learned of a helpdesk by trying: kept on its row, with an audit row for each change of mind."""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from accounts import audit
from tokens import policies
from tokens.models import Grant, Helpdesk
from tokens.queries import inventories as lists
from tokens.states import GrantState


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


def sibling_since(grant: Grant) -> Grant | None:
    """The pair of the same person's other access whose consent came after this live one was last seen alive.

    Where this one is dead and that one alive, the helpdesk keeps one token of our client per user. A
    refresh that was written off explains the death otherwise, and then there is none.
    """
    assert grant.credential is not None
    since = lists.last_seen(grant)
    if since is None or grant.successors.filter(state=GrantState.WRITTEN_OFF).exists():
        return None
    siblings = Grant.objects.filter(
        helpdesk=grant.helpdesk_id, purpose=Grant.Purpose.EXCHANGE, state=GrantState.LIVE,
        sent_at__gt=since, credential__acts_as=grant.credential.acts_as_id,
    )  # fmt: skip
    others = siblings.exclude(credential=grant.credential_id).select_related("helpdesk")
    return others.order_by("-sent_at").first()


def learn_one_per_person(*, helpdesk: Helpdesk, now: datetime) -> None:
    """A consent was seen to end another access of the same person."""
    learn(helpdesk=helpdesk, name=policies.SEVERAL_GRANTS, is_so=False, now=now)
