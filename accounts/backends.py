"""Who is behind a session? The person, their groups and the time it is, read from the database in one query."""

from django.contrib.auth.backends import BaseBackend
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import User


class SignedIn(BaseBackend):
    """Knows people again who have signed in; signing in is the identity provider's part (accounts/oidc.py)."""

    def get_user(self, user_id: int) -> User | None:
        """The active person with this id, who knows their groups and when that was read; else None."""
        found = User.objects.filter(pk=user_id, deactivated_at=None)
        rows = list(found.annotate(group=F("memberships__group"), moment=Now()))
        if not rows:
            return None
        user = rows[0]
        user.known_groups = frozenset(row.group for row in rows if row.group is not None)
        user.read_at = user.moment
        return user
