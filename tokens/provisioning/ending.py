"""Ending a pair on the helpdesk and making sure: deleted, absent from show and list, its refresh half dead."""

import random
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from tokens import outbox
from tokens.connectors.base import GiveUp, Retry, TokenRecord
from tokens.models import Credential, Grant, InventoryRun
from tokens.operations import credentials, grants
from tokens.operations.inventories import is_refresh_half_dead
from tokens.provisioning.calls import access_half, refresh_pair, settle
from tokens.provisioning.line import Later, Line
from tokens.provisioning.looks import delete, look
from tokens.provisioning.proof import from_list, is_ours
from tokens.provisioning.turns import end_turn, line_up, must_not_cross
from tokens.queries import inventories as lists
from tokens.queries.inventories import STILL_ALIVE
from tokens.refusals import StaleState
from tokens.states import GRANT_OPEN, CredentialState, GrantState

_LIVING = (CredentialState.ISSUING, CredentialState.ACTIVE)
"""States in which an open call is somebody's who will take it up."""
STILL_SHOWN = "The helpdesk still shows the token, though it was to be deleted."
STILL_LISTED = "By its id the token is gone, but the list of all tokens still shows it."
UNNAMED = "The helpdesk does not say which token it made to close the one before."
NOT_OURS = "The helpdesk describes the token as another one, so it is not deleted by that id."


def close(line: Line, grant_id: int) -> None:
    """Make sure a doomed pair is gone; the list that confirms it is ordered at the end. Safe to repeat."""
    grant = Grant.objects.select_related("helpdesk", "credential", "list_before").get(pk=grant_id)
    if grant.state != GrantState.DOOMED:
        return
    if grant.remote_id is None:
        _find_out_which(line, grant)
    if grant.remote_id is not None and grant.deleted_at is None:
        _delete(line, grant)
    if not is_refresh_half_dead(grant, at=line.clock()):
        if grants.is_refresh_half_refused(grant):
            grants.note_refresh_dead(grant, now=line.clock())
        else:
            _kill_refresh_half(line, grant)
        if grant.remote_id is None:
            _find_out_which(line, grant)
    _await_list(line, grant)


def _find_out_which(line: Line, grant: Grant) -> None:
    """A pair that was never proved: ask it who it is, or compare the lists. A dead one stays unknown.

    So does one that says it is another's: it is ended by its refresh half, never by that id. What that
    made is not refreshed in its turn at once, which would go on for ever: it is looked for in the list, and
    asked again later.
    """
    is_closing = grant.purpose == Grant.Purpose.CLOSE
    if not grant.access_sealed or _is_access_over(grant, line):
        return
    record: TokenRecord | None = None
    try:
        record = line.connector.current(access_token=access_half(grant))
    except GiveUp as refused:
        is_dead = refused.code == "invalid_token"
        if is_closing or not is_dead:
            record = from_list(line, grant)
        if record is None and is_dead:
            grants.note_access_dead(grant, now=line.clock())
        if record is None and is_closing:
            raise Retry(UNNAMED) from refused
    else:
        if not is_ours(line, grant, record):
            if is_closing:
                raise Retry(NOT_OURS)
            return
    if record is not None:
        grants.identify(grant, record)


def _is_access_over(grant: Grant, line: Line) -> bool:
    """Whether the access half has ended, so that it can say nothing any more."""
    return grant.access_expires_at is not None and grant.access_expires_at <= line.clock()


def _delete(line: Line, grant: Grant) -> None:
    shown = look(line, grant)
    if shown is not None:
        is_refused = not _try_delete(line, grant, shown)
        if is_refused or look(line, grant) is not None:
            if not _was_alive(line, shown):
                _end_by_refresh(line, grant)
            raise Retry(STILL_SHOWN)
    elif _is_still_listed(line, grant):
        _end_by_refresh(line, grant)
        raise Retry(STILL_LISTED)
    grants.mark_deleted(
        grant, was_there=shown is not None, is_refresh_dead=_was_alive(line, shown),
        now=line.clock(),
    )  # fmt: skip


def _try_delete(line: Line, grant: Grant, shown: TokenRecord) -> bool:
    """False where nobody may delete it: our own access is refused, and the access half, which could, is over."""
    try:
        delete(line, grant)
    except GiveUp as refused:
        if refused.code != "forbidden" or _was_alive(line, shown):
            raise
        return False
    return True


def _end_by_refresh(line: Line, grant: Grant) -> None:
    """What no deletion ends: a refresh ends the pair, and what it makes can be deleted by its own access half."""
    if grant.refresh_sealed and not is_refresh_half_dead(grant, at=line.clock()):
        _kill_refresh_half(line, grant)


def _is_still_listed(line: Line, grant: Grant) -> bool:
    """Whether it was found deleted before, and the newest list begun since then shows it all the same."""
    assert grant.remote_id is not None
    deletions = grants.deletions(grant)
    run = lists.newest(line.helpdesk, begun_after=deletions[-1]) if deletions else None
    return run is not None and lists.listed(run).filter(remote_id=grant.remote_id).exists()


def _was_alive(line: Line, shown: TokenRecord | None) -> bool:
    """Deleting a living access half kills the refresh half too."""
    if shown is None or shown.expires_at is None:
        return False
    return shown.expires_at > line.clock() + STILL_ALIVE


def _kill_refresh_half(line: Line, grant: Grant) -> None:
    """A refresh that is meant to be refused. A pair it returns is doomed the moment it is known."""
    credential = grant.credential
    if credential is None or not grant.refresh_sealed:
        assert grant.refresh_expires_at is not None or credential is None
        raise Later(grant.refresh_expires_at or line.clock() + timedelta(hours=1))
    if grant.remote_id is None and _strays_of(grant, credential).exists():
        raise Later(line.clock() + timedelta(seconds=2))
    open_one = credential.grants.filter(state__in=GRANT_OPEN).select_related("helpdesk").first()
    if open_one is not None and not _settle(line, open_one):
        raise Later(line.clock() + timedelta(seconds=2))
    is_nameless = grant.purpose == Grant.Purpose.CLOSE and grant.remote_id is None
    before = line_up(line, credential, by_list=is_nameless)
    try:
        _refresh_to_close(line, grant, credential, before)
    finally:
        end_turn(line, credential)
    grants.note_refresh_dead(grant, now=line.clock())


def _strays_of(grant: Grant, credential: Credential) -> QuerySet[Grant]:
    """Tokens of the same person still to be deleted because it could not be told which one is ours."""
    return Grant.objects.filter(
        helpdesk=grant.helpdesk, state=GrantState.DOOMED, purpose=Grant.Purpose.STRAY,
        remote_user_id=credential.acts_as.remote_id, deleted_at=None,
    )  # fmt: skip


def _refresh_to_close(
    line: Line, grant: Grant, credential: Credential, before: InventoryRun | None
) -> None:
    """Where somebody gave the token other scopes since, naming ours is refused; then none are named."""
    try:
        _refresh_once(line, grant, credential, before, scopes=credential.scopes)
    except GiveUp as error:
        if error.code != "invalid_scope":
            raise
        _refresh_once(line, grant, credential, before, scopes=frozenset())


def _refresh_once(
    line: Line,
    grant: Grant,
    credential: Credential,
    before: InventoryRun | None,
    *,
    scopes: frozenset[str],
) -> None:
    waits = settings.CLAIM * random.uniform(0.1, 0.5)  # noqa: S311 - many at once take no slots for nothing
    must_not_cross(line, credential, before, waits=waits)
    try:
        closing = grants.intend(
            credential=credential, purpose=Grant.Purpose.CLOSE,
            replaces=grant, now=line.clock(), list_before=before,
        )  # fmt: skip
    except StaleState as error:
        raise Later(line.clock() + timedelta(seconds=2)) from error
    must_not_cross(line, credential, before, intended=closing, waits=waits)
    try:
        refresh_pair(line, old=grant, new=closing, scopes=scopes)
    except GiveUp as error:
        if error.code != "invalid_grant":
            raise
    else:
        _find_out_which(line, closing)


def _settle(line: Line, grant: Grant) -> bool:
    """Settle a call of a credential that is ending, or one that was to close a pair.

    False: it is a living access's own; that takes it up.
    """
    is_closing = grant.purpose == Grant.Purpose.CLOSE
    if grant.credential is None or (grant.credential.state in _LIVING and not is_closing):
        return False
    settle(line, grant, reason="The access was ending when this token came.")
    return True


def _await_list(line: Line, grant: Grant) -> None:
    """Gone is what a complete list, begun after the deletion, lacks.

    One is ordered at once after the first deletion. Where a list has contradicted that, the next comes
    with the sweep, so that a list and a look that disagree do not order each other for ever.
    """
    now = line.clock()
    if grant.remote_id is None:
        if _is_access_over(grant, line):
            return grants.bury(grant, now=now)
        raise Later(_asked_again(grant, now))
    run = lists.newest(line.helpdesk, begun_after=grant.deleted_at)
    if run and not lists.listed(run).filter(remote_id=grant.remote_id).exists():
        return grants.bury(grant, now=now)
    if run:
        raise Retry(STILL_LISTED)
    first = next(iter(grants.deletions(grant)), grant.deleted_at)
    if lists.newest(line.helpdesk, begun_after=first) is not None:
        return
    with transaction.atomic():
        outbox.order_list(line.helpdesk, now=now, is_awaited=True)


def _asked_again(grant: Grant, now: datetime) -> datetime:
    """When a pair that could not be named is asked once more: with the next list, or when it has ended."""
    soon = now + settings.INVENTORY_EVERY
    return min(grant.access_expires_at or soon, soon)


def confirm(line: Line, credential_id: int) -> None:
    """Settle every call still open of a credential that wants none, then call it ended if nothing can live."""
    credential = Credential.objects.select_related("helpdesk", "acts_as", "owner", "deputy").get(
        pk=credential_id
    )
    if credential.state in _LIVING:
        return
    for grant in credential.grants.filter(state__in=GRANT_OPEN).select_related(
        "helpdesk", "credential"
    ):
        _settle(line, grant)
    if credential.state != CredentialState.REVOKING:
        return
    if not credentials.confirm_ended(credential=credential, now=line.clock()):
        return
    written_off = credential.grants.filter(state=GrantState.WRITTEN_OFF).order_by("-settled_at")
    if (last := written_off.first()) is None:
        return
    if lists.newest(line.helpdesk, begun_after=last.settled_at) is None:
        with transaction.atomic():
            outbox.order_list(line.helpdesk, now=line.clock(), is_awaited=True)
