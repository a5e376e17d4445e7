"""Access profiles as the page about them shows them."""

from collections.abc import Iterable

from tokens.models import AccessProfile, Scope


def all_profiles() -> list[AccessProfile]:
    """Every profile that can be asked for, by helpdesk and name, with the terms that wait for a second admin."""
    rows = AccessProfile.objects.filter(current__isnull=False, retired_at=None).select_related(
        "helpdesk", "current__editor", "proposed__editor"
    )
    return list(rows.order_by("helpdesk__name", "current__name", "pk"))


def profile_by_id(pk: int) -> AccessProfile | None:
    """One that has terms."""
    rows = AccessProfile.objects.filter(current__isnull=False)
    return rows.select_related("helpdesk", "current", "proposed__editor").filter(pk=pk).first()


def kinds_of(ids: Iterable[str]) -> dict[int, str]:
    """Profile → the kind of its helpdesk."""
    rows = AccessProfile.objects.filter(pk__in=set(ids))
    return dict(rows.values_list("pk", "helpdesk__kind"))


def scopes_of(kind: str) -> list[Scope]:
    """The closed table for a kind of helpdesk, in its own words."""
    return list(Scope.objects.filter(kind=kind).order_by("words", "name"))
