"""Keeping and forgetting states of a page. Nobody's access changes, so the audit says nothing of it."""

from accounts.models import User
from tokens.models import SavedView
from tokens.refusals import Invalid

MOST = 20


def keep(*, name: str, query: str, by: User) -> SavedView:
    """Keep a state of the queue under a name; the same name again is its new state. Raises `Invalid` past twenty."""
    others = SavedView.objects.filter(user=by).exclude(name=name)
    if others.count() >= MOST:
        raise Invalid(f"You have {MOST} views. Forget one first.")
    view, _ = SavedView.objects.update_or_create(user=by, name=name, defaults={"query": query})
    return view


def forget(*, pk: int, by: User) -> None:
    """Forget one of this person's views; nothing where it is not theirs or gone already."""
    SavedView.objects.filter(pk=pk, user=by).delete()
