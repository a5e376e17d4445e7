"""The page of one access, going to the consent page and coming back, and the end: what each page says and refuses."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import clock
from accounts.models import AuditEvent
from tests.integration._people import browser, words
from tests.world import World
from tokens import outbox
from tokens.connectors.base import Retry, Unknown
from tokens.models import Connection, Credential, Job
from tokens.operations import credentials, keys, sweeps
from tokens.queries.operator import stuck_ends
from tokens.states import CredentialState

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose time is the portal's."""
    made = World(now=clock.now())
    monkeypatch.setattr(clock, "now", made.clock)
    return made


def leave(client: Client, credential: Credential) -> dict[str, str]:
    """Press *Connect*; what the consent page is asked."""
    response = client.post(f"/credentials/{credential.pk}/connect")
    assert response.status_code == 303, words(response)
    asked = parse_qs(urlsplit(response["Location"]).query)
    return {name: values[0] for name, values in asked.items()}


def come_back(client: Client, *, slug: str = "production", **query: object):
    return client.get(f"/helpdesks/{slug}/callback", query)


# --- The page ----------------------------------------------------------------------------------------


def test_the_page_says_what_it_is_and_the_one_next_step(world, ada):
    credential = world.ordered()
    page = words(ada.get(f"/credentials/{credential.pk}"))
    assert "Connect on Acme production" in page
    assert "Read tickets and comments" in page
    assert "Ben Achterberg approved it for 90 days." in page
    assert "Ada Lindqvist asked for Read tickets for 90 days." in page
    assert "Connect it first." in page


@pytest.mark.parametrize("key", ["ben", "zoe", "noor"])
def test_other_peoples_access_is_not_there(world, key):
    credential = world.active()
    client = browser(world, key)
    for page in ("", "/connect", "/key", "/secret", "/replace", "/token", "/revoke"):
        assert client.get(f"/credentials/{credential.pk}{page}").status_code == 404, page
        if page:
            assert client.post(f"/credentials/{credential.pk}{page}").status_code == 404, page


@pytest.mark.parametrize("key", ["cleo", "june"])
def test_who_only_reads_gets_no_buttons(world, key):
    deputy = world.person("june")
    credential = world.active(deputy=deputy)
    client = browser(world, key)
    page = words(client.get(f"/credentials/{credential.pk}"))
    assert "Only Ada Lindqvist takes keys and tokens." in page
    assert "Only the owner and admins can end this access." in page
    for action in ("connect", "key", "secret", "replace", "token", "revoke"):
        assert client.post(f"/credentials/{credential.pk}/{action}").status_code == 403, action
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE


def test_a_deputy_does_not_read_what_deciders_wrote(world, ada):
    row = world.ask(deputy=world.person("noor"))
    world.approve(row, reason="Her tickets are sensitive.")
    row.refresh_from_db()
    address = f"/credentials/{row.credential_id}"
    assert "Her tickets are sensitive." in words(ada.get(address))
    assert "Her tickets are sensitive." not in words(browser(world, "noor").get(address))


def test_an_unknown_number_is_not_there(world, ada):
    for number in ("1", "999999999", "99999999999999999999999"):
        assert ada.get(f"/credentials/{number}").status_code == 404


def test_who_is_not_signed_in_is_led_to_the_sign_in(world):
    credential = world.ordered()
    response = Client().get(f"/credentials/{credential.pk}")
    assert response.status_code == 302
    assert "next=" in response["Location"]


def test_the_number_of_queries_does_not_grow_with_use(world, ada):
    credential = world.active()
    secret = keys.issue_secret(credential=credential, by=credential.owner, now=world.clock())
    found = keys.find_secret(
        client_id=secret.client_id, client_secret=secret.client_secret, now=world.now
    )
    address, counts = f"/credentials/{credential.pk}", []
    assert "not used yet" in words(ada.get(address))
    for uses in (30, 60):
        for _ in range(30):
            keys.hand_out(
                credential_id=credential.pk, secret=found, address=None, now=world.clock()
            )
        with CaptureQueriesContext(connection) as queries:
            page = words(ada.get(address))
        assert f"{uses} tokens handed out" in page
        counts.append(len(queries))
    assert counts[0] == counts[1] < 25


# --- Connecting --------------------------------------------------------------------------------------


def test_connecting_asks_for_exactly_what_was_approved(world, ada):
    credential = world.ordered()
    asked = leave(ada, credential)
    assert asked["scope"].split() == sorted(credential.scopes)
    assert asked["redirect_uri"] == f"{settings.PORTAL_URL}/helpdesks/production/callback"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert len(asked["state"]) >= 40
    assert not Connection.objects.filter(state_digest=asked["state"]).exists()


def test_coming_back_leads_on_to_the_page_that_follows_by_itself(world, ada):
    credential = world.ordered()
    asked = leave(ada, credential)
    code = world.desk.consent(credential.acts_as.remote_id, credential.scopes)
    response = come_back(ada, state=asked["state"], code=code)
    assert (response.status_code, response["Location"]) == (303, f"/credentials/{credential.pk}")
    assert response["Referrer-Policy"] == "no-referrer"
    page = words(ada.get(response["Location"]))
    assert "waiting for Acme production since" in page
    assert 'http-equiv="refresh"' in page
    assert "hx-get=" in page
    world.work()
    page = words(ada.get(response["Location"]))
    assert "Show my key" in page
    assert "hx-get=" not in page


def test_a_page_that_follows_is_drawn_anew_only_when_something_changed(world, ada):
    credential = world.ordered()
    world.consent(credential)
    address = f"/credentials/{credential.pk}"
    htmx = {"HX-Request": "true"}
    seen = {"seen": "issuing-0"}
    assert ada.get(address, seen, headers=htmx).status_code == 204
    assert ada.get(address, seen).status_code == 200
    world.work()
    assert ada.get(address, seen, headers=htmx).status_code == 200


def test_a_refusal_on_the_helpdesk_changes_nothing_and_says_so(world, ada):
    credential = world.ordered()
    asked = leave(ada, credential)
    come_back(ada, state=asked["state"], error="access_denied")
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT
    page = words(ada.get(f"/credentials/{credential.pk}"))
    assert "You chose not to allow it on Acme production." in page
    assert "Connect on Acme production" in page


def test_what_the_helpdesk_gave_wrongly_is_said_in_words(world, ada):
    credential = world.ordered()
    asked = leave(ada, credential)
    piotr = world.person("piotr").helpdesk_links.first().helpdesk_user
    come_back(
        ada, state=asked["state"], code=world.desk.consent(piotr.remote_id, credential.scopes)
    )
    world.work()
    page = words(ada.get(f"/credentials/{credential.pk}"))
    assert "Somebody else was signed in on the helpdesk." in page
    assert "Connect on Acme production" in page


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"code": "a-code"},
        {"state": "", "code": "a-code"},
        {"state": "nobody's", "code": "a-code"},
        {"state": "x" * 5000, "code": "a-code"},
        {"state": ["{state}", "{state}"], "code": "a-code"},
        {"state": "\x00\x01<script>", "code": "a-code"},
        {"state": "nobody's", "error": "access_denied"},
    ],
)
def test_an_answer_that_belongs_to_no_trip_is_refused_and_recorded(world, ada, query):
    credential = world.ordered()
    asked = leave(ada, credential)
    given = {
        name: [v.format(**asked) for v in value] if isinstance(value, list) else value
        for name, value in query.items()
    }
    response = come_back(ada, **given)
    assert response.status_code == 400
    assert "does not belong to a connection you started" in words(response)
    assert 'href="/"' in words(response)
    assert response["Referrer-Policy"] == "no-referrer"
    assert AuditEvent.objects.filter(event="connection.rejected").count() == 1
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT


def test_a_state_works_once(world, ada):
    credential = world.ordered()
    asked = leave(ada, credential)
    assert come_back(ada, state=asked["state"], code="first").status_code == 303
    assert come_back(ada, state=asked["state"], code="second").status_code == 400


def test_a_state_of_another_browser_person_or_helpdesk_is_refused(world, ada):
    credential = world.ordered()
    asked = leave(ada, credential)
    others = [
        (browser(world, "ada"), "production"),
        (browser(world, "noor"), "production"),
        (ada, "sandbox"),
    ]
    for client, slug in others:
        response = come_back(client, slug=slug, state=asked["state"], code="a-code")
        assert response.status_code == 400, slug
    assert come_back(ada, slug="elsewhere", state=asked["state"], code="a-code").status_code == 400
    assert come_back(ada, state=asked["state"], code="a-code").status_code == 303


def test_a_state_ends_after_ten_minutes(world, ada):
    credential = world.ordered()
    asked = leave(ada, credential)
    world.wait(minutes=11)
    assert come_back(ada, state=asked["state"], code="a-code").status_code == 400


def test_who_comes_back_signed_out_signs_in_first_and_uses_nothing_up(world, ada):
    credential = world.ordered()
    asked = leave(ada, credential)
    response = come_back(Client(), state=asked["state"], code="a-code")
    assert response.status_code == 302
    assert Connection.objects.get().used_at is None


def test_the_binding_survives_a_new_session_key(world, ada):
    credential = world.ordered()
    asked = leave(ada, credential)
    session = ada.session
    session.cycle_key()
    session.save()
    ada.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    assert come_back(ada, state=asked["state"], code="a-code").status_code == 303


def test_a_trip_that_became_pointless_is_a_page_that_says_so(world, ada):
    credential = world.ordered()
    asked = leave(ada, credential)
    credentials.cancel(credential=credential, by=credential.owner, reason="", now=world.clock())
    response = come_back(ada, state=asked["state"], code="a-code")
    assert response.status_code == 409
    assert "There is nothing to connect." in words(response)


def test_codes_that_come_to_nothing_are_few_an_hour_and_not_counted_where_access_was_kept(
    world, ada, settings
):
    settings.CONSENTS_PER_HOUR = 2
    world.active()
    credential = world.ordered(script_name="invented-codes")
    early = leave(ada, credential)
    for code in ("invented", "invented too"):
        assert come_back(ada, state=leave(ada, credential)["state"], code=code).status_code == 303
        world.work()
    for refused in (
        ada.post(f"/credentials/{credential.pk}/connect"),
        come_back(ada, state=early["state"], code="a third"),
    ):
        assert refused.status_code == 409
        assert "2 times within an hour and nothing could be kept" in words(refused)
    assert not Job.objects.filter(done_at=None, kind=Job.Kind.EXCHANGE).exists()
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT
    assert "Connect on Acme production" not in words(ada.get(f"/credentials/{credential.pk}"))
    world.wait(seconds=3601)
    world.consent(credential)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE


def test_connect_as_a_page_leads_to_the_access(world, ada):
    credential = world.ordered()
    assert (
        ada.get(f"/credentials/{credential.pk}/connect")["Location"]
        == f"/credentials/{credential.pk}"
    )
    assert not Connection.objects.exists()


def test_what_cannot_be_connected_says_why(world, ada):
    credential = world.active()
    response = ada.post(f"/credentials/{credential.pk}/connect")
    assert response.status_code == 409
    assert "There is nothing to connect." in words(response)


def test_after_its_time_the_page_says_that_it_cannot_be_connected(world, ada):
    credential = world.ordered()
    world.now = credential.connect_by + timedelta(seconds=1)
    ada = browser(world, "ada")
    assert "The time to connect it is over." in words(ada.get(f"/credentials/{credential.pk}"))


def test_a_helpdesk_that_left_the_settings_is_a_sentence(world, ada, settings):
    credential = world.ordered()
    settings.HELPDESKS = {}
    response = ada.post(f"/credentials/{credential.pk}/connect")
    assert response.status_code == 409
    assert "no longer set up" in words(response)


def test_disconnected_access_is_connected_again_and_keeps_its_key(world, ada):
    credential = world.active()
    keys.issue_secret(credential=credential, by=credential.owner, now=world.clock())
    credentials.lose(credential=credential, reason="The consent was withdrawn.", now=world.clock())
    page = words(ada.get(f"/credentials/{credential.pk}"))
    assert "Connect again" in page
    assert "The consent was withdrawn." in page
    asked = leave(ada, credential)
    come_back(
        ada,
        state=asked["state"],
        code=world.desk.consent(credential.acts_as.remote_id, credential.scopes),
    )
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE
    assert credential.secrets.count() == 1


# --- The end -----------------------------------------------------------------------------------------


def test_ending_asks_first_then_ends_and_confirms(world, ada):
    credential = world.active()
    address = f"/credentials/{credential.pk}"
    assert "This cannot be undone." in words(ada.get(f"{address}/revoke"))
    assert ada.post(f"{address}/revoke")["Location"] == address
    page = words(ada.get(address))
    assert "Not confirmed gone yet" in page
    assert "Ada Lindqvist ended it." in page
    world.work()
    page = words(ada.get(address))
    assert "Confirmed gone on the helpdesk." in page
    assert world.desk.living() == []


def test_ending_twice_says_since_when(world, ada):
    credential = world.active()
    address = f"/credentials/{credential.pk}/revoke"
    ada.post(address)
    for response in (ada.post(address), ada.get(address)):
        assert response.status_code == 409
        assert "has been ending since" in words(response)
        assert "ended by Ada Lindqvist." in words(response)
    world.work()
    assert "has been over since" in words(ada.post(address))


def test_an_admin_says_why_and_the_owner_reads_it(world, ada):
    credential = world.active()
    omar = browser(world, "omar")
    address = f"/credentials/{credential.pk}/revoke"
    refused = omar.post(address, {"reason": ""})
    assert refused.status_code == 422
    assert "Say why; its owner will read it." in words(refused)
    assert omar.post(address, {"reason": "Seen in a chat."}).status_code == 302
    page = words(ada.get(f"/credentials/{credential.pk}"))
    assert "Omar Said ended it." in page
    assert "“Seen in a chat.”" in page


@pytest.mark.parametrize("reason", ["x" * 301, "a\x00b", "a\x1bb", "a\u202eb"])
def test_a_reason_nobody_can_read_is_refused(world, ada, reason):
    credential = world.active()
    response = ada.post(f"/credentials/{credential.pk}/revoke", {"reason": reason})
    assert response.status_code == 422
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE


def test_markup_in_a_reason_is_shown_as_text(world, ada):
    credential = world.active()
    ada.post(f"/credentials/{credential.pk}/revoke", {"reason": "<script>alert(1)</script>"})
    html = ada.get(f"/credentials/{credential.pk}").content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_what_was_never_connected_is_cancelled(world, ada):
    credential = world.ordered()
    assert "Cancel this access" in words(ada.get(f"/credentials/{credential.pk}"))
    ada.post(f"/credentials/{credential.pk}/revoke")
    credential.refresh_from_db()
    assert credential.state == CredentialState.CANCELLED
    assert "Ada Lindqvist cancelled it." in words(ada.get(f"/credentials/{credential.pk}"))


def test_an_end_that_keeps_failing_is_red_with_error_age_and_next_try(world, ada):
    credential = world.active()
    ada.post(f"/credentials/{credential.pk}/revoke")
    for _ in range(outbox.TRIES_BEFORE_RED):
        world.desk.next_answers["show"].append(Retry("The helpdesk is away."))
        world.wait(minutes=15)
        world.work()
    ada = browser(world, "ada")
    page = words(ada.get(f"/credentials/{credential.pk}"))
    assert f"{outbox.TRIES_BEFORE_RED} tries to end it on Acme production have failed" in page
    assert "The helpdesk is away." in page
    assert "Next try" in page
    assert "not confirmed gone" in page
    assert Job.objects.filter(kind=Job.Kind.CLOSE, done_at=None).exists()


def test_an_end_is_red_when_the_refresh_that_would_kill_its_second_half_gets_no_answer(world):
    credential = world.active()
    world.now += settings.ACCESS_TOKEN_MOST + timedelta(minutes=1)  # its access half is over
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    world.desk.next_answers["refresh"] += [Unknown("The helpdesk did not answer.")] * 50
    for _ in range(outbox.TRIES_BEFORE_RED):
        world.wait(minutes=15)
        world.work()
    page = words(browser(world, "ada").get(f"/credentials/{credential.pk}"))
    assert f"{outbox.TRIES_BEFORE_RED} tries to end it on Acme production have failed" in page
    assert "The helpdesk did not answer." in page
    assert "Next try" in page


def test_an_end_that_waits_for_the_list_is_red_when_the_list_keeps_failing(world, ada):
    credential = world.ended_without_an_answer()
    world.desk.next_answers["list"] += [Retry("The list is away.")] * 50
    for _ in range(outbox.TRIES_BEFORE_RED + 1):
        world.wait(minutes=15)
        world.work()
    page = words(browser(world, "ada").get(f"/credentials/{credential.pk}"))
    assert "tries to end it on Acme production have failed" in page
    assert "The list is away." in page
    assert "Next try" in page
    (stuck,) = stuck_ends(least_tries=outbox.TRIES_BEFORE_RED)
    assert (stuck.credential, stuck.jobs[0].kind) == (credential, Job.Kind.INVENTORY)
    world.desk.next_answers["list"].clear()
    world.wait(minutes=15)
    world.work()
    assert "not confirmed gone" not in words(
        browser(world, "ada").get(f"/credentials/{credential.pk}")
    )
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED


def test_an_end_that_waits_for_what_its_call_made_is_red_when_that_cannot_be_deleted(world, ada):
    credential = world.ended_without_an_answer(is_made=True)
    world.desk.next_answers["delete"] += [Retry("It will not be deleted.")] * 50
    for _ in range(outbox.TRIES_BEFORE_RED + 4):
        world.wait(minutes=15)
        sweeps.order_inventories(now=world.clock())
        world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKING
    page = words(browser(world, "ada").get(f"/credentials/{credential.pk}"))
    assert "tries to end it on Acme production have failed" in page
    assert "It will not be deleted." in page
    assert "Next try" in page


def test_no_word_of_the_code_stands_on_a_page(world, ada):
    credential = world.active()
    ada.post(f"/credentials/{credential.pk}/revoke")
    world.work()
    page = words(ada.get(f"/credentials/{credential.pk}")).lower()
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
    ):
        assert word not in page, word


@pytest.mark.parametrize("address", ["connect", "secret", "replace", "token"])
def test_who_comes_after_the_end_is_told_who_ended_it_and_when(world, ada, address):
    credential = world.active()
    admin = world.person("omar")
    credentials.revoke(credential=credential, by=admin, reason="It leaked.", now=world.clock())
    response = ada.post(f"/credentials/{credential.pk}/{address}", follow=True)
    assert response.status_code == 409
    assert "This access has been ending since" in words(response)
    assert f"ended by {admin.name}" in words(response)
