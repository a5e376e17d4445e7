"""Who is told what, and when: one row per event and addressee, for ever once. Sending stands in messages/."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from accounts.models import StandIn, User
from tokens.destinations import Kind, kind_of
from tokens.models import AccessRequest, Comment, Credential, MailChoice, Notification
from tokens.mornings import next_morning
from tokens.queries.messages import end_event
from tokens.queries.people import asked_by, deciders, first_asked

AT_ONCE = (Kind.ACCESS_LOST, Kind.ACCESS_REVOKED, Kind.CONNECT_FAILED)
"""What waits for nobody's daily mail: a script has stopped, or somebody sits in front of the screen."""
A_DAY_LEFT = timedelta(days=1)


def request_waits(access_request: AccessRequest, *, now: datetime) -> None:
    """Those who are asked first hear of a request, or of its next revision; all where it takes several."""
    takes_one = access_request.profile_version.approvals_needed == 1
    asked, own = asked_by(access_request), access_request.requester.email.casefold()
    first = first_asked(asked) if takes_one else []
    can_hear = [person for person in first if person.email and person.email.casefold() != own]
    _tell_of_waiting(access_request, can_hear or deciders(asked), now)


def request_escalated(access_request: AccessRequest, *, now: datetime) -> None:
    """All who can decide hear of a request that nobody has decided; who has heard of it does not again."""
    _tell_of_waiting(access_request, deciders(asked_by(access_request)), now)


def _tell_of_waiting(access_request: AccessRequest, people: list[User], now: datetime) -> None:
    event = f"{Kind.REQUEST_WAITS}:{access_request.pk}:{access_request.revision}"
    others = [person for person in people if person.pk != access_request.requester_id]
    until = access_request.escalate_at or access_request.decide_by
    _tell(others, event, "request_waits", access_request.pk, now, until=until)


def request_ended(access_request: AccessRequest, *, now: datetime) -> None:
    """The requester hears how it ended."""
    event = f"{Kind.REQUEST_ENDED}:{access_request.pk}"
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
    event = f"{Kind.REQUEST_COMMENTED}:{comment.pk}"
    _tell(others, event, "request_commented", comment.pk, now)


def stands_in(row: StandIn, *, now: datetime) -> None:
    """Who stands in for somebody hears of it."""
    _tell([row.instead], f"{Kind.STANDS_IN}:{row.pk}", "stands_in", row.pk, now)


def connect_waiting(credential: Credential, *, now: datetime) -> None:
    """The owner hears, once, that half of the time to connect is over."""
    event, until = f"{Kind.CONNECT_WAITING}:{credential.pk}", credential.connect_by
    _tell([credential.owner], event, "connect_waiting", credential.pk, now, until=until)


def connect_failed(credential: Credential, *, now: datetime) -> None:
    """The owner hears that connecting did not work, each time."""
    event = f"{Kind.CONNECT_FAILED}:{credential.pk}:{now.isoformat()}"
    _tell([credential.owner], event, "connect_failed", credential.pk, now)


def access_works(credential: Credential, *, now: datetime) -> None:
    """The owner hears that the access works and the key can be taken."""
    event = f"{Kind.ACCESS_WORKS}:{credential.pk}:{now.isoformat()}"
    _tell([credential.owner], event, "access_works", credential.pk, now)


def access_lost(credential: Credential, *, now: datetime) -> None:
    """Owner and deputy hear that it must be connected again."""
    event = f"{Kind.ACCESS_LOST}:{credential.pk}:{now.isoformat()}"
    _tell(_owners(credential), event, "access_lost", credential.pk, now)


def access_revoked(credential: Credential, *, by: User | None, now: datetime) -> None:
    """Owner and deputy hear at once that somebody else, or Keydesk itself (None), ended it before its end."""
    if by is not None and by.pk == credential.owner_id:
        return
    event = _revoked(credential)
    _tell(_owners(credential), event, "access_revoked", credential.pk, now)


def access_ended(credential: Credential, *, now: datetime) -> None:
    """Owner and deputy hear that it has ended and is confirmed gone, unless they heard already that it was revoked."""
    event = f"{Kind.ACCESS_ENDED}:{credential.pk}"
    people, unless = _owners(credential), _revoked(credential)
    _tell(people, event, "access_ended", credential.pk, now, unless=unless)


def ends_soon(credential: Credential, days: int, *, now: datetime) -> None:
    """Owner and deputy hear that the end is near, once for each number of days and each end."""
    assert credential.lives_until is not None
    until = credential.lives_until - A_DAY_LEFT
    _tell(
        _owners(credential),
        end_event(credential, days),
        "ends_soon",
        credential.pk,
        now,
        until=until,
    )


def _revoked(credential: Credential) -> str:
    return f"{Kind.ACCESS_REVOKED}:{credential.pk}"


def _owners(credential: Credential) -> list[User]:
    return [p for p in (credential.owner, credential.deputy) if p is not None]


def _tell(
    people: Iterable[User],
    event: str,
    template: str,
    target_id: int,
    now: datetime,
    *,
    until: datetime | None = None,
    unless: str = "",
) -> None:
    """A row for each person and for each destination that wants this kind of event.

    Who has a daily mail gets it there, but never after `until`. Who was told `unless` is told no more.
    """
    made = {"event": event, "template": template, "target_id": target_id, "created_at": now}
    written_to = [person for person in people if person.is_active and person.email]
    daily = _daily(written_to, event)
    rows = [
        Notification(**made, recipient=p, not_before=_when(p, daily, now=now, until=until))
        for p in written_to
    ] + [
        Notification(**made, destination=name, channel="webhook", not_before=now)
        for name in _destinations(event)
    ]
    Notification.objects.bulk_create(_not_yet(rows, unless), ignore_conflicts=True)


def _daily(people: Iterable[User], event: str) -> set[int]:
    """Which of them have a daily mail that this kind of event may wait for."""
    if kind_of(event) in AT_ONCE:
        return set()
    chosen = MailChoice.objects.filter(user__in=list(people), how=MailChoice.How.DAILY)
    return set(chosen.values_list("user_id", flat=True))


def _when(person: User, daily: set[int], *, now: datetime, until: datetime | None) -> datetime:
    if person.pk not in daily:
        return now
    morning = next_morning(now, zone_of(person))
    return now if until is not None and morning >= until else morning


def zone_of(person: User) -> ZoneInfo:
    """Where the clock stands by which somebody reads: the zone of their company sign-in, else TIME_ZONE."""
    return ZoneInfo(person.time_zone or settings.READERS_TIME_ZONE)


def _destinations(event: str) -> list[str]:
    """The names of those that want this kind of event."""
    return [one.name for one in settings.WEBHOOKS.values() if kind_of(event) in one.kinds]


def _not_yet(rows: list[Notification], unless: str) -> list[Notification]:
    """Those whose addressee has not been told that other event."""
    if not unless:
        return rows
    told = set(Notification.objects.filter(event=unless).values_list("recipient", "destination"))
    return [row for row in rows if (row.recipient_id, row.destination) not in told]
