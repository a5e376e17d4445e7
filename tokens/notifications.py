"""Who is told what: one row per event, person and channel, for ever once. Sending stands in mail.py."""

from collections.abc import Iterable
from datetime import datetime

from accounts.models import StandIn, User
from tokens.models import AccessRequest, Comment, Credential, Notification
from tokens.queries.people import asked_by, deciders, first_asked


def request_waits(access_request: AccessRequest, *, now: datetime) -> None:
    """Those who are asked first hear of a request, or of its next revision; all where it takes several."""
    takes_one = access_request.profile_version.approvals_needed == 1
    asked = asked_by(access_request)
    _tell_of_waiting(access_request, first_asked(asked) if takes_one else deciders(asked), now)


def request_passed_on(access_request: AccessRequest, *, now: datetime) -> None:
    """All who can decide hear of a request that nobody has decided; who has heard of it does not again."""
    _tell_of_waiting(access_request, deciders(asked_by(access_request)), now)


def _tell_of_waiting(access_request: AccessRequest, people: list[User], now: datetime) -> None:
    event = f"request.waits:{access_request.pk}:{access_request.revision}"
    others = [person for person in people if person.pk != access_request.requester_id]
    _tell(others, event, "request_waits", access_request.pk, now)


def request_ended(access_request: AccessRequest, *, now: datetime) -> None:
    """The requester hears how it ended."""
    event = f"request.ended:{access_request.pk}"
    _tell([access_request.requester], event, "request_ended", access_request.pk, now)


def request_commented(comment: Comment, *, now: datetime) -> None:
    """The other side hears: the requester of a question, who asked and still decides (else all who can) of an answer."""
    access_request = comment.access_request
    asked = access_request.requester
    if comment.author_id != asked.pk:
        people = [asked]
    else:
        decide = deciders(asked_by(access_request))
        spoke = set(access_request.comments.values_list("author", flat=True))
        people = [person for person in decide if person.pk in spoke] or decide
    others = [person for person in people if person.pk != comment.author_id]
    _tell(others, f"request.commented:{comment.pk}", "request_commented", comment.pk, now)


def stands_in(row: StandIn, *, now: datetime) -> None:
    """Who stands in for somebody hears of it."""
    _tell([row.instead], f"person.stands_in:{row.pk}", "stands_in", row.pk, now)


def connect_failed(credential: Credential, *, now: datetime) -> None:
    """The owner hears that connecting did not work, each time."""
    event = f"connect.failed:{credential.pk}:{now.isoformat()}"
    _tell([credential.owner], event, "connect_failed", credential.pk, now)


def access_works(credential: Credential, *, now: datetime) -> None:
    """The owner hears that the access works and the key can be taken."""
    event = f"access.works:{credential.pk}:{now.isoformat()}"
    _tell([credential.owner], event, "access_works", credential.pk, now)


def access_lost(credential: Credential, *, now: datetime) -> None:
    """Owner and deputy hear that it must be connected again."""
    event = f"access.lost:{credential.pk}:{now.isoformat()}"
    _tell(_owners(credential), event, "access_lost", credential.pk, now)


def access_ended(credential: Credential, *, now: datetime) -> None:
    """Owner and deputy hear that it has ended and is confirmed gone."""
    _tell(_owners(credential), f"access.ended:{credential.pk}", "access_ended", credential.pk, now)


def ends_soon(credential: Credential, days: int, *, now: datetime) -> None:
    """Owner and deputy hear that the end is near, once for each number of days and each end."""
    event = f"access.ends_soon:{credential.pk}:{credential.lives_until:%Y%m%d}:{days}"
    _tell(_owners(credential), event, "ends_soon", credential.pk, now)


def _owners(credential: Credential) -> list[User]:
    return [p for p in (credential.owner, credential.deputy) if p is not None]


def _tell(people: Iterable[User], event: str, template: str, target_id: int, now: datetime) -> None:
    rows = [
        Notification(
            event=event, recipient=person, template=template, target_id=target_id,
            created_at=now, not_before=now,
        )
        for person in people
        if person.is_active and person.email
    ]  # fmt: skip
    Notification.objects.bulk_create(rows, ignore_conflicts=True)
