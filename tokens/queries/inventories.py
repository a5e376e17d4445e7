"""What a complete list of all tokens says beside our own rows: who owns a token, and who should be in it.

A later list counts as this one too: a token that stands in it has not vanished from the one before.
"""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from accounts.models import AuditEvent
from tokens.connectors.base import TokenRecord
from tokens.models import Credential, Grant, Helpdesk, InventoryRun, SeenToken
from tokens.states import GRANT_OPEN, CredentialState, GrantState

OWNING = (GrantState.ANSWERED, GrantState.LIVE, GrantState.DOOMED)
"""States in which a pair of ours answers for its token."""
CLOCKS_APART = settings.INVENTORY_EVERY
"""So much the clocks of two machines may differ: a call may have made what a list had that ended so long before."""
STILL_ALIVE = timedelta(seconds=5)
"""An access half is expected in a list, and counts as alive at its deletion, only with this much left."""


def newest(helpdesk: Helpdesk, *, begun_after: datetime | None = None) -> InventoryRun | None:
    """The newest list that counts; with `begun_after` only one that was begun later than that."""
    runs = InventoryRun.objects.filter(helpdesk=helpdesk, is_complete=True)
    if begun_after is not None:
        runs = runs.filter(started_at__gt=begun_after)
    return runs.order_by("-pk").first()


def is_overtaken(run: InventoryRun) -> bool:
    """Whether a later list is noted already: an earlier one would make its tokens look absent."""
    return SeenToken.objects.filter(helpdesk=run.helpdesk_id, last_run__gt=run.pk).exists()


def listed(run: InventoryRun) -> QuerySet[SeenToken]:
    """The tokens of a list."""
    return SeenToken.objects.filter(helpdesk=run.helpdesk_id, last_run__gte=run.pk)


def as_record(seen: SeenToken) -> TokenRecord:
    """A token as the list described it; what nobody says is our client's is not kept of a list."""
    return TokenRecord(
        id=seen.remote_id, client_id=seen.helpdesk.client_number, user_id=seen.remote_user_id,
        scopes=seen.scopes, created_at=None, expires_at=seen.expires_at,
        refresh_expires_at=seen.refresh_expires_at, used_at=None,
    )  # fmt: skip


def unowned(run: InventoryRun) -> QuerySet[SeenToken]:
    """Tokens of a list that no pair of ours is.

    One that was replaced or buried after the list was begun may rightly still stand in it.
    """
    return listed(run).exclude(remote_id__in=_owning(run).values("remote_id"))


def _owning(run: InventoryRun) -> QuerySet[Grant]:
    return Grant.objects.filter(
        Q(state__in=OWNING)
        | Q(state=GrantState.REPLACED, settled_at__gte=run.started_at)
        | Q(state=GrantState.GONE, gone_at__gte=run.started_at),
        helpdesk=run.helpdesk_id, remote_id__isnull=False,
    )  # fmt: skip


def vouched_for(helpdesk: Helpdesk, ids: Iterable[int]) -> set[int]:
    """Of these tokens, those known to be our application's: a pair of ours proved it, or an earlier list."""
    wanted = set(ids)
    pairs = Grant.objects.filter(helpdesk=helpdesk, remote_id__in=wanted)
    seen = SeenToken.objects.filter(helpdesk=helpdesk, remote_id__in=wanted)
    found = {*seen.values_list("remote_id", flat=True)}
    return found | {pair.remote_id for pair in pairs if pair.remote_id is not None}


def appeared_since(*, before: InventoryRun, after: InventoryRun) -> QuerySet[SeenToken]:
    """Tokens of the later list that the earlier did not have and that no pair of ours is."""
    return unowned(after).filter(first_run__gt=before.pk)


def may_be_of(credential: Credential, run: InventoryRun) -> QuerySet[SeenToken]:
    """Tokens of a list that a call of this credential without an answer may have made: unowned, or strays not gone yet.

    A refresh makes one for the user of the pair before. Whose an exchange makes is only in its answer, as
    somebody else may have been signed in on the helpdesk: there it may be any that no earlier list had.
    """
    calls = credential.grants.filter(state=GrantState.WRITTEN_OFF)
    users = {
        credential.acts_as.remote_id,
        *calls.values_list("replaces__remote_user_id", flat=True),
    }
    theirs = Q(remote_user_id__in=users - {None}) | Q(remote_user_id=None)
    first = calls.filter(replaces__remote_user_id=None).aggregate(at=Min("sent_at"))["at"]
    if first is not None:
        theirs |= ~Q(first_run__finished_at__lt=first)
    strays = Q(purpose=Grant.Purpose.STRAY, state=GrantState.DOOMED)
    found = listed(run).exclude(remote_id__in=_owning(run).exclude(strays).values("remote_id"))
    return found.filter(theirs).exclude(_seen_too_early(calls) | _seen_too_late(calls, run))


def _seen_too_early(calls: QuerySet[Grant]) -> Q:
    """What stood in a list before the first of these calls left; by clocks that may differ."""
    first = calls.aggregate(at=Min("sent_at"))["at"]
    return Q(first_run__finished_at__lt=first - CLOCKS_APART)


def _seen_too_late(calls: QuerySet[Grant], run: InventoryRun) -> Q:
    """What the first list begun after they were all given up did not have yet: they had made it by then."""
    last = calls.aggregate(at=Max("settled_at"))["at"]
    lists_since = InventoryRun.objects.filter(
        helpdesk=run.helpdesk_id, is_complete=True, started_at__gt=last
    )
    first_since = lists_since.order_by("pk").first() or run
    return Q(first_run__started_at__gt=first_since.started_at)


def still_before(helpdesk: Helpdesk, *, now: datetime) -> InventoryRun | None:
    """The newest list that counts, if it is young and nothing can have been made since that we do not know.

    Every pair asked for since it was begun is known by its id, or was certainly never made.
    """
    run = newest(helpdesk)
    if run is None or run.started_at <= now - settings.MINIMUM_AGE or is_overtaken(run):
        return None
    known = Q(remote_id__isnull=False) | Q(state__in=(GrantState.REFUSED, GrantState.ABANDONED))
    since = Grant.objects.filter(helpdesk=helpdesk).filter(
        Q(sent_at__gte=run.started_at) | Q(state__in=(GrantState.INTENDED, GrantState.SENT))
    )
    return None if since.exclude(known).exists() else run


def strays(run: InventoryRun, *, only: int | None = None) -> QuerySet[SeenToken]:
    """Tokens that stood in two lists a minimum age apart and that no pair of ours is; `only`: this one, if it is.

    None is judged that a call still open may have made: one for its user, or any where nobody knows whose it
    is, that left before the list that had it first, or little later, as clocks differ. What comes after that
    keeps nothing alive, however many calls a user's scripts need.
    """
    old = unowned(run).filter(first_run__started_at__lte=run.started_at - settings.MINIMUM_AGE)
    if only is not None:
        old = old.filter(pk=only)
    seen_at = Coalesce("first_run__finished_at", "first_run__started_at")
    tokens = old.values_list("pk", "remote_user_id", seen_at)
    calls = _first_open_calls(run)
    of_anybody = min(calls.values(), default=None)

    def may_be_made_by(call: datetime | None, at: datetime) -> bool:
        return call is not None and call <= at + CLOCKS_APART

    judged = [
        pk
        for pk, user, at in tokens
        if not may_be_made_by(of_anybody if user is None else calls.get(user), at)
    ]
    return SeenToken.objects.filter(pk__in=judged)


def _first_open_calls(run: InventoryRun) -> dict[int, datetime]:
    """When the earliest open call for each user of the helpdesk left."""
    calls = Grant.objects.filter(
        helpdesk=run.helpdesk_id, state__in=GRANT_OPEN, credential__isnull=False, sent_at__isnull=False
    )  # fmt: skip
    return dict(calls.values_list("credential__acts_as__remote_id").annotate(Min("sent_at")))


def judged(run: InventoryRun) -> QuerySet[Grant]:
    """Live pairs that a list tells about: proved before it was begun, and no call of theirs open."""
    return Grant.objects.filter(
        helpdesk=run.helpdesk_id,
        state=GrantState.LIVE,
        credential__state=CredentialState.ACTIVE,
        proved_at__lt=run.started_at,
    ).exclude(credential__grants__state__in=GRANT_OPEN)


def expected(run: InventoryRun, *, now: datetime) -> QuerySet[Grant]:
    """Judged pairs that a list must show: those whose access half is alive still."""
    return judged(run).filter(access_expires_at__gt=now + STILL_ALIVE)


def unlike_the_list(run: InventoryRun, *, now: datetime) -> QuerySet[Grant]:
    """Judged pairs that the list should have and lacks, or does not describe word for word as they were proved."""
    shown = listed(run).filter(remote_id=OuterRef("remote_id"))
    same = shown.filter(
        remote_user_id=OuterRef("credential__acts_as__remote_id"),
        scopes=OuterRef("credential__scopes"),
        expires_at__lte=OuterRef("access_expires_at"),
        refresh_expires_at__lte=OuterRef("refresh_expires_at"),
    )
    missing = Q(pk__in=expected(run, now=now).values("pk")) & ~Exists(shown)
    return (
        judged(run)
        .filter(missing | (Exists(shown) & ~Exists(same)))
        .select_related("helpdesk", "credential__acts_as", "credential__owner")
        .order_by("pk")
    )


# --- What inventories ended of late, and what a person agreed to ---------------------------------------


def ended_strays(helpdesk: Helpdesk, *, since: datetime) -> QuerySet[Grant]:
    """Tokens of nobody that were doomed since then."""
    return Grant.objects.filter(
        helpdesk=helpdesk, purpose=Grant.Purpose.STRAY, doomed_at__gt=since
    ).order_by("pk")


def ended_pairs(helpdesk: Helpdesk, *, since: datetime, starts: str, ends: str) -> QuerySet[Grant]:
    """Pairs doomed since then for a reason that starts or ends so: an inventory's."""
    reasons = Q(reason__startswith=starts) | Q(reason__endswith=ends)
    return (
        Grant.objects.filter(helpdesk=helpdesk, credential__isnull=False, doomed_at__gt=since)
        .filter(reasons)
        .order_by("pk")
    )


def agreed_to(runs: Iterable[InventoryRun]) -> dict[str, set[int]]:
    """What stood in lists when an admin confirmed them: `strays` by token, `vanished` and `changed` by pair."""
    found: dict[str, set[int]] = {"strays": set(), "vanished": set(), "changed": set()}
    rows = AuditEvent.objects.filter(
        event="inventory.confirmed", target_type=InventoryRun.__name__,
        target_id__in=[str(run.pk) for run in runs],
    )  # fmt: skip
    for body in rows.values_list("body", flat=True):
        kept = json.loads(body)
        for kind in found:
            found[kind] |= set(kept.get(kind, ()))
    return found
