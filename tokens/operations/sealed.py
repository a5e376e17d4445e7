"""Sealing again under the newest keys, row by row, while everything runs."""

from tokens.models import Grant, Helpdesk
from tokens.sealing import Place, Ring, portal_ring, worker_ring


def seal_again() -> int:
    """Returns how many texts were sealed again. Safe to stop and to repeat; a row that changes meanwhile is left."""
    portal, workers = portal_ring(), worker_ring()
    done = 0
    for grant in Grant.objects.exclude(access_sealed="").select_related("helpdesk").iterator():
        place = Place(*grant.place)
        done += _again(portal, grant, "access_sealed", place)
        done += _again(workers, grant, "refresh_sealed", place)
    for helpdesk in Helpdesk.objects.exclude(service_token=""):
        place = Place("helpdesk", helpdesk.pk, "service")
        done += _again(workers, helpdesk, "service_token", place)
    return done


def _again(ring: Ring, row: Grant | Helpdesk, column: str, place: Place) -> int:
    sealed = getattr(row, column)
    if not sealed or not ring.is_stale(sealed):
        return 0
    fresh = ring.seal(ring.open(sealed, place), place)
    rows = type(row)._default_manager.filter(**{"pk": row.pk, column: sealed})
    return rows.update(**{column: fresh})
