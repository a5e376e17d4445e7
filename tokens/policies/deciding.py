"""How a request may be decided: by policy, by several people, among others that were ticked."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from accounts.models import User
from tokens.models import AccessRequest, ProfileVersion
from tokens.models.catalogue import Risk
from tokens.queries.humans import accounts_of
from tokens.refusals import YES, Answer, no

ROLE_IS_NEW = timedelta(days=7)


def is_decidable(access_request: AccessRequest, *, now: datetime) -> Answer:
    """Whether its time to decide is not over."""
    return YES if now < access_request.decide_by else no("The time to decide it is over.")


def approves_by_itself(
    version: ProfileVersion, *, days: int, requester: User, is_renewal: bool
) -> Answer:
    """Whether policy decides: yes and no both say which rule."""
    if not version.policy_days:
        return no("This access is always decided by a person.")
    if days > version.policy_days:
        return no(f"Not approved by itself: longer than {version.policy_days} days.")
    if _has_written(version, requester):
        return no("Not approved by itself: the requester had a hand in these terms.")
    what = "Renewals" if is_renewal else "Requests"
    return Answer(
        True,
        f"{what} of “{version.name}” for at most {version.policy_days} days "
        "are approved by themselves.",
    )


def _has_written(version: ProfileVersion, requester: User) -> bool:
    """Whether somebody wrote these terms, or any before them that were edited on a page, from whichever account."""
    if version.editor_id is None:
        return False
    edits = ProfileVersion.objects.filter(profile=version.profile_id, number__lte=version.number)
    return edits.filter(editor__in=accounts_of(requester)).exists()


def granted(decisions: Iterable[tuple[frozenset[str], int]]) -> tuple[frozenset[str], int]:
    """What several approvals agree on: the scopes in all of them and the shortest life."""
    pairs = list(decisions)
    scopes = frozenset.intersection(*(scopes for scopes, _ in pairs))
    return scopes, min(days for _, days in pairs)


Said = Iterable[tuple[int | None, int | None]]
"""Of each decision on a request as it stands: who made it, and in whose place."""


def voices(said: Said) -> set[int]:
    """Who has been heard on a request, by their own voice or by another's."""
    return {pk for decision in said for pk in decision if pk is not None}


def is_unheard(said: Said, *, by: int, absent: int | None) -> Answer:
    """Whether somebody is not counted yet: they and the one in whose place they decide are one voice."""
    said = list(said)
    if by in {approver for approver, _ in said}:
        return no("You have approved it. It needs one more person.")
    if absent is not None and absent in voices(said):
        return no("You and the person you stand in for count once, and one of you has decided.")
    return no("Who stands in for you has decided it.") if by in voices(said) else YES


def role_is_new(changed_at: datetime | None, *, now: datetime) -> bool:
    """Whether a user's role on the helpdesk changed in the last seven days."""
    return changed_at is not None and now - changed_at < ROLE_IS_NEW


def may_be_ticked(
    *,
    risks: Iterable[str],
    approvals_needed: int,
    role_changed_at: datetime | None,
    has_new_terms: bool,
    ends_others: bool,
    is_asked: bool,
    now: datetime,
) -> Answer:
    """Whether a request may be approved among others without being opened: of low risk, and nothing flagged.

    `risks`: of its terms, and of its scopes as the table has them today. `has_new_terms`: they have changed since.
    `ends_others`: connecting it ends other access of that person. `is_asked`: a question about it has no answer.
    """
    flags = {
        "It is more than low risk": any(risk != Risk.LOW for risk in risks),
        "It takes several approvals": approvals_needed > 1,
        "Their role changed this week": role_is_new(role_changed_at, now=now),
        "The terms have changed since it was asked for": has_new_terms,
        "It ends other access of theirs": ends_others,
        "Somebody asked about it and has no answer yet": is_asked,
    }
    why = next((words for words, is_so in flags.items() if is_so), "")
    return no(f"{why}, so it has to be opened.") if why else YES
