"""Questions about a request and their answers: who writes, who reads, who is told."""

import pytest
from django.core import mail as outgoing
from django.test import Client

from accounts import clock
from tests.integration._people import browser, words
from tokens.messages import mail
from tokens.models import Comment
from tokens.operations import comments

pytestmark = pytest.mark.django_db
KEY = "a-key-of-the-page-0001"


def write(client: Client, pk: int, text: str, **changes: str):
    sent = {"key": f"{KEY}-{len(text)}", "words": text, **changes}
    return client.post(f"/requests/{pk}/comment", sent)


def told(key: str) -> list[str]:
    return [m.subject for m in outgoing.outbox if m.to == [f"{key}@acme.test"]]


def test_a_question_and_its_answer_stand_on_the_card_and_reach_the_other_side(world, ben):
    world.person("june")
    row, ada = world.ask(), browser(world, "ada")
    mail.send_due(clock=clock.now)
    assert f'href="/requests/{row.pk}/comment?back=queue"' in words(ben.get("/queue"))
    response = write(ben, row.pk, "Which queues does it read?", back="queue")
    assert response.url == "/queue"
    page = words(ada.get(f"/requests/{row.pk}"))
    assert "Which queues does it read?" in page
    assert f'href="/requests/{row.pk}/comment"' in page
    home = words(ada.get("/"))
    assert "Ben Achterberg asks: “Which queues does it read?”" in home
    assert "asked, no answer yet" in words(ben.get("/queue"))
    assert write(ada, row.pk, "Billing only.").url == f"/requests/{row.pk}"
    queue = words(ben.get("/queue"))
    assert "Billing only." in queue
    assert '<span class="note">answered</span>' in queue
    assert "asks: “" not in words(ada.get("/"))
    outgoing.outbox.clear()
    mail.send_due(clock=lambda: clock.now())
    assert told("ada").count("Ben Achterberg wrote about weekly-csat") == 1
    assert told("ben").count("Ada Lindqvist wrote about weekly-csat") == 1
    assert "Ada Lindqvist wrote about weekly-csat" not in told("june")
    assert "Billing only." in outgoing.outbox[-1].body


def test_what_nobody_was_asked_reaches_everybody_who_can_decide(world, ben):
    world.person("june")
    row = world.ask()
    mail.send_due(clock=clock.now)
    write(browser(world, "ada"), row.pk, "It is for the audit on Friday.")
    mail.send_due(clock=lambda: clock.now())
    for key in ("ben", "june"):
        assert "Ada Lindqvist wrote about weekly-csat" in told(key)


def test_sent_twice_it_stands_once(world, ben):
    row = world.ask()
    for _ in range(2):
        write(ben, row.pk, "Which queues?")
    assert Comment.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"words": ""}, "Write something."),
        ({"words": "x" * 501}, "Use at most 500 characters."),
        ({"words": "\x1b[2J"}, "a character that cannot be seen"),
        ({"key": ""}, "This page was incomplete."),
        ({"key": "<script>alert(1)</script>"}, "This page was incomplete."),
    ],
)
def test_bad_words_are_a_sentence_and_lose_nothing(world, ben, changes, sentence):
    row = world.ask()
    response = ben.post(f"/requests/{row.pk}/comment", {"key": KEY, "words": "Why?"} | changes)
    assert response.status_code == 422
    assert sentence in words(response)
    assert not Comment.objects.exists()


@pytest.mark.parametrize(("key", "status"), [("noor", 404), ("cleo", 403)])
@pytest.mark.parametrize("method", ["get", "post"])
def test_others_write_nothing(world, key, status, method):
    row, client = world.ask(), browser(world, key)
    sent = {"key": KEY, "words": "Hm?"}
    assert getattr(client, method)(f"/requests/{row.pk}/comment", sent).status_code == status
    assert not Comment.objects.exists()


def test_after_the_decision_nothing_is_written(world, ben):
    row = world.approve(world.ask())
    response = write(ben, row.pk, "One more thing.")
    assert response.status_code == 409
    assert "It no longer waits for a decision." in words(response)
    assert not Comment.objects.exists()


def test_a_form_is_written_on_a_page_of_its_own(world, ben):
    row = world.ask()
    assert "Ask about weekly-csat" in words(ben.get(f"/requests/{row.pk}/comment?back=queue"))
    assert "Write about weekly-csat" in words(
        browser(world, "ada").get(f"/requests/{row.pk}/comment")
    )


def test_who_asked_and_decides_no_more_is_not_told_and_who_decides_now_is(world, ben):
    world.person("june")
    row = world.ask()
    mail.send_due(clock=clock.now)
    write(ben, row.pk, "Which queues?")
    world.person("ben").memberships.filter(group="helpdesk-leads").delete()
    write(browser(world, "ada"), row.pk, "Billing only.")
    outgoing.outbox.clear()
    mail.send_due(clock=lambda: clock.now())
    assert "Ada Lindqvist wrote about weekly-csat" not in told("ben")
    assert "Ada Lindqvist wrote about weekly-csat" in told("june")


def test_there_is_an_end_to_writing(world, ben, monkeypatch):
    monkeypatch.setattr(comments, "MOST", 2)
    row = world.ask()
    for text in ("One?", "And two?"):
        write(ben, row.pk, text)
    response = write(ben, row.pk, "And three??")
    assert response.status_code == 422
    assert "You have written 2 times about this request." in words(response)
    assert Comment.objects.count() == 2
