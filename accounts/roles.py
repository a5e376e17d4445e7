"""Which roles does a person have? From the groups they came with and the ROLE_* settings, and nowhere else.

agent      everyone who may sign in: asks, connects, takes the key, ends their own
approver   in a group of ROLE_APPROVER_GROUPS: decides for the profiles of that group
admin      in a group of ROLE_ADMIN_GROUPS, or a subject of ROLE_ADMIN_SUBJECTS
auditor    in a group of ROLE_AUDITOR_GROUPS: reads everything, changes nothing
"""

from enum import StrEnum

from django.conf import settings
from django.contrib.auth.models import AnonymousUser

from accounts.models import User


class Role(StrEnum):
    """What somebody may be here."""

    AGENT = "agent"
    APPROVER = "approver"
    ADMIN = "admin"
    AUDITOR = "auditor"


BY_GROUP = {
    Role.APPROVER: "ROLE_APPROVER_GROUPS",
    Role.ADMIN: "ROLE_ADMIN_GROUPS",
    Role.AUDITOR: "ROLE_AUDITOR_GROUPS",
}
"""Role → the setting that names the groups whose members have it."""


def groups_that_give(role: Role) -> frozenset[str]:
    """The groups whose members have `role`; none for agents, who need no group."""
    return frozenset(getattr(settings, BY_GROUP[role]) if role in BY_GROUP else ())


def named_admins() -> frozenset[str]:
    """Subjects who are admins by name, whatever groups they are in."""
    return frozenset(settings.ROLE_ADMIN_SUBJECTS)


def roles_given(*, subject: str, groups: frozenset[str]) -> frozenset[Role]:
    """The roles of an active person with this subject, in these groups. Pure but for the settings."""
    by_group = {role for role in BY_GROUP if groups & groups_that_give(role)}
    is_named = subject in named_admins()
    return frozenset(by_group | {Role.AGENT} | ({Role.ADMIN} if is_named else set()))


def groups_of(user: User | AnonymousUser) -> frozenset[str]:
    """The groups of a person, read once per instance: a request asks the database at most once."""
    if not isinstance(user, User):
        return frozenset()
    if user.known_groups is None:
        user.known_groups = frozenset(row.group for row in user.memberships.all())
    return user.known_groups


def roles_of(user: User | AnonymousUser) -> frozenset[Role]:
    """The roles of a person; a deactivated one, and nobody, has none."""
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    return roles_given(subject=user.subject, groups=groups_of(user))


def in_group(user: User | AnonymousUser, group: str) -> bool:
    """Whether the identity provider last said that this person is in `group`."""
    return group in groups_of(user)


def fresh(user: User) -> User:
    """The same person read again, for an operation that must not trust what a page was made from."""
    return User.objects.prefetch_related("memberships").get(pk=user.pk)
