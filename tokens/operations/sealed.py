"""Sealing again under the newest keys, row by row, while everything runs."""

from tokens.models import Grant, Helpdesk
from tokens.sealing import Ring, portal_ring, worker_ring


def seal_again() -> int:
    """Returns how many texts were sealed again. Safe to stop and to repeat; a row that changes meanwhile is left."""
    portal, workers = portal_ring(), worker_ring()
    done = 0
    for grant in Grant.objects.exclude(access_sealed="").select_related("helpdesk").iterator():
        bound = {"table": "grant", "row": grant.pk, "owner": grant.helpdesk.slug}
        done += _again(portal, grant, "access_sealed", bound)
        done += _again(workers, grant, "refresh_sealed", bound)
    for helpdesk in Helpdesk.objects.exclude(service_token=""):
        bound = {"table": "helpdesk", "row": helpdesk.pk, "owner": "service"}
        done += _again(workers, helpdesk, "service_token", bound)
    return done


def _again(ring: Ring, row: Grant | Helpdesk, column: str, bound: dict[str, object]) -> int:
    sealed = getattr(row, column)
    if not sealed or not ring.is_stale(sealed):
        return 0
    fresh = ring.seal(ring.open(sealed, **bound), **bound)
    rows = type(row)._default_manager.filter(**{"pk": row.pk, column: sealed})
    return rows.update(**{column: fresh})
