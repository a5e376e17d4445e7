"""Who can decide."""

from accounts.models import User
from accounts.roles import Role, roles_of


def deciders(approver_group: str) -> list[User]:
    """The active people who decide for profiles of a group, then the admins; by name, each once."""
    people = User.objects.filter(deactivated_at=None).prefetch_related("memberships")
    found: list[tuple[bool, str, User]] = []
    for person in people:
        roles = roles_of(person)
        in_group = approver_group in {m.group for m in person.memberships.all()}
        if Role.APPROVER in roles and in_group:
            found.append((False, person.name, person))
        elif Role.ADMIN in roles:
            found.append((True, person.name, person))
    return [person for _, _, person in sorted(found, key=lambda row: row[:2])]
