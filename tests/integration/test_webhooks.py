"""Destinations: what is posted, to whom, once each, and what becomes of it when the other side is dead."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.core import mail as outgoing
from django.core.checks import Error
from hypothesis import given
from hypothesis import strategies as st

from portal import checks
from tests.integration._people import browser, words
from tests.integration._threads import together
from tests.unit.connector_server import Seen, answer, dripping, raw, reset, serving, silent
from tests.world import World
from tokens import tasks
from tokens.connectors import wire
from tokens.destinations import KINDS, Destination
from tokens.messages import chats, mail, webhooks
from tokens.messages.wording import Words
from tokens.models import AccessRequest, Notification
from tokens.operations import credentials, decisions, requests, sweeps

pytestmark = pytest.mark.django_db
KEY, OLDER = b"a key that both sides know of 32", b"the one that was used before that"
EVIL = "<!channel> *bold* [here](https://evil.test) & <https://evil.test|click> @everyone"


@pytest.fixture
def world() -> World:
    world = World()
    for key in ("ben", "june"):
        world.person(key)
    return world


def place(settings, server, name="ops", **said):
    """A destination at a test server."""
    url = said.pop("url", f"{server.url}/hook")
    said = {"secrets": (KEY,), "shape": "signed", **said}
    settings.WEBHOOKS = {**settings.WEBHOOKS, name: Destination(name=name, url=url, **said)}


def send(world: World, name="ops") -> int:
    return webhooks.send_due(name, clock=world.clock)


def is_signed(seen: Seen, key: bytes) -> bool:
    """As a receiver would look, by the specification alone."""
    said = f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}.".encode()
    wanted = base64.b64encode(hmac.new(key, said + seen.body, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in seen.headers["webhook-signature"].split(" ")


# --- The signed shape --------------------------------------------------------------------------------


def test_a_request_is_told_with_what_how_long_by_when_and_a_link(world, settings):
    with serving(answer(200)) as server:
        place(settings, server, secrets=(KEY, OLDER))
        row = world.ask(purpose="For my eyes only", days=30)
        assert send(world) == 1
    (seen,) = server.seen
    assert seen.line == "POST /hook HTTP/1.1"
    assert seen.headers["content-type"].startswith("application/json")
    assert is_signed(seen, KEY)
    assert is_signed(seen, OLDER)
    assert not is_signed(seen, b"a key of somebody else altogether")
    assert abs(int(seen.headers["webhook-timestamp"]) - world.now.timestamp()) < 2
    told = seen.json()
    assert told["type"] == "request.waits"
    assert datetime.fromisoformat(told["timestamp"]).tzinfo is not None
    data = told["data"]
    assert (data["who"], data["access"], data["days"]) == ("Ada Lindqvist", "Read tickets", 30)
    assert datetime.fromisoformat(data["decide_by"]) == row.decide_by
    assert data["link"].endswith(f"/requests/{row.pk}")
    assert b"For my eyes only" not in seen.body
    assert b"@acme.test" not in seen.body


def test_a_life_is_told_in_its_order_each_once(world, settings):
    with serving(answer(204)) as server:
        place(settings, server)
        held = world.active(deputy=world.person("noor"))
        send(world)
        world.now = held.lives_until - timedelta(hours=20)
        for _ in range(2):
            sweeps.sweep(now=world.clock())
        credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
        world.work()
        for _ in range(2):
            send(world)
    kinds = [seen.json()["type"] for seen in server.seen]
    assert kinds == ["request.waits", "request.ended", "access.ends_soon", "access.ended"]
    assert len({seen.headers["webhook-id"] for seen in server.seen}) == len(kinds)


def test_a_destination_hears_what_it_asked_for_alone(world, settings):
    with serving(answer(200)) as server:
        place(settings, server, kinds=frozenset({"access.revoked"}))
        held = world.active()
        credentials.revoke(
            credential=held, by=world.person("omar"), reason="An audit", now=world.clock()
        )
        world.work()
        send(world)
    (seen,) = server.seen
    assert seen.json()["type"] == "access.revoked"
    assert "Omar Said ended" in seen.json()["data"]["text"]
    assert b"An audit" not in seen.body


def everything_that_happens(world: World) -> Iterator[None]:
    """Whatever a destination can be told of, and each end a request can come to; pauses after each."""
    waits = world.ask(script_name="waits")
    yield
    waits = world.approve(waits).credential
    yield
    world.now = waits.ordered_at + (waits.connect_by - waits.ordered_at) * 0.6
    yield sweeps.sweep(now=world.clock())
    held = world.active()
    yield credentials.lose(credential=held, reason="Gone.", now=world.clock())
    world.now = held.lives_until - timedelta(hours=20)
    yield sweeps.sweep(now=world.clock())
    world.now = held.lives_until
    sweeps.sweep(now=world.clock())
    yield world.work()
    other = world.active(script_name="other")
    yield credentials.revoke(credential=other, by=None, reason="Left.", now=world.clock())
    denied, closed, lapsed = (world.ask(script_name=name) for name in ("no", "closed", "late"))
    decisions.deny(
        access_request_id=denied.pk, revision=1, reason="Too much", by=world.person("ben"), now=world.clock()
    )  # fmt: skip
    requests.close(access_request=closed, reason="They left.", now=world.clock())
    world.now = lapsed.decide_by
    yield requests.lapse(access_request=lapsed, now=world.clock())


def test_every_kind_a_destination_can_name_is_one_that_happens(world, settings):
    """Told by the rows: a name nobody writes would be a setting that does nothing."""
    with serving(answer(200)) as server:
        place(settings, server)
        list(everything_that_happens(world))
    rows = Notification.objects.filter(destination="ops")
    assert {row.kind for row in rows} == set(KINDS)


# --- Chats -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["slack", "teams"])
def test_several_are_one_message_and_nothing_in_it_decides(world, settings, shape):
    with serving(answer(200, b"ok")) as server:
        place(settings, server, shape=shape, secrets=())
        rows = [world.ask(script_name=f"script-{n}") for n in range(3)]
        assert send(world) == 3
        assert send(world) == 0
    (seen,) = server.seen
    text = seen.body.decode()
    assert all(f"/requests/{row.pk}" in text for row in rows)
    assert "pprove" not in text
    assert "webhook-signature" not in seen.headers
    if shape == "slack":
        told = seen.json()
        assert told["text"] == "Ada Lindqvist asks for Read tickets (3 messages)"
        assert {block["type"] for block in told["blocks"]} == {"section"}
    else:
        (attachment,) = seen.json()["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        actions = [a for part in attachment["content"]["body"] for a in part.get("actions", [])]
        assert {action["type"] for action in actions} == {"Action.OpenUrl"}
        assert {action["title"] for action in actions} == {"Open the request"}


def strings_in(told: object) -> list[str]:
    """Every text anywhere in what was posted."""
    if isinstance(told, dict):
        return strings_in(list(told.values()))
    if isinstance(told, list):
        return [text for one in told for text in strings_in(one)]
    return [told] if isinstance(told, str) else []


@pytest.mark.parametrize("shape", ["slack", "teams"])
def test_nothing_that_goes_to_a_chat_can_decide_or_asks_to(world, settings, shape):
    """That something *was* approved is news; "approve", and anything to press but a link to a page, is not there."""
    with serving(answer(200)) as server:
        place(settings, server, shape=shape)
        posts: list[tuple[str, bytes]] = []
        for _ in everything_that_happens(world):
            rows = Notification.objects.filter(destination="ops")
            posts += [(row.kind, chats.body(shape, [row])) for row in rows]
    assert {kind for kind, _ in posts} == set(KINDS)
    page = re.compile(
        rf"{re.escape(settings.PORTAL_URL)}/(requests|credentials)/(\d+|new\?(again|renews)=\d+)"
    )
    for _, post in posts:
        texts = strings_in(json.loads(post))
        assert not [text for text in texts if re.search(r"\b(approve|deny)\b", text, re.IGNORECASE)]
        links = [link for text in texts for link in re.findall(r"https?://[^\s|>]+", text)]
        links = [link for link in links if "adaptivecards" not in link]
        assert links
        assert all(page.fullmatch(link) for link in links), links
        kinds = {one for one in texts if one.startswith("Action.") or one in ("actions", "button")}
        assert kinds == ({"Action.OpenUrl"} if shape == "teams" else set())


@pytest.mark.parametrize("shape", ["slack", "teams"])
def test_a_heap_is_one_message_that_counts_what_it_does_not_show(world, settings, shape):
    with serving(answer(200)) as server:
        place(settings, server, shape=shape)
        for n in range(chats.SHOWN + 4):
            world.ask(script_name=f"script-{n}")
        send(world)
    (seen,) = server.seen
    assert "And 4 more, which stand in Keydesk." in seen.body.decode()
    assert len(seen.body) < 28_000


def test_a_name_mentions_nobody_and_makes_no_link(world, settings):
    ada = world.person("ada")
    type(ada).objects.filter(pk=ada.pk).update(name=EVIL)
    ada.refresh_from_db()
    with serving(answer(200)) as server:
        place(settings, server, "slack", shape="slack")
        place(settings, server, "teams", shape="teams")
        row = world.ask()
        send(world, "slack")
        send(world, "teams")
    slack, teams = (seen.json() for seen in server.seen)
    (block,) = slack["blocks"]
    own = f"<http://127.0.0.1:8000/requests/{row.pk}|Open the request>"
    assert block["text"]["verbatim"] is True
    assert block["text"]["text"].count("<") == block["text"]["text"].count(">") == 1
    assert block["text"]["text"].endswith(own)
    assert "<" not in slack["text"]
    card = teams["attachments"][0]["content"]
    assert [part["type"] for part in card["body"]] == ["RichTextBlock", "ActionSet"]
    assert {run["type"] for run in card["body"][0]["inlines"]} == {"TextRun"}


@given(st.text(), st.text(min_size=1))
def test_whatever_people_write_is_text_in_a_chat(subject, line):
    said = [Words(subject, (line,), "/requests/1", "Open the request")]
    slack = chats._slack(said, "", 1)
    text = slack["blocks"][0]["text"]["text"]
    before, own = text.rsplit("\n", 1)
    assert own == "<http://127.0.0.1:8000/requests/1|Open the request>"
    assert not set(before + slack["text"]) & set("<>")
    plain = before.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert plain == chats._text(said[0])
    assert len(text) <= 3000
    (card,) = chats._teams(said, "")["attachments"]
    assert card["content"]["body"][0]["inlines"] == [{"type": "TextRun", "text": plain}]
    json.dumps(card, ensure_ascii=False).encode(errors="surrogatepass")


@pytest.mark.parametrize("character", ["&", "😀", "<"])
def test_the_longest_words_fit_what_chats_take(character):
    one = Words(character * 150, (character * 9_000,), "/requests/1", "Open the request")
    slack, teams = chats._slack([one] * 10, "And more.", 99), chats._teams([one] * 10, "And more.")
    assert all(len(block["text"]["text"]) <= 3000 for block in slack["blocks"])
    assert len(json.dumps(teams, ensure_ascii=False).encode()) < 28_000


# --- The other side is dead, slow or wrong -------------------------------------------------------------

DEAD = {
    "reset": reset,
    "error": answer(500, b"oops"),
    "gone": answer(410),
    "too many": answer(429, Retry_After="3"),
    "not found": answer(404),
    "redirect": answer(302, Location="http://127.0.0.1:9/elsewhere"),
    "nonsense": raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "half": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nhalf"),
}


@pytest.mark.parametrize("how", DEAD)
def test_a_dead_one_delays_neither_the_living_nor_mail_and_is_shown(world, settings, how):
    with serving(DEAD[how]) as dead, serving(answer(200)) as alive:
        place(settings, dead, "dead", url=f"{dead.url}/T0-hidden")
        place(settings, alive, "alive")
        world.ask(script_name="one")
        world.ask(script_name="two")
        assert send(world, "dead") == 0
        assert send(world, "dead") == 0
        assert len(dead.seen) == 2, "left alone until its next try"
        assert send(world, "alive") == 2
    assert mail.send_due(clock=world.clock) > 0
    assert outgoing.outbox
    page = words(browser(world, "omar").get("/operations"))
    assert "dead is away." in page
    assert "alive is away" not in page
    assert "2 messages wait; everything else goes on." in page
    assert "T0-hidden" not in page


@pytest.mark.parametrize(
    "reply",
    [silent, dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x")],
    ids=["silent", "drips"],
)
def test_a_slow_one_is_given_up_in_time(world, settings, monkeypatch, reply):
    monkeypatch.setattr(webhooks, "DEADLINE", 0.4)
    with serving(reply) as server:
        place(settings, server)
        world.ask()
        assert send(world) == 0
    row = Notification.objects.get(destination="ops")
    assert row.error == "ops did not answer within 0.4 s."


def test_one_that_is_back_gets_everything_in_order_and_the_id_is_the_same(world, settings):
    with serving(answer(503), answer(503), answer(200)) as server:
        place(settings, server)
        rows = [world.ask(script_name=f"script-{n}") for n in range(3)]
        for _ in range(3):
            send(world)
            world.wait(minutes=5)
    first, _, again, *_ = server.seen
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != again.headers["webhook-timestamp"]
    assert is_signed(again, KEY)
    links = [seen.json()["data"]["request"] for seen in server.seen[2:]]
    assert links == [row.pk for row in rows]


def test_a_message_that_is_refused_holds_up_no_other(world, settings):
    with serving(answer(400, b"invalid_payload\x1b[2J"), answer(200)) as server:
        place(settings, server)
        for n in range(2):
            world.ask(script_name=f"script-{n}")
        assert send(world) == 1
    refused = Notification.objects.get(destination="ops", sent_at=None)
    assert (refused.failure, refused.error) == ("refused", "ops answered 400: invalid_payload[2J.")
    page = words(browser(world, "omar").get("/operations"))
    assert "1 message could not be sent." in page


def test_one_event_that_breaks_the_receiver_holds_up_no_other(world, settings):
    """A receiver's own fault, such as an answer 500 to one event, looks as if it were away."""
    with serving(answer(500), answer(200)) as server:
        place(settings, server)
        rows = [world.ask(script_name=f"script-{n}") for n in range(3)]
        assert send(world) == 2
        world.ask(script_name="later")
        assert send(world) == 1
    (left,) = Notification.objects.filter(destination="ops", sent_at=None)
    assert (left.target_id, left.failure) == (rows[0].pk, "refused")
    assert left.error == "ops answered 500."


def test_a_refusal_is_an_answer_between_two_events_that_break_the_receiver(world, settings):
    with serving(answer(500), answer(400), answer(500), answer(200)) as server:
        place(settings, server)
        for n in range(4):
            world.ask(script_name=f"script-{n}")
        assert send(world) == 1, "all four were tried"
        world.ask(script_name="later")
        assert send(world) == 1
    rows = Notification.objects.filter(destination="ops").order_by("id")
    assert [row.failure for row in rows] == ["refused", "refused", "refused", "", ""]


@pytest.mark.parametrize("shape", ["signed", "slack"])
def test_two_events_that_break_the_receiver_hold_up_no_others(world, settings, shape):
    """They are tried first each time; after a few times something new shows whether the receiver is there."""

    def picky(connection):
        answer(500 if b"breaks" in server.seen[-1].body else 200)(connection)

    with serving(picky) as server:
        place(settings, server, shape=shape)
        for n in range(2):
            world.ask(script_name=f"breaks-{n}")
            send(world)
            world.wait(minutes=6)
        for n in range(6):
            world.ask(script_name=f"script-{n}")
            for _ in range(3):
                send(world)
                world.wait(minutes=6)
        for _ in range(3):
            world.wait(hours=1)
            send(world)
    left = Notification.objects.filter(destination="ops", sent_at=None)
    names = AccessRequest.objects.filter(pk__in=left.values("target_id"))
    assert {row.script_name for row in names} == {"breaks-0", "breaks-1"}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"The requested URL /services/T0HIDDEN/B0 was not found."),
        (400, b"Cannot POST /services/T0HIDDEN/B0"),
        (500, b"no route: T0HIDDEN"),
    ],
)
def test_an_answer_that_repeats_the_address_is_not_quoted(world, settings, caplog, status, body):
    with serving(answer(status, body)) as server:
        place(settings, server, url=f"{server.url}/services/T0HIDDEN/B0")
        world.ask()
        send(world)
    row = Notification.objects.get(destination="ops")
    assert row.error == f"ops answered {status}."
    assert "T0HIDDEN" not in caplog.text


@pytest.mark.parametrize("reply", [answer(500), answer(404)], ids=["error", "not found"])
def test_a_chat_that_was_away_gets_two_messages_not_many(world, settings, reply):
    """The one that was tried, under its id, and one about all that came meanwhile."""
    with serving(reply, reply, reply, answer(200)) as server:
        place(settings, server, shape="slack")
        for n in range(5):
            world.ask(script_name=f"script-{n}")
            send(world)
            world.wait(minutes=6)
        send(world)
    texts = [seen.json()["text"] for seen in server.seen]
    one, three = (
        "Ada Lindqvist asks for Read tickets",
        "Ada Lindqvist asks for Read tickets (3 messages)",
    )
    assert texts == [one, one, one, one, three, one], (
        "tried thrice, taken, then what came meanwhile"
    )


def test_after_three_days_it_is_given_up_and_said(world, settings):
    with serving(answer(500)) as server:
        place(settings, server)
        world.ask()
        for _ in range(3):
            send(world)
            world.wait(hours=25)
        sweeps.sweep(now=world.clock())
        tried = len(server.seen)
        send(world)
    row = Notification.objects.get(event__startswith="request.waits", destination="ops")
    assert row.given_up_at is not None
    assert row.sent_at is None
    assert tried == 3
    page = words(browser(world, "omar").get("/operations"))
    assert "to ops was given up." in page
    assert "ops answered 500." in page


def test_each_sentence_of_operations_has_the_error_of_its_own_failure(world, settings):
    """Also when another is tried again later."""
    with serving(answer(503)) as server:
        place(settings, server, kinds=frozenset({"request.waits"}))
        world.ask(script_name="given up")
        send(world)
        world.wait(days=4)
        sweeps.sweep(now=world.clock())
    with serving(answer(400, b"odd"), answer(410)) as server:
        place(settings, server, kinds=frozenset({"request.waits"}))
        for n in range(3):
            world.ask(script_name=f"script-{n}")
        send(world)
    Notification.objects.filter(failure="refused").update(not_before=world.now + timedelta(hours=1))
    page = words(browser(world, "omar").get("/operations")).replace("</strong>", "")
    assert "ops is away. ops answered 410. 3 messages wait; everything else goes on." in page
    assert "1 message could not be sent. To ops: ops answered 400: odd." in page
    assert "1 message to ops was given up. ops answered 503." in page


def test_what_nobody_tried_for_days_is_tried_before_it_is_given_up(world, settings):
    with serving(answer(200)) as server:
        place(settings, server)
        world.ask()
        world.wait(days=4)
        sweeps.sweep(now=world.clock())
        assert send(world) == 2, "the request, and that it timed out meanwhile"


def test_one_that_is_no_longer_configured_is_named_and_given_up_in_time(world, settings):
    with serving(answer(200)) as server:
        place(settings, server)
        world.ask()
    settings.WEBHOOKS = {}
    tasks.tell_destination("ops")
    assert not server.seen
    page = words(browser(world, "omar").get("/operations"))
    assert "no longer in WEBHOOKS" in page
    assert "It is no longer in WEBHOOKS. 1 message waits; everything else goes on." in page
    world.wait(days=4)
    sweeps.sweep(now=world.clock())
    assert Notification.objects.get(destination="ops").given_up_at is not None


def test_nothing_of_the_environment_takes_part(world, settings, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(answer(200)) as server:
        place(settings, server)
        world.ask()
        assert send(world) == 1
    assert "authorization" not in server.seen[0].headers


@pytest.mark.parametrize("shape", ["signed", "slack"])
def test_what_cannot_be_sent_shows_no_address_and_no_secret(world, settings, shape):
    with serving(answer(200)) as server:
        place(settings, server, shape=shape, url="https://[T0-hidden", secrets=())
        world.ask()
        assert send(world) == 0
    row = Notification.objects.get(destination="ops")
    assert row.error
    assert "hidden" not in row.error


# --- Once each -----------------------------------------------------------------------------------------


def test_a_crash_between_sending_and_noting_sends_again_under_the_same_id(
    world, settings, monkeypatch
):
    perform = wire.perform

    def and_die(*args, **more):
        perform(*args, **more)
        raise SystemExit

    with serving(answer(200)) as server:
        place(settings, server)
        world.ask()
        with monkeypatch.context() as patched:
            patched.setattr(wire, "perform", and_die)
            with pytest.raises(SystemExit):
                send(world)
        assert send(world) == 0, "held"
        world.wait(seconds=121)
        assert send(world) == 1
    first, second = server.seen
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shape", ["signed", "slack"])
def test_many_senders_at_once_send_each_once(settings, shape):
    world = World()
    with serving(answer(200)) as server:
        place(settings, server, shape=shape)
        rows = [world.ask(script_name=f"script-{n}") for n in range(8)]
        now = world.now
        together(*[lambda: webhooks.send_due("ops", clock=lambda: now)] * 4)
    text = b"\n".join(seen.body for seen in server.seen).decode()
    for row in rows:
        assert text.count(f'/requests/{row.pk}"') + text.count(f"/requests/{row.pk}|") == 1
    ids = [seen.headers.get("webhook-id") for seen in server.seen]
    assert len(server.seen) == (8 if shape == "signed" else 1)
    assert shape == "slack" or len(set(ids)) == 8


def test_the_task_serves_each_destination_once_at_a_time(world, settings, monkeypatch):
    with serving(answer(200)) as server:
        place(settings, server, "one")
        place(settings, server, "two")
    began: list[str] = []

    def slow(name: str, *, clock: object) -> None:
        began.append(name)
        tasks.tell_destination("one")
        if name == "one":
            tasks.tell_destination("two")

    monkeypatch.setattr(webhooks, "send_due", slow)
    tasks.tell_destination("one")
    assert began == ["one", "two"]


def test_a_decision_taken_meanwhile_is_said(world, settings):
    with serving(answer(200)) as server:
        place(settings, server, shape="slack", kinds=frozenset({"request.waits"}))
        row = world.ask()
        decisions.deny(
            access_request_id=row.pk, revision=1, reason="No.", by=world.person("ben"),
            now=world.clock(),
        )  # fmt: skip
        send(world)
    assert "nothing left to decide: it was denied" in server.seen[0].body.decode()


def test_a_worker_without_the_secret_is_told_and_a_web_process_is_not(settings):
    settings.WEBHOOKS = {"ops": Destination(name="ops", url="https://ops.example.test/x")}
    (found,) = checks.webhooks(None)
    assert isinstance(found, Error)
    assert "WEBHOOK_OPS_SECRET is not set" in found.msg
    settings.WORKER_SEALING_KEYS = []
    assert checks.webhooks(None) == []
