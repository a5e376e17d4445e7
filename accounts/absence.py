"""Out of office: somebody decides in the place of somebody who is away, for a time.

Who stands in decides what the other may decide, and nothing else of theirs: no admin's pages, and nobody
passes on what they stand in for. What may be decided so stands in tokens/permissions.py.
"""

from accounts.models import StandIn, User


def absent_of(user: User) -> tuple[User, ...]:
    """The active people in whose place an active person decides now, read once per instance."""
    if not user.is_active:
        return ()
    if user.known_absent is None:
        rows = StandIn.objects.in_force().filter(instead=user.pk, away__deactivated_at=None)
        user.known_absent = tuple(row.away for row in rows.select_related("away").order_by("pk"))
    return user.known_absent


def stand_in_of(user: User) -> StandIn | None:
    """What this person has arranged for when they are away, if it is not over."""
    rows = StandIn.objects.not_over().filter(away=user.pk)
    return rows.select_related("instead").first()
