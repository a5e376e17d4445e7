"""Finding a person on a helpdesk: by external id, or by exactly one verified e-mail address."""

from accounts.models import User
from tokens.connectors.base import RemoteUser
from tokens.operations import people
from tokens.provisioning.line import Line


def link(line: Line, user_id: int) -> None:
    """Look a person up and keep what was found. Safe to repeat."""
    user = User.objects.get(pk=user_id)
    found, matched_by = _find(line, user)
    if found is None:
        line.must_be_admin()  # who may not see everybody finds nobody
    people.link(
        user=user, helpdesk=line.helpdesk, found=found, matched_by=matched_by, now=line.clock()
    )


def _find(line: Line, user: User) -> tuple[RemoteUser | None, str]:
    by_id = line.as_service(
        lambda t: line.connector.user_by_external_id(external_id=user.subject, access_token=t)
    )
    if by_id is not None:
        return by_id, "external id"
    if not user.email or not user.email_verified:
        return None, ""
    by_email = line.as_service(
        lambda t: line.connector.users_by_email(email=user.email, access_token=t)
    )
    usable = [remote for remote in by_email if remote.active]
    return (usable[0], "e-mail") if len(usable) == 1 else (None, "")
