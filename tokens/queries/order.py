"""In which order each view of the queue shows requests, where one stands in it, and how an address says where.

Every order is read along an index; a place that is filled in later makes a read that is kept.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import DateTimeField, Q

from accounts.together import given


class View(StrEnum):
    """Which requests: those that wait for the reader, all that wait and they may see, those that are over."""

    WAITING = "waiting"
    ALL = "all"
    DECIDED = "decided"


@dataclass(frozen=True, order=True)
class Place:
    """Where a request stands in its view's order: its moment, then its id."""

    at: datetime
    pk: int


def somewhere(name: str) -> Place:
    """A place in the order that is filled in later, by `values`."""
    return Place(given(f"{name} at", DateTimeField()), given(name))


def values(name: str, place: Place | None) -> dict[str, Any]:
    """What fills in a place that was left `somewhere`; nothing where there was none."""
    return {f"{name} at": place.at, name: place.pk} if place else {}


def moment_of(view: View) -> str:
    """The column that a view goes by."""
    return "ended_at" if view is View.DECIDED else "decide_by"


def of(view: View) -> tuple[str, str]:
    """The columns of a view's order."""
    return ("-ended_at", "-id") if view is View.DECIDED else ("decide_by", "id")


def behind(view: View, start: Place) -> Q:
    """What comes after a place; the first condition is what an index is read from."""
    if view is View.DECIDED:
        further = Q(ended_at__lt=start.at) | Q(id__lt=start.pk)
        return Q(ended_at__lte=start.at) & further
    return Q(decide_by__gte=start.at) & (Q(decide_by__gt=start.at) | Q(id__gt=start.pk))


def up_to(view: View, edge: Place) -> Q:
    """What comes no later than a place."""
    if view is View.DECIDED:
        return Q(ended_at__gte=edge.at) & (Q(ended_at__gt=edge.at) | Q(id__gte=edge.pk))
    return Q(decide_by__lte=edge.at) & (Q(decide_by__lt=edge.at) | Q(id__lte=edge.pk))


def make_cursor(place: Place) -> str:
    """Where a page ends, as one opaque word."""
    return base64.urlsafe_b64encode(f"{place.at.isoformat()} {place.pk}".encode()).decode()


def read_cursor(word: str) -> Place | None:
    """What `make_cursor` wrote; None for anything else."""
    try:
        at, pk = base64.urlsafe_b64decode(word.encode()).decode().split()
        start = Place(datetime.fromisoformat(at), int(pk))
    except (ValueError, binascii.Error):
        return None
    is_ours = start.at.utcoffset() == timedelta(0) and 0 < start.pk < 2**63
    return start if is_ours else None
