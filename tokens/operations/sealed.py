"""Sealing again under the newest keys, row by row, while everything runs."""

from dataclasses import dataclass, field

from tokens.models import Connection, Grant, Helpdesk
from tokens.sealing import Place, Ring, Unsealable, portal_ring, worker_ring


@dataclass
class Rotation:
    """How far it came: texts sealed again, and rows that do not open."""

    sealed: int = 0
    unopened: list[str] = field(default_factory=list)


def seal_again() -> Rotation:
    """Safe to stop and to repeat; a row that changes meanwhile is left, one that does not open is named."""
    portal, workers, done = portal_ring(), worker_ring(), Rotation()
    for grant in Grant.objects.exclude(access_sealed="").select_related("helpdesk").iterator():
        _again(done, portal, grant, "access_sealed", Place(*grant.place))
        _again(done, workers, grant, "refresh_sealed", Place(*grant.place))
    for connection in Connection.objects.exclude(code="", verifier=""):
        place = Place(*connection.place)
        _again(done, portal, connection, "code", place)
        _again(done, portal, connection, "verifier", place)
    for helpdesk in Helpdesk.objects.exclude(service_token=""):
        place = Place("helpdesk", helpdesk.pk, "service")
        _again(done, workers, helpdesk, "service_token", place)
    return done


def _again(
    done: Rotation, ring: Ring, row: Grant | Helpdesk | Connection, column: str, place: Place
) -> None:
    sealed = getattr(row, column)
    if not sealed or not ring.is_stale(sealed):
        return
    try:
        plain = ring.open(sealed, place)
    except Unsealable as error:
        done.unopened.append(str(error))
        return
    changes = {column: ring.seal(plain, place)}
    if column == "access_sealed":
        changes["fingerprint"] = ring.fingerprint(plain)
    rows = type(row)._default_manager.filter(**{"pk": row.pk, column: sealed})
    done.sealed += rows.update(**changes)
