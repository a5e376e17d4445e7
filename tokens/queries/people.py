"""Who can decide."""

from accounts.models import User
from accounts.roles import Role, holders


def deciders(approver_group: str) -> list[User]:
    """The active people who decide for profiles of a group, then the admins; by name, each once."""
    approvers = list(holders(Role.APPROVER).filter(memberships__group=approver_group))
    admins = [person for person in holders(Role.ADMIN) if person not in approvers]
    return approvers + admins
