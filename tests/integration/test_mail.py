"""Messages: each person once for each event, whatever happens to the mail server."""

import smtplib
from datetime import timedelta

import pytest
from django.conf import settings
from django.core import mail as outgoing
from django.core.mail import EmailMultiAlternatives

from tests.world import World
from tokens import tasks
from tokens.messages import mail
from tokens.models import Notification
from tokens.operations import credentials, decisions, requests, sweeps

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def sent_to(address: str) -> list[str]:
    return [message.subject for message in outgoing.outbox if message.to == [address]]


def test_those_who_can_decide_hear_of_a_request_and_the_requester_of_the_end(world):
    for key in ("ben", "june", "omar", "noor"):
        world.person(key)
    row = world.ask()
    mail.send_due(clock=world.clock)
    assert (
        sent_to("ben@acme.test")
        == sent_to("omar@acme.test")
        == ["Ada Lindqvist asks for Read tickets"]
    )
    assert sent_to("noor@acme.test") == sent_to("ada@acme.test") == []
    assert f"/requests/{row.pk}" in outgoing.outbox[0].body
    assert outgoing.outbox[0].alternatives[0].mimetype == "text/html"
    decisions.deny(
        access_request_id=row.pk,
        revision=1,
        reason="Ask for less.",
        by=world.person("ben"),
        now=world.clock(),
    )
    mail.send_due(clock=world.clock)
    assert sent_to("ada@acme.test") == ["Your request for weekly-csat was denied"]
    assert "Ask for less." in outgoing.outbox[-1].body


def test_every_message_of_a_life_is_sent_once(world):
    world.person("noor")
    credential = world.active(deputy=world.person("noor"))
    mail.send_due(clock=world.clock)
    world.now = credential.lives_until.replace(hour=1)
    for _ in range(2):
        sweeps.sweep(now=world.now)
        mail.send_due(clock=world.clock)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    world.work()
    for _ in range(2):
        mail.send_due(clock=world.clock)
    mine = sent_to("ada@acme.test")
    assert mine == [
        "Your request for weekly-csat was approved, and 1 more message",
        "weekly-csat ends soon", "weekly-csat has ended",
    ]  # fmt: skip
    assert sent_to("noor@acme.test") == ["weekly-csat ends soon", "weekly-csat has ended"]


def test_a_renewal_nobody_decided_is_asked_for_again_as_a_renewal(world):
    held = world.active(days=7)
    row = world.ask(scopes=held.scopes, renews=held, days=30)
    world.now = row.decide_by + timedelta(seconds=1)
    requests.lapse(access_request=row, now=world.clock())
    mail.send_due(clock=world.clock)
    (said,) = [m.body for m in outgoing.outbox if "Ask again with one click" in m.body]
    assert f"click: {settings.PORTAL_URL}/requests/new?renews={held.pk}\n" in said


def test_one_day_is_no_days(world):
    world.person("ben")
    row = world.ask(days=1)
    if row.state == "pending":
        world.approve(row)
    mail.send_due(clock=world.clock)
    bodies = [message.body for message in outgoing.outbox]
    assert any("for 1 day." in body for body in bodies)
    assert not any("1 days" in body for body in bodies)


def test_a_dead_mail_server_loses_nothing(world, monkeypatch):
    world.person("ben")
    world.ask()

    def dead(*_, **__):
        raise smtplib.SMTPServerDisconnected("gone")

    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.EmailMultiAlternatives.send", dead)
        assert mail.send_due(clock=world.clock) == 0
    waiting = Notification.objects.get()
    assert (waiting.tries, waiting.sent_at) == (1, None)
    assert "gone" in waiting.error
    world.wait(minutes=5)
    assert mail.send_due(clock=world.clock) == 1


def test_a_slow_mail_server_holds_one_thread_of_a_worker_and_no_other(world, monkeypatch):
    world.person("ben")
    world.ask()
    again: list[int] = []

    def slow(*, clock: object) -> None:
        tasks.send_mail()
        again.append(len(outgoing.outbox))

    monkeypatch.setattr(mail, "send_due", slow)
    tasks.send_mail()
    tasks.send_mail()
    assert again == [0, 0], "each ran once, and the one within it not at all"


def test_a_message_that_cannot_be_made_holds_up_no_other(world, monkeypatch):
    for key in ("ben", "june"):
        world.person(key)
    world.ask()
    send, asked = EmailMultiAlternatives.send, []

    def first_is_odd(self, *args, **kwargs):
        asked.append(self.to)
        if len(asked) == 1:
            raise ValueError("Invalid address")
        return send(self, *args, **kwargs)

    monkeypatch.setattr(EmailMultiAlternatives, "send", first_is_odd)
    assert mail.send_due(clock=world.clock) == len(asked) - 1 > 0
    assert Notification.objects.filter(sent_at=None).get().error.startswith("ValueError")


def test_a_name_with_line_breaks_makes_no_header(world):
    world.person("ben")
    ada = world.person("ada")
    type(ada).objects.filter(pk=ada.pk).update(name="Ada\r\nBcc: all@acme.test")
    world.ask()
    mail.send_due(clock=world.clock)
    assert outgoing.outbox[0].message()["Bcc"] is None


def test_what_people_wrote_is_text_in_the_mail(world):
    world.person("ben")
    world.ask(purpose="<script>alert(1)</script> & <b>more</b>")
    mail.send_due(clock=world.clock)
    html = outgoing.outbox[0].alternatives[0].content
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_only_the_portals_own_address_becomes_a_link_in_the_mail(world):
    world.person("ben")
    row = world.ask(purpose="Decide here:\n\nhttps://keydesk.evil.example/requests/7")
    mail.send_due(clock=world.clock)
    html = outgoing.outbox[0].alternatives[0].content
    assert html.count("<a ") == 2
    assert f'/requests/{row.pk}">' in html
    assert '/messages">' in html
    assert 'href="https://keydesk.evil.example' not in html
    assert "Their words: Decide here: https://keydesk.evil.example" in html
