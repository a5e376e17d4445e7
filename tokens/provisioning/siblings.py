"""May one user hold several tokens of our client? Found out at the first consent that could tell, for good.

While it is unknown, an exchange beside another living token of the same person leaves only once a list, begun after
the consent came back, was whole and the helpdesk shows by its id too what that list shows. Afterwards dead by its id
and in a new list, which has what the exchange made, means that the helpdesk keeps one token per user. All of it stands
in rows, so that whoever takes up a call that was cut off learns from it as well.
"""

from datetime import datetime

from django.db.models import Q, QuerySet

from tokens.capabilities import SEVERAL_GRANTS, SHOWS
from tokens.connectors.base import GiveUp, Retry
from tokens.findings import VANISHED
from tokens.models import Credential, Grant, InventoryRun
from tokens.operations import capabilities
from tokens.provisioning.inventory import take_list
from tokens.provisioning.line import Line
from tokens.provisioning.looks import look
from tokens.queries import inventories as lists
from tokens.states import GrantState

CONTRADICTED = "The list of all tokens has one that the helpdesk does not show by its id."


def look_before(line: Line, credential: Credential) -> None:
    """See that it can be told afterwards what this exchange has ended; one that could not be told must not leave.

    Raises the connector's errors and `Later`: try again, for as long as the code lives.
    """
    siblings = capabilities.siblings(credential, now=line.clock())
    if line.can(SEVERAL_GRANTS) is not None or not siblings.exists():
        return
    shown = lists.listed(take_list(line)).values("remote_id")
    sibling = siblings.filter(remote_id__in=shown).first()
    if sibling is not None and _is_shown(line, sibling) is False:
        raise Retry(CONTRADICTED)


def learn_from(line: Line, credential_id: int) -> None:
    """What has become of a token beside the last exchange, if that was proved or what it made stands in the list.

    Nothing is learned where an act of ours explains it. Raises the connector's errors and `Later`: try again.
    """
    if line.can(SEVERAL_GRANTS) is not None:
        return
    call = _last_exchange(credential_id)
    before = _list_before(call) if call else None
    if call is None or before is None:
        return
    sibling = _beside(call, before, now=line.clock()).first()
    is_shown = _is_shown(line, sibling) if sibling else None
    if sibling is None or is_shown is None:
        return
    after = take_list(line)
    is_listed = _is_listed(after, sibling)
    is_still_so = _beside(call, before, now=line.clock()).filter(pk=sibling.pk).exists()
    if is_shown is is_listed and is_still_so and _stands_in(after, call, before):
        line.learn(SEVERAL_GRANTS, is_so=is_shown)


def _last_exchange(credential_id: int) -> Grant | None:
    """The newest call of an access, if it was an exchange that was proved, or written off without an answer."""
    calls = Grant.objects.filter(credential=credential_id).select_related(
        "helpdesk", "credential__acts_as", "connection"
    )
    last = calls.order_by("-generation").first()
    tells = last is not None and last.state in (GrantState.LIVE, GrantState.WRITTEN_OFF)
    return last if last and tells and last.purpose == Grant.Purpose.EXCHANGE else None


def _list_before(call: Grant) -> InventoryRun | None:
    """The newest list that was begun after the consent came back and whole before the code left."""
    came = call.connection.used_at if call.connection else None
    if came is None or call.sent_at is None:
        return None
    runs = InventoryRun.objects.filter(helpdesk=call.helpdesk, is_complete=True)
    between = runs.filter(started_at__gte=came, finished_at__lte=call.sent_at)
    return between.order_by("-pk").first()


def _beside(call: Grant, before: InventoryRun, *, now: datetime) -> QuerySet[Grant]:
    """Pairs of the person's other access that the list before shows: never refreshed, untouched or found vanished."""
    assert call.credential is not None
    vanished = Q(doomed_at__gt=call.sent_at, reason__startswith=VANISHED)
    shown = lists.listed(before).filter(first_run__lte=before.pk)
    return (
        Grant.objects.filter(
            capabilities.is_untouched(now=now) | vanished,
            helpdesk=call.helpdesk_id, proved_at__lt=call.sent_at,
            credential__acts_as=call.credential.acts_as_id,
            remote_id__in=shown.values("remote_id"),
        )
        .exclude(credential=call.credential_id)
        .exclude(successors__purpose=Grant.Purpose.REFRESH)
        .select_related("helpdesk")
        .order_by("-access_expires_at")
    )  # fmt: skip


def _stands_in(after: InventoryRun, call: Grant, before: InventoryRun) -> bool:
    """Whether a list has what the exchange made; without an answer that is a token of the person that nobody owns."""
    assert call.credential is not None
    if call.state == GrantState.LIVE:
        return _is_listed(after, call)
    made = lists.may_be_of(call.credential, after).filter(first_run__gt=before.pk)
    return made.filter(remote_user_id=call.credential.acts_as.remote_id).exists()


def _is_listed(run: InventoryRun, grant: Grant) -> bool:
    """Whether a list has a proved pair."""
    assert grant.remote_id is not None
    return lists.listed(run).filter(remote_id=grant.remote_id).exists()


def _is_shown(line: Line, grant: Grant) -> bool | None:
    """Whether the helpdesk shows a token; None where nobody may look, or it says nothing.

    A token that may only be asked itself says nothing once it is dead: it may have ended by itself.
    """
    try:
        if look(line, grant) is not None:
            return True
    except GiveUp:
        return None
    return None if line.can(SHOWS) is False else False
