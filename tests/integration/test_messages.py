"""Who is told what and when: one mail where several would go out, once a day for who likes that, each event once."""

import mailbox
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path
from smtplib import SMTPDataError, SMTPServerDisconnected

import pytest
from django.core import mail as outgoing
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEvent
from demo.mailbox import process
from tests.integration._people import browser, words
from tests.integration._threads import together
from tests.integration.sign_in_helpers import free_port
from tests.world import World
from tokens.messages import mail
from tokens.messages.sending import Hopeless
from tokens.models import Emergency, MailChoice, Notification
from tokens.operations import credentials, emergencies, messages, sweeps
from tokens.queries.emergencies import Subject

pytestmark = pytest.mark.django_db
How = MailChoice.How


@pytest.fixture
def calm() -> World:
    """A world whose time is its own, on a Monday at eight in London: nine o'clock where the cast lives."""
    return World()


def post(world: World) -> list[str]:
    """Send what is due; the subjects of what went."""
    outgoing.outbox.clear()
    mail.send_due(clock=world.clock)
    return [message.subject for message in outgoing.outbox]


def daily(world: World, key: str, zone: str = "Europe/Amsterdam") -> None:
    person = world.person(key)
    person.time_zone = zone
    person.save(update_fields=["time_zone"])
    messages.choose(how=How.DAILY, by=person, now=world.clock())


# --- One message where several would go out --------------------------------------------------------------


def test_what_waits_for_one_person_is_one_mail_with_every_link(calm):
    calm.person("ben")
    rows = [calm.ask(script_name=f"script-{n}") for n in range(3)]
    assert post(calm) == ["Ada Lindqvist asks for Read tickets, and 2 more messages"]
    (sent,) = outgoing.outbox
    for row in rows:
        assert f"http://127.0.0.1:8000/requests/{row.pk}\n" in sent.body
        assert f'href="http://127.0.0.1:8000/requests/{row.pk}"' in sent.alternatives[0].content
    assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
    assert post(calm) == []


def test_several_revisions_of_one_request_are_one_thing_to_say(calm):
    from tokens.operations import requests

    calm.person("ben")
    row = calm.ask(days=30)
    wish = calm.wish(days=14)
    requests.amend(access_request=row, revision=1, wish=wish, by=calm.person("ada"), now=calm.now)
    assert post(calm) == ["Ada Lindqvist asks for Read tickets"]
    assert "for 14 days" in outgoing.outbox[0].body


def test_who_reads_it_late_hears_that_it_is_decided(calm):
    calm.person("ben")
    calm.person("june")
    calm.approve(calm.ask())
    post(calm)
    (said,) = [m.body for m in outgoing.outbox if m.to == ["june@acme.test"]]
    assert "There is nothing left to decide: it was approved." in said


def test_somebody_who_left_gets_no_mail_and_it_is_noted(calm):
    calm.person("ben")
    calm.ask()
    type(calm.person("ben")).objects.filter(subject="ben").update(deactivated_at=calm.now)
    assert post(calm) == []
    row = Notification.objects.get(recipient__subject="ben")
    assert row.given_up_at is not None
    assert "has left" in row.error


def test_operations_counts_the_mails_that_were_given_up(world, ben):
    world.ask(script_name="one")
    world.ask(script_name="two")
    type(world.person("ben")).objects.filter(subject="ben").update(email="")
    mail.send_due(clock=world.clock)
    page = words(browser(world, "omar").get("/operations"))
    assert "1 mail was given up." in page
    assert "has left, or has no address any more." in page


def test_a_row_of_a_process_that_knows_no_destinations_is_sent(calm):
    """While a new version is rolled out, an older one writes the columns that it has."""
    ben = calm.person("ben")
    row = calm.ask()
    Notification.objects.all().delete()
    names = (
        "event, recipient_id, channel, template, target_id, created_at, not_before, tries, error"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO tokens_notification ({names}) VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s)",
            ["x:1", ben.pk, "mail", "request_waits", row.pk, calm.now, calm.now, 0, ""],
        )
    assert post(calm) == ["Ada Lindqvist asks for Read tickets"]


def test_an_error_of_our_own_is_noted_and_holds_up_nobody(calm, monkeypatch):
    from tokens.messages import wording

    for key in ("ben", "june"):
        calm.person(key)
    calm.ask()
    say, asked = wording._SAYS["request_waits"], []

    def first_fails(*args):
        asked.append(1)
        if len(asked) == 1:
            raise KeyError("x")
        return say(*args)

    monkeypatch.setitem(wording._SAYS, "request_waits", first_fails)
    assert len(post(calm)) == 1
    (failed,) = Notification.objects.filter(sent_at=None)
    assert failed.error == "An error of Keydesk's own (KeyError); the log says more."


# --- Once a day ----------------------------------------------------------------------------------------


def test_a_daily_mail_goes_at_eight_where_its_reader_lives(calm):
    daily(calm, "ben")
    calm.person("june")
    calm.ask(script_name="one")
    calm.wait(hours=3)
    calm.ask(script_name="two")
    assert post(calm) == ["Ada Lindqvist asks for Read tickets, and 1 more message"]
    assert outgoing.outbox[0].to == ["june@acme.test"]
    calm.now = datetime(2026, 11, 24, 6, 59, tzinfo=UTC)
    assert post(calm) == []
    calm.now = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
    assert post(calm) == ["Ada Lindqvist asks for Read tickets, and 1 more message"]
    assert outgoing.outbox[0].to == ["ben@acme.test"]


@pytest.mark.parametrize(
    ("asked", "morning"),
    [
        (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 6, tzinfo=UTC)),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 7, tzinfo=UTC)),
    ],
)
def test_clocks_that_are_changed_do_not_move_it(asked, morning):
    world = World(now=asked)
    daily(world, "ben")
    world.ask()
    row = Notification.objects.get(recipient__subject="ben")
    assert row.not_before == morning


def test_who_names_no_zone_has_the_portals_morning(calm, settings):
    settings.READERS_TIME_ZONE = "Asia/Tokyo"
    daily(calm, "ben", zone="")
    calm.ask()
    row = Notification.objects.get(recipient__subject="ben")
    assert row.not_before == datetime(2026, 11, 23, 23, tzinfo=UTC)


@pytest.mark.parametrize("what", ["lost", "revoked", "connect failed", "a day left", "decide by"])
def test_what_cannot_wait_does_not(calm, settings, what):
    daily(calm, "ada")
    daily(calm, "ben")
    held = calm.active() if what in ("lost", "revoked", "a day left") else None
    Notification.objects.all().delete()
    if what == "lost":
        credentials.lose(credential=held, reason="Gone.", now=calm.clock())
    elif what == "revoked":
        credentials.revoke(credential=held, by=None, reason="Left.", now=calm.clock())
    elif what == "connect failed":
        credential = calm.ordered()
        Notification.objects.all().delete()
        calm.consent(credential, as_user=999)
        calm.work()
    elif what == "a day left":
        calm.now = held.lives_until - timedelta(hours=23)
        sweeps.tell_ends_soon(now=calm.now)
    else:
        settings.DECIDE_WITHIN = timedelta(hours=2)
        calm.ask()
    assert Notification.objects.exists()
    assert not Notification.objects.filter(not_before__gt=calm.now).exists()


def test_back_at_once_what_waited_goes_out_now(calm):
    daily(calm, "ben")
    calm.ask()
    assert post(calm) == []
    messages.choose(how=How.AT_ONCE, by=calm.person("ben"), now=calm.clock())
    assert post(calm) == ["Ada Lindqvist asks for Read tickets"]


def test_a_choice_frees_nothing_of_others_and_hastens_nothing_that_failed(calm, monkeypatch):
    def dead(self):
        raise SMTPServerDisconnected("gone")

    ben, june = (calm.person(key) for key in ("ben", "june"))
    daily(calm, "ben")
    calm.ask(script_name="one")
    calm.wait(days=1)
    with monkeypatch.context() as patched:
        patched.setattr(EmailMultiAlternatives, "send", dead)
        assert post(calm) == []
    daily(calm, "june")
    calm.ask(script_name="two")
    before = dict(Notification.objects.values_list("pk", "not_before"))
    messages.choose(how=How.AT_ONCE, by=ben, now=calm.clock())
    after = dict(Notification.objects.values_list("pk", "not_before"))
    (freed,) = (pk for pk in after if after[pk] != before[pk])
    assert Notification.objects.get(pk=freed).recipient == ben
    (failed,) = Notification.objects.filter(recipient=ben).exclude(pk=freed)
    assert failed.error
    assert failed.not_before > calm.now
    waits = Notification.objects.filter(recipient=june).latest("id")
    assert waits.not_before > calm.now


# --- The page ------------------------------------------------------------------------------------------


def test_one_chooses_on_a_page_that_my_access_leads_to(world, ben):
    assert 'href="/messages"' in words(ben.get("/"))
    page = words(ben.get("/messages"))
    assert 'value="at_once" checked' in page.replace('id="id_how_0" ', "")
    answer = ben.post("/messages", {"how": "daily"})
    assert (answer.status_code, answer.url) == (302, "/messages")
    page = words(ben.get("/messages"))
    assert "Saved: one mail a day, at eight in the morning." in page
    assert MailChoice.objects.get().how == "daily"
    event = AuditEvent.objects.get(event="person.chose_mail")
    assert event.actor_name == "Ben Achterberg"
    world.ask()
    assert "1 message waits for your daily mail" in words(ben.get("/messages"))


def test_what_waits_for_a_daily_mail_is_counted_to_a_hundred(world, ben):
    daily(world, "ben")
    world.ask()
    (first,) = Notification.objects.values()
    copies = [{**first, "id": None, "event": f"another:{n}"} for n in range(120)]
    Notification.objects.bulk_create(Notification(**one) for one in copies)
    with CaptureQueriesContext(connection) as asked:
        assert "99+ messages wait for your daily mail" in words(ben.get("/messages"))
    assert any("COUNT(*)" in one["sql"] and " LIMIT 100" in one["sql"] for one in asked)


@pytest.mark.parametrize(
    "sent",
    [
        {}, {"how": ""}, {"how": "weekly"}, {"how": "daily\x00"}, {"how": "<script>"},
        {"how": ["at_once", "hourly"]}, {"when": "daily"}, {"how": "d" * 100_000},
    ],
)  # fmt: skip
def test_a_wrong_choice_is_a_sentence_and_changes_nothing(world, ben, sent):
    messages.choose(how=How.DAILY, by=world.person("ben"), now=world.clock())
    response = ben.post("/messages", sent)
    assert response.status_code == 422
    assert "Choose one of the two." in words(response)
    assert MailChoice.objects.get().how == "daily"


def test_the_page_is_for_people_who_are_signed_in_and_takes_no_other_method(client, ben):
    assert client.get("/messages").status_code == 302
    assert client.post("/messages", {"how": "daily"}).status_code == 302
    assert ben.put("/messages").status_code == 405
    assert ben.get("/messages?how=daily&how=%00&x=%ff").status_code == 200
    assert not MailChoice.objects.exists()


def test_who_has_no_address_is_told_so(world, ben):
    type(world.person("ben")).objects.filter(subject="ben").update(email="")
    assert "No mail reaches you." in words(ben.get("/messages"))


# --- Waiting to be connected ---------------------------------------------------------------------------


def test_half_of_the_time_to_connect_is_told_once(calm):
    held = calm.ordered()
    post(calm)
    whole = held.connect_by - held.ordered_at
    calm.now = held.ordered_at + whole * 0.49
    sweeps.sweep(now=calm.now)
    assert post(calm) == []
    for part in (0.51, 0.6, 0.9):
        calm.now = held.ordered_at + whole * part
        sweeps.sweep(now=calm.now)
    assert post(calm) == ["weekly-csat waits for you to connect it"]
    assert "for 90 days" in outgoing.outbox[0].body
    assert "28 November 2026" in outgoing.outbox[0].body


def test_what_is_connected_waits_for_nobody(calm):
    held = calm.active()
    post(calm)
    calm.now = held.ordered_at + (held.connect_by - held.ordered_at) * 0.8
    sweeps.sweep(now=calm.now)
    assert post(calm) == []


@pytest.mark.parametrize(
    ("became", "said", "link"),
    [
        ("connecting", "It is being connected now.", "Open it in Keydesk: {}/credentials/{}"),
        ("connected", "It has been connected since.", "Open it in Keydesk: {}/credentials/{}"),
        ("ended", "It has ended.", "Open it in Keydesk: {}/credentials/{}"),
        ("timed out", "ask again.", "Ask again: {}/requests/new?again={}"),
    ],
)
def test_who_reads_late_that_it_waits_hears_what_became_of_it(calm, settings, became, said, link):
    daily(calm, "ada")
    held = calm.ordered()
    calm.now = held.ordered_at + (held.connect_by - held.ordered_at) * 0.51
    sweeps.sweep(now=calm.now)
    number = held.pk
    if became in ("connecting", "connected"):
        calm.consent(held)
    if became == "connected":
        calm.work()
    elif became == "ended":
        credentials.revoke(credential=held, by=held.owner, reason="", now=calm.clock())
    elif became == "timed out":
        calm.now = held.connect_by
        credentials.lapse(credential=held, now=calm.clock())
        number = held.access_requests.get().pk
    calm.wait(days=1)
    post(calm)
    (body,) = (m.body for m in outgoing.outbox if "waited to be connected" in m.body)
    assert said in body
    assert link.format(settings.PORTAL_URL, number) in body


def test_a_renewed_life_is_warned_of_by_its_new_length(calm):
    held = calm.active(days=7)
    row = calm.ask(scopes=held.scopes, renews=held, days=30)
    if row.state == "pending":
        calm.approve(row)
    held.refresh_from_db()
    sweeps.tell_ends_soon(now=held.lives_until - timedelta(days=13.5))
    assert Notification.objects.filter(template="ends_soon").exists()


def test_a_life_of_a_week_is_not_warned_of_when_it_begins(calm):
    held = calm.active(days=7)
    sweeps.tell_ends_soon(now=held.issued_at + timedelta(seconds=5))
    assert not Notification.objects.filter(template="ends_soon").exists()


# --- Ended before its end ------------------------------------------------------------------------------


def test_owner_and_deputy_hear_at_once_who_ended_it_and_why_and_nothing_more(calm):
    held = calm.active(deputy=calm.person("noor"))
    post(calm)
    omar = calm.person("omar")
    credentials.revoke(credential=held, by=omar, reason="It leaked.", now=calm.clock())
    assert post(calm) == ["Omar Said ended weekly-csat"] * 2
    assert {message.to[0] for message in outgoing.outbox} == {"ada@acme.test", "noor@acme.test"}
    assert "The reason: It leaked." in outgoing.outbox[0].body
    assert "before its end, which was 21 February 2027" in outgoing.outbox[0].body
    calm.work()
    held.refresh_from_db()
    assert held.state == "revoked"
    assert post(calm) == []


def test_what_its_owner_ended_is_told_when_it_is_gone(calm):
    held = calm.active(deputy=calm.person("noor"))
    post(calm)
    credentials.revoke(credential=held, by=held.owner, reason="", now=calm.clock())
    assert post(calm) == []
    calm.work()
    assert post(calm) == ["weekly-csat has ended"] * 2


def test_keydesk_itself_says_so(calm):
    held = calm.active()
    post(calm)
    credentials.revoke(credential=held, by=None, reason="Its role changed.", now=calm.clock())
    calm.work()
    assert post(calm) == ["Keydesk ended weekly-csat"]


def test_what_was_never_connected_and_is_taken_away_is_told_too(calm):
    held = calm.ordered()
    post(calm)
    credentials.revoke(
        credential=held, by=calm.person("omar"), reason="Wrong desk.", now=calm.clock()
    )
    assert post(calm) == ["Omar Said ended weekly-csat"]
    assert "It was not connected yet." in outgoing.outbox[0].body


def test_an_emergency_is_one_mail_for_each_person(calm):
    for n in range(4):
        calm.active(script_name=f"script-{n}")
    post(calm)
    subject = Subject(Emergency.Kind.HELPDESK, calm.helpdesk.pk, "Acme production")
    ordered = emergencies.order(
        subject=subject, reason="An audit", by=calm.person("omar"), now=calm.clock()
    )
    emergencies.carry_on(emergency=ordered, now=calm.clock())
    (said,) = post(calm)
    assert said.endswith("and 3 more messages")
    assert Notification.objects.filter(template="access_revoked").count() == 4


# --- The mail server ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, settings) -> Iterator[Path]:
    """A real SMTP server, started; what it receives is in this folder."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    started = subprocess.Popen(
        process.command(settings.EMAIL_PORT, tmp_path / "mail"), env={"PATH": ""}
    )
    try:
        yield tmp_path / "mail"
    finally:
        started.terminate()
        started.wait(10)


@pytest.mark.processes
def test_mail_goes_out_when_the_server_is_back_as_one_and_with_one_id(calm, folder):
    """The server needs a moment to start: until then it is a dead one."""
    calm.person("ben")
    calm.ask(script_name="one")
    calm.ask(script_name="Grüße")
    for _ in range(200):
        if mail.send_due(clock=calm.clock):
            break
        threading.Event().wait(0.05)
        calm.wait(hours=2)
    first = Notification.objects.order_by("id").first()
    assert first is not None
    received = mailbox.Maildir(folder, factory=None)
    (one,) = [m for m in received if "ben@acme.test" in str(m["To"])]
    whole = mailbox.email.message_from_bytes(one.as_bytes(), policy=default)
    assert whole["Subject"] == "Ada Lindqvist asks for Read tickets, and 1 more message"
    assert whole["Message-ID"] == f"<{first.bundle}@127.0.0.1>"
    assert "Grüße" in whole.get_body(("plain",)).get_content()
    assert "Grüße" in whole.get_body(("html",)).get_content()


def test_one_mail_that_kills_the_connection_holds_up_nobody(calm, monkeypatch):
    for key in ("ben", "june", "omar"):
        calm.person(key)
    calm.ask()
    send, first = EmailMultiAlternatives.send, []

    def poisoned(self, *args, **kwargs):
        first.append(self.to)
        if len(first) == 1:
            raise SMTPServerDisconnected("Connection unexpectedly closed")
        return send(self, *args, **kwargs)

    monkeypatch.setattr(EmailMultiAlternatives, "send", poisoned)
    assert mail.send_due(clock=calm.clock) == 2
    calm.ask(script_name="later")
    assert mail.send_due(clock=calm.clock) == 3, "also to whom the first was for"


def test_a_mail_that_is_refused_is_tried_again_in_its_parts(calm, monkeypatch):
    """One purpose that a relay takes for spam must not keep what stood beside it."""
    calm.person("ben")
    for n in range(3):
        calm.ask(script_name=f"script-{n}", purpose="XJS*C4JDBQADN1" if n == 1 else "Weekly")
    send = EmailMultiAlternatives.send

    def spam_filter(self, *args, **kwargs):
        if "XJS*C4JDBQADN1" in self.body:
            raise SMTPDataError(554, b"spam")
        return send(self, *args, **kwargs)

    monkeypatch.setattr(EmailMultiAlternatives, "send", spam_filter)
    assert mail.send_due(clock=calm.clock) == 0
    calm.wait(hours=1)
    assert mail.send_due(clock=calm.clock) == 2
    (left,) = Notification.objects.filter(sent_at=None)
    assert "554" in left.error


@pytest.mark.parametrize("between", [KeyError("x"), ValueError("x"), Hopeless("x")])
def test_what_says_nothing_of_the_server_does_not_count_between_two_that_do(
    calm, monkeypatch, between
):
    for key in ("ben", "june", "omar"):
        calm.person(key)
    calm.approve(calm.ask())
    away = SMTPServerDisconnected("gone")
    tried = iter([away, between, away])

    def fails(self):
        raise next(tried)

    monkeypatch.setattr(EmailMultiAlternatives, "send", fails)
    assert mail.send_due(clock=calm.clock) == 0
    assert list(tried) == []
    assert Notification.objects.filter(failure="away").values("bundle").distinct().count() == 2
    assert Notification.objects.filter(tries=0).exists(), "then it is left alone"


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_send_one_mail_to_each(settings):
    world = World()
    for key in ("ben", "june"):
        world.person(key)
    for n in range(6):
        world.ask(script_name=f"script-{n}")
    now = world.now
    together(*[lambda: mail.send_due(clock=lambda: now)] * 3)
    assert sorted(m.to[0] for m in outgoing.outbox) == ["ben@acme.test", "june@acme.test"]
    assert all("and 5 more messages" in m.subject for m in outgoing.outbox)


def test_a_dead_server_is_asked_twice_and_then_left_alone(calm, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    for key in ("ben", "june", "omar"):
        calm.person(key)
    calm.ask()
    for _ in range(3):
        assert mail.send_due(clock=calm.clock) == 0
    assert sorted(Notification.objects.values_list("tries", flat=True)) == [0, 1, 1]
    tried = Notification.objects.filter(tries=1).values_list("error", flat=True)
    assert all("ConnectionRefusedError" in error for error in tried)
