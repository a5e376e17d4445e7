"""Proving a pair before it counts: whose token it is, what it may do, until when, by the helpdesk's own word.

By `current` with the new token; where a narrow token may not ask, by the list of all tokens.
"""

from django.db import transaction

from tokens import policies
from tokens.capabilities import current
from tokens.connectors.base import GiveUp, Retry, TokenRecord
from tokens.models import Credential, Grant
from tokens.operations import capabilities, credentials, grants
from tokens.provisioning.calls import access_half
from tokens.provisioning.inventory import take_list
from tokens.provisioning.line import Line
from tokens.provisioning.looks import show_one
from tokens.queries import inventories as lists

OLD_LIST = "The helpdesk's list still shows the token before, as it was."
UNPROVABLE = "Keydesk could not tell which token the helpdesk gave, so it was thrown away."


def prove(line: Line, grant: Grant) -> None:
    """Make an answered pair live, or doom it and say why. Raises the connector's errors: try again."""
    assert grant.credential_id is not None
    credential = Credential.objects.select_related("helpdesk", "owner", "acts_as").get(
        pk=grant.credential_id
    )
    record = _describe(line, credential, grant)
    if record is None:
        return _reject(line, credential, grant, UNPROVABLE)
    want = policies.wanted(credential, grant, client_number=line.client_number())
    answer = policies.is_proved(record, want)
    believed = _is_plainly_ours(line, grant, record)
    if believed:
        grants.identify(grant, record)
    if not (answer and believed):
        return _reject(line, credential, grant, answer.reason or UNPROVABLE)
    credentials.activate(credential=credential, grant=grant, now=line.clock())


def _describe(line: Line, credential: Credential, grant: Grant) -> TokenRecord | None:
    """The helpdesk's description of the new token; None when it cannot be told which it is."""
    name = current(credential.scopes)
    if line.can(name) is False:
        return from_list(line, grant)
    try:
        record = line.connector.current(access_token=access_half(grant))
    except GiveUp as refused:
        if refused.code != "forbidden":
            return None
        listed = from_list(line, grant)
        _learn_refused(line, credential, grant, listed)
        return listed
    line.learn(name, is_so=True)
    return _completed(line, record)


def _learn_refused(
    line: Line, credential: Credential, grant: Grant, listed: TokenRecord | None
) -> None:
    """A refusal counts only for a token that the list proves; else it may be about the person, not the scopes.

    Then what was known is no longer believed either, so that the next proof has a list to go by.
    """
    name, number = current(credential.scopes), line.client_number()
    if listed and policies.is_proved(
        listed, policies.wanted(credential, grant, client_number=number)
    ):
        line.learn(name, is_so=False)
    elif line.can(name):
        capabilities.forget(helpdesk=line.helpdesk, name=name, by=None, now=line.clock())


def _is_plainly_ours(line: Line, grant: Grant, record: TokenRecord) -> bool:
    """Whether an id may be believed as it was told: of the right client and user, and no other pair of ours has it."""
    return (
        record.client_id in (line.client_number(), None)
        and record.user_id == _user(grant)
        and not grants.is_anothers(grant, record.id)
    )


def _user(grant: Grant) -> int | None:
    return grant.credential.acts_as.remote_id if grant.credential else None


def is_ours(line: Line, grant: Grant, record: TokenRecord) -> bool:
    """Whether an id that `current` told may be believed, so that a pair is deleted by it.

    Of anybody else's, and of another client's, only if the helpdesk says by that id too that it is our
    client's, and no other pair of ours has it.
    """
    if _is_plainly_ours(line, grant, record):
        return True
    if grants.is_anothers(grant, record.id):
        return False
    number, users = line.client_number(), (record.user_id, _user(grant))
    try:
        shown = show_one(line, record.id)
    except GiveUp as refused:
        if refused.code != "forbidden":
            raise
        seen = lists.listed(take_list(line)).filter(remote_id=record.id)
        return seen.filter(remote_user_id__in=[user for user in users if user]).exists()
    return shown is not None and shown.client_id == number and shown.user_id in users


def _completed(line: Line, record: TokenRecord) -> TokenRecord:
    """A field that a description leaves out is read by id through the service access."""
    if not policies.lacks_proof(record):
        return record
    try:
        shown = show_one(line, record.id)
    except GiveUp:
        return record
    return shown or record


def from_list(line: Line, grant: Grant) -> TokenRecord | None:
    """The one token that the list has now and did not have before the call.

    A refresh may keep its id: then nothing is new, and the token before is the one, with another end. Raises
    `Retry` where the list shows it as it was: that is an old list.
    """
    if grant.list_before is None:
        return None
    after = take_list(line)
    new = list(lists.appeared_since(before=grant.list_before, after=after))
    if not new and grant.replaces and grant.replaces.remote_id is not None:
        new = list(lists.listed(after).filter(remote_id=grant.replaces.remote_id))
        if any(seen.expires_at == grant.replaces.access_expires_at for seen in new):
            raise Retry(OLD_LIST)
    if len(new) != 1:
        for seen in new:
            grants.adopt(helpdesk=line.helpdesk, seen=seen, now=line.clock())
        return None
    return _completed(line, lists.as_record(new[0]))


def _reject(line: Line, credential: Credential, grant: Grant, reason: str) -> None:
    """What is not exactly right is thrown away; the owner reads why and may connect again."""
    now = line.clock()
    with transaction.atomic():
        grants.locked(grant)  # the credential's row before the pair's, as an end takes them
        grants.doom(grant, reason=reason, now=now)
        if grant.purpose == Grant.Purpose.EXCHANGE:
            credentials.refuse(
                credential=credential, reason=f"{reason} Nothing was kept. Connect again.", now=now
            )
        else:
            credentials.lose(credential=credential, reason=f"{reason} Connect it again.", now=now)
