"""Audit events as sentences: who did what, reasons as notes, nothing said twice, nothing that breaks."""

import json
from datetime import UTC, datetime

import pytest

from accounts.models import AuditEvent
from tokens.presenters.history import SENTENCES, sentence_of

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CODE_WORDS = (
    "grant",
    "claim",
    "reveal",
    "lapse",
    "lost",
    "stray",
    "slug",
    "attempt",
    "doom",
    "bury",
)


def told(event: str, *, by: str = "", **body: object):
    actor, name = (f"user:{by}", by) if by else ("system", "Keydesk")
    row = AuditEvent(at=AT, event=event, actor=actor, actor_name=name, body=json.dumps(body))
    return sentence_of(row)


@pytest.mark.parametrize(
    ("event", "by", "body", "text"),
    [
        ("request.submitted", "Ada", {"profile": "Read tickets", "days": 90}, "Ada asked for Read tickets for 90 days."),
        ("request.submitted", "Ada", {"profile": "Read tickets", "days": 1}, "Ada asked for Read tickets for 1 day."),
        ("request.approved", "Ben", {"days": 30}, "Ben approved it for 30 days."),
        ("request.approved", "", {"days": 7, "reason": "Rule."}, "Approved by rule for 7 days."),
        ("credential.revoked", "", {}, "Keydesk ended it."),
        ("credential.revoked", "Omar", {}, "Omar ended it."),
        ("credential.renewed", "", {"lives_until": "2027-02-21T10:00:00+00:00"}, "Renewed: it now lives until 21 February 2027."),
        ("credential.renewed", "", {"lives_until": "nonsense"}, "Renewed: it now lives until an unknown day."),
        ("key.issued", "Ada", {"hint": "kds_Zr8q"}, "Ada was shown a new secret, which starts kds_Zr8q…"),
        ("person.roles_changed", "", {"gained": ["approver"], "lost": ["auditor", "admin"]},
         "Roles changed: became approver and is no longer auditor and admin."),
        ("person.roles_changed", "", {"joined": ["emea"], "left": []}, "Groups changed: joined emea."),
        ("connection.rejected", "Ada", {"helpdesk": "production"},
         "Ada came back from Acme production with an answer that was not accepted."),
        ("helpdesk.stopped", "", {}, "The helpdesk refuses Keydesk's own access. Work waits."),
        ("helpdesk.stopped", "", {"of_agents": True},
         "The helpdesk refuses the client that gets the agents' tokens. Work waits."),
        ("helpdesk.resumed", "", {"of_agents": True},
         "The helpdesk accepts the client that gets the agents' tokens again."),
        ("connection.rejected", "Ada", {"helpdesk": "gone"}, "Ada came back from gone with an answer that was not accepted."),
    ],
)  # fmt: skip
def test_an_event_reads_as_a_sentence(event, by, body, text):
    assert told(event, by=by, **body).text == text


def test_what_somebody_wrote_is_quoted_and_keydesks_own_reason_is_not():
    assert told("request.denied", by="Ben", reason="Too wide.").note == "“Too wide.”"
    assert (
        told("credential.lost", reason="The consent was withdrawn.").note
        == "The consent was withdrawn."
    )


def test_a_note_that_repeats_the_sentence_is_left_out():
    assert told("credential.expired", reason="It reached its end.").note == ""
    assert told("credential.ended", reason="Seen in a chat.").note == ""


@pytest.mark.parametrize("event", sorted(SENTENCES))
def test_every_sentence_stands_without_its_facts_and_in_words_of_people(event):
    for by in ("Ada", ""):
        text = told(event, by=by).text
        assert text[0].isupper() or text.startswith("Ada")
        assert text.endswith((".", "…"))
        assert not [word for word in CODE_WORDS if word in text.lower()], text


def test_a_row_whose_body_cannot_be_read_is_still_a_sentence():
    row = AuditEvent(at=AT, event="key.issued", actor="user:1", actor_name="Ada", body="{")
    assert sentence_of(row).text.startswith("Ada was shown a new secret")
