"""What stands in a complete list and should not, or should and does not; and how much of it may be acted on.

More findings than a bad day makes may be a restored backup or a list that lies: they wait for a person's word.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from django.conf import settings

from tokens import policies
from tokens.models import Grant, Helpdesk, InventoryRun, SeenToken
from tokens.queries import inventories as lists
from tokens.states import GrantState

LEAST_SHARE = 3
MOST_AGREED = 5000
"""How many findings of a kind one word can be about; the rest waits for the next."""
_HOUR = 12 * settings.INVENTORY_EVERY
"""Over so long the share counts, and an admin's word on what a list showed."""
VANISHED = "Its token was deleted on "
THROWN_AWAY = ". It was thrown away. Connect it again."
"""How the reasons start and end that an inventory gives; by them its recent deeds are counted."""

Kind = Literal["vanished", "changed"]
R = TypeVar("R", SeenToken, Grant)


@dataclass(frozen=True)
class Findings:
    """What stands in a list and should not, and the live pairs that it lacks or describes otherwise."""

    strays: Sequence[SeenToken] = ()
    suspects: Sequence[Grant] = ()
    kinds: Mapping[int, Kind] = field(default_factory=dict)
    """Of each suspect, what is wrong with it in the list."""

    def __len__(self) -> int:
        return len(self.strays) + len(self.suspects)


def of(run: InventoryRun, *, now: datetime) -> Findings:
    """Everything a list shows that is not as it should be."""
    unlike = list(lists.unlike_the_list(run, now=now))
    ids = [grant.remote_id for grant in unlike if grant.remote_id is not None]
    shown = {
        seen.remote_id: seen
        for seen in lists.listed(run).filter(remote_id__in=ids).select_related("helpdesk")
    }
    kinds: dict[int, Kind] = {}
    for grant in unlike:
        if grant.remote_id not in shown:
            kinds[grant.pk] = "vanished"
        elif not policies.is_as_proved(lists.as_record(shown[grant.remote_id]), grant):
            kinds[grant.pk] = "changed"
    suspects = [grant for grant in unlike if grant.pk in kinds]
    return Findings(list(lists.strays(run).order_by("pk")), suspects, kinds)


def ids_of(found: Findings) -> dict[str, list[int]]:
    """What a person's word is about: strays by their token, suspects by their pair and what is wrong."""
    suspects = found.suspects[:MOST_AGREED]
    return {
        "strays": [seen.remote_id for seen in found.strays[:MOST_AGREED]],
        "vanished": [grant.pk for grant in suspects if found.kinds[grant.pk] == "vanished"],
        "changed": [grant.pk for grant in suspects if found.kinds[grant.pk] == "changed"],
    }


def share(helpdesk: Helpdesk) -> int:
    """How much of a kind may be ended within an hour without a person's word: a tenth of what lives,
    at least three. Nothing after a restored backup, until a person has looked.
    """
    if Helpdesk.objects.filter(pk=helpdesk.pk, restored_at__isnull=False).exists():
        return 0
    live = Grant.objects.filter(helpdesk=helpdesk, state=GrantState.LIVE).count()
    return max(LEAST_SHARE, live // 10)


def allowed(run: InventoryRun, found: Findings, *, now: datetime) -> tuple[Findings, int]:
    """The findings that may be acted on now, and how many are held back.

    Strays and suspects are judged apart, so that who deletes tokens of theirs keeps no stray alive.
    All of a kind within the share; beyond it only what a list showed that an admin confirmed.
    """
    agreed, most = _agreed(run, found), share(run.helpdesk)
    spent_strays, spent_pairs = _spent(run.helpdesk, now=now)
    strays, suspects = found.strays, found.suspects
    other_strays = _without(strays, agreed.strays)
    other_suspects = _without(suspects, agreed.suspects)
    held_back = 0
    if other_strays and len(other_strays) + len(spent_strays) > most:
        strays, held_back = agreed.strays, len(other_strays)
    if other_suspects and _weight(run, [*other_suspects, *spent_pairs]) > most:
        suspects, held_back = agreed.suspects, held_back + len(other_suspects)
    return Findings(strays, suspects, found.kinds), held_back


def _without(rows: Sequence[R], others: Iterable[R]) -> list[R]:
    known = {row.pk for row in others}
    return [row for row in rows if row.pk not in known]


def _spent(helpdesk: Helpdesk, *, now: datetime) -> tuple[list[Grant], list[Grant]]:
    """The strays and the pairs that lists ended in the last hour (twelve inventories) without a word."""
    since = now - _HOUR
    words = InventoryRun.objects.filter(helpdesk=helpdesk, confirmed_at__gt=since - _HOUR)
    agreed = lists.agreed_to(words)
    strays = lists.ended_strays(helpdesk, since=since)
    pairs = lists.ended_pairs(helpdesk, since=since, starts=VANISHED, ends=THROWN_AWAY)
    suspects = agreed["vanished"] | agreed["changed"]
    return (
        [stray for stray in strays if stray.remote_id not in agreed["strays"]],
        [pair for pair in pairs if pair.pk not in suspects],
    )


def _weight(run: InventoryRun, pairs: Iterable[Grant]) -> int:
    """How many findings these are: who deletes all their own tokens is one.

    Unless the list holds tokens of theirs that nobody owns: then it may be our books that are old.
    """
    puzzling = set(lists.unowned(run).values_list("remote_user_id", flat=True))
    people: set[int] = set()
    single = 0
    for grant in pairs:
        if grant.remote_user_id is None or grant.remote_user_id in puzzling:
            single += 1
        else:
            people.add(grant.remote_user_id)
    return single + len(people)


def _word(run: InventoryRun) -> InventoryRun | None:
    """The latest list an admin confirmed, while his word counts: for an hour from then on."""
    since = run.started_at - _HOUR
    confirmed = InventoryRun.objects.filter(
        helpdesk=run.helpdesk, confirmed_at__gt=since, pk__lt=run.pk
    )
    return confirmed.order_by("-pk").first()


def _agreed(run: InventoryRun, found: Findings) -> Findings:
    """What of it stood on the confirmed page already, and with the same thing wrong."""
    word = _word(run)
    if word is None:
        return Findings()
    kept = lists.agreed_to([word])
    return Findings(
        [seen for seen in found.strays if seen.remote_id in kept["strays"]],
        [grant for grant in found.suspects if grant.pk in kept[found.kinds[grant.pk]]],
        found.kinds,
    )
