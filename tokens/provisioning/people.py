"""Finding a person on a helpdesk: by external id, or by exactly one verified e-mail address.

Agents can make end users with any external id, so one that is no agent's outranks no address.
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
    if by_id is not None and by_id.is_agent:
        return by_id, "external id"
    if user.email and user.email_verified:
        by_email = line.as_service(
            lambda t: line.connector.users_by_email(email=user.email, access_token=t)
        )
        usable = [remote for remote in by_email if remote.active]
        if usable:
            return (usable[0], "e-mail") if len(usable) == 1 else (None, "")
    known, matched_by = _known(line, user)
    return (by_id, "external id") if known is None and by_id is not None else (known, matched_by)


def _known(line: Line, user: User) -> tuple[RemoteUser | None, str]:
    """The user they were before, by what they still have in common; nobody where that is not plain."""
    links = HelpdeskLink.objects.filter(user=user, helpdesk=line.helpdesk)
    remote_id = links.values_list("helpdesk_user__remote_id", flat=True).first()
    if remote_id is None:
        return None, ""
    remote = line.as_service(lambda t: line.connector.user(user_id=remote_id, access_token=t))
    if remote is None or not remote.active:
        return None, ""
    if remote.external_id and remote.external_id == user.subject:
        return remote, "external id"
    has_address = user.email_verified and remote.email.casefold() == user.email.casefold()
    return (remote, "e-mail") if has_address and user.email else (None, "")
