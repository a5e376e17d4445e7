"""A list of all tokens that waits for a person's word: what Keydesk would do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tokens.models import Grant, Helpdesk, SeenToken
from tokens.presenters.scopes import in_words
from tokens.queries import operations as queries
from tokens.queries.requests import ScopeTable, scope_table

MOST_FINDINGS = 200


@dataclass(frozen=True)
class Finding:
    """One thing Keydesk would do about a list: to which token, whose, with which scopes, of which access."""

    what: str
    remote_id: int | None
    person: str
    may_do: str
    ends_at: datetime | None
    name: str = ""
    href: str = ""


def findings(
    helpdesk: Helpdesk, strays: Sequence[SeenToken], suspects: Sequence[Grant]
) -> list[Finding]:
    """What would be done, in words: tokens of nobody deleted, access that is not as it was proved disconnected.

    The first `MOST_FINDINGS` of it: nobody reads more.
    """
    strays = strays[:MOST_FINDINGS]
    suspects = suspects[: MOST_FINDINGS - len(strays)]
    table = scope_table()
    people = queries.people_by_number(helpdesk, [seen.remote_user_id for seen in strays])
    found = [
        Finding(
            what="Delete a token that no access of Keydesk owns",
            remote_id=seen.remote_id,
            person=people.get(seen.remote_user_id or 0, f"user {seen.remote_user_id}"),
            may_do=in_words(seen.scopes, helpdesk.kind, table),
            ends_at=seen.expires_at,
        )
        for seen in strays
    ]
    return found + [_suspected(grant, helpdesk, table) for grant in suspects]


def _suspected(grant: Grant, helpdesk: Helpdesk, table: ScopeTable) -> Finding:
    credential = grant.credential
    assert credential is not None  # strays have no access; suspects always do
    return Finding(
        what="Disconnect it, if its token is really gone or not as it was proved",
        remote_id=grant.remote_id,
        person=credential.acts_as.name,
        may_do=in_words(credential.scopes, helpdesk.kind, table),
        ends_at=grant.access_expires_at,
        name=credential.script_name,
        href=f"/credentials/{credential.pk}",
    )
