"""Deciding: approve (perhaps narrower), deny, and what policy approves by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F

from accounts import audit
from accounts.models import User
from accounts.roles import fresh
from tokens import notifications, permissions, policies
from tokens.models import AccessRequest, Decision
from tokens.operations import credentials
from tokens.operations.moves import move, stale
from tokens.queries import emergencies
from tokens.queries.humans import accounts_of
from tokens.queries.listed import is_asked
from tokens.queries.queue import ticked
from tokens.queries.requests import links_to_decide, risks_of, scope_table
from tokens.refusals import YES, Denied, Invalid, StaleState, insist, moment_words
from tokens.states import ACCESS_REQUEST, RequestState


def approve(
    *,
    access_request_id: int,
    revision: int,
    scopes: frozenset[str],
    days: int,
    reason: str,
    by: User,
    now: datetime,
) -> AccessRequest:
    """Approve the revision that was shown, as it is or narrower. The last approval needed grants.

    Several approvals grant what they have in common. Raises `Denied`, `Invalid`, `StaleState`.
    """
    with transaction.atomic():
        access_request, absent = _load(access_request_id, by)
        _check_narrowed(access_request, scopes, days, now=now)
        _count_up(access_request, revision=revision, now=now)
        _decide(
            access_request, Decision.Verdict.APPROVE,
            by=by, absent=absent, scopes=scopes, days=days, reason=reason, now=now,
        )  # fmt: skip
        audit.record(
            "request.approved", by=by, target=access_request, now=now, scopes=scopes, days=days,
            reason=reason, revision=revision, **_in_place_of(absent),
        )  # fmt: skip
        if access_request.approvals >= access_request.profile_version.approvals_needed:
            _grant(access_request, now=now)
    return access_request


@dataclass(frozen=True)
class Together:
    """What became of requests that were approved at once: those approved, and of the others why not.

    `denied`: why this person may not decide one of them, for the record.
    """

    approved: list[AccessRequest]
    refused: list[tuple[AccessRequest, str]]
    denied: list[str]


def approve_together(*, shown: Mapping[int, int], by: User, now: datetime) -> Together:
    """Approve requests of one profile as they were asked for, each by itself. `shown`: id → revision.

    Raises `Invalid` before anything is done where they are not of one profile, or one has to be opened.
    Where somebody was first, or this person may not decide, that one is left and its sentence returned.
    """
    rows = to_approve_together(shown, by=by, now=now)
    approved, refused, denied = [], [], []
    for row in rows:
        try:
            approved.append(
                approve(
                    access_request_id=row.pk, revision=shown[row.pk], scopes=row.scopes, days=row.days,
                    reason="", by=by, now=now,
                )
            )  # fmt: skip
        except (Denied, StaleState, Invalid) as refusal:
            refused.append((row, refusal.sentence))
            denied += [refusal.sentence] if isinstance(refusal, Denied) else []
    return Together(approved, refused, denied)


def to_approve_together(
    shown: Mapping[int, int], *, by: User, now: datetime
) -> list[AccessRequest]:
    """The requests somebody ticked, in the order of the queue. Raises `Invalid` as `approve_together` does.

    Of what they may not see it says nothing but that.
    """
    if not shown:
        raise Invalid("Tick the requests you want to approve.")
    rows = [row for row in ticked(shown) if permissions.may_see_request(by, row)]
    if len(rows) < len(shown):
        raise Invalid("One of these is not there, or not yours to see.")
    if len({row.profile_version_id for row in rows}) > 1:
        raise Invalid(
            "Only requests for the same access, under the same terms, can be approved together."
        )
    table = scope_table()
    for row in rows:
        version = row.profile_version
        risks = risks_of(row.scopes, version.profile.helpdesk.kind, table)
        helpdesk, is_new = version.profile.helpdesk, not row.is_renewal
        answer = policies.may_be_ticked(
            risks=[version.risk, *risks], approvals_needed=version.approvals_needed,
            role_changed_at=row.acts_as.role_changed_at,
            has_new_terms=version.profile.current_id != version.pk,
            ends_others=is_new and bool(policies.ended_by_new_access(helpdesk, row.acts_as_id)),
            is_asked=is_asked(row), now=now,
        )  # fmt: skip
        if not answer:
            raise Invalid(f"{row.script_name}, asked by {row.requester}: {answer.reason}")
    return rows


def deny(
    *, access_request_id: int, revision: int, reason: str, by: User, now: datetime
) -> AccessRequest:
    """Deny the revision that was shown, with a reason the requester reads."""
    if not reason.strip():
        raise Invalid("Say why, so that they know what to change.")
    with transaction.atomic():
        access_request, absent = _load(access_request_id, by)
        move(
            access_request, ACCESS_REQUEST, "deny", RequestState.DENIED,
            expect={"revision": revision, "decide_by__gt": now}, ended_at=now, end_reason=reason,
        )  # fmt: skip
        _decide(
            access_request, Decision.Verdict.DENY, by=by, absent=absent,
            scopes=access_request.scopes, days=access_request.days, reason=reason, now=now,
        )  # fmt: skip
        audit.record(
            "request.denied", by=by, target=access_request, now=now, reason=reason,
            **_in_place_of(absent),
        )  # fmt: skip
        notifications.request_ended(access_request, now=now)
    return access_request


def decide_by_policy(access_request: AccessRequest, *, now: datetime) -> bool:
    """Approve by rule where one says so. Runs inside the transaction that submits or amends.

    Not while all access of the same person, profile or helpdesk is being ended: then a person decides.
    """
    version = access_request.profile_version
    answer = policies.approves_by_itself(
        version,
        days=access_request.days,
        requester=access_request.requester,
        is_renewal=access_request.is_renewal,
    )
    if not answer:
        return False
    credentials.hold_subjects(access_request)
    if emergencies.over_request(access_request) is not None:
        return False
    _decide(
        access_request, Decision.Verdict.APPROVE, by=None,
        scopes=access_request.scopes, days=access_request.days, reason=answer.reason, now=now,
    )  # fmt: skip
    audit.record(
        "request.approved", by=None, target=access_request, now=now,
        scopes=access_request.scopes, days=access_request.days, reason=answer.reason,
        revision=access_request.revision,
    )  # fmt: skip
    _grant(access_request, now=now)
    return True


def _load(access_request_id: int, by: User) -> tuple[AccessRequest, User | None]:
    """The request, and in whose place this person decides it; None by own right. Raises `Denied`.

    Its row is held until the commit, so that rights and voices are as they are when it is decided.
    """
    AccessRequest.objects.filter(pk=access_request_id).update(state=F("state"))
    access_request = AccessRequest.objects.select_related("profile_version", "acts_as").get(
        pk=access_request_id
    )
    decider = fresh(by)
    links = links_to_decide(decider, access_request.acts_as.helpdesk_id)
    insist(permissions.may_decide(decider, access_request, links))
    heard = policies.voices(_said(access_request))
    return access_request, permissions.in_place_of(decider, access_request, links, heard=heard)


def _said(access_request: AccessRequest) -> list[tuple[int | None, int | None]]:
    said = access_request.decisions.filter(revision=access_request.revision)
    return list(said.values_list("approver_id", "stands_in_for_id"))


def _check_narrowed(
    access_request: AccessRequest, scopes: frozenset[str], days: int, *, now: datetime
) -> None:
    renewed = access_request.credential if days < access_request.days else None
    for answer in (
        policies.scopes_fit(scopes, access_request.scopes),
        policies.days_fit(days, access_request.days),
        policies.moves_the_end(renewed, days=days, now=now) if renewed else YES,
    ):
        if not answer:
            raise Invalid(answer.reason)
    if access_request.is_renewal and scopes != access_request.scopes:
        raise Invalid("A renewal keeps its scopes; you can only make it shorter, or deny it.")


def _count_up(access_request: AccessRequest, *, revision: int, now: datetime) -> None:
    """Count the request up before the decision is inserted, so that two at once see each other."""
    counted = AccessRequest.objects.filter(
        pk=access_request.pk, state=RequestState.PENDING, revision=revision, decide_by__gt=now
    ).update(approvals=F("approvals") + 1)
    if not counted:
        access_request.refresh_from_db()
        if not (answer := policies.is_decidable(access_request, now=now)):
            raise StaleState(answer.reason)
        raise stale(access_request)
    access_request.refresh_from_db()


def _decide(
    access_request: AccessRequest,
    verdict: Decision.Verdict,
    *,
    by: User | None,
    scopes: frozenset[str],
    days: int,
    reason: str,
    now: datetime,
    absent: User | None = None,
) -> None:
    if by is not None:
        _demand_unheard(access_request, by, absent)
    try:
        with transaction.atomic():
            Decision.objects.create(
                access_request=access_request, revision=access_request.revision, approver=by,
                stands_in_for=absent, requester=access_request.requester, verdict=verdict,
                scopes=scopes, days=days, reason=reason, at=now,
            )  # fmt: skip
    except IntegrityError as error:
        raise StaleState(already_decided(access_request, by)) from error


def _demand_unheard(access_request: AccessRequest, by: User, absent: User | None) -> None:
    """The request's row is held, so that of two at once the second sees the first. Raises `StaleState`."""
    said = _said(access_request)
    answer = policies.is_unheard(said, by=by.pk, absent=absent.pk if absent else None)
    if not answer:
        raise StaleState(already_decided(access_request, by) or answer.reason)
    if accounts_of(by).filter(pk__in=policies.voices(said)).exists():
        raise StaleState("You have decided it already, from another account.")


def _in_place_of(absent: User | None) -> dict[str, str]:
    """What the audit says more where somebody stood in."""
    return {"in_place_of": str(absent)} if absent else {}


def already_decided(access_request: AccessRequest, by: User | None) -> str:
    """The sentence for who has decided on the request as it stands: when; "" for who has not."""
    own = access_request.decisions.filter(revision=access_request.revision, approver=by).first()
    if own is None:
        return ""
    return f"You have already decided on this request, at {moment_words(own.at)}."


def _grant(access_request: AccessRequest, *, now: datetime) -> None:
    """Close the request as approved and order what was granted."""
    approvals = access_request.decisions.filter(
        revision=access_request.revision, verdict=Decision.Verdict.APPROVE
    )
    scopes, days = policies.granted((d.scopes, d.days) for d in approvals)
    if not scopes:
        raise Invalid("The approvals have no scope in common. Deny it, or approve other scopes.")
    move(
        access_request, ACCESS_REQUEST, "approve", RequestState.APPROVED,
        expect={"revision": access_request.revision},
        granted_scopes=scopes, granted_days=days, ended_at=now,
    )  # fmt: skip
    if access_request.is_renewal:
        credentials.renew(access_request=access_request, now=now)
    else:
        credentials.order(access_request=access_request, now=now)
    notifications.request_ended(access_request, now=now)
