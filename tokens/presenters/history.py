"""What happened, in sentences: one table from audit event to words, read by every page that shows a history.

A sentence says who did what; what somebody wrote as their reason stands below it as a note.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import AuditEvent
from tokens import capabilities
from tokens.models import Credential, Grant
from tokens.models.catalogue import who_is_refused
from tokens.presenters import terms
from tokens.states import GrantState

logger = logging.getLogger(__name__)
MOST = 200
"""Events a page shows of one thing; older ones stand on the audit page."""


@dataclass(frozen=True)
class Sentence:
    """One event as people read it."""

    at: datetime
    text: str
    actor: str
    note: str = ""


@dataclass(frozen=True)
class Told:
    """One audit row, with its body opened."""

    who: str
    by_keydesk: bool
    body: Mapping[str, Any]

    def word(self, name: str) -> str:
        """A fact as text; "" where the row does not have it."""
        value = self.body.get(name)
        return "" if value is None else str(value)

    def day(self, name: str) -> str:
        """A moment as a date in the reader's zone; a day as it is."""
        try:
            moment = datetime.fromisoformat(self.word(name))
        except ValueError:
            return "an unknown day"
        if moment.tzinfo is not None:
            moment = timezone.localtime(moment)
        return f"{moment.day} {moment:%B %Y}"

    def days(self) -> str:
        """The life in days."""
        count = self.word("days")
        return "1 day" if count == "1" else f"{count} days"

    def all_of(self, name: str) -> str:
        """A list as words: "approver and auditor"."""
        words = [str(word) for word in self.body.get(name) or []]
        return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))

    def helpdesk(self) -> str:
        """The helpdesk's name, as configured."""
        slug = self.word("helpdesk")
        config = settings.HELPDESKS.get(slug)
        return config.name if config else slug


Says = Callable[[Told], str]


def _approved(told: Told) -> str:
    if told.by_keydesk:
        return f"Approved by rule for {told.days()}."
    return f"{told.who}{_standing_in(told)} approved it for {told.days()}."


def _standing_in(told: Told) -> str:
    absent = told.word("in_place_of")
    return f", standing in for {absent}," if absent else ""


def _escalated(told: Told) -> str:
    return f"Nobody had decided it, so {told.all_of('to')} heard of it too."


def _ended_by(told: Told) -> str:
    return "Keydesk ended it." if told.by_keydesk else f"{told.who} ended it."


def _cancelled(told: Told) -> str:
    return "Keydesk cancelled it." if told.by_keydesk else f"{told.who} cancelled it."


def _roles_changed(told: Told) -> str:
    gained, lost = told.all_of("gained"), told.all_of("lost")
    parts = [f"became {gained}" if gained else "", f"is no longer {lost}" if lost else ""]
    changed = " and ".join(filter(None, parts))
    return f"Roles changed: {changed}." if changed else f"Groups changed: {_groups(told)}."


def _groups(told: Told) -> str:
    joined, left = told.all_of("joined"), told.all_of("left")
    parts = [f"joined {joined}" if joined else "", f"left {left}" if left else ""]
    return "; ".join(filter(None, parts)) or "none"


def _looked_up(told: Told) -> str:
    if told.word("problem"):
        return f"Looked up on {told.helpdesk()}: no user to act as."
    return f"Found on {told.helpdesk()} as user {told.word('remote_id')}."


def _key_replaced(told: Told) -> str:
    return f"{told.who} replaced the secret; the old one stopped at once, the new one starts {told.word('hint')}…"


def _learned(told: Told) -> str:
    found = capabilities.sentence(told.word("what"), "yes" if told.body.get("is_so") else "no")
    return f"Keydesk learned about the helpdesk: {found}"


def _forgot(told: Told) -> str:
    believed = capabilities.sentence(told.word("what"), "yes" if told.body.get("was_so") else "no")
    if told.by_keydesk:
        return f"Keydesk no longer believes what it learned about the helpdesk: {believed}"
    return f"{told.who} had Keydesk forget what it learned about the helpdesk: {believed}"


def _refused(told: Told) -> str:
    return who_is_refused(of_agents=bool(told.body.get("of_agents")))


SENTENCES: dict[str, Says] = {
    # access requests
    "request.submitted": lambda t: f"{t.who} asked for {t.word('profile')} for {t.days()}.",
    "request.amended": lambda t: (
        f"{t.who} changed the request: {t.word('profile')} for {t.days()}. Deciding started anew."
    ),
    "request.approved": _approved,
    "request.commented": lambda t: f"{t.who} wrote about it.",
    "request.denied": lambda t: f"{t.who}{_standing_in(t)} denied it.",
    "request.escalated": _escalated,
    "request.withdrawn": lambda t: f"{t.who} withdrew it.",
    "request.closed": lambda _: "Closed.",
    "request.lapsed": lambda _: "Timed out: nobody decided it in time.",
    "holiday.added": lambda t: f"{t.who} made {t.day('day')} a day off: {t.word('name')}.",
    "holiday.removed": lambda t: f"{t.who} made {t.day('day')} a working day: {t.word('name')}.",
    # credentials
    "credential.ordered": lambda t: f"The access was made ready to connect, for {t.days()}.",
    "credential.activated": lambda t: (
        "Proved: the helpdesk says it is the right user with exactly these permissions. "
        f"It works until {t.day('lives_until')}."
    ),
    "credential.refused": lambda _: "It could not be connected.",
    "credential.refreshed": lambda _: "The token was renewed and proved again.",
    "credential.renewed": lambda t: f"Renewed: it now lives until {t.day('lives_until')}.",
    "credential.lost": lambda _: "Disconnected.",
    "credential.revoked": _ended_by,
    "credential.expired": lambda _: "It reached its end.",
    "credential.cancelled": _cancelled,
    "credential.lapsed": lambda _: "Timed out: it was not connected in time.",
    "credential.ended": lambda _: "Confirmed gone on the helpdesk.",
    # connecting
    "connection.started": lambda t: f"{t.who} went to the helpdesk to connect it.",
    "connection.consented": lambda t: f"{t.who} allowed it on the helpdesk.",
    "connection.declined": lambda t: f"{t.who} came back without the helpdesk's consent.",
    "connection.rejected": lambda t: (
        f"{t.who} came back from {t.helpdesk()} with an answer that was not accepted."
    ),
    # keys and tokens in somebody's hands
    "key.issued": lambda t: f"{t.who} was shown a new secret, which starts {t.word('hint')}…",
    "key.replaced": _key_replaced,
    "token.shown": lambda t: f"{t.who} took a token by hand.",
    # token pairs on the helpdesk
    "grant.sent": lambda _: "The helpdesk was asked for a token.",
    "grant.abandoned": lambda _: "A call for a token was dropped before it left.",
    "grant.answered": lambda _: "The helpdesk answered with a token.",
    "grant.refused": lambda _: "The helpdesk refused to give a token.",
    "grant.lost_track_of": lambda _: "The helpdesk did not say whether it made a token.",
    "grant.written_off": lambda _: (
        "Keydesk stopped waiting for that answer; whatever it made is found in the list of all "
        "tokens and deleted."
    ),
    "grant.replaced": lambda _: "The token before was replaced.",
    "grant.refresh_ended": lambda _: "The helpdesk renews the token no more.",
    "grant.access_ended": lambda _: "The helpdesk knows the token no more.",
    "grant.proved": lambda _: "The token was proved.",
    "grant.doomed": lambda _: "A token must go: nothing of it is handed out any more.",
    "grant.adopted": lambda _: "A token that belongs to nobody was found; it is being deleted.",
    "grant.found_alive": lambda _: "A token that was deleted still stood in the helpdesk's list.",
    "grant.deleted": lambda _: "A token was deleted on the helpdesk.",
    "grant.buried": lambda _: "A token is confirmed gone on the helpdesk.",
    # emergencies
    "emergency.ordered": lambda t: (
        f"{t.who} ordered the end of {t.word('what')}: {t.word('total')} in all."
    ),
    "emergency.hindered": lambda _: "Keydesk could not end it, and tries again.",
    "emergency.finished": lambda _: "The last of it was ended; workers confirm that it is gone.",
    # helpdesks and the catalogue
    "helpdesk.restored": lambda _: (
        "A backup was restored: an admin has to confirm the list of tokens."
    ),
    "helpdesk.access_asked": lambda _: "Keydesk asks for its own access to the helpdesk anew.",
    "helpdesk.access_renewed": lambda _: "Keydesk's own access to the helpdesk was taken anew.",
    "helpdesk.stopped": lambda t: f"The helpdesk refuses {_refused(t)}. Work waits.",
    "helpdesk.resumed": lambda t: f"The helpdesk accepts {_refused(t)} again.",
    "helpdesk.frozen": lambda t: f"{t.who} froze the helpdesk: no new access is issued.",
    "helpdesk.unfrozen": lambda t: f"{t.who} ended the freeze: new access is issued again.",
    "inventory.ordered": lambda t: f"{t.who} had the list of all tokens taken.",
    "helpdesk.learned": _learned,
    "helpdesk.forgot": _forgot,
    "inventory.confirmed": lambda t: (
        f"{t.who} confirmed the list of all tokens: what it shows may be acted on."
    ),
    "scope.changed": lambda t: f"The catalogue now says “{t.word('words')}” for {t.word('name')}.",
    "profile.retired": lambda _: "It can no longer be asked for.",
    "profile.restored": lambda _: "It can be asked for again.",
    "profile.changed": lambda t: f"The terms were changed to version {t.word('number')}.",
    "profile.proposed": lambda t: (
        f"{t.who} wrote version {t.word('number')}, which widens the terms and waits for a second admin."
    ),
    "profile.confirmed": lambda t: f"{t.who} confirmed version {t.word('number')} of the terms.",
    "profile.dropped": lambda t: f"{t.who} gave version {t.word('number')} of the terms up.",
    # people
    "person.signed_in": lambda t: f"{t.who} signed in as {t.all_of('roles') or 'nobody'}.",
    "person.signed_out": lambda t: f"{t.who} signed out.",
    "person.sign_in_refused": lambda t: f"{t.who} was not let in.",
    "person.refused": lambda t: f"{t.who} was refused: {t.word('what')}.",
    "person.confirmed": lambda t: f"{t.who} confirmed who they are.",
    "person.confirmation_refused": lambda t: f"A confirmation of {t.who} did not count.",
    "person.roles_changed": _roles_changed,
    "person.deactivated": lambda t: "Deactivated." if t.by_keydesk else f"Deactivated by {t.who}.",
    "person.reactivated": lambda t: f"Reactivated by {t.who}.",
    "person.looked_up": _looked_up,
    "person.stand_in_named": lambda t: (
        f"{t.who} is away from {t.day('first')} to {t.day('last')}; {t.word('instead')} decides meanwhile."
    ),
    "person.stand_in_ended": lambda t: f"{t.who} is back; nobody stands in any more.",
    "person.chose_mail": lambda t: f"{t.who} chose how Keydesk writes: {t.word('how')}.",
}

NOTABLE = ("grant.lost_track_of", "grant.written_off", "grant.doomed", "grant.buried")
"""What happened to its tokens that the page of an access tells; the rest is routine."""

ROUTINE = ("credential.refreshed", "credential.ordered", "connection.started")
"""Left out of a page's history: it happens all day, or another sentence says it too."""

WITHOUT_NOTE = ("credential.ended", "grant.doomed", "grant.written_off")
"""Their reason stands already at the event that led to them."""

_TOLD_STATES = (
    GrantState.UNKNOWN,
    GrantState.WRITTEN_OFF,
    GrantState.DOOMED,
    GrantState.GONE,
)
_NOTED = ("reason", "problem")


def sentences(events: Sequence[AuditEvent], *, with_reasons: bool = True) -> list[Sentence]:
    """Audit rows as sentences, those about edits of terms with what was before and after.

    Without `with_reasons` what people wrote about requests is left out.
    """
    edits = terms.edits({event: _body(event) for event in events if event.event in terms.EDITS})
    return [
        sentence_of(
            event,
            with_note=with_reasons or not event.event.startswith("request."),
            edit=edits.get(event, ""),
        )
        for event in events
    ]


def _body(event: AuditEvent) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(event.body)
    except ValueError:
        return {}
    return body


def sentence_of(event: AuditEvent, *, with_note: bool = True, edit: str = "") -> Sentence:
    """One audit row as a sentence. A name the table does not know is shown as it is, and logged.

    `edit`: what it changed, where it is one.
    """
    told = Told(event.actor_name, not event.actor.startswith("user:"), _body(event))
    with_note = with_note and event.event not in WITHOUT_NOTE
    note = next((told.word(name) for name in _NOTED if told.word(name)), "") if with_note else ""
    says = SENTENCES.get(event.event)
    if says is None:
        logger.error("No sentence for the audit event %s.", event.event)
        return Sentence(event.at, event.event, event.actor_name, note)
    text = says(told)
    return Sentence(event.at, text, event.actor_name, edit or _shown_note(note, text, told))


def _shown_note(note: str, text: str, told: Told) -> str:
    """A note that only repeats the sentence is left out; a person's own words are quoted."""
    if not note or note.rstrip(".") in text:
        return ""
    return note if told.by_keydesk else f"“{note}”"


def history(*rows: models.Model, with_reasons: bool = True) -> list[Sentence]:
    """What happened to these rows, merged, newest first; of a credential also what its tokens went through."""
    events = AuditEvent.objects.filter(_about(rows)).exclude(event__in=ROUTINE)
    return sentences(list(events.order_by("-at", "-id")[:MOST]), with_reasons=with_reasons)


def _about(rows: Iterable[models.Model]) -> Q:
    wanted = Q(pk__in=[])
    for row in rows:
        wanted |= Q(target_type=type(row).__name__, target_id=str(row.pk))
        if isinstance(row, Credential):
            wanted |= _tokens_of(row)
    return wanted


def _tokens_of(credential: Credential) -> Q:
    """The tokens that ever left the routine; what is replaced in time has nothing to tell."""
    ids = Grant.objects.filter(credential=credential, state__in=_TOLD_STATES).values_list(
        "pk", flat=True
    )
    return Q(target_type="Grant", target_id__in=[str(pk) for pk in ids], event__in=NOTABLE)
