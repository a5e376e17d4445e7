"""Proving a pair before it counts: whose token it is, what it may do, until when, by the helpdesk's own word.

By `current` with the new token; where a narrow token may not ask, by the list of all tokens.
"""

from django.db import transaction

from tokens import policies
from tokens.connectors.base import GiveUp, TokenRecord
from tokens.models import Credential, Grant
from tokens.operations import credentials, grants, inventories
from tokens.provisioning.calls import access_half
from tokens.provisioning.inventory import take_list
from tokens.provisioning.line import Line
from tokens.provisioning.turns import capability
from tokens.queries import inventories as lists
from tokens.refusals import StaleState

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
    try:
        grants.identify(grant, record)
    except StaleState:
        return
    want = policies.wanted(credential, grant, client_number=line.client_number())
    answer = policies.is_proved(record, want)
    if not answer:
        return _reject(line, credential, grant, answer.reason)
    credentials.activate(credential=credential, grant=grant, now=line.clock())


def _describe(line: Line, credential: Credential, grant: Grant) -> TokenRecord | None:
    """The helpdesk's description of the new token; None when it cannot be told which it is."""
    name = capability(credential)
    if line.can(name) is not False:
        try:
            record = line.connector.current(access_token=access_half(grant))
        except GiveUp as refused:
            if refused.code != "forbidden":
                return None
            line.learn(name, is_so=False)
        else:
            line.learn(name, is_so=True)
            return _completed(line, record)
    return from_list(line, grant)


def _completed(line: Line, record: TokenRecord) -> TokenRecord:
    """A field that `current` leaves out is read by id through the service access."""
    if not policies.lacks_proof(record):
        return record
    try:
        shown = line.as_service_where_allowed(
            lambda t: line.connector.show(token_id=record.id, access_token=t)
        )
    except GiveUp:
        return record
    return shown or record


def from_list(line: Line, grant: Grant) -> TokenRecord | None:
    """The one token that the list has now and did not have before the call.

    A refresh may keep its id: then nothing is new, and the token before is the one.
    """
    if grant.list_before is None:
        return None
    after = take_list(line)
    new = list(lists.appeared_since(before=grant.list_before, after=after))
    if not new and grant.replaces and grant.replaces.remote_id is not None:
        new = list(lists.listed(after).filter(remote_id=grant.replaces.remote_id))
    if len(new) != 1:
        for seen in new:
            grants.adopt(helpdesk=line.helpdesk, seen=seen, now=line.clock())
        return None
    return inventories.as_record(new[0])


def _reject(line: Line, credential: Credential, grant: Grant, reason: str) -> None:
    """What is not exactly right is thrown away; the owner reads why and may connect again."""
    now = line.clock()
    with transaction.atomic():
        grants.doom(grant, reason=reason, now=now)
        if grant.purpose == Grant.Purpose.EXCHANGE:
            credentials.refuse(
                credential=credential, reason=f"{reason} Nothing was kept. Connect again.", now=now
            )
        else:
            credentials.lose(credential=credential, reason=f"{reason} Connect it again.", now=now)
