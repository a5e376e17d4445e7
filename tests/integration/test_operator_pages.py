"""Inventory and audit: who reads them, what they show, filters, pages, and that they stay flat in queries."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import clock
from accounts.models import AuditEvent
from tests.integration._people import browser, words
from tests.world import World
from tokens import outbox
from tokens.connectors.base import Retry
from tokens.models import Credential, InventoryRun, SeenToken
from tokens.operations import credentials, grants

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose time is the portal's."""
    made = World(now=clock.now())
    monkeypatch.setattr(clock, "now", made.clock)
    return made


@pytest.fixture
def cleo(world: World) -> Client:
    return browser(world, "cleo")


def many(world: World, count: int) -> list[Credential]:
    return [world.ordered(script_name=f"script-{n:03}", days=7) for n in range(count)]


def next_page(html: str) -> str:
    found = re.search(r'rel="next" href="([^"]+)"', html)
    return found.group(1).replace("&amp;", "&") if found else ""


def queries_of(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


# --- Who ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["/inventory", "/audit"])
def test_only_admins_and_auditors_read_them(world, page):
    for key, status in {"ada": 403, "ben": 403, "zoe": 403, "omar": 200, "cleo": 200}.items():
        assert browser(world, key).get(page).status_code == status, key
    assert Client().get(page).status_code == 302


@pytest.mark.parametrize("page", ["/inventory", "/audit"])
def test_they_take_no_posts(world, cleo, page):
    assert cleo.post(page).status_code == 405


# --- The inventory -----------------------------------------------------------------------------------


def test_the_inventory_says_whose_whom_what_and_until_when(world, cleo):
    assert "Access will stand here" in words(cleo.get("/inventory"))
    held = world.active()
    page = words(cleo.get("/inventory"))
    for part in (
        "weekly-csat",
        held.client_id,
        "Ada Lindqvist",
        "Acme production",
        "Read tickets and comments",
    ):
        assert part in page
    assert f'href="/credentials/{held.pk}"' in page


def test_what_has_ended_is_shown_only_when_asked_for(world, cleo):
    held = world.ordered(script_name="over-now")
    credentials.cancel(credential=held, by=held.owner, reason="", now=world.clock())
    world.ordered(script_name="still-there")
    assert "over-now" not in words(cleo.get("/inventory"))
    both = words(cleo.get("/inventory?state=all"))
    assert "over-now" in both
    assert "still-there" in both
    only = words(cleo.get("/inventory?state=cancelled"))
    assert "over-now" in only
    assert "still-there" not in only


def test_the_inventory_is_narrowed_by_helpdesk_and_owner(world, cleo):
    world.ordered(by="noor", script_name="noors")
    world.ordered(script_name="adas")
    world.slug = "sandbox"
    world.ordered(script_name="adas-sandbox", days=7)
    page = words(cleo.get("/inventory?owner=noor"))
    assert ">noors<" in page
    assert ">adas<" not in page
    page = words(cleo.get("/inventory?helpdesk=sandbox&owner=ADA lindqvist"))
    assert "adas-sandbox" in page
    assert ">adas<" not in page
    assert "Nothing matches this filter." in words(cleo.get("/inventory?owner=nobody"))


@pytest.mark.parametrize(
    "query",
    ["state=nonsense", "helpdesk=nowhere", f"owner={'x' * 101}", "owner=a%00b", "owner=%1b", "before=x",
     "before=-1", f"before={'9' * 40}", "before=%C2%B2", "state=all&state=x"],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_narrows_nothing(world, cleo, query):
    world.ordered(script_name="still-there")
    response = cleo.get(f"/inventory?{query}")
    assert response.status_code == 200
    assert "still-there" in words(response)


def test_a_long_inventory_is_read_page_by_page_with_its_filter(world, cleo):
    many(world, 105)
    seen, address = [], "?owner=ada"
    while address:
        html = cleo.get(f"/inventory{address}").content.decode()
        seen.append(re.findall(r">(script-\d+)</a>", html))
        address = next_page(html)
        assert not address or "owner=ada" in address
    assert [len(page) for page in seen] == [50, 50, 5]
    assert len({name for page in seen for name in page}) == 105


def test_the_inventory_asks_as_often_for_one_as_for_fifty(world, cleo):
    world.ordered()
    few = queries_of(cleo, "/inventory")
    many(world, 55)
    assert queries_of(cleo, "/inventory") == few < 16


def test_ends_that_do_not_come_stand_on_top(world, cleo):
    held = world.active(script_name="hard-to-kill")
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    for _ in range(outbox.TRIES_BEFORE_RED - 1):
        fail_once(world)
    assert "Not confirmed gone" not in words(browser(world, "cleo").get("/inventory"))
    fail_once(world)
    page = words(browser(world, "cleo").get("/inventory?owner=nobody"))
    assert "Not confirmed gone: hard-to-kill on Acme production." in page
    assert f"{outbox.TRIES_BEFORE_RED} tries failed. The helpdesk is away." in page
    assert "Next try" in page


def fail_once(world: World) -> None:
    world.desk.next_answers["show"].append(Retry("The helpdesk is away."))
    world.wait(minutes=15)
    world.work()


def test_a_token_of_nobody_that_does_not_go_stands_on_top_too(world, cleo):
    run = InventoryRun.objects.create(
        helpdesk=world.helpdesk, started_at=world.now, is_complete=True
    )
    seen = SeenToken.objects.create(
        helpdesk=world.helpdesk, remote_id=9, remote_user_id=1, scopes="read", first_run=run,
        last_run=run, expires_at=world.now, refresh_expires_at=world.now,
    )  # fmt: skip
    grants.adopt(helpdesk=world.helpdesk, seen=seen, now=world.clock())
    for _ in range(outbox.TRIES_BEFORE_RED):
        fail_once(world)
    page = words(browser(world, "cleo").get("/inventory"))
    assert "Not confirmed gone: a token of nobody on Acme production." in page


# --- The audit ---------------------------------------------------------------------------------------


def test_the_audit_tells_each_event_as_a_sentence_with_its_thing(world, cleo):
    held = world.active()
    page = words(cleo.get("/audit"))
    assert "Ada Lindqvist asked for Read tickets for 90 days." in page
    assert "Ben Achterberg approved it for 90 days." in page
    assert f'href="/credentials/{held.pk}"' in page
    assert "Cleo Marchetti signed in as agent and auditor." in page
    assert page.index("Ben Achterberg approved") < page.index("Ada Lindqvist asked")


def test_the_audit_is_narrowed_by_event_person_and_thing(world, cleo):
    held = world.active()
    world.active(by="noor", script_name="noors")
    asked = words(cleo.get("/audit?event=request.submitted"))
    assert asked.split("<tbody>")[1].count(" asked for ") == 2
    assert "approved it" not in asked.split("<tbody>")[1]
    noors = words(cleo.get("/audit?event=request.submitted&actor=noor")).split("<tbody>")[1]
    assert "Noor Haddad asked" in noors
    assert "Ada Lindqvist asked" not in noors
    about = words(cleo.get(f"/audit?kind=Credential&number={held.pk}")).split("<tbody>")[1]
    assert "weekly-csat" in about
    assert "noors" not in about
    assert "Nothing matches this filter." in words(cleo.get("/audit?actor=nobody"))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("number=x", "Write a whole number."),
        ("number=0", "Numbers start at 1."),
        (f"number={'9' * 30}", "There is no such number."),
        ("event=nonsense", "Choose one of the list."),
        ("kind=Secret", "Choose one of the list."),
        (f"actor={'x' * 101}", "Use at most 100 characters."),
        ("actor=a%00b", "It holds a character that cannot be seen."),
        ("before=nonsense", ""),
    ],
)
def test_a_filter_that_makes_no_sense_says_so_and_narrows_nothing(world, cleo, query, sentence):
    response = cleo.get(f"/audit?{query}")
    assert response.status_code == 200
    assert sentence in words(response)
    assert "Cleo Marchetti signed in" in words(response)


def test_a_long_audit_is_read_page_by_page(world, cleo):
    many(world, 30)
    total, address, seen = AuditEvent.objects.count(), "/audit", 0
    assert total > 100
    while address:
        html = cleo.get(address).content.decode()
        seen += html.split("<tbody>")[1].count("<tr>")
        found = next_page(html)
        address = f"/audit{found}" if found else ""
    assert seen == total


def test_the_audit_asks_as_often_for_a_few_as_for_fifty(world, cleo):
    world.active()
    few = queries_of(cleo, "/audit?event=credential.ordered")
    world.active(script_name="second")
    many(world, 60)
    assert queries_of(cleo, "/audit?event=credential.ordered") == few
    assert queries_of(cleo, "/audit") < 20


def test_an_event_without_a_sentence_shows_its_name(world, cleo, caplog):
    AuditEvent.objects.create(
        at=world.now, event="thing.happened", actor="system", actor_name="Keydesk",
        target_type="Thing", target_id="7", body="not json",
    )  # fmt: skip
    assert "thing.happened" in words(cleo.get("/audit"))
    assert "No sentence for the audit event thing.happened" in caplog.text


def test_no_word_of_the_code_stands_on_these_pages(world, cleo):
    held = world.active()
    credentials.lose(credential=held, reason="The consent was withdrawn.", now=world.clock())
    held.refresh_from_db()
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    world.work()
    for page in ("/inventory?state=all", "/audit"):
        html = words(cleo.get(page))
        text = re.sub(r"<[^>]+>", " ", html).lower()
        for word in (
            "grant",
            "claim",
            "reveal",
            "lapse",
            " lost",
            "stray",
            " slug",
            "doomed",
            "buried",
            "attempt",
        ):
            assert word not in text, (page, word)
