"""My access: the one next step of each credential, the tables, what is over, and what somebody without a user reads."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.integration._people import browser, words
from tests.world import World
from tokens.models import Credential, Fetch, HelpdeskLink
from tokens.operations import credentials, decisions, helpdesks, keys, requests

pytestmark = pytest.mark.django_db


def with_key(world: World, **changes) -> Credential:
    held = world.active(**{"days": 7, **changes})
    keys.issue_secret(credential=held, by=held.owner, now=world.clock())
    return held


def step_of(response, script: str) -> str:
    return {row.credential.script_name: row.step for row in response.context["mine"].steps}.get(
        script, ""
    )


def test_an_empty_page_says_what_will_be_here_and_offers_the_one_action(ada):
    page = words(ada.get("/"))
    assert "Access your scripts can use will stand here." in page
    assert 'href="/requests/new"' in page


def test_what_was_approved_is_to_be_connected(world, ada):
    held = world.ordered(days=7)
    response = ada.get("/")
    assert step_of(response, "weekly-csat") == "connect"
    page = words(response)
    assert f'action="/credentials/{held.pk}/connect"' in page
    assert "was approved. Connect it on Acme production by " in page


def test_why_connecting_did_not_work_is_said(world, ada):
    held = world.ordered(days=7)
    world.consent(
        held, as_user=world.person("piotr").helpdesk_links.first().helpdesk_user.remote_id
    )
    world.work()
    assert "is not connected. Somebody else was signed in on the helpdesk." in words(ada.get("/"))


def test_what_is_past_its_time_to_connect_offers_nothing(world, ada):
    held = world.ordered(days=7)
    Credential.objects.filter(pk=held.pk).update(connect_by=world.now - timedelta(minutes=1))
    assert step_of(ada.get("/"), "weekly-csat") == ""


def test_what_may_not_be_connected_now_says_why_in_place_of_the_button(world, ada):
    held = world.ordered(days=7)
    helpdesks.freeze(
        helpdesk=held.helpdesk, by=world.person("omar"), reason="We rotate.", now=world.clock()
    )
    page = words(ada.get("/"))
    assert "Not now: Acme production is frozen for new access: We rotate." in page
    assert f'action="/credentials/{held.pk}/connect"' not in page
    assert "is frozen for new access" in words(ada.post(f"/credentials/{held.pk}/connect"))


def test_while_it_is_connecting_there_is_nothing_to_press(world, ada):
    world.consent(world.ordered(days=7))
    response = ada.get("/")
    assert step_of(response, "weekly-csat") == ""
    assert "connecting" in words(response)


def test_what_works_without_a_key_leads_to_its_key(world, ada):
    held = world.active(days=7)
    response = ada.get("/")
    assert step_of(response, "weekly-csat") == "take_key"
    assert f'href="/credentials/{held.pk}/key"' in words(response)


def test_what_works_is_listed_with_its_end_its_last_use_and_renewing(world, ada):
    held = with_key(world, days=60)
    grant = held.grants.get(state="live")
    page = words(ada.get("/"))
    assert "not used yet" in page
    Fetch.objects.create(credential=held, grant=grant, at=world.now - timedelta(hours=2))
    page = words(ada.get("/"))
    assert step_of(ada.get("/"), "weekly-csat") == ""
    assert "2 h" in page
    assert "Read tickets and comments" in page
    assert f'href="/requests/new?renews={held.pk}"' in page
    assert ">active</span>" in page.replace("</span>active", ">active")


def test_near_its_end_it_says_so(world, ada):
    with_key(world, days=6)
    assert "ends soon" in words(ada.get("/"))


def test_a_renewal_that_waits_stands_in_place_of_renewing(world, ada):
    held = with_key(world)
    renewal = world.ask(scopes=held.scopes, renews=held, days=60)
    page = words(ada.get("/"))
    assert f'href="/requests/{renewal.pk}">Renewal waits' in page
    assert f"renews={held.pk}" not in page


def test_what_was_disconnected_says_why_and_is_connected_again(world, ada):
    held = with_key(world)
    credentials.lose(credential=held, reason="The consent was withdrawn.", now=world.clock())
    response = ada.get("/")
    assert step_of(response, "weekly-csat") == "reconnect"
    page = words(response)
    assert "was disconnected. The consent was withdrawn." in page
    assert "Connect again" in page
    assert "lost" not in page


def test_what_waits_is_listed_with_whom_since_when_and_until_when(world, ada):
    for key in ("ben", "june", "omar"):
        world.person(key)
    world.now -= timedelta(hours=5)
    row = world.ask()
    page = words(ada.get("/"))
    assert "Ben Achterberg, June Moreno or an admin" in page
    for label, moment in (("Since", row.revised_at), ("Decide by", row.decide_by)):
        assert (
            f'<td data-label="{label}" class="nowrap"><time datetime="{moment.isoformat()}">'
            in page
        )
    assert f'href="/requests/{row.pk}/amend"' in page
    assert f'href="/requests/{row.pk}/withdraw"' in page


def test_what_is_ending_is_not_called_gone(world, ada):
    held = with_key(world)
    credentials.revoke(credential=held, by=held.owner, reason="Not needed", now=world.clock())
    page = words(ada.get("/"))
    assert "not confirmed gone yet" in page
    assert "Ended access (0)" in page


def test_what_has_ended_is_kept_with_who_approved_it(world, ada):
    held = world.active(days=30)
    credentials.revoke(credential=held, by=held.owner, reason="Not needed", now=world.clock())
    for _ in range(3):
        world.work()
        world.wait(minutes=5)
    held.refresh_from_db()
    assert held.state == "revoked"
    assert "Ended access (1)" in words(ada.get("/"))
    page = words(ada.get("/ended"))
    assert f'href="/credentials/{held.pk}"' in page
    assert "Ben Achterberg" in page
    assert "Not needed" in page


def over(world: World, count: int, mark: str = "first") -> None:
    """So much of Ada's that is over, of each kind; the later the higher its number."""
    held = world.ordered(days=7)
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    row = world.ask()
    requests.withdraw(access_request=row, by=row.requester, now=world.clock())
    row.refresh_from_db()
    held.script_name, row.script_name = "access-000", "request-000"
    held.save(), row.save()
    for n in range(1, count):
        held.pk, held.client_id, held.script_name = None, f"kd_{mark}_{n}", f"access-{n:03}"
        row.pk, row.submission_key, row.script_name = None, f"key-{mark}-{n}", f"request-{n:03}"
        held.save(), row.save()


def shown(page: str) -> set[str]:
    return set(re.findall(r">((?:access|request)-\d{3})</a>", page))


def step(page: str, label: str) -> str:
    """Where a pager leads; "" where it has no such step."""
    found = re.search(rf'href="([^"]+)">{label}</a>', page)
    return found.group(1).replace("&amp;", "&") if found else ""


def test_however_much_is_over_all_of_it_can_be_reached(world, ada):
    over(world, 120)
    page, seen = words(ada.get("/ended")), set()
    assert step(page, "Newest access") == step(page, "Newest requests") == ""
    for label in ("Older access", "Older requests") * 2:
        seen |= shown(page)
        page = words(ada.get(step(page, label)))
    assert seen | shown(page) == {
        f"{what}-{n:03}" for what in ("access", "request") for n in range(120)
    }
    assert step(page, "Older access") == step(page, "Older requests") == ""
    back = words(ada.get(step(page, "Newest access")))
    assert "access-119" in back, "that list begins anew"
    assert "request-000" in back, "the other stays where it was"
    assert "access-119" in words(ada.get("/ended?before=x&requests_before=%00"))


def test_what_is_over_is_counted_to_a_hundred_and_costs_the_same(world, ada):
    over(world, 2)
    assert "Ended access (4)" in words(ada.get("/"))
    with CaptureQueriesContext(connection) as for_few:
        ada.get("/ended")
    over(world, 120, "more")
    assert "Ended access (99+)" in words(ada.get("/"))
    with CaptureQueriesContext(connection) as counting:
        ada.get("/")
    rows = ("tokens_credential", "tokens_accessrequest")
    counts = [one["sql"] for one in counting if "COUNT(*) FROM" in one["sql"]]
    counts = [sql for sql in counts if any(table in sql for table in rows)]
    assert len(counts) == 2
    assert all(" LIMIT 100" in sql for sql in counts)
    with CaptureQueriesContext(connection) as for_many:
        ada.get("/ended")
    assert len(for_many) == len(for_few)


def test_requests_that_came_to_nothing_are_kept_and_asked_again(world, ada):
    row = world.ask()
    requests.withdraw(access_request=row, by=world.person("ada"), now=world.clock())
    page = words(ada.get("/ended"))
    assert "You took it back." in page
    assert f'href="/requests/new?again={row.pk}"' in page


def test_a_denial_is_news_until_it_is_asked_again(world, ada):
    row = world.ask()
    decisions.deny(
        access_request_id=row.pk,
        revision=1,
        reason="Too much",
        by=world.person("ben"),
        now=world.clock(),
    )
    assert "was denied: Too much" in words(ada.get("/"))
    world.ask()
    assert "was denied: Too much" not in words(ada.get("/"))


def test_nobody_sees_what_belongs_to_others(world, ada):
    with_key(world, by="noor", script_name="theirs")
    world.ask(by="noor", script_name="theirs too")
    page = words(ada.get("/")) + words(ada.get("/ended"))
    assert "theirs" not in page


def test_somebody_without_a_helpdesk_user_reads_why(world):
    page = words(browser(world, "zoe").get("/"))
    assert "You cannot ask for access yet." in page
    assert "You have no user on Acme production with the address zoe@acme.test" in page
    assert "Request access" not in page


def test_somebody_known_on_one_helpdesk_alone_can_ask_there(world, ada):
    HelpdeskLink.objects.filter(user=world.person("ada"), helpdesk__slug="sandbox").delete()
    page = words(ada.get("/"))
    assert "Keydesk has not yet looked you up on Acme sandbox." in page
    assert "You cannot ask for access yet." not in page
    assert "Request access" in page


def test_the_page_asks_as_much_of_the_database_for_many_rows_as_for_few(world, ada):
    with_key(world, script_name="one")
    world.ask(script_name="waits")
    ada.get("/")
    with CaptureQueriesContext(connection) as for_few:
        ada.get("/")
    for number in range(5):
        with_key(world, script_name=f"s{number}")
        world.ask(script_name=f"w{number}")
    with CaptureQueriesContext(connection) as for_many:
        ada.get("/")
    assert len(for_many) == len(for_few)


@pytest.mark.parametrize("address", ["/", "/ended"])
def test_it_is_a_page_to_read(ada, address):
    assert ada.post(address).status_code == 405
    assert Client().get(address).status_code == 302


# --- Whether it is still needed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rhythm", "is_used", "says"),
    [
        ("", False, "still needed?"),
        ("daily", True, "less often than it said"),
        ("daily", False, "still needed?"),
    ],
)
def test_what_was_not_used_for_long_is_asked_about(world, rhythm, is_used, says):
    ada, held = browser(world, "ada"), world.active(days=90, rhythm=rhythm)
    assert says not in words(ada.get("/"))
    long_ago = world.now - timedelta(days=40)
    Credential.objects.filter(pk=held.pk).update(issued_at=long_ago)
    if is_used:
        Fetch.objects.create(credential=held, grant=held.grants.get(), at=long_ago)
    assert says in words(ada.get("/"))


def test_who_is_done_gives_it_back_from_the_list(world):
    ada, held = browser(world, "ada"), world.active(days=90)
    assert f'href="/credentials/{held.pk}/revoke">I am done' in words(ada.get("/"))


def test_a_renewal_says_what_the_access_was_used_for(world):
    ada, held = browser(world, "ada"), world.active(days=90, rhythm="weekly")
    page = words(ada.get(f"/requests/new?renews={held.pk}"))
    assert "Not once so far" in page
    assert "You said: every week" in page
    assert "Ask for fewer permissions" in page
    Fetch.objects.create(credential=held, grant=held.grants.get(), at=world.now)
    assert "1 token in all, the last" in words(ada.get(f"/requests/new?renews={held.pk}"))
