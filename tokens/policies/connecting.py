"""What access may still come to: renewed, connected, beside other access of the same person."""

from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import User
from tokens import capabilities
from tokens.models import Credential, Helpdesk
from tokens.queries import credentials as queries
from tokens.refusals import YES, Answer, no
from tokens.states import CredentialState


def takes_new_access(helpdesk: Helpdesk) -> Answer:
    """Whether access may be issued there now: not while it is frozen."""
    if helpdesk.frozen_at is None:
        return YES
    reason = helpdesk.frozen_reason.rstrip(".") or "an admin can tell you why"
    return no(f"{helpdesk} is frozen for new access: {reason}.")


def is_renewable(credential: Credential, *, now: datetime) -> Answer:
    """Whether a renewal makes sense: it lives, or is only disconnected, and has not reached its end."""
    if credential.state not in (CredentialState.ACTIVE, CredentialState.LOST):
        return no("Only access that works or is disconnected can be renewed.")
    if credential.lives_until is None or credential.lives_until <= now:
        return no("This access has reached its end; ask anew instead.")
    return YES


def is_connectable(credential: Credential, *, now: datetime) -> Answer:
    """Whether its state and its time are such that a consent is wanted for it."""
    if credential.state == CredentialState.ISSUING:
        return no("It is being connected right now.")
    if credential.state == CredentialState.AWAITING_CONSENT:
        return YES if now < credential.connect_by else no("The time to connect it is over.")
    if credential.state == CredentialState.LOST:
        return (
            YES if credential.lives_until and now < credential.lives_until else no("It has ended.")
        )
    return no("There is nothing to connect.")


def takes_another_code(by: User, helpdesk: Helpdesk, *, now: datetime) -> Answer:
    """Whether somebody may bring one more code: each is a call that goes before everybody's refreshes."""
    most, since = settings.CONSENTS_PER_HOUR, now - timedelta(hours=1)
    if queries.fruitless_consents(by, helpdesk, since=since) < most:
        return YES
    times = "once" if most == 1 else f"{most} times"
    return no(
        f"You have come back from {helpdesk} {times} within an hour and nothing could be kept. "
        "Connect again in an hour, or ask an admin what is wrong."
    )


def takes_code(credential: Credential, by: User, *, now: datetime) -> Answer:
    """Whether a consent is wanted for it, and not too many of this person's came to nothing."""
    return is_connectable(credential, now=now) and takes_another_code(
        by, credential.helpdesk, now=now
    )


def keeps_one_per_person(helpdesk: Helpdesk) -> bool:
    """Whether connecting a second access of the same user ends the first one there."""
    return capabilities.keeps_one(helpdesk.capabilities.get(capabilities.SEVERAL_GRANTS))


def ended_by_new_access(helpdesk: Helpdesk, acts_as_id: int) -> list[Credential]:
    """What new access of a user ends, where the helpdesk keeps only one of each."""
    if not keeps_one_per_person(helpdesk):
        return []
    return list(queries.connected_as(acts_as_id))


def ended_by_connecting(credential: Credential) -> list[Credential]:
    """What connecting this access ends, where the helpdesk keeps only one of each user."""
    rest = ended_by_new_access(credential.helpdesk, credential.acts_as_id)
    return [other for other in rest if other.pk != credential.pk]


def one_per_person_words(helpdesk: Helpdesk, ended: list[Credential], *, how: str) -> str:
    """The sentence that says what new access would end; "" when nothing."""
    if not ended:
        return ""
    names = " and ".join(f"“{other.script_name}”" for other in ended)
    return f"{helpdesk} keeps one access per person: {how} ends {names} for good."
