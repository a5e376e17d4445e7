"""Pages of a list by its keys, the newest first, and counts that stop where a small place stops showing them."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

T = TypeVar("T", bound=Model)
PAGE = 50
MOST_COUNTED = 100
"""Which reads 99+."""
MOST_ID = 2**63 - 1


def read_before(word: str) -> int | None:
    """The id a page ends before; None (the first page) for anything that is no id."""
    is_number = word.isascii() and word.isdigit() and len(word) < 20
    return int(word) if is_number and 0 < int(word) <= MOST_ID else None


def newest(rows: QuerySet[Any, T], *, before: int | None) -> tuple[list[T], int | None]:
    """Up to fifty rows, the newest first, and the id the next page ends before (None: no more)."""
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: PAGE + 1])
    return found[:PAGE], found[PAGE - 1].pk if len(found) > PAGE else None


def count_of(rows: QuerySet[Any]) -> int:
    """How many there are, to a hundred and no further."""
    return rows.order_by()[:MOST_COUNTED].count()
