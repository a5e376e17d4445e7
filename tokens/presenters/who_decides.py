"""Who decides, by name."""

from collections.abc import Iterable

from accounts.together import together
from tokens.presenters.words import one_of
from tokens.queries import people

NOBODY = "nobody at the moment; ask your Keydesk admin"


class WhoDecides:
    """Looks up who decides once for each lot that is asked, however many rows of a page ask."""

    def __init__(self) -> None:
        self._people: dict[people.Asked, list[people.Decider]] = {}

    def names(self, asked: people.Asked, *, but: Iterable[int]) -> str:
        """Who decides, as `names_of` says it."""
        if asked not in self._people:
            found = together({"deciders": people.deciding(asked)})
            self._people[asked] = people.deciders_from(found["deciders"])
        return names_of(self._people[asked], but=but)


def names_of(deciders: Iterable[people.Decider], *, but: Iterable[int]) -> str:
    """ "Ben Achterberg (lead), June Moreno or an admin", without those whose ids are in `but`; "" for nobody."""
    left_out = set(but)
    found = [person for person in deciders if person.pk not in left_out]
    named = [person for person in found if person.is_lead or not person.is_admin][:4]
    names = [f"{person.name} (lead)" if person.is_lead else person.name for person in named]
    if any(person.is_admin for person in found if person not in named):
        names.append("an admin")
    return one_of(names)
