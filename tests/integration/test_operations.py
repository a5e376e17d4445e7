"""The operator's page, freezing a helpdesk, confirming a list, the banner: who, what they say, what they do."""

import contextlib
import io
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.core import mail as outbox_of_mail
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import audit, clock
from accounts.models import AuditEvent
from tests.fakes import FreeLimiter
from tests.integration._people import browser, filled, words
from tests.world import World
from tokens import findings, outbox
from tokens.connectors.base import Broken, GiveUp, Retry, Unknown
from tokens.limiter import LimiterDown, LimiterState
from tokens.management.commands import reconcile, verify
from tokens.models import (
    Credential,
    Grant,
    Heartbeat,
    Helpdesk,
    InventoryRun,
    Job,
    Notification,
)
from tokens.operations import connections, credentials, heartbeats, helpdesks, inventories
from tokens.presenters import helpdesks as presenters
from tokens.presenters.alarms import watches
from tokens.refusals import Denied, Invalid, StaleState

pytestmark = pytest.mark.django_db

WELL = "All is well."


class Budget:
    """What the shared limiter would say."""

    def __init__(self, answer: object) -> None:
        self.answer, self.asked = answer, 0

    def state(self, slug: str) -> object:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose time is the portal's, with Redis there."""
    made = World(now=clock.now())
    monkeypatch.setattr(clock, "now", made.clock)
    state = LimiterState(693.0, 2, 0.0, configured=700, announced=700, remaining=512)
    monkeypatch.setattr(presenters, "shared_limiter", lambda: Budget(state))
    return made


def be_well(world: World) -> None:
    """Workers and beat have just been heard of, and each helpdesk's list is fresh."""
    for name in ("worker", "beat"):
        heartbeats.beat(name, now=world.clock())
    for slug in ("sandbox", "production"):
        world.slug = slug
        inventories.keep(
            run=inventories.begin(helpdesk=world.helpdesk, now=world.clock()),
            records=[p.record for p in world.desk.living()] if slug == "production" else [],
            now=world.clock(),
        )


def in_a_terminal(world: World) -> list[str]:
    """What `manage.py reconcile` says of how production stands."""
    panels = presenters.panels_of(watches(), now=world.clock())
    (panel,) = (one for one in panels if one.helpdesk.slug == "production")
    return list(presenters.standing(panel, now=world.now))


def take_list(world: World) -> InventoryRun:
    """The newest list, taken and settled by a worker."""
    outbox.order(Job.Kind.INVENTORY, world.helpdesk.pk, helpdesk=world.helpdesk, now=world.clock())
    world.work()
    return InventoryRun.objects.filter(helpdesk=world.helpdesk).latest("pk")


def give_word(admin: Client, run: InventoryRun, *, at: str = "production") -> HttpResponse:
    """Press the button of the page that shows what this list shows now."""
    shown = json.dumps(findings.ids_of(findings.of(run, now=clock.now())))
    return admin.post(f"/operations/{at}/confirm", {"run": run.pk, "shown": shown})


def hold_back(world: World, count: int = 5) -> InventoryRun:
    """A list in which so many tokens of nobody stand twice, a minimum age apart: too many to end alone."""
    for _ in range(count):
        world.desk.make(360001001, frozenset({"tickets:read"}), 86_400, 900_000)
    take_list(world)
    world.now += settings.MINIMUM_AGE + timedelta(seconds=1)
    run = take_list(world)
    assert run.held_back == count
    return run


# --- Who ---------------------------------------------------------------------------------------------


def test_only_admins_and_auditors_read_it(world):
    for key, status in {"ada": 403, "ben": 403, "zoe": 403, "omar": 200, "cleo": 200}.items():
        client = browser(world, key)
        assert client.get("/operations").status_code == status, key
        assert ('href="/operations"' in words(client.get("/"))) is (status == 200), key
    assert Client().get("/operations").status_code == 302


@pytest.mark.parametrize("act", ["freeze", "unfreeze", "inventory", "confirm"])
def test_only_admins_act(world, act):
    for key in ("ada", "ben", "cleo"):
        response = browser(world, key).post(f"/operations/production/{act}", {"reason": "x"})
        assert response.status_code == 403, key
    assert not AuditEvent.objects.filter(target_type__in=("Helpdesk", "InventoryRun")).exists()


def test_an_auditor_reads_without_buttons(world):
    page = words(browser(world, "cleo").get("/operations"))
    assert "Acme production" in page
    assert "Freeze new access" not in page
    assert "Take the list now" not in page


@pytest.mark.parametrize("act", ["freeze", "unfreeze", "inventory", "confirm"])
def test_an_old_sign_in_is_asked_who_it_is_first(world, omar, act):
    world.now += timedelta(minutes=11)
    response = omar.post(f"/operations/production/{act}", {"reason": "An audit"})
    assert response.status_code == 403
    assert "Confirm it is you" in words(response)
    assert not AuditEvent.objects.filter(target_type="Helpdesk").exists()


@pytest.mark.parametrize("act", ["freeze", "unfreeze", "inventory", "confirm"])
def test_a_helpdesk_that_is_not_there_is_a_404(omar, act):
    assert omar.post(f"/operations/moon/{act}").status_code == 404


@pytest.mark.parametrize("act", ["unfreeze", "inventory"])
def test_reading_never_acts(omar, act):
    assert omar.get(f"/operations/production/{act}").status_code == 405


# --- What it says --------------------------------------------------------------------------------------


def test_all_is_well_where_it_is(world, omar):
    world.active()
    be_well(world)
    page = words(omar.get("/operations"))
    assert WELL in page
    assert "Kept, as the last list" in page
    assert "count-alarm" not in page
    assert "693 a minute now" in page
    assert "700 configured, 700 announced, 512 left of this minute; 2 waiting in line" in page


def test_an_empty_portal_says_what_is_missing(world, omar):
    page = words(omar.get("/operations"))
    assert "Nothing is being worked on." in page
    assert "None that is complete yet." in page
    assert WELL not in page


def test_a_stopped_line_says_why_since_when_and_when_it_is_tried_next(world, omar):
    be_well(world)
    world.desk.next_answers["whoami"].append(Broken("The service secret is wrong."))
    take_list(world)
    page = words(omar.get("/operations"))
    first = page.split('class="notice')[1].split("</div>")[0]
    assert "Acme production refuses Keydesk's own access." in first
    assert "The service secret is wrong. Work waits and nothing is lost" in first
    assert "Next try" in page
    assert WELL not in page
    world.now += settings.PROBE_EVERY + timedelta(seconds=1)
    world.work()
    assert WELL in words(omar.get("/operations"))


def test_a_stopped_line_says_which_of_the_two_clients_was_refused(world, omar):
    be_well(world)
    helpdesks.stop(
        helpdesk=world.helpdesk, reason="Wrong secret.", now=world.clock(), of_agents=True
    )
    page = words(omar.get("/operations"))
    assert "Acme production refuses the client that gets the agents' tokens." in page
    assert "The client that gets the agents' tokens is refused since" in page
    assert "Keydesk's own access is refused" not in page


def test_the_moment_it_stopped_stays_while_tries_go_on(world, omar):
    for n in range(2):
        helpdesks.stop(helpdesk=world.helpdesk, reason=f"Try {n}.", now=world.clock())
        world.wait(minutes=20)
    page = words(omar.get("/operations"))
    assert "Keydesk's own access is refused since" in page
    assert "40 min ago" in page.split("is refused since")[1].split("Try 1.")[0]


def test_jobs_are_counted_by_kind_and_the_stuck_stand_with_error_and_next_try(world):
    held = world.active(script_name="hard-to-kill")
    be_well(world)
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    for _ in range(outbox.TRIES_BEFORE_RED):
        world.desk.next_answers["show"].append(Retry("The helpdesk is away."))
        world.wait(minutes=15)
        world.work()
    page = words(browser(world, "omar").get("/operations"))
    stuck = page.split('id="stuck"')[1].split("</section>")[0]
    assert "Make sure a token is gone" in stuck
    assert f'href="/credentials/{held.pk}">hard-to-kill' in stuck
    assert "The helpdesk is away." in stuck
    assert f">{outbox.TRIES_BEFORE_RED}<" in stuck
    row = re.search(r"Make sure a token is gone</th>(.*?)</tr>", page).group(1)
    assert re.findall(r">(\d+)<", row) == ["0", "0", "1", "1"]
    assert "1 task is stuck." in page
    said = in_a_terminal(world)
    assert "tasks: 0 due, 0 running, 1 waiting; 1 stuck" in said
    (line,) = [line for line in said if line.startswith("stuck: ")]
    assert line.startswith("stuck: Make sure a token is gone (hard-to-kill): 6 tries since ")
    assert ": The helpdesk is away. Next try " in line


def test_counts_in_its_tables_stop_at_99(world):
    ben, desk, now = world.person("ben"), world.helpdesk, world.clock()
    Job.objects.bulk_create(
        Job(
            kind=Job.Kind.REFRESH, target_id=n, helpdesk=desk, urgency=5, key=f"refresh:{n}", not_before=now,
            created_at=now, tries=outbox.TRIES_BEFORE_RED, error="The helpdesk is away.",
        )
        for n in range(120)
    )  # fmt: skip
    Notification.objects.bulk_create(
        Notification(event=f"x:{n}", recipient=ben, template="request_waits", target_id=1, created_at=now, not_before=now)
        for n in range(120)
    )  # fmt: skip
    page = words(browser(world, "omar").get("/operations"))
    row = re.search(r"Refresh a token</th>(.*?)</tr>", page).group(1)
    assert re.findall(r'"number" data-label="(?:Due|Failing)">([^<]+)<', row) == ["99+", "99+"]
    assert '<td class="number" data-label="Waiting">99+</td>' in page
    assert "120 tasks are stuck." in page


@pytest.mark.parametrize("has_list", [True, False])
def test_reconcile_ends_with_what_the_page_says(world, omar, monkeypatch, has_list):
    """Tasks, what is stuck, what nobody answered, the last list and the budget, whether or not a list could be had."""
    held, lost = world.active(script_name="hard-to-kill"), world.ordered(script_name="no-answer")
    be_well(world)
    world.slug = "production"
    world.desk.next_answers["exchange"].append(Unknown("It timed out."))
    world.consent(lost)
    world.work()
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    Job.objects.filter(done_at=None, kind=Job.Kind.CLOSE).update(tries=outbox.TRIES_BEFORE_RED)
    if not has_list:
        world.desk.next_answers["list"].append(Retry("The helpdesk is away."))
    said = what_reconcile_prints(world, monkeypatch)
    page = words(omar.get("/operations"))
    panel = page.split('id="production"')[1].split("</section>")[0]
    rows = [re.findall(r'<td class="number"[^>]*>(\d+)<', row) for row in panel.split("<tr>")]
    due, running, waiting = (sum(int(row[n]) for row in rows if row) for n in range(3))
    red = page.split('id="stuck"')[1].split("</section>")[0].count("<tr>") - 1
    assert (due + running + waiting > 0, red) == (True, 1)
    at = said.index(f"tasks: {due} due, {running} running, {waiting} waiting; {red} stuck")
    unknown = page.split('id="unknown"')[1].split("</section>")[0].count("<tr>") - 1
    assert f"calls without an answer: {unknown}" in said
    assert f"<dt>Calls without an answer</dt><dd>{unknown}</dd>" in panel
    assert f"<dt>Tasks</dt><dd>{said[at].removeprefix('tasks: ')}.</dd>" in panel
    assert unknown == 1
    assert lost.script_name in page
    listed = next(line for line in said if line.startswith("list of all tokens: "))
    assert f"{listed.split()[4]} token" in panel
    note = "700 configured, 700 announced, 512 left of this minute; 2 waiting in line"
    assert f"budget of calls: 693 a minute now, {note}" in said
    assert f'693 a minute now <span class="note">{note}.</span>' in panel


def be_stuck(world: World, count: int, *, since: timedelta) -> None:
    """So many tasks on a helpdesk that have failed too often; ordered so long ago, the first of them first."""
    for n in range(count):
        moment = world.now - since + timedelta(milliseconds=n)
        outbox.order(Job.Kind.LINK, 1000 + n, helpdesk=world.helpdesk, now=moment)
    Job.objects.filter(helpdesk=world.helpdesk, target_id__gte=1000).update(
        tries=outbox.TRIES_BEFORE_RED,
        error="The helpdesk is away.",
        error_at=world.now - timedelta(minutes=3),
        not_before=world.now + timedelta(minutes=10, seconds=30),
    )


def be_unanswered(world: World, count: int) -> None:
    sent_at = world.now - timedelta(seconds=30)
    Grant.objects.bulk_create(
        Grant(helpdesk=world.helpdesk, purpose=Grant.Purpose.EXCHANGE, generation=1, state="unknown",
              intended_at=sent_at, sent_at=sent_at)
        for _ in range(count)
    )  # fmt: skip


def test_beyond_fifty_page_and_terminal_count_the_same_and_say_how_many_more(world, omar):
    be_well(world)
    for slug, red, unknown in (("sandbox", 3, 4), ("production", 52, 53)):
        world.slug = slug
        be_stuck(world, red, since=timedelta(hours=1, minutes=30))
        be_unanswered(world, unknown)
    said = in_a_terminal(world)
    page = words(omar.get("/operations"))
    panel = page.split('id="production"')[1].split("</section>")[0]
    stuck, unknown = (
        page.split(f'id="{name}"')[1].split("</section>")[0] for name in ("stuck", "unknown")
    )
    assert "55 tasks are stuck." in page
    assert (stuck.count("<tr>") - 1, "And 5 more." in stuck) == (50, True)
    assert (unknown.count("<tr>") - 1, "And 7 more." in unknown) == (50, True)
    assert f"<dt>Tasks</dt><dd>{said[0].removeprefix('tasks: ')}.</dd>" in panel
    assert said[0].endswith("; 52 stuck")
    assert "<dt>Calls without an answer</dt><dd>53</dd>" in panel
    assert "calls without an answer: 53" in said
    lines = [line for line in said if line.startswith("stuck: ")]
    assert (len(lines), lines[-1]) == (51, "stuck: and 2 more")


def test_what_is_stuck_has_the_same_age_and_times_on_the_page_and_in_a_terminal(world, omar):
    be_well(world)
    be_stuck(world, 1, since=timedelta(hours=1, minutes=30))
    (line,) = [line for line in in_a_terminal(world) if line.startswith("stuck: ")]
    since, last, then = (
        f"{world.now + timedelta(minutes=off, seconds=more):%F %T}"
        for off, more in ((-90, 0), (-3, 0), (10, 30))
    )
    assert line == (
        f"stuck: Find a person on the helpdesk: 6 tries since {since} (1 h 30 min ago); "
        f"the last, {last}: The helpdesk is away. Next try {then} (in 10 min)."
    )
    page = words(omar.get("/operations")).split('id="stuck"')[1].split("</section>")[0]
    for part in ("Find a person on the helpdesk", ">6<", "The helpdesk is away."):
        assert part in page
    assert re.findall(r'when-relative">([^<]+)<', page) == [
        "3 min ago",
        "1 h 30 min ago",
        "in 10 min",
    ]
    Job.objects.update(not_before=world.now)
    (line,) = [line for line in in_a_terminal(world) if line.startswith("stuck: ")]
    assert line.endswith(" Next try now.")
    page = words(omar.get("/operations")).split('id="stuck"')[1].split("</section>")[0]
    assert '<td class="nowrap" data-label="Next try">now</td>' in page


def what_reconcile_prints(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of `manage.py reconcile` about production, which asks the fake helpdesk."""
    monkeypatch.setattr(reconcile, "connector_for", world._connect)
    monkeypatch.setattr(reconcile, "limiter_for", lambda _: FreeLimiter())
    out = io.StringIO()
    with contextlib.suppress(SystemExit):
        call_command("reconcile", "--helpdesk", "production", stdout=out, stderr=io.StringIO())
    return [line.removeprefix("production: ") for line in out.getvalue().splitlines()]


def test_a_call_without_an_answer_says_when_it_is_settled(world, omar):
    held = world.ordered(script_name="no-answer")
    world.desk.next_answers["exchange"].append(Unknown("It timed out."))
    world.consent(held)
    world.work()
    page = words(omar.get("/operations")).split('id="unknown"')[1].split("</section>")[0]
    assert "no-answer" in page
    assert "It timed out." in page
    assert "in 2 min" in page
    assert "calls without an answer: 1" in in_a_terminal(world)


def test_a_list_that_could_not_be_had_says_why(world, omar):
    be_well(world)
    world.slug = "production"
    world.desk.next_answers["list"].append(GiveUp("The helpdesk answered with a riddle.", code="x"))
    take_list(world)
    assert "came to nothing: The helpdesk answered with a riddle." in words(omar.get("/operations"))


def test_an_old_list_is_something_to_look_at(world, omar):
    be_well(world)
    world.now += 4 * settings.INVENTORY_EVERY
    for name in ("worker", "beat"):
        heartbeats.beat(name, now=world.clock())
    page = words(omar.get("/operations"))
    assert "There is no recent list of all tokens on Acme production." in page


def test_messages_that_cannot_be_sent_are_named(world, omar, monkeypatch):
    from tokens.messages import mail

    world.active()
    be_well(world)

    def refused(*_: object, **__: object) -> None:
        raise OSError("Connection refused")

    monkeypatch.setattr("django.core.mail.EmailMultiAlternatives.send", refused)
    mail.send_due(clock=world.clock)
    waiting = Notification.objects.filter(sent_at=None).exclude(error="").count()
    assert waiting > 0
    assert not outbox_of_mail.outbox
    page = words(omar.get("/operations"))
    assert "The mail server is away." in page
    assert page.split('id="messages"')[1].count("Connection refused") == waiting


@pytest.mark.parametrize(
    ("process", "title"),
    [("worker", "Nothing is being worked on."), ("beat", "Nobody looks for what time brings.")],
)
def test_a_process_that_is_silent_comes_first(world, omar, process, title):
    be_well(world)
    Heartbeat.objects.filter(name=process).update(at=world.now - timedelta(hours=1))
    helpdesks.freeze(
        helpdesk=world.helpdesk, by=world.person("omar"), reason="An audit", now=world.clock()
    )
    first = words(omar.get("/operations")).split('class="notice')[1]
    assert title in first


def test_redis_gone_is_a_sentence_and_is_asked_once(world, omar, monkeypatch):
    be_well(world)
    gone = Budget(LimiterDown("away"))
    monkeypatch.setattr(presenters, "shared_limiter", lambda: gone)
    page = words(omar.get("/operations"))
    assert page.count(presenters.REDIS_GONE) == 3
    assert gone.asked == 1


def test_what_was_learned_of_a_helpdesk_is_said_in_words(world):
    desk = Helpdesk(
        capabilities={
            "several grants of one user": "no",
            "current: tickets:read": "yes",
            "current: users:read": "no",
        }
    )
    lines = {known.sentence: known.name for known in presenters.known_of(desk)}
    assert lines == {
        "One person may hold one access at a time.": "several grants of one user",
        "Keydesk can ask a token with 1 set of permissions whose it is.": "",
        "A token with users:read may not say whose it is, so the list of all tokens does.": (
            "current: users:read"
        ),
        "Keydesk's own access looks at tokens, as far as is known.": "",
        "Keydesk's own access deletes tokens, as far as is known.": "",
    }


def test_an_admin_has_what_was_learned_found_out_anew(world, omar):
    Helpdesk.objects.filter(slug="production").update(
        capabilities={"several grants of one user": "no"}
    )
    page = words(omar.get("/operations"))
    assert "One person may hold one access at a time." in page
    assert ">Forget " in page
    answer = omar.post("/operations/production/forget", {"name": "several grants of one user"})
    assert (answer.status_code, answer["Location"]) == (302, "/operations#production")
    assert Helpdesk.objects.get(slug="production").capabilities == {}
    assert ">Forget " not in words(omar.get("/operations"))
    again = omar.post("/operations/production/forget", {"name": "several grants of one user"})
    assert again.status_code == 409
    assert "there is nothing to forget" in words(again)


def test_it_names_broken_promises_word_for_word_as_verify_does(world, omar, monkeypatch):
    held = world.active()
    be_well(world)
    seen = world.desk.living()[0]
    record = seen.record.__class__(
        **{**vars(seen.record), "user_id": 7, "scopes": frozenset({"tickets:read", "write"})}
    )
    seen.record = record
    be_well(world)
    said = [line.removeprefix("production: ") for line in what_verify_prints(world, monkeypatch)]
    assert len(said) == 2
    page = words(omar.get("/operations"))
    for text in said:
        assert f'<a href="/credentials/{held.pk}">Acme production: {text}</a>' in page
    assert "2 promises are broken." in page


def what_verify_prints(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of `manage.py verify` about production, which asks the fake helpdesk."""
    monkeypatch.setattr(verify, "connector_for", world._connect)
    monkeypatch.setattr(verify, "limiter_for", lambda _: FreeLimiter())
    monkeypatch.setattr(settings, "HELPDESKS", {"production": settings.HELPDESKS["production"]})
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("verify", stdout=out)
    return out.getvalue().splitlines()[:-1]


def test_it_asks_as_often_for_one_as_for_many(world, omar):
    world.active()
    be_well(world)
    omar.get("/operations")
    few = queries_of(omar)
    for n in range(12):
        held = world.active(script_name=f"script-{n:02}", days=7)
        if n % 2:
            credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    be_well(world)
    assert queries_of(omar) == few < 45


def queries_of(client: Client) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get("/operations").status_code == 200
    return len(asked)


def test_no_remote_call_is_made(world, omar):
    world.active()
    be_well(world)
    world.desk.calls.clear()
    omar.get("/operations")
    assert world.desk.calls == []


def test_no_word_of_the_code_stands_on_it(world, omar):
    hold_back(world)
    helpdesks.freeze_restored(helpdesk=world.helpdesk, now=world.clock())
    take_list(world)
    for page in ("/operations", "/operations/production/confirm", "/operations/sandbox/freeze"):
        text = re.sub(r"<[^>]+>", " ", words(omar.get(page))).lower()
        for word in (
            "grant",
            "claim",
            "lapse",
            "stray",
            "slug",
            "doomed",
            "attempted",
            "credential",
        ):
            assert word not in text, (page, word)


# --- Freezing ------------------------------------------------------------------------------------------


def freeze(world: World, reason: str = "The auditors count tokens") -> None:
    helpdesks.freeze(
        helpdesk=world.helpdesk, by=world.person("omar"), reason=reason, now=world.clock()
    )


def test_an_admin_freezes_and_unfreezes_with_a_row_for_each(world, omar):
    be_well(world)
    sent = omar.post("/operations/production/freeze", {"reason": "The auditors count tokens"})
    assert sent.status_code == 302
    assert sent["Location"] == "/operations#production"
    page = words(omar.get("/operations"))
    assert "by Omar Said. The auditors count tokens" in page
    assert "Acme production is frozen." in page
    assert omar.post("/operations/production/unfreeze").status_code == 302
    assert WELL in words(omar.get("/operations"))
    rows = AuditEvent.objects.filter(target_type="Helpdesk", actor_name="Omar Said").order_by("id")
    assert [row.event for row in rows] == ["helpdesk.frozen", "helpdesk.unfrozen"]
    audit = words(omar.get("/audit"))
    assert "Omar Said froze the helpdesk" in audit
    assert "The auditors count tokens" in audit


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("", "Say why; everybody who wants to connect will read it."),
        ("   ", "Say why; everybody who wants to connect will read it."),
        ("x" * 301, "Use at most 300 characters."),
        ("a\x00b", "It holds a character that cannot be seen."),
    ],
)
def test_a_reason_that_is_none_is_a_sentence(omar, reason, sentence):
    response = omar.post("/operations/production/freeze", {"reason": reason})
    assert response.status_code == 422
    assert sentence in words(response)
    assert not Helpdesk.objects.exclude(frozen_at=None).exists()


def test_the_second_freeze_and_the_second_end_hear_who_was_first(world, omar):
    """Whatever else Keydesk noted of the helpdesk in between."""
    freeze(world)
    audit.record("helpdesk.access_asked", by=None, target=world.helpdesk, now=world.clock())
    late = omar.post("/operations/production/freeze", {"reason": "Me too"})
    assert late.status_code == 409
    assert "Already frozen by Omar Said" in words(late)
    omar.post("/operations/production/unfreeze")
    again = omar.post("/operations/production/unfreeze")
    assert again.status_code == 409
    assert "Already unfrozen by Omar Said" in words(again)


def test_operations_check_the_person_themselves(world):
    with pytest.raises(Denied):
        helpdesks.freeze(
            helpdesk=world.helpdesk, by=world.person("ben"), reason="x", now=world.clock()
        )
    with pytest.raises(Denied):
        helpdesks.unfreeze(helpdesk=world.helpdesk, by=world.person("cleo"), now=world.clock())
    with pytest.raises(Denied):
        helpdesks.order_inventory(
            helpdesk=world.helpdesk, by=world.person("ada"), now=world.clock()
        )
    with pytest.raises(Invalid):
        freeze(world, reason=" ")


def test_a_freeze_holds_new_access_and_closes_nothing(world):
    held = world.active(script_name="goes-on")
    waiting = world.ordered(script_name="waits")
    freeze(world)
    waiting = Credential.objects.get(pk=waiting.pk)
    with pytest.raises(StaleState, match="frozen for new access: The auditors count tokens"):
        connections.start(credential=waiting, by=waiting.owner, session_key="s", now=world.clock())
    ada = browser(world, "ada")
    page = words(ada.get(f"/credentials/{waiting.pk}"))
    assert "Acme production is frozen for new access: The auditors count tokens." in page
    assert "Connect on Acme production" not in page
    assert ada.post(f"/credentials/{waiting.pk}/connect").status_code == 409
    live = held.grants.get(state="live")
    world.now = live.serve_until + timedelta(seconds=1)
    outbox.order(Job.Kind.REFRESH, held.pk, helpdesk=held.helpdesk, now=world.clock())
    world.work()
    assert held.grants.get(state="live").pk != live.pk
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    world.work()
    take_list(world)
    world.work()
    held.refresh_from_db()
    assert held.state == "revoked"


def test_asking_and_deciding_go_on_and_say_that_it_is_frozen(world):
    ada, ben = browser(world, "ada"), browser(world, "ben")
    freeze(world)
    page = words(ada.get("/requests/new"))
    assert "You can ask; connecting waits." in page
    assert "The auditors count tokens" in page
    assert "Acme sandbox is frozen" not in page
    sent = ada.post("/requests/new", filled(world))
    number = int(sent["Location"].rsplit("/", 1)[1])
    card = words(ben.get(f"/requests/{number}"))
    assert "takes no new access for now" in card
    done = ben.post(f"/requests/{number}/approve", {"revision": 1})
    assert done.status_code == 302
    assert (
        "was approved" in words(ada.get(f"/requests/{number}"))
        or world.person("ada").credentials.filter(state="awaiting_consent").exists()
    )


def test_an_exchange_waits_for_the_end_of_a_freeze_and_is_done_at_once(world):
    held = world.ordered()
    world.consent(held)
    freeze(world)
    world.work()
    held.refresh_from_db()
    assert held.state == "issuing"
    assert "exchange" not in world.desk.calls
    world.wait(seconds=30)
    helpdesks.unfreeze(helpdesk=world.helpdesk, by=world.person("omar"), now=world.clock())
    world.work()
    held.refresh_from_db()
    assert held.state == "active"


def test_an_exchange_whose_code_dies_meanwhile_is_refused_with_the_reason(world):
    held = world.ordered()
    world.consent(held)
    freeze(world)
    world.work()
    world.now += settings.CODE_LIFE + timedelta(seconds=1)
    world.work()
    held.refresh_from_db()
    assert held.state == "awaiting_consent"
    assert "frozen for new access: The auditors count tokens." in held.problem
    assert "exchange" not in world.desk.calls


# --- The list ------------------------------------------------------------------------------------------


def test_an_admin_has_the_list_taken_now(world, omar):
    assert omar.post("/operations/production/inventory").status_code == 302
    assert omar.post("/operations/production/inventory").status_code == 302
    assert Job.objects.filter(kind=Job.Kind.INVENTORY, done_at=None).count() == 1
    world.work()
    assert InventoryRun.objects.filter(helpdesk=world.helpdesk, is_complete=True).count() == 1
    assert AuditEvent.objects.filter(event="inventory.ordered").count() == 2


def test_what_is_held_back_is_listed_and_done_on_an_admins_word(world, omar):
    run = hold_back(world)
    page = words(omar.get("/operations"))
    assert "Keydesk held back ending 5 tokens and accesses on Acme production." in page
    ask = words(omar.get("/operations/production/confirm"))
    rows = ask.split("<tbody>")[1]
    assert rows.count("Delete a token that no access of Keydesk owns") == 5
    assert "Read tickets" in rows
    assert f'value="{run.pk}"' in ask
    assert give_word(omar, run).status_code == 302
    world.work()
    assert world.desk.living() == []
    assert "held back ending" not in words(omar.get("/operations"))
    assert AuditEvent.objects.filter(event="inventory.confirmed", actor_name="Omar Said").exists()


def test_a_word_is_not_about_what_was_not_on_the_page(world, omar):
    """A reading that came after the page was opened, and does not count, wrote other things over the list."""
    held = world.active()
    be_well(world)
    run = hold_back(world)
    on_the_page = json.dumps(findings.ids_of(findings.of(run, now=clock.now())))
    lie = [replace(p.record, scopes=frozenset({"write"})) for p in world.desk.living()]
    later = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    inventories.note(run=later, records=lie, now=world.clock())
    inventories.discard(run=later, reason="It contradicts itself.", now=world.clock())
    grant = held.grants.get(state="live")
    assert grant.pk in findings.ids_of(findings.of(run, now=clock.now()))["changed"]
    omar.post("/operations/production/confirm", {"run": run.pk, "shown": on_the_page})
    agreed = json.loads(AuditEvent.objects.get(event="inventory.confirmed").body)
    assert (len(agreed["strays"]), agreed["changed"]) == (5, [])


def test_looking_at_it_does_nothing(world, omar):
    hold_back(world)
    omar.get("/operations/production/confirm")
    world.wait(minutes=5)
    take_list(world)
    assert len(world.desk.living()) == 5


@pytest.mark.parametrize(
    "sent",
    [
        {}, {"run": "x"}, {"run": "0"}, {"run": "9" * 30}, {"run": "77777"}, {"shown": ""},
        {"shown": "{"}, {"shown": "[]"}, {"shown": '{"strays": 7}'}, {"shown": '{"strays": ["7"]}'},
        {"shown": '{"strays": [true]}'},
    ],
)  # fmt: skip
def test_a_word_about_no_list_is_refused(world, omar, sent):
    run = hold_back(world)
    right = {"run": run.pk, "shown": "{}"} if sent else {}
    response = omar.post("/operations/production/confirm", {**right, **sent})
    assert response.status_code == 409
    assert "did not say which list it is about" in words(response)
    assert not InventoryRun.objects.exclude(confirmed_at=None).exists()


def test_the_list_of_another_helpdesk_is_not_confirmed(world, omar):
    run = hold_back(world)
    assert give_word(omar, run, at="sandbox").status_code == 409
    assert not InventoryRun.objects.exclude(confirmed_at=None).exists()


def test_the_second_word_hears_who_gave_the_first(world, omar):
    run = hold_back(world)
    give_word(omar, run)
    late = give_word(omar, run)
    assert late.status_code == 409
    assert "Already confirmed by Omar Said" in words(late)


def test_nothing_to_confirm_leads_back(world, omar):
    be_well(world)
    assert omar.get("/operations/production/confirm").status_code == 302


def test_a_restored_freeze_ends_with_the_word_and_with_nothing_else(world, omar):
    world.active()
    held = world.ordered(script_name="waits")
    world.consent(held)
    helpdesks.freeze_restored(helpdesk=world.helpdesk, now=world.clock())
    refused = omar.post("/operations/production/unfreeze")
    assert refused.status_code == 409
    assert "first an admin has to confirm the list of tokens" in words(refused)
    run = take_list(world)
    held.refresh_from_db()
    assert held.state == "issuing"
    page = words(omar.get("/operations"))
    assert "The list of all tokens on Acme production waits for your word." in page
    ask = words(omar.get("/operations/production/confirm"))
    assert "It and Keydesk's books agree" in ask
    assert "Confirming ends the freeze" in ask
    give_word(omar, run)
    assert world.helpdesk.frozen_at is None
    world.work()
    held.refresh_from_db()
    assert held.state == "active"


def test_a_list_from_before_the_restore_ends_nothing(world, omar):
    run = take_list(world)
    world.wait(seconds=1)
    helpdesks.freeze_restored(helpdesk=world.helpdesk, now=world.clock())
    assert omar.get("/operations/production/confirm").status_code == 302
    give_word(omar, run)
    assert world.helpdesk.frozen_at is not None


# --- The banner ----------------------------------------------------------------------------------------


def test_admins_alone_are_told_on_every_page(world, omar):
    helpdesks.stop(helpdesk=world.helpdesk, reason="The secret is wrong.", now=world.clock())
    told = "Acme production refuses Keydesk's own access."
    for page in ("/", "/queue", "/inventory", "/audit", "/requests/new"):
        assert told in words(omar.get(page)), page
    for key in ("ada", "ben", "cleo"):
        assert told not in words(browser(world, key).get("/")), key
    assert 'count-alarm">1<' in words(browser(world, "cleo").get("/"))
    helpdesks.resume(helpdesk=world.helpdesk, now=world.clock())
    assert told not in words(omar.get("/"))
    assert "count-alarm" not in words(omar.get("/"))


def test_freezes_and_held_back_lists_are_in_the_banner(world, omar):
    hold_back(world)
    world.slug = "sandbox"
    freeze(world)
    page = words(omar.get("/"))
    assert "Acme sandbox is frozen." in page
    assert "Keydesk held back ending 5 tokens and accesses on Acme production." in page
    assert 'count-alarm">2<' in page


def test_the_banner_costs_one_query(world, omar):
    def asked() -> int:
        with CaptureQueriesContext(connection) as found:
            assert omar.get("/").status_code == 200
        return sum("tokens_inventoryrun" in query["sql"] for query in found)

    omar.get("/")
    assert asked() == 1
    freeze(world)
    assert asked() == 1
