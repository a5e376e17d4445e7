"""Whose queue a page shows, and which readers' pages ask the database in the same words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import CharField

from accounts.models import User
from accounts.together import given
from tokens.queries.seats import Seat


@dataclass(frozen=True)
class Reader:
    """Whose queue it is: the seats they decide from (None: an admin, who needs none), or somebody who only reads."""

    user: User
    seats: Sequence[Seat] | None
    reads_all: bool = False

    @property
    def is_only_reading(self) -> bool:
        """Whether nothing waits for them: an auditor who decides nothing."""
        return self.reads_all and self.seats is not None and not self.seats

    @property
    def kind(self) -> "Kind":
        """What the statements of their queue depend on; the rest are values in them."""
        seats = None if self.seats is None else tuple((s.column, s.is_own) for s in self.seats)
        return Kind(seats, self.reads_all)

    @property
    def values(self) -> dict[str, Any]:
        """What stands in the places of a reader of this kind."""
        found: dict[str, Any] = {"reader": self.user.pk}
        for place, seat in enumerate(self.seats or ()):
            found |= {f"seat {place}": seat.value, f"holder {place}": seat.holder.pk}
        return found


class Kind(NamedTuple):
    """Readers whose pages ask the database in the same words."""

    seats: tuple[tuple[str, bool], ...] | None
    reads_all: bool

    def any_reader(self) -> Reader:
        """A reader with a place wherever one of this kind has a value."""
        if self.seats is None:
            return Reader(given("reader"), None, self.reads_all)
        seats = [
            Seat(
                column,
                given(f"seat {place}", None if column == "lead" else CharField()),
                given(f"holder {place}"),
                is_own,
            )
            for place, (column, is_own) in enumerate(self.seats)
        ]
        return Reader(given("reader"), seats, self.reads_all)
