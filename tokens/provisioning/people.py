"""Finding a person on a helpdesk: by external id, or by exactly one verified e-mail address.

A search may lag behind, and access ends over a person who is not found: who was found before is looked up by id too.
"""

from accounts.models import User
from tokens.connectors.base import RemoteUser
from tokens.models import HelpdeskLink
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
    if not usable:
        return _known(line, user), "e-mail"
    return (usable[0], "e-mail") if len(usable) == 1 else (None, "")


def _known(line: Line, user: User) -> RemoteUser | None:
    """The user they were before, who still has their address; None where that is not plain."""
    link = HelpdeskLink.objects.filter(user=user, helpdesk=line.helpdesk).first()
    if link is None or link.helpdesk_user is None:
        return None
    remote_id = link.helpdesk_user.remote_id
    remote = line.as_service(lambda t: line.connector.user(user_id=remote_id, access_token=t))
    if remote is None or not remote.active or remote.email.casefold() != user.email.casefold():
        return None
    return remote
