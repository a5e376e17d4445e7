"""Whether something makes sense or is allowed by rule, whoever asks: lives, scopes, policy, proof.

It changes no row and asks no clock and no network. Who may act stands in permissions.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import User
from tokens import capabilities
from tokens.connectors.base import TokenRecord
from tokens.models import (
    AccessRequest,
    Credential,
    Grant,
    Helpdesk,
    HelpdeskUser,
    ProfileVersion,
    Scope,
)
from tokens.models.catalogue import RISKS, Risk, RoleKind
from tokens.models.requests import Rhythm
from tokens.queries import credentials as queries
from tokens.refusals import YES, Answer, no
from tokens.states import CredentialState

FORBIDDEN_SCOPES = ("impersonate", "unrestricted")


def scope_is_grantable(name: str, *, bare_write: bool) -> bool:
    """Whether a scope may stand in the catalogue at all: never impersonation, `write` only if set."""
    if name.split(":", 1)[0] in FORBIDDEN_SCOPES:
        return False
    return name != "write" or bare_write


def scopes_fit(scopes: frozenset[str], offered: frozenset[str]) -> Answer:
    """At least one scope, and none beyond what is offered."""
    if not scopes:
        return no("Choose at least one thing the script may do.")
    if beyond := scopes - offered:
        return no(f"Not part of this access: {', '.join(sorted(beyond))}.")
    return YES


def effect_of(scope: Scope, user: HelpdeskUser) -> Answer:
    """What a scope lets this user do: a token never exceeds its user's role. Yes says what is left, where less.

    What a custom role allows is unknown, so nothing is said of it.
    """
    if user.role_words not in ROLES or user.has_custom_role:
        return YES
    if ROLES.index(user.role_words) < ROLES.index(scope.least_role):
        return no(f"{_one(user.role_words)} cannot")
    return Answer(True, scope.light_words if user.role_words == RoleKind.LIGHT_AGENT else "")


ROLES: list[str] = list(RoleKind)


def _one(role: str) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"


def days_fit(days: int, longest: int) -> Answer:
    """Between one day and the longest life."""
    if days < 1:
        return no("Choose at least one day.")
    if days > longest:
        return no(f"The longest time for this access is {longest} days.")
    return YES


def approves_by_itself(
    version: ProfileVersion, *, days: int, requester_id: int, is_renewal: bool
) -> Answer:
    """Whether policy decides: yes and no both say which rule."""
    if not version.policy_days:
        return no("This access is always decided by a person.")
    if days > version.policy_days:
        return no(f"Not approved by itself: longer than {version.policy_days} days.")
    if _has_written(version, requester_id):
        return no("Not approved by itself: the requester had a hand in these terms.")
    what = "Renewals" if is_renewal else "Requests"
    return Answer(
        True,
        f"{what} of “{version.name}” for at most {version.policy_days} days "
        "are approved by themselves.",
    )


LONGEST_NAME, LONGEST_WORDS = 60, 120
MOST_DAYS = 366
LEAST_MINUTES, MOST_MINUTES = 15, 48 * 60
MOST_APPROVALS = 5
"""What the terms of a profile may be, in a file and on the page."""


def risk_of(risks: Iterable[str]) -> str:
    """The risk of a profile: that of its riskiest scope."""
    return max(risks, key=RISKS.index)


def _has_written(version: ProfileVersion, user_id: int) -> bool:
    """Whether somebody wrote these terms or, since they are edited on a page, any before them."""
    if version.editor_id is None:
        return False
    edits = ProfileVersion.objects.filter(profile=version.profile_id, number__lte=version.number)
    return version.editor_id == user_id or edits.filter(editor=user_id).exists()


def widening(before: ProfileVersion, after: ProfileVersion) -> list[str]:
    """In what an edit of a profile gives more than before, in words; such an edit takes a second admin."""
    more_may_ask = bool(before.ask_groups) and (
        not after.ask_groups or bool(after.ask_groups - before.ask_groups)
    )
    found = {
        "it gives more permissions": bool(after.scopes - before.scopes),
        "it lives longer": after.longest_days > before.longest_days,
        "its tokens live longer": after.access_token_seconds > before.access_token_seconds,
        "fewer people have to approve": after.approvals_needed < before.approvals_needed,
        "more is approved by itself": after.policy_days > before.policy_days,
        "more people may ask for it": more_may_ask,
        "other people decide": after.approver_group != before.approver_group,
    }
    return [words for words, is_so in found.items() if is_so]


def granted(decisions: Iterable[tuple[frozenset[str], int]]) -> tuple[frozenset[str], int]:
    """What several approvals agree on: the scopes in all of them and the shortest life."""
    pairs = list(decisions)
    scopes = frozenset.intersection(*(scopes for scopes, _ in pairs))
    return scopes, min(days for _, days in pairs)


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


def takes_new_access(helpdesk: Helpdesk) -> Answer:
    """Whether access may be issued there now: not while it is frozen."""
    if helpdesk.frozen_at is None:
        return YES
    reason = helpdesk.frozen_reason.rstrip(".") or "an admin can tell you why"
    return no(f"{helpdesk} is frozen for new access: {reason}.")


def is_decidable(access_request: AccessRequest, *, now: datetime) -> Answer:
    """Whether its time to decide is not over."""
    return YES if now < access_request.decide_by else no("The time to decide it is over.")


ENDS_SOON = timedelta(days=7)
EVERY: dict[str, timedelta] = {
    Rhythm.HOURLY: timedelta(hours=1), Rhythm.DAILY: timedelta(days=1),
    Rhythm.WEEKLY: timedelta(days=7), Rhythm.MONTHLY: timedelta(days=31),
}  # fmt: skip
IDLE_LEAST = timedelta(days=7)
IDLE_UNSAID = timedelta(days=30)


def ends_soon(credential: Credential, *, now: datetime) -> bool:
    """Whether its end is near: within a week, or before a script that runs more rarely has run once more."""
    if credential.lives_until is None:
        return False
    return credential.lives_until - now < max(ENDS_SOON, EVERY.get(credential.rhythm, ENDS_SOON))


def is_idle(credential: Credential, *, last_used_at: datetime | None, now: datetime) -> bool:
    """Whether it was not used for longer than twice what its script said, and a week at least.

    A script that said it runs once is idle a day after it has run; one that said nothing, after thirty days.
    """
    since = last_used_at or credential.issued_at
    if since is None:
        return False
    if credential.rhythm == Rhythm.ONCE and last_used_at is not None:
        return now - since > A_DAY
    every = EVERY.get(credential.rhythm)
    return now - since > (max(IDLE_LEAST, 2 * every) if every else IDLE_UNSAID)


A_DAY = timedelta(days=1)
ROLE_IS_NEW = timedelta(days=7)
RISKY = (Risk.HIGH, Risk.WIDE)
"""Risks that take a second page before they are approved, and are never approved unopened."""


def role_is_new(user: HelpdeskUser, *, now: datetime) -> bool:
    """Whether this user's role on the helpdesk changed in the last seven days."""
    return user.role_changed_at is not None and now - user.role_changed_at < ROLE_IS_NEW


def is_risky(risks: Iterable[str]) -> bool:
    """Whether something of these risks takes a second page before it is approved."""
    return any(risk in RISKY for risk in risks)


def may_be_ticked(
    access_request: AccessRequest, *, risks: Iterable[str], is_asked: bool, now: datetime
) -> Answer:
    """Whether it may be approved among others without being opened.

    `risks`: of its scopes, as the table has them today. `is_asked`: a question about it has no answer.
    """
    if is_risky([access_request.profile_version.risk, *risks]):
        return no("It can write or is wide, so it has to be opened.")
    if access_request.profile_version.approvals_needed > 1:
        return no("It takes several approvals, so it has to be opened.")
    if role_is_new(access_request.acts_as, now=now):
        return no("Their role changed this week, so it has to be opened.")
    if is_asked:
        return no("Somebody asked about it and has no answer yet, so it has to be opened.")
    return YES


# --- Lifetimes: what to ask the helpdesk for, and how long what came may be served ---------------


def access_seconds(credential: Credential, *, now: datetime) -> int:
    """How long an access token to ask for: the profile's wish, cut to the lease, within the helpdesk's bounds."""
    lease_end = credential.lives_until or now + timedelta(days=credential.days)
    left = int((lease_end - now).total_seconds())
    least = int(settings.ACCESS_TOKEN_LEAST.total_seconds())
    most = int(settings.ACCESS_TOKEN_MOST.total_seconds())
    return max(least, min(credential.access_token_seconds, left, most))


def reaches_until(now: datetime) -> datetime:
    """Until when what is asked for now may yet be made: time to send it, a slot, and a late commit."""
    late_commits = settings.MINIMUM_AGE - settings.CODE_LIFE - settings.SEND_WITHIN
    return now + settings.SEND_WITHIN + settings.CALL_DEADLINE + late_commits


def is_about_to_end(credential: Credential, *, now: datetime) -> bool:
    """Whether no pair is asked for any more: one made after the lease would outlive it by more than its least life."""
    return credential.lives_until is not None and credential.lives_until <= reaches_until(now)


def refresh_seconds(credential: Credential, *, now: datetime, access: int) -> int:
    """How long a refresh token to ask for: to the end of the lease, within the helpdesk's bounds."""
    lease_end = credential.lives_until or now + timedelta(days=credential.days)
    left = int((lease_end - now).total_seconds())
    least = int(settings.REFRESH_TOKEN_LEAST.total_seconds())
    most = int(settings.REFRESH_TOKEN_MOST.total_seconds())
    return max(least, access, min(left, most))


def serve_until(
    *, sent_at: datetime, access_expires_at: datetime, lives_until: datetime
) -> datetime:
    """Until when a token may be handed out: three quarters of its life, or the lease's end if it reaches it."""
    if access_expires_at >= lives_until:
        return lives_until
    return sent_at + (access_expires_at - sent_at) * 3 / 4


def seconds_to_tell(grant: Grant, *, now: datetime) -> int | None:
    """The `expires_in` a client is told; None when the token must not be served any more."""
    if grant.is_withheld or grant.serve_until is None:
        return None
    left = grant.serve_until - now
    if left < settings.SERVE_LEAST:
        return None
    return int((left - settings.SERVE_MARGIN).total_seconds())


def needs_keep_alive(grant: Grant, lives_until: datetime, *, now: datetime) -> bool:
    """Whether the refresh half would end before the lease does, and soon."""
    ends = grant.refresh_expires_at
    return ends is not None and ends < lives_until and ends - settings.KEEP_ALIVE_MARGIN <= now


# --- Proof ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """What a new pair has to be, to be kept."""

    client_number: int
    user_id: int
    scopes: frozenset[str]
    access_by: datetime
    refresh_by: datetime


def wanted(credential: Credential, grant: Grant, *, client_number: int) -> Wanted:
    """What was asked for with `grant`; expiries may be later by the tolerance, counted from the answer."""
    start = (grant.answered_at or grant.intended_at) + settings.EXPIRY_TOLERANCE
    return Wanted(
        client_number=client_number,
        user_id=credential.acts_as.remote_id,
        scopes=credential.scopes,
        access_by=start + timedelta(seconds=grant.asked_access_seconds),
        refresh_by=start + timedelta(seconds=grant.asked_refresh_seconds),
    )


def is_proved(record: TokenRecord, want: Wanted) -> Answer:
    """Whether the helpdesk's own description of a token is exactly what was approved."""
    if record.client_id != want.client_number:
        return no("The token belongs to another application.")
    if record.user_id != want.user_id:
        return no("Somebody else was signed in on the helpdesk.")
    if record.scopes != want.scopes:
        return no("The helpdesk gave other permissions than were approved.")
    if record.expires_at is None or record.refresh_expires_at is None:
        return no("The helpdesk gave a token without an end.")
    if record.expires_at > want.access_by or record.refresh_expires_at > want.refresh_by:
        return no("The helpdesk gave a token that lives longer than was asked for.")
    return YES


def lacks_proof(record: TokenRecord) -> bool:
    """Whether a description leaves out something the proof needs."""
    needed = (record.client_id, record.user_id, record.scopes, record.expires_at)
    return None in needed or record.refresh_expires_at is None


def is_as_proved(record: TokenRecord, grant: Grant) -> Answer:
    """Whether the helpdesk still describes a live token as it was approved and proved.

    Its ends may not move past what was proved, nor past the lease and the helpdesk's least life.
    """
    assert grant.credential is not None
    credential = grant.credential
    if record.user_id != credential.acts_as.remote_id:
        return no("On the helpdesk its token acts as somebody else now.")
    if record.scopes != credential.scopes:
        return no("On the helpdesk its token has other permissions now than were approved.")
    if record.expires_at is None or record.refresh_expires_at is None:
        return no("On the helpdesk its token has no end any more.")
    access_by = _latest(
        credential.lives_until, settings.ACCESS_TOKEN_LEAST, grant.access_expires_at
    )
    refresh_by = _latest(
        credential.lives_until, settings.REFRESH_TOKEN_LEAST, grant.refresh_expires_at
    )
    if record.expires_at > access_by or record.refresh_expires_at > refresh_by:
        return no("On the helpdesk its token lives longer now than it may.")
    return YES


def _latest(lease_end: datetime | None, least: timedelta, proved: datetime | None) -> datetime:
    """The latest end that is right: the lease's and the least life, or what was proved if that is later."""
    assert lease_end is not None
    return max(lease_end + least, proved or lease_end) + settings.EXPIRY_TOLERANCE


# --- How many at once ----------------------------------------------------------------------------


def keeps_one_per_person(helpdesk: Helpdesk) -> bool:
    """Whether connecting a second access of the same user ends the first one there."""
    return bool(helpdesk.capabilities.get(capabilities.SEVERAL_GRANTS) == "no")


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
