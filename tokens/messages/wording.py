"""What a message says of one event: sentences of ours, one link, and facts for machines. No markup of any kind.

To people it says more than to a destination: what somebody wrote (a purpose, a reason, a question) is for
those it was written to, not for everybody in a channel.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from accounts.models import StandIn, User
from tokens.models import AccessRequest, Comment, Credential, Notification
from tokens.notifications import zone_of
from tokens.presenters.requests import again_path
from tokens.presenters.words import days_words
from tokens.queries.credentials import who_ended
from tokens.queries.requests import last_request_for
from tokens.states import CREDENTIAL_USABLE, CredentialState

ENDED = {
    "approved": "was approved",
    "denied": "was denied",
    "lapsed": "timed out",
    "closed": "was closed",
    "withdrawn": "was withdrawn",
}


@dataclass(frozen=True)
class Words:
    """One event in words. Each text is one line."""

    subject: str
    lines: tuple[str, ...]
    path: str
    label: str = "Open it in Keydesk"
    quote: str = ""
    """What somebody wrote, introduced; empty for a destination."""

    @property
    def link(self) -> str:
        return f"{settings.PORTAL_URL}{self.path}"


@dataclass(frozen=True)
class Reader:
    """Whom it is said to: a person, or everybody who reads a destination."""

    person: User | None

    def is_(self, user: User) -> bool:
        return self.person is not None and self.person.pk == user.pk

    def whose(self, user: User) -> str:
        """ "Your" or "Ada's"."""
        return "Your" if self.is_(user) else f"{user}'s"

    def moment(self, at: datetime | None) -> str:
        """A moment by the reader's clock; for many readers with the name of the zone."""
        zone = zone_of(self.person) if self.person else ZoneInfo(settings.READERS_TIME_ZONE)
        if at is None:
            return "a day that is not known yet"
        local = timezone.localtime(at, zone)
        words = f"{local.day} {local:%B %Y, %H:%M}"
        return words if self.person else f"{words} ({zone.key})"

    def day(self, at: datetime) -> str:
        """A day by the reader's clock."""
        return self.moment(at).partition(",")[0]


def words_of(row: Notification) -> Words:
    """What one row says to its addressee."""
    say, reader = _SAYS[row.template], Reader(row.recipient)
    return _on_one_line(say(about(row), reader))


def words_of_all(rows: Iterable[Notification]) -> list[Words]:
    """The same for rows that go out together: twice the same thing is said once, as it stands now."""
    latest = {(row.template, row.target_id): row for row in rows}
    return [words_of(row) for row in latest.values()]


def about(row: Notification) -> AccessRequest | Comment | Credential | StandIn:
    """What a row is about."""
    if row.template == "stands_in":
        return StandIn.objects.select_related("away").get(pk=row.target_id)
    if row.template == "request_commented":
        return Comment.objects.select_related("author", "access_request").get(pk=row.target_id)
    if row.template in ("request_waits", "request_ended"):
        return AccessRequest.objects.select_related(
            "requester", "profile_version", "profile__helpdesk", "credential"
        ).get(pk=row.target_id)
    return Credential.objects.select_related("owner", "helpdesk", "profile_version").get(
        pk=row.target_id
    )


def _on_one_line(words: Words) -> Words:
    """What somebody wrote cannot pass for a paragraph, or a header, of ours."""
    lines = tuple(one for line in words.lines if (one := _one_line(line)))
    return Words(
        _one_line(words.subject), lines, words.path, words.label, _one_line(words.quote)
    )  # fmt: skip


def _one_line(text: str) -> str:
    return " ".join(text.split())


# --- Requests ------------------------------------------------------------------------------------------


def _request_waits(row: AccessRequest, reader: Reader) -> Words:
    asks = "asks for more time with" if row.is_renewal else "asks for"
    what = f"“{row.profile_version}” on {row.profile.helpdesk}"
    first = f"{row.requester} {asks} {what}, for the script {row.script_name}, for {days_words(row.days)}."
    by_when = f"Decide by {reader.moment(row.decide_by)}."
    if row.state in ENDED:
        by_when = f"There is nothing left to decide: it {ENDED[row.state]}."
    return Words(
        f"{row.requester} asks for {row.profile_version}", (first, by_when), _page(row),
        label="Open the request", quote=_quote("Their words", row.purpose, reader),
    )  # fmt: skip


def _request_ended(row: AccessRequest, reader: Reader) -> Words:
    whose, ended = reader.whose(row.requester), ENDED[row.state]
    subject = f"{whose} request for {row.script_name} {ended}"
    first = f"{whose} request for “{row.profile_version}” ({row.script_name}) {ended}"
    return _ENDINGS[row.state](row, reader, subject, first)


def _approved(row: AccessRequest, reader: Reader, subject: str, first: str) -> Words:
    held = row.credential
    lines = [f"{first} for {days_words(row.granted_days or row.days)}."]
    if held is not None and row.is_renewal:
        lines.append(f"The access now lives until {reader.moment(held.lives_until)}.")
        lines += ["Your script keeps its key; there is nothing to do."] if reader.person else []
    elif held is not None and reader.person:
        by_when = reader.moment(held.connect_by)
        lines.append(
            f"Next: connect it on {row.profile.helpdesk} by {by_when}, then take your key."
        )
    return Words(subject, tuple(lines), _page(held or row))


def _denied(row: AccessRequest, reader: Reader, subject: str, first: str) -> Words:
    return Words(
        subject, (f"{first}.",), _page(row), label="Open the request",
        quote=_quote("The reason", row.end_reason, reader),
    )  # fmt: skip


def _closed(row: AccessRequest, reader: Reader, subject: str, first: str) -> Words:
    return Words(subject, (f"{first}.", row.end_reason), _page(row), label="Open the request")


def _lapsed(row: AccessRequest, reader: Reader, subject: str, first: str) -> Words:
    lines = (f"{first}: nobody decided it in time.",)
    if reader.is_(row.requester):
        return Words(subject, lines, again_path(row), label="Ask again with one click")
    return Words(subject, lines, _page(row), label="Open the request")


_ENDINGS = {"approved": _approved, "denied": _denied, "closed": _closed, "lapsed": _lapsed}


def _request_commented(row: Comment, reader: Reader) -> Words:
    asked = row.access_request
    return Words(
        f"{row.author} wrote about {asked.script_name}",
        (f"{row.author} wrote about the request for {asked.script_name}.",), _page(asked),
        label="Answer there, not by mail", quote=_quote("Their words", row.words, reader),
    )  # fmt: skip


def _stands_in(row: StandIn, reader: Reader) -> Words:
    days = f"from {reader.day(row.starts_at)} to {reader.day(row.last_moment)}"
    return Words(
        f"You decide for {row.away} for a while",
        (
            f"{row.away} is away {days} and has named you to decide in their place.",
            "You decide what they would decide: never their own requests, nor yours.",
        ),
        "/queue", label="Open the queue",
    )  # fmt: skip


# --- Access --------------------------------------------------------------------------------------------


def _connect_waiting(row: Credential, reader: Reader) -> Words:
    what = f"“{row.profile_version}” for {row.script_name}"
    who = "you" if reader.is_(row.owner) else str(row.owner)
    if row.state != CredentialState.AWAITING_CONSENT:
        return _waited(row, reader)
    return Words(
        f"{row.script_name} waits for {who} to connect it",
        (
            f"{what} was approved for {days_words(row.days)} and is not connected on {row.helpdesk} yet.",
            f"It times out on {reader.moment(row.connect_by)}, unless it is connected by then.",
        ),
        _page(row), label="Open and connect it" if reader.is_(row.owner) else "Open it in Keydesk",
    )  # fmt: skip


def _waited(row: Credential, reader: Reader) -> Words:
    """What became of what waited to be connected when it was written down."""
    subject = f"{row.script_name} waited to be connected"
    if row.state == CredentialState.LAPSED:
        return _timed_out(row, reader, subject)
    became = "It has ended."
    if row.state == CredentialState.ISSUING:
        became = "It is being connected now."
    elif row.state in CREDENTIAL_USABLE:
        became = "It has been connected since."
    return Words(subject, (f"{subject}. {became}",), _page(row))


def _timed_out(row: Credential, reader: Reader, subject: str) -> Words:
    first = f"{subject} and timed out: nobody connected it in time."
    asked = last_request_for(row)
    if asked is None or not reader.is_(row.owner):
        return Words(subject, (first,), _page(row))
    again = "If it is still needed, ask again."
    return Words(subject, (first, again), again_path(asked), label="Ask again")


def _connect_failed(row: Credential, reader: Reader) -> Words:
    said = f"{row.script_name} could not be connected"
    by_when = f"It can be tried again until {reader.moment(row.connect_by)}."
    lines = (f"{said} on {row.helpdesk}.", row.problem, by_when if row.issued_at is None else "")
    return Words(said, lines, _page(row))


def _access_works(row: Credential, reader: Reader) -> Words:
    until = reader.moment(row.lives_until)
    return Words(
        f"{row.script_name} works: take your key",
        (f"{row.script_name} is connected on {row.helpdesk} and works until {until}.",),
        _page(row), label="Take your key",
    )  # fmt: skip


def _access_lost(row: Credential, reader: Reader) -> Words:
    again = "you connect" if reader.is_(row.owner) else f"{row.owner} connects"
    first = (
        f"{row.script_name} is disconnected from {row.helpdesk}; its script gets no tokens until "
        f"{again} it again. No new approval is needed."
    )
    until = f"It lives until {reader.moment(row.lives_until)}."
    return Words(f"{row.script_name} is disconnected", (first, row.problem, until), _page(row))


def _access_revoked(row: Credential, reader: Reader) -> Words:
    who = who_ended(row) or "Keydesk"
    first = f"{who} ended {_whose_access(row, reader)} on {row.helpdesk}"
    if row.lives_until is not None:
        first += f" before its end, which was {reader.moment(row.lives_until)}"
    rest = "Its script gets no tokens any more. Its page says when they are confirmed gone."
    if row.issued_at is None:
        rest = "It was not connected yet."
    return Words(
        f"{who} ended {row.script_name}", (f"{first}.", rest), _page(row),
        quote=_quote("The reason", row.end_reason, reader),
    )  # fmt: skip


def _access_ended(row: Credential, reader: Reader) -> Words:
    reason = row.end_reason if reader.person else ""
    first = f"{row.script_name} on {row.helpdesk} has ended. {reason}"
    return Words(f"{row.script_name} has ended", (first,), _page(row), label="Read its history")


def _ends_soon(row: Credential, reader: Reader) -> Words:
    first = f"{row.script_name} on {row.helpdesk} ends on {reader.moment(row.lives_until)}."
    subject = f"{row.script_name} ends soon"
    if row.state not in CREDENTIAL_USABLE:
        return Words(
            subject, (f"{row.script_name} on {row.helpdesk} has ended already.",), _page(row)
        )
    if reader.is_(row.owner):
        renew = "If it is still needed, renew it; the script keeps its key."
        return Words(subject, (first, renew), f"/requests/new?renews={row.pk}", label="Renew it")
    renew = f"If it is still needed, {row.owner} can renew it; the script keeps its key."
    return Words(subject, (first, renew), _page(row))


def _whose_access(row: Credential, reader: Reader) -> str:
    return row.script_name if reader.is_(row.owner) else f"{row.owner}'s {row.script_name}"


# --- What they share -----------------------------------------------------------------------------------


def _page(row: AccessRequest | Credential) -> str:
    place = "requests" if isinstance(row, AccessRequest) else "credentials"
    return f"/{place}/{row.pk}"


def _quote(before: str, text: str, reader: Reader) -> str:
    return f"{before}: {text}" if text and reader.person else ""


_SAYS: dict[str, Callable[..., Words]] = {
    "request_waits": _request_waits,
    "request_ended": _request_ended,
    "request_commented": _request_commented,
    "stands_in": _stands_in,
    "connect_waiting": _connect_waiting,
    "connect_failed": _connect_failed,
    "access_works": _access_works,
    "access_lost": _access_lost,
    "access_revoked": _access_revoked,
    "access_ended": _access_ended,
    "ends_soon": _ends_soon,
}
