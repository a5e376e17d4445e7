"""Asking: submit, amend, withdraw; and the ends that come by themselves."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Lower

from accounts import audit
from accounts.leads import lead_under
from accounts.models import User
from accounts.roles import fresh
from tokens import notifications, permissions, policies
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Credential,
    HelpdeskLink,
    HelpdeskUser,
    ProfileVersion,
)
from tokens.models.requests import submission_key
from tokens.operations.decisions import decide_by_policy
from tokens.operations.moves import move
from tokens.queries.calendar import calendar
from tokens.refusals import YES, Denied, Invalid, StaleState, insist
from tokens.states import ACCESS_REQUEST, RequestState


@dataclass(frozen=True)
class Wish:
    """What somebody asks for."""

    profile: AccessProfile
    scopes: frozenset[str]
    days: int
    script_name: str
    runs_where: str
    purpose: str
    rhythm: str = ""
    ticket_url: str = ""
    deputy: User | None = None
    renews: Credential | None = None


WISHED = (
    "scopes", "days", "script_name", "runs_where", "rhythm", "deputy", "purpose", "ticket_url",
)  # fmt: skip
"""What of a wish a request keeps as it was said."""


def submit(*, wish: Wish, by: User, key: str, now: datetime) -> AccessRequest:
    """Ask for access. The same `key` by the same person is the same request, however often it is sent.

    Policy may approve at once. Raises `Denied` (may not ask), `Invalid` (scopes, life), `StaleState`
    with a link (a request for this profile and script is open).
    """
    acts_as = _asked_as(wish, by)
    sent = submission_key(by, key)
    if sent_before := AccessRequest.objects.filter(submission_key=sent).first():
        return sent_before
    _check(wish, by=by, now=now)
    insist(policies.may_ask_again(by, now=now))
    access_request = AccessRequest(
        requester=by, acts_as=acts_as, profile=wish.profile,
        credential=wish.renews, is_renewal=wish.renews is not None,
        submission_key=sent, state=RequestState.PENDING, submitted_at=now,
        **_terms(wish, by, now),
    )  # fmt: skip
    try:
        with transaction.atomic():
            access_request.save(force_insert=True)
            audit.record("request.submitted", by=by, target=access_request, now=now, **_told(wish))
            _ask_around(access_request, now=now)
    except IntegrityError as error:
        return _same_or_open(access_request, error)
    access_request.refresh_from_db()
    return access_request


def _asked_as(wish: Wish, by: User) -> HelpdeskUser:
    """The helpdesk user somebody asks as, if they may ask now. Raises `Denied`."""
    link = HelpdeskLink.objects.filter(user=by, helpdesk=wish.profile.helpdesk).first()
    insist(permissions.may_ask(fresh(by), wish.profile, link))
    assert link is not None and link.helpdesk_user is not None  # or may_ask had said no
    if wish.renews and wish.renews.acts_as_id != link.helpdesk_user_id:
        raise Denied("This access acts as another user of the helpdesk than you are now.")
    return link.helpdesk_user


def _same_or_open(access_request: AccessRequest, error: IntegrityError) -> AccessRequest:
    """What stood in the way of an insert: the same submission, or another open request."""
    same = AccessRequest.objects.filter(submission_key=access_request.submission_key).first()
    if same:
        return same
    first = (
        AccessRequest.objects.filter(
            requester=access_request.requester,
            profile=access_request.profile,
            state=RequestState.PENDING,
        )
        .annotate(same=Lower("script_name"))
        .filter(same=Lower(Value(access_request.script_name)))
        .first()
    )
    if first is None:
        raise error
    raise StaleState(
        f"You already have an open request for this access and “{first.script_name}”.",
        href=f"/requests/{first.pk}",
        label="Open that request",
    )


def amend(
    *, access_request: AccessRequest, revision: int, wish: Wish, by: User, now: datetime
) -> AccessRequest:
    """Change a pending request: a new revision, whose approvals, clock and policy start anew."""
    if not (answer := permissions.may_change_request(by, access_request)):
        raise Denied(answer.reason) if by != access_request.requester else _stale(access_request)
    if _asked_as(wish, by) != access_request.acts_as:
        raise Denied("You are another user on the helpdesk than when you asked. Ask anew.")
    _check(wish, by=by, now=now)
    if revision == access_request.revision and not _changes(wish, access_request):
        raise Invalid("Nothing is different from what you asked before.")
    insist(policies.may_ask_again(by, now=now))
    try:
        with transaction.atomic():
            move(
                access_request, ACCESS_REQUEST, "amend", RequestState.PENDING,
                expect={"revision": revision}, approvals=0, **_terms(wish, by, now),
                revision=revision + 1,
            )  # fmt: skip
            audit.record("request.amended", by=by, target=access_request, now=now, **_told(wish))
            _ask_around(access_request, now=now)
    except IntegrityError as error:
        raise StaleState("You already have an open request for this access and script.") from error
    access_request.refresh_from_db()
    return access_request


def _changes(wish: Wish, access_request: AccessRequest) -> bool:
    """Whether a wish differs from what was asked, or comes under terms that do."""
    asked = {name: getattr(access_request, name) for name in WISHED}
    wished = {name: getattr(wish, name) for name in WISHED}
    return asked != wished or wish.profile.current_id != access_request.profile_version_id


def _stale(access_request: AccessRequest) -> StaleState:
    sentence = "It no longer waits for a decision, so it cannot be changed any more."
    return StaleState(sentence, href=f"/requests/{access_request.pk}", label="Open the request")


def withdraw(*, access_request: AccessRequest, by: User, now: datetime) -> None:
    """Take a pending request back."""
    if by.pk != access_request.requester_id:
        raise Denied("Only the person who asked can withdraw this request.")
    _end(access_request, "withdraw", RequestState.WITHDRAWN, by=by, now=now, reason="")


def close(*, access_request: AccessRequest, reason: str, now: datetime) -> None:
    """End a pending request that makes no sense any more: its requester left, its access ended."""
    with transaction.atomic():
        _end(access_request, "close", RequestState.CLOSED, by=None, now=now, reason=reason)
        notifications.request_ended(access_request, now=now)


def lapse(*, access_request: AccessRequest, now: datetime) -> None:
    """End a pending request that nobody decided in time."""
    reason = "Nobody decided it in time."
    with transaction.atomic():
        _end(access_request, "lapse", RequestState.LAPSED, by=None, now=now, reason=reason)
        notifications.request_ended(access_request, now=now)


def escalate(*, access_request: AccessRequest, now: datetime) -> None:
    """Tell everybody who can decide that nobody has, and let the group of ESCALATE_TO_GROUP decide as well."""
    version = access_request.profile_version
    other = _other_group(version)
    with transaction.atomic():
        due = AccessRequest.objects.filter(
            pk=access_request.pk, state=RequestState.PENDING, escalate_at__lte=now
        )
        if not due.update(escalate_at=None, escalated_to=other):
            raise _stale(access_request)
        access_request.refresh_from_db()
        told = [version.approver_group] if access_request.lead_id else []
        told += [other] if other else []
        audit.record("request.escalated", by=None, target=access_request, now=now, to=told)
        notifications.request_escalated(access_request, now=now)


def _end(
    access_request: AccessRequest,
    action: str,
    target: RequestState,
    *,
    by: User | None,
    now: datetime,
    reason: str,
) -> None:
    expect = {"decide_by__lte": now} if action == "lapse" else {}
    with transaction.atomic():
        move(
            access_request, ACCESS_REQUEST, action, target,
            expect=expect, ended_at=now, end_reason=reason,
        )  # fmt: skip
        audit.record(f"request.{target}", by=by, target=access_request, now=now, reason=reason)


def _check(wish: Wish, *, by: User, now: datetime) -> None:
    version = wish.profile.current
    assert version is not None  # a profile that may be asked for has terms
    for answer in (
        policies.scopes_fit(wish.scopes, version.scopes),
        policies.days_fit(wish.days, version.longest_days),
        policies.is_renewable(wish.renews, now=now) if wish.renews else YES,
        permissions.can_ever_be_decided(
            version, by, days=wish.days, is_renewal=wish.renews is not None
        ),
        policies.moves_the_end(wish.renews, days=wish.days, now=now) if wish.renews else YES,
    ):
        if not answer:
            raise Invalid(answer.reason)
    if wish.deputy == by:
        raise Invalid("Your deputy must be somebody else.")
    if wish.renews and (wish.renews.scopes != wish.scopes or wish.renews.owner_id != by.pk):
        raise Invalid("A renewal keeps its scopes and its owner. Other scopes are a new request.")


def _terms(wish: Wish, by: User, now: datetime) -> dict[str, object]:
    version = wish.profile.current
    assert version is not None  # a profile that may be asked for has terms
    lead = lead_under(by, lead_decides=version.lead_decides)
    return {
        "profile_version": version,
        "approver_group": version.approver_group,
        "lead": lead,
        "escalate_at": _escalate_at(now) if lead or _other_group(version) else None,
        "escalated_to": "",
        **{name: getattr(wish, name) for name in WISHED},
        "revised_at": now,
        "decide_by": calendar().later(now, settings.DECIDE_WITHIN),
    }


def _other_group(version: ProfileVersion) -> str:
    """The group that may decide as well, once nobody has in time; "" where there is none."""
    group: str = settings.ESCALATE_TO_GROUP
    return group if group != version.approver_group else ""


def _escalate_at(now: datetime) -> datetime:
    part = settings.DECIDE_WITHIN * settings.ESCALATE_AFTER_PERCENT / 100
    return calendar().later(now, part)


def _told(wish: Wish) -> dict[str, object]:
    """What the audit keeps of a wish."""
    return {
        "profile": str(wish.profile),
        "scopes": wish.scopes,
        "days": wish.days,
        "script": wish.script_name,
    }


def _ask_around(access_request: AccessRequest, *, now: datetime) -> None:
    """Let policy decide, else tell the people who can."""
    if not decide_by_policy(access_request, now=now):
        notifications.request_waits(access_request, now=now)
