"""The key pages: shown once, to its owner, after proof of who they are; other secrets; a token by hand."""

import html
import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client

from accounts import clock
from accounts.models import AuditEvent
from tests.integration._people import browser, words
from tests.sign_in import sign_in
from tests.world import World
from tokens.models import ClientSecret, Credential, Fetch, Grant
from tokens.operations import credentials, keys
from tokens.views import waiting

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"\bkds_[0-9A-Za-z]{38}\b")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose time is the portal's."""
    made = World(now=clock.now())
    monkeypatch.setattr(clock, "now", made.clock)
    return made


@pytest.fixture
def held(world: World, ada: Client) -> Credential:
    return world.active()


def address(held: Credential, page: str = "key") -> str:
    return f"/credentials/{held.pk}/{page}"


def secret_in(response) -> str:
    found = set(SECRET.findall(response.content.decode()))
    assert len(found) == 1, found
    return found.pop()


def works(held: Credential, secret: str, now) -> bool:
    return bool(keys.find_secret(client_id=held.client_id, client_secret=secret, now=now))


def press(client: Client, held: Credential, page: str):
    """Open the page and press its button, as a person does."""
    shown = client.get(address(held, page)).content.decode()
    seen = re.search(r'name="seen" value="(\d+)"', shown)
    return client.post(address(held, page), {"seen": seen.group(1)} if seen else {})


# --- The first key -----------------------------------------------------------------------------------


def test_the_key_is_shown_in_the_answer_to_the_form_and_never_again(world, ada, held):
    asks = ada.get(address(held))
    assert "The secret is shown once." in words(asks)
    assert not SECRET.search(asks.content.decode())
    shown = ada.post(address(held))
    secret = secret_in(shown)
    assert works(held, secret, world.now)
    assert shown["Cache-Control"] == "no-store"
    assert shown["Referrer-Policy"] == "no-referrer"
    for page in ("key", "secret", "replace", "token"):
        assert secret not in ada.get(address(held, page)).content.decode()
    again = ada.get(f"/credentials/{held.pk}").content.decode()
    assert secret not in again
    assert secret[:8] in again
    stored = ClientSecret.objects.get()
    assert secret not in str(vars(stored))
    assert not AuditEvent.objects.filter(body__contains=secret).exists()


def test_the_page_holds_what_a_script_needs(world, ada, held):
    page = words(ada.post(address(held)))
    assert "Your key for weekly-csat" in page
    assert "The secret is shown once. Copy it now." in page
    assert f"{settings.PORTAL_URL}/oauth/token" in page
    assert held.client_id in page
    assert "Delete this credential" in page
    assert f"/credentials/{held.pk}/revoke" in page
    assert "Read tickets and comments" in page
    assert page.index("Python</label>") < page.index("curl</label>")


def test_the_recipe_for_where_it_runs_stands_first(world, ada):
    held = world.active(runs_where="apps_script", script_name="sheet")
    page = words(ada.post(address(held)))
    assert re.search(r'value="apps_script" checked', page)
    assert page.index("Apps Script</label>") < page.index("Python</label>")


def test_sent_twice_it_says_that_it_was_shown(world, ada, held):
    ada.post(address(held))
    again = ada.post(address(held))
    assert again.status_code == 409
    assert "it is shown only once" in words(again)
    assert address(held, "secret") in words(again)
    assert ClientSecret.objects.count() == 1


def test_who_was_not_confirmed_lately_is_asked_first(world, held):
    client = Client()
    for at in (None, world.now - settings.RECENT_AUTHENTICATION - timedelta(seconds=1)):
        sign_in(client, "ada", authenticated_at=at)
        for page in ("key", "secret", "replace", "token"):
            response = client.post(address(held, page))
            assert response.status_code == 403, page
            assert "Confirm it is you" in words(response)
            assert not SECRET.search(response.content.decode())
    assert not ClientSecret.objects.exists()
    assert not Fetch.objects.exists()


def test_a_key_of_what_is_not_connected_leads_back_to_the_access(world, ada):
    held = world.ordered()
    assert ada.get(address(held))["Location"] == f"/credentials/{held.pk}"
    refused = ada.post(address(held))
    assert refused.status_code == 409
    assert "Connect it first" in words(refused)


@pytest.mark.parametrize("page", ["secret", "replace", "token"])
def test_what_makes_no_sense_yet_says_why(world, ada, page):
    held = world.ordered()
    for response in (ada.get(address(held, page)), ada.post(address(held, page))):
        assert response.status_code == 409
        assert "Connect it first." in words(response)


def test_what_has_ended_gives_no_key(world, ada, held):
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    for page in ("secret", "replace", "token"):
        assert ada.post(address(held, page)).status_code == 409, page
    refused = ada.post(address(held))
    assert refused.status_code == 409
    assert not SECRET.search(refused.content.decode())


def test_nothing_is_given_to_somebody_who_only_reads(world, held):
    for key in ("cleo", "omar"):
        client = browser(world, key)
        for page in ("key", "secret", "replace", "token"):
            assert client.get(address(held, page)).status_code == 403
            assert client.post(address(held, page)).status_code == 403


# --- Another secret ----------------------------------------------------------------------------------


def test_a_new_secret_leaves_the_old_one_a_day(world, ada, held):
    old = secret_in(ada.post(address(held)))
    assert "1 day more" in words(ada.get(address(held, "secret")))
    new = secret_in(press(ada, held, "secret"))
    assert works(held, old, world.now)
    assert works(held, new, world.now)
    page = words(ada.get(f"/credentials/{held.pk}"))
    assert new[:8] in page
    assert old[:8] in page
    later = world.now + settings.SECRET_OVERLAP + timedelta(seconds=1)
    assert not works(held, old, later)
    assert works(held, new, later)


def test_replace_now_stops_the_old_secret_and_its_token_at_once(world, ada, held):
    old = secret_in(ada.post(address(held)))
    new = secret_in(press(ada, held, "replace"))
    assert not works(held, old, world.now)
    assert works(held, new, world.now)
    assert Grant.objects.get(credential=held).is_withheld
    world.work()
    assert Grant.objects.filter(credential=held, state="live").get().generation == 2
    assert "replaced the secret" in words(ada.get(f"/credentials/{held.pk}"))


@pytest.mark.parametrize("page", ["secret", "replace"])
def test_a_page_that_is_too_old_makes_no_secret(world, ada, held, page):
    ada.post(address(held))
    first = ClientSecret.objects.get()
    press(ada, held, page)
    for seen in (first.pk, "", "0", "-1", "x", "9" * 30):
        stale = ada.post(address(held, page), {"seen": seen})
        assert stale.status_code == 409, seen
        assert "A new secret was made already" in words(stale)
    assert ClientSecret.objects.count() == 2


# --- A token by hand ---------------------------------------------------------------------------------


def test_a_token_is_taken_by_hand_and_recorded(world, ada, held):
    assert "That you took it is recorded." in words(ada.get(address(held, "token")))
    shown = ada.post(address(held, "token"))
    assert shown["Cache-Control"] == "no-store"
    assert world.desk.living()[0].access in html.unescape(shown.content.decode())
    fetch = Fetch.objects.get()
    assert (fetch.secret, fetch.address) == (None, "127.0.0.1")
    assert "Ada Lindqvist took a token by hand." in words(ada.get(f"/credentials/{held.pk}"))


def test_a_token_that_is_being_renewed_is_waited_for(world, ada, held, monkeypatch):
    monkeypatch.setattr(waiting, "pause", lambda *_: world.work())
    world.now = Grant.objects.get(credential=held).serve_until
    sign_in(ada, "ada")
    shown = ada.post(address(held, "token"))
    assert shown.status_code == 200
    assert world.desk.living()[0].access in shown.content.decode()


def test_a_token_that_does_not_come_is_said_and_nothing_is_lost(world, ada, held, settings):
    settings.TOKEN_WAIT = timedelta(seconds=0.3)
    world.now = Grant.objects.get(credential=held).serve_until
    sign_in(ada, "ada")
    busy = ada.post(address(held, "token"))
    assert busy.status_code == 503
    assert "Nothing is lost" in words(busy)
    assert not Fetch.objects.exists()
