"""Who is behind a session? The person, what they may decide by, and the time it is, in one query."""

from django.contrib.auth.backends import BaseBackend
from django.db.models import F
from django.db.models.functions import Now

from accounts.leads import is_named_by_somebody
from accounts.models import StandIn, User


class SignedIn(BaseBackend):
    """Knows people again who have signed in; signing in is the identity provider's part (accounts/oidc.py)."""

    def get_user(self, user_id: int) -> User | None:
        """The active person with this id, else None.

        They know their groups, whether they lead somebody, for whom they stand in, and when that was read.
        """
        absent = StandIn.objects.in_force().filter(instead=user_id).values("away")
        both = User.objects.filter(pk=user_id).values("pk").union(absent)
        found = (
            User.objects.filter(pk__in=both, deactivated_at=None)
            .annotate(group=F("memberships__group"), moment=Now(), leads=is_named_by_somebody())
            .order_by("pk")
        )
        people: dict[int, User] = {}
        for row in found:
            person: User = people.setdefault(row.pk, row)
            person.known_groups = (person.known_groups or frozenset()) | ({row.group} - {None})
            person.known_to_lead, person.read_at = row.leads, row.moment
        user = people.pop(user_id, None)
        if user is not None:
            user.known_absent = tuple(people.values())
        return user
