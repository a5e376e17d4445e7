"""Who may do what: a person, a thing, and an answer with its reason. One function for view, button and operation.

Roles are read by accounts/roles.py. `admin` decides every request, everybody else those of their seats
(queries/seats.py) and of the seats of whom they stand in for; nobody decides for themselves, neither by account
nor by helpdesk user, and nobody has somebody who stands in for them do it.
"""

from collections.abc import Container, Mapping
from datetime import datetime

from accounts.absence import absent_of
from accounts.leads import lead_under
from accounts.models import User
from accounts.roles import Role, groups_that_give, in_group, named_admins, roles_of
from tokens import policies
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Credential,
    HelpdeskLink,
    ProfileVersion,
)
from tokens.queries import emergencies
from tokens.queries.humans import accounts_of
from tokens.queries.seats import has_seat, seats_of
from tokens.refusals import YES, Answer, no
from tokens.states import CredentialState, RequestState


def may_read_all(user: User) -> Answer:
    """Admins and auditors read everything."""
    if roles_of(user) & {Role.ADMIN, Role.AUDITOR}:
        return YES
    return no("Only admins and auditors see this page.")


def may_operate(user: User) -> Answer:
    """Admins alone freeze a helpdesk, order the list of its tokens and confirm what it shows."""
    if Role.ADMIN in roles_of(user):
        return YES
    return no("Only admins can do this.")


def may_confirm(user: User, version: ProfileVersion) -> Answer:
    """An admin who did not write these terms, with no account of theirs."""
    if version.editor_id and accounts_of(user).filter(pk=version.editor_id).exists():
        return no("You wrote these terms; another admin has to confirm them.")
    return may_operate(user)


def may_use_queue(user: User) -> Answer:
    """Whoever decides on something, and auditors, see the queue."""
    if Role.AUDITOR in roles_of(user) or decides_something(user):
        return YES
    return no("Only people who decide on requests see the queue.")


def decides_something(user: User) -> Answer:
    """Admins, and everybody with a seat."""
    if Role.ADMIN in roles_of(user) or seats_of(user):
        return YES
    return no("Only people who decide on requests see this page.")


def may_name_stand_in(user: User) -> Answer:
    """Whoever has a seat of their own; what an admin decides as an admin is not passed on."""
    if any(seat.is_own for seat in seats_of(user)):
        return YES
    return no("Nobody has to stand in for you: no requests come to you for a decision.")


def may_ask(user: User, profile: AccessProfile, link: HelpdeskLink | None) -> Answer:
    """A person with a user on that helpdesk, in one of the groups the profile is for."""
    if link is None:
        return no(
            f"Keydesk has not yet looked you up on {profile.helpdesk}. Try again in a minute."
        )
    if link.problem:
        return no(link.problem)
    version = profile.current
    if profile.retired_at or version is None:
        return no("This access can no longer be asked for.")
    return may_hold(user, version) and can_ever_be_decided(version, user)


def can_ever_be_decided(
    version: ProfileVersion, requester: User, *, days: int = 1, is_renewal: bool = False
) -> Answer:
    """Whether policy or enough people can come to decide: a group may get members, named admins are who they are.

    `days`: asked for; 1 while that is not known.
    """
    can_grow = groups_that_give(Role.ADMIN) or (
        version.approver_group in groups_that_give(Role.APPROVER)
    )
    if can_grow or len(_named_to_decide(version, requester)) >= version.approvals_needed:
        return YES
    if policies.approves_by_itself(version, days=days, requester=requester, is_renewal=is_renewal):
        return YES
    return no(
        f"Nobody could ever decide this: {version.approver_group} is no group of approvers, and there are "
        "not enough admins. Ask your Keydesk admin."
    )


def _named_to_decide(version: ProfileVersion, requester: User) -> frozenset[str]:
    """The subjects of the requester's lead and of the admins by name, but for their own and of who has left."""
    lead = lead_under(requester, lead_decides=version.lead_decides)
    named = named_admins() | ({lead.subject} if lead else set())
    own = accounts_of(requester).values_list("subject", flat=True)
    left = User.objects.filter(subject__in=named).exclude(deactivated_at=None)
    return named - set(own) - set(left.values_list("subject", flat=True))


def may_hold(user: User, version: ProfileVersion) -> Answer:
    """Somebody in one of the groups these terms are for; when they name none, everybody."""
    if version.ask_groups and not any(in_group(user, group) for group in version.ask_groups):
        return no(f"“{version.name}” is for members of {_any_of(version.ask_groups)}.")
    return YES


def may_end_everything(user: User) -> Answer:
    """Only admins end all access of a person, a profile or a helpdesk at once."""
    if Role.ADMIN in roles_of(user):
        return YES
    return no("Only admins can end everything at once.")


def is_spared(credential: Credential) -> Answer:
    """Whether no emergency is ending all that is like it; one whose turn is still to come is not spared."""
    if (emergency := emergencies.over(credential)) is None:
        return YES
    what = emergencies.subject_of(emergency).words
    return no(f"{emergency.ordered_by} is ending {what}: {emergency.reason}"[:500])


def may_connect(user: User, credential: Credential, *, now: datetime) -> Answer:
    """Its owner, while a consent is wanted for it, its helpdesk takes new access and nothing is ending all like it."""
    return (
        may_own(user, credential)
        and policies.takes_code(credential, user, now=now)
        and policies.takes_new_access(credential.helpdesk)
        and is_spared(credential)
    )


def may_keep(credential: Credential) -> Answer:
    """Whether its owner may still have it: active, the same helpdesk user, still in a group that may ask."""
    if not (answer := is_spared(credential)):
        return answer
    owner = credential.owner
    if not owner.is_active:
        return no("Its owner has left.")
    link = HelpdeskLink.objects.filter(user=owner, helpdesk=credential.helpdesk).first()
    if link is None or link.problem or link.helpdesk_user_id != credential.acts_as_id:
        return no("Its owner is no longer that user of the helpdesk.")
    if not may_hold(owner, credential.profile_version):
        return no("Its owner is in none of the groups this access is for any more.")
    return YES


def _any_of(groups: frozenset[str]) -> str:
    return " or ".join(sorted(groups))


def may_see_request(user: User, access_request: AccessRequest) -> bool:
    """The requester, whoever decides such requests, admins and auditors."""
    if user.pk == access_request.requester_id or may_read_all(user):
        return True
    return decides(user, access_request)


def decides(user: User, access_request: AccessRequest) -> bool:
    """Whether such requests are this person's to decide: an admin's, or by a seat they sit in."""
    if _by_own_right(user, access_request):
        return True
    return any(
        has_seat(one, access_request) and one.pk != access_request.requester_id
        for one in absent_of(user)
    )


def _by_own_right(user: User, access_request: AccessRequest) -> bool:
    return Role.ADMIN in roles_of(user) or has_seat(user, access_request)


Links = Mapping[int, HelpdeskLink]
"""Person → what the last look-up of them on the helpdesk of a request found."""


def may_decide(user: User, access_request: AccessRequest, links: Links) -> Answer:
    """Somebody who decides such requests, and who is neither the requester nor his helpdesk user.

    `links`: of this person and of whom they stand in for, on that helpdesk.
    """
    if not decides(user, access_request):
        return no(f"Only {_who_decides(access_request)} and admins decide this request.")
    if user.pk == access_request.requester_id:
        return no("You cannot decide your own request.")
    if not (answer := _is_another_human(user, access_request, links.get(user.pk))):
        return answer
    if _by_own_right(user, access_request):
        return YES
    if in_place_of(user, access_request, links):
        return YES
    return no("This may be the own request of whom you stand in for, who could not decide it.")


def in_place_of(
    user: User, access_request: AccessRequest, links: Links, *, heard: Container[int] = ()
) -> User | None:
    """In whose place somebody would decide who may not by own right: who could themselves, were they here.

    Rather somebody whose voice is not among those `heard`.
    """
    if _by_own_right(user, access_request):
        return None
    able = [
        absent
        for absent in absent_of(user)
        if has_seat(absent, access_request)
        and absent.pk != access_request.requester_id
        and _is_another_human(absent, access_request, links.get(absent.pk))
    ]
    return next((one for one in able if one.pk not in heard), able[0] if able else None)


def _who_decides(access_request: AccessRequest) -> str:
    lead = ["the requester's lead"] if access_request.lead_id else []
    passed_on = [access_request.escalated_to] if access_request.escalated_to else []
    group = access_request.profile_version.approver_group
    return ", ".join(dict.fromkeys([*lead, group, *passed_on]))


def _is_another_human(
    user: User, access_request: AccessRequest, link: HelpdeskLink | None
) -> Answer:
    """By helpdesk user, and by address: somebody Keydesk has not yet looked up there may be the requester."""
    acts_as = access_request.acts_as
    if link is None:
        return no("Keydesk has not yet looked you up on that helpdesk. Try again in a minute.")
    own_addresses = {access_request.requester.email.casefold(), acts_as.email.casefold()} - {""}
    if link.helpdesk_user_id == acts_as.pk or user.email.casefold() in own_addresses:
        return no("You are the same helpdesk user as the requester, so this is your own request.")
    return YES


def may_comment(user: User, access_request: AccessRequest) -> Answer:
    """Who asked, and whoever decides such requests, while it waits."""
    if access_request.state != RequestState.PENDING:
        return no("It no longer waits for a decision.")
    if user.pk == access_request.requester_id or decides(user, access_request):
        return YES
    return no("Only the person who asked and those who decide write here.")


def may_change_request(user: User, access_request: AccessRequest) -> Answer:
    """Only the requester, while it is pending."""
    if user.pk != access_request.requester_id:
        return no("Only the person who asked can change this request.")
    if access_request.state != RequestState.PENDING:
        return no("It no longer waits for a decision.")
    return YES


def may_see_credential(user: User, credential: Credential) -> bool:
    """The owner, the deputy, admins and auditors."""
    return user.pk in (credential.owner_id, credential.deputy_id) or bool(may_read_all(user))


def may_own(user: User, credential: Credential) -> Answer:
    """What only the owner does: connect, take the key, renew."""
    if user.pk == credential.owner_id:
        return YES
    return no("Only the owner of this access can do that.")


def may_revoke(user: User, credential: Credential) -> Answer:
    """The owner, or an admin, while there is something to end."""
    if user.pk != credential.owner_id and Role.ADMIN not in roles_of(user):
        return no("Only the owner and admins can end this access.")
    if credential.state in (CredentialState.REVOKING, CredentialState.REVOKED):
        return no("It is ending or has ended already.")
    if credential.state in (CredentialState.LAPSED, CredentialState.CANCELLED):
        return no("It has ended already.")
    return YES
