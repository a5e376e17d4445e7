"""Who is behind a session? The person, what they may decide by, and the time it is, in one query."""

from functools import lru_cache

from django.conf import settings
from django.contrib.auth.backends import BaseBackend
from django.db.models import F
from django.db.models.functions import Now

from accounts.leads import is_named_by_somebody
from accounts.models import StandIn, User
from accounts.together import Prepared, Read, columns_of, given, object_from, together

BESIDE = ("group", "moment", "leads")
"""What is read of a person that is no column of theirs."""


class SignedIn(BaseBackend):
    """Knows people again who have signed in; signing in is the identity provider's part (accounts/oidc.py)."""

    def get_user(self, user_id: int) -> User | None:
        """The active person with this id, else None.

        They know their groups, whether they lead somebody, for whom they stand in, and when that was read.
        """
        read = Prepared(_people(bool(settings.OIDC_MANAGER_CLAIM)), {"user": user_id})
        people: dict[int, User] = {}
        for row in together({"people": read})["people"]:
            group, moment, leads = (row.pop(name) for name in BESIDE)
            person = people.get(row["id"]) or people.setdefault(row["id"], object_from(User, row))
            person.known_groups = (person.known_groups or frozenset()) | ({group} - {None})
            person.known_to_lead, person.read_at = leads, moment
        user = people.pop(user_id, None)
        if user is not None:
            user.known_absent = tuple(people.values())
        return user


@lru_cache(2)
def _people(_is_lead_named: bool) -> Read:
    """The person and for whom they stand in, one row for each group of theirs."""
    absent = StandIn.objects.in_force().filter(instead=given("user")).values("away")
    both = User.objects.filter(pk=given("user")).values("pk").union(absent)
    found = User.objects.filter(pk__in=both, deactivated_at=None).order_by("pk")
    read: Read = found.values(
        *columns_of(User), group=F("memberships__group"), moment=Now(), leads=is_named_by_somebody()
    )
    return read
