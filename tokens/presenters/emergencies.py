"""What the pages of emergencies say: which there were, what a new one would end, how far one has come."""

import json
from dataclasses import dataclass
from datetime import datetime

from tokens.models import Credential, Emergency
from tokens.presenters.credentials import Ending, ending_from
from tokens.queries import emergencies as queries
from tokens.queries.emergencies import Progress, Subject
from tokens.queries.pages import count_of


@dataclass(frozen=True)
class Row:
    """One emergency in the list of all; `left`, to a hundred, only while it is under way."""

    emergency: Emergency
    subject: Subject
    left: int | None


def rows(found: list[Emergency]) -> list[Row]:
    """Emergencies with their subjects. Few are under way at once, so each of these is counted."""
    subjects = queries.subjects(found)
    return [
        Row(one, subjects[one.pk], None if one.finished_at else count_of(queries.left_of(one)))
        for one in found
    ]


@dataclass(frozen=True)
class LeftRow:
    """One access whose turn is still to come, and what stood in its way."""

    credential: Credential
    problem: str
    tried_at: datetime | None


@dataclass(frozen=True)
class FailingRow:
    """One access that is ending and could not be confirmed gone yet."""

    credential: Credential
    ending: Ending


@dataclass(frozen=True)
class EmergencyPage:
    """Everything the page of one emergency shows."""

    emergency: Emergency
    subject: Subject
    progress: Progress
    left: list[LeftRow]
    failing: list[FailingRow]

    @property
    def title(self) -> str:
        return f"End of {self.subject.words}"

    @property
    def is_over(self) -> bool:
        """Whether all of it is confirmed gone."""
        return self.emergency.finished_at is not None and not self.progress.ending

    @property
    def state(self) -> str:
        return "revoked" if self.is_over else "not_confirmed" if self.needs_a_look else "revoking"

    @property
    def needs_a_look(self) -> bool:
        """Whether something has failed so often that a person should look."""
        is_held_up = any(row.problem for row in self.left)
        return is_held_up or any(row.ending.is_red for row in self.failing)

    @property
    def more_left(self) -> int:
        """How many more are left than are listed."""
        return max(0, self.progress.left - len(self.left))

    @property
    def mark(self) -> str:
        """Changes whenever the page that follows by itself should be drawn anew."""
        done, held_up = self.progress, sum(bool(row.problem) for row in self.left)
        tries = sum(row.ending.tries for row in self.failing)
        return f"{done.left}-{done.ending}-{done.gone}-{done.earlier}-{held_up}-{tries}"


def page(emergency: Emergency, *, now: datetime) -> EmergencyPage:
    """The page of one emergency. A fixed number of queries, however much it ends."""
    left = queries.left(emergency) if emergency.finished_at is None else []
    return EmergencyPage(
        emergency=emergency,
        subject=queries.subject_of(emergency),
        progress=queries.progress(emergency),
        left=[_left(one) for one in left],
        failing=[
            FailingRow(one.credential, ending_from(one.since, one.jobs, now=now))
            for one in queries.failing(emergency)
        ],
    )


def _left(one: queries.Left) -> LeftRow:
    if one.error is None:
        return LeftRow(one.credential, "", None)
    return LeftRow(one.credential, str(json.loads(one.error.body)["reason"]), one.error.at)
