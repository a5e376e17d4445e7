"""The queue's page: whose requests, in which order, narrowed by what, at which cost."""

import base64
import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import clock
from accounts.models import AuditEvent, User
from tests.integration._people import browser, words
from tokens.capabilities import SEVERAL_GRANTS
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Decision,
    Helpdesk,
    HelpdeskUser,
    ProfileVersion,
    SavedView,
    Scope,
)
from tokens.operations import comments, credentials, requests, sweeps, views
from tokens.queries import queue
from tokens.queries.queue import Place, make_cursor, read_cursor
from tokens.refusals import no

pytestmark = pytest.mark.django_db
MOST_QUERIES = 5


def listed(response) -> list[str]:
    return [row.asked.script_name for row in response.context["rows"]]


def test_the_queue_holds_what_one_may_decide_the_oldest_first(world, ben):
    world.ask(script_name="first")
    world.ask(by="noor", script_name="second")
    world.ask(by="ben", script_name="own")
    world.ask(profile="read-everything", script_name="not for ben")
    world.approve(world.ask(profile="update-tickets", script_name="approved by ben"), by="ben")
    world.approve(world.ask(script_name="decided"), by="june")
    assert listed(ben.get("/queue")) == ["first", "second"]
    assert listed(browser(world, "june").get("/queue")) == [
        "first", "second", "own", "not for ben", "approved by ben",
    ]  # fmt: skip
    assert len(listed(browser(world, "omar").get("/queue"))) == 5


def test_what_is_past_its_time_is_not_in_the_queue(world, ben):
    world.now -= settings.DECIDE_WITHIN + timedelta(minutes=1)
    world.ask()
    assert "Nothing waits." in words(ben.get("/queue"))


def test_an_auditor_sees_all_of_it_and_no_buttons(world):
    world.ask()
    world.ask(profile="read-everything", script_name="wide")
    response = browser(world, "cleo").get("/queue")
    assert listed(response) == ["weekly-csat", "wide"]
    assert "Approve" not in words(response)


def test_an_agent_has_no_queue(world):
    response = browser(world, "ada").get("/queue")
    assert response.status_code == 403
    assert "Only people who decide on requests see the queue." in words(response)


def test_the_first_is_opened_unless_another_is_chosen(world, ben):
    rows = [world.ask(script_name=name) for name in ("one", "two")]
    assert ben.get("/queue").context["card"].access_request == rows[0]
    assert ben.get("/queue", {"selected": rows[1].pk}).context["card"].access_request == rows[1]
    for nonsense in ("0", "x", "9" * 5000, "-1", "\0"):
        assert ben.get("/queue", {"selected": nonsense}).context["card"].access_request == rows[0]


def test_the_queue_is_filtered_by_profile_person_and_words(world, ben):
    world.ask(script_name="csat", purpose="Ratings of the week")
    world.ask(by="noor", script_name="tagging", profile="update-tickets")
    profile, noor = world.profile("update-tickets"), world.person("noor")
    assert listed(ben.get("/queue", {"profile": profile.pk})) == ["tagging"]
    assert listed(ben.get("/queue", {"requester": noor.pk})) == ["tagging"]
    assert listed(ben.get("/queue", {"text": "haddad"})) == ["tagging"]
    assert listed(ben.get("/queue", {"text": "RATINGS week"})) == ["csat"]
    nothing = ben.get("/queue", {"text": "ratings", "requester": noor.pk})
    assert "Nothing fits this filter." in words(nothing)


@pytest.mark.parametrize("word", ["x", "-1", "9" * 5000, "\0", "<script>alert(1)</script>"])
def test_a_filter_that_makes_no_sense_filters_nothing_away_and_breaks_nothing(world, ben, word):
    world.ask()
    response = ben.get("/queue", {"profile": word, "requester": word})
    assert listed(response) == ["weekly-csat"]
    assert ben.get("/queue", {"text": word * 200}).status_code == 200
    assert "<script>alert(1)" not in response.content.decode()


def test_the_queue_is_paged_by_its_keys(world, ben):
    for number in range(60):
        world.ask(script_name=f"script-{number:02}")
    first = ben.get("/queue")
    second = ben.get("/queue", {"after": first.context["page"].after})
    assert listed(first) == [f"script-{n:02}" for n in range(50)]
    assert listed(second) == [f"script-{n:02}" for n in range(50, 60)]
    assert second.context["page"].after == ""
    assert "First page" in words(second)


def test_pages_do_not_skip_rows_of_the_same_moment(world, ben):
    rows = [world.ask(script_name=f"s{n}") for n in range(3)]
    AccessRequest.objects.update(decide_by=rows[0].decide_by)
    first = AccessRequest.objects.get(pk=rows[0].pk)
    after = make_cursor(Place(first.decide_by, first.pk))
    assert listed(ben.get("/queue", {"after": after})) == ["s1", "s2"]


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "=",
        "MjAyNi0wMS0wMQ==",
        "MjAyNi0wMS0wMSAx",
        "_" * 5000,
        "\0",
        "é",
        "MjAyNi0xMS0yM1QwMDowMDowMCswMDowMCAxZTk=",
        base64.urlsafe_b64encode(b"2030-01-01T00:00:00+23:59 1").decode(),
        base64.urlsafe_b64encode(b"0001-01-01T00:00:00+23:59 1").decode(),
    ],
)
def test_a_bad_cursor_is_the_first_page(world, ben, cursor):
    assert read_cursor(cursor) is None
    world.ask()
    assert listed(ben.get("/queue", {"after": cursor})) == ["weekly-csat"]


# --- Views -------------------------------------------------------------------------------------------


def labels(response) -> dict[str, int | None]:
    return {pill.label: pill.count for pill in response.context["bar"].views}


def test_all_i_may_see_holds_my_own_and_what_i_have_decided(world, ben):
    world.ask(by="ben", script_name="own")
    world.ask(profile="read-everything", script_name="not for ben")
    world.approve(world.ask(profile="update-tickets", script_name="approved by ben"), by="ben")
    assert listed(ben.get("/queue", {"view": "all"})) == ["own", "approved by ben"]
    assert len(listed(browser(world, "omar").get("/queue", {"view": "all"}))) == 3


def test_decided_holds_what_is_over_the_latest_first_with_who_and_why(world, ben):
    world.approve(world.ask(script_name="approved"), by="june")
    requests.withdraw(
        access_request=world.ask(script_name="withdrawn"), by=world.person("ada"), now=world.clock()
    )
    world.approve(world.ask(profile="read-everything", script_name="not for ben"), by="june")
    world.ask(script_name="waits")
    response = ben.get("/queue", {"view": "decided"})
    assert listed(response) == ["withdrawn", "approved"]
    opened = words(
        ben.get(
            "/queue",
            {"view": "decided", "selected": AccessRequest.objects.get(script_name="approved").pk},
        )
    )
    assert "by June Moreno for 90 days" in opened
    assert "/approve" not in opened


def test_the_views_say_how_much_waits(world, ben):
    world.ask()
    assert labels(ben.get("/queue")) == {
        "Waiting for me": 1,
        "All I may see": None,
        "Decided": None,
    }
    assert labels(browser(world, "cleo").get("/queue")) == {"Waiting": None, "Decided": None}


@pytest.mark.parametrize("view", ["", "x", "\0", "WAITING"])
def test_a_view_there_is_not_is_what_waits(world, ben, view):
    world.ask()
    assert listed(ben.get("/queue", {"view": view})) == ["weekly-csat"]


def test_it_is_narrowed_by_risk_helpdesk_and_age(world, ben):
    world.now -= timedelta(days=2)
    world.ask(script_name="old")
    world.now += timedelta(days=2)
    world.ask(script_name="writes", profile="update-tickets")
    assert listed(ben.get("/queue", {"risk": "high"})) == ["writes"]
    assert listed(ben.get("/queue", {"age": "1"})) == ["old"]
    assert listed(ben.get("/queue", {"age": "7"})) == []
    here = world.helpdesk
    assert listed(ben.get("/queue", {"helpdesk": here.pk})) == ["old", "writes"]


def test_who_it_is_narrowed_to_is_named_and_can_be_cleared(world, ben):
    noor = world.person("noor")
    page = words(ben.get("/queue", {"requester": noor.pk}))
    assert "Asked by Noor Haddad." in page
    assert 'href="/queue?view=waiting"' in page
    assert "Asked by" not in words(ben.get("/queue", {"requester": 10**17}))


# --- Named views -------------------------------------------------------------------------------------


def test_a_narrowed_page_can_be_kept_under_a_name_and_forgotten(world, ben):
    world.ask(script_name="writes", profile="update-tickets")
    world.ask(script_name="reads")
    page = words(ben.get("/queue", {"risk": "high"}))
    assert 'name="query" value="risk=high"' in page
    made = ben.post("/queue/views", {"name": "Writes", "query": "risk=high&selected=7&evil=1"})
    assert made.url == "/queue?risk=high"
    again = ben.get(made.url)
    assert listed(again) == ["writes"]
    assert labels(again)["Writes"] is None
    assert "Save this view" not in words(again)
    kept = SavedView.objects.get()
    browser(world, "june").post(f"/queue/views/{kept.pk}/forget")
    assert SavedView.objects.exists()
    ben.post(f"/queue/views/{kept.pk}/forget")
    assert not SavedView.objects.exists()


def test_the_same_name_again_is_its_new_state(world, ben):
    for query in ("risk=high", "risk=wide"):
        ben.post("/queue/views", {"name": "Mine", "query": query})
    assert SavedView.objects.get().query == "risk=wide"


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"name": "", "query": "risk=high"}, "Give it a name."),
        ({"name": "x" * 41, "query": "risk=high"}, "Use at most 40 characters."),
        ({"name": "a\nb", "query": "risk=high"}, "Write it on one line."),
        ({"name": "a\x1b", "query": "risk=high"}, "a character that cannot be seen"),
        ({"name": "a", "query": "text=" + "x" * 2600}, "too long to be kept"),
        ({"name": "a", "query": "text=" + "é" * 700}, "too long to be kept"),
    ],
)
def test_a_bad_name_keeps_nothing_and_says_why(world, ben, sent, sentence):
    response = ben.post("/queue/views", sent)
    assert response.status_code == 400
    assert sentence in words(response)
    assert not SavedView.objects.exists()


def test_there_are_at_most_twenty_names(world, ben):
    for number in range(views.MOST):
        views.keep(name=f"v{number}", query="risk=high", by=world.person("ben"))
    response = ben.post("/queue/views", {"name": "one more", "query": "risk=high"})
    assert response.status_code == 400
    assert "Forget one first." in words(response)


# --- Its cost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["ben", "omar", "cleo"])
@pytest.mark.parametrize(
    "asked", [{}, {"view": "all"}, {"text": "s1", "risk": "low", "requester": "1"}]
)
def test_a_page_asks_the_database_five_times_however_much_waits(world, key, asked):
    client = browser(world, key)
    world.person("june")
    world.ask(script_name="s1")
    client.get("/queue", asked)
    with CaptureQueriesContext(connection) as for_one:
        client.get("/queue", asked)
    for number in range(60):
        world.ask(by=("ada", "noor", "piotr")[number % 3], script_name=f"s1-{number}")
    with CaptureQueriesContext(connection) as for_sixty:
        client.get("/queue", asked)
    assert len(for_sixty) <= MOST_QUERIES, [q["sql"][:90] for q in for_sixty.captured_queries]
    assert len(for_one) <= MOST_QUERIES


@pytest.fixture
def short_sighted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page looks at seven requests of each group."""
    monkeypatch.setattr(queue, "WINDOW", 7)


def all_pages(client: Client, **asked: str) -> list[str]:
    """Every script of a view, page by page."""
    found, after = [], ""
    for _ in range(40):
        response = client.get("/queue", {**asked, "after": after})
        found += listed(response)
        after = response.context["page"].after
        if not after:
            return found
    raise AssertionError("The pages have no end.")


@pytest.mark.usefixtures("short_sighted")
@pytest.mark.parametrize("key", ["ben", "june", "omar"])
@pytest.mark.parametrize("view", ["waiting", "all", "decided"])
def test_a_page_that_looks_no_further_leads_on_and_each_request_is_found_once(world, key, view):
    profiles = ("read-tickets", "update-tickets", "read-everything")
    rows = [
        world.ask(script_name=f"s{n:02}", profile=profiles[n % 3 if n > 12 else 0])
        for n in range(40)
    ]
    if view == "decided":
        for row in rows:
            requests.withdraw(access_request=row, by=world.person("ada"), now=world.clock())
    client = browser(world, key)
    seen = all_pages(client, view=view)
    may_see = [r for r in rows if key != "ben" or r.profile.slug != "read-everything"]
    expected = [row.script_name for row in may_see]
    assert seen == (expected[::-1] if view == "decided" else expected)


@pytest.mark.usefixtures("short_sighted")
def test_a_filter_that_finds_nothing_near_says_how_far_it_looked(world, ben):
    for number in range(20):
        world.ask(script_name=f"s{number}")
    world.ask(script_name="needle")
    response = ben.get("/queue", {"text": "needle"})
    assert listed(response) == []
    assert "Nothing among what was looked at fits this filter." in words(response)
    assert "Look further" in words(response)
    assert all_pages(ben, text="needle") == ["needle"]


# --- Approving together ------------------------------------------------------------------------------


def ask_low(world, **changes) -> AccessRequest:
    """What may be ticked."""
    return world.ask(profile="read-rules", **changes)


def box(row: AccessRequest) -> str:
    return f"{row.pk}:{row.revision}"


def boxes(response) -> list[str]:
    return [row.asked.script_name for row in response.context["rows"] if row.may_be_ticked]


def test_what_is_flagged_has_to_be_opened(world, ben):
    plain = ask_low(world, script_name="plain")
    world.ask(script_name="personal", profile="read-users")
    world.ask(script_name="writes", profile="help-center")
    ask_about(world, ask_low(world, script_name="asked", by="noor"))
    response = ben.get("/queue")
    assert boxes(response) == ["plain"]
    assert f'value="{box(plain)}"' in words(response)
    HelpdeskUser.objects.update(role_changed_at=world.now - timedelta(days=1))
    assert boxes(ben.get("/queue")) == []
    assert "Approve ticked" not in words(ben.get("/queue"))
    assert "Approve ticked" not in words(browser(world, "cleo").get("/queue"))


def test_ticked_requests_are_approved_after_a_page_that_names_them(world, ben):
    rows = [ask_low(world, script_name=name) for name in ("one", "two")]
    left = ask_low(world, script_name="three")
    sent = {"ticked": [box(row) for row in rows], "back": "queue?risk=low&evil=1"}
    page = words(ben.post("/queue/approve", sent))
    assert "Approve 2 requests" in page
    assert not Decision.objects.exists()
    done = ben.post("/queue/approve", sent | {"confirmed": "yes"}, follow=True)
    assert done.redirect_chain == [("/queue?risk=low", 302)]
    assert "Approved 2: one of Ada Lindqvist and two of Ada Lindqvist." in words(done)
    states = dict(AccessRequest.objects.values_list("script_name", "state"))
    assert states == {"one": "approved", "two": "approved", "three": "pending"}
    assert listed(done) == [left.script_name]


def test_what_somebody_decided_meanwhile_is_left_and_said(world, ben):
    rows = [ask_low(world, script_name=name) for name in ("one", "two")]
    sent = {"ticked": [box(row) for row in rows], "confirmed": "yes"}
    world.approve(rows[0], by="june")
    done = words(ben.post("/queue/approve", sent, follow=True))
    assert "Not approved: one, asked by Ada Lindqvist. Already approved by June Moreno" in done
    assert "Approved 1: two of Ada Lindqvist." in done


def test_only_the_same_access_is_approved_together(world, ben):
    rows = [world.ask(), world.ask(profile="read-users", script_name="other")]
    response = ben.post("/queue/approve", {"ticked": [box(r) for r in rows], "confirmed": "yes"})
    assert response.status_code == 400
    assert "Only requests for the same access, under the same terms" in words(response)
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("ticked", "sentence"),
    [
        ([], "Tick the requests you want to approve."),
        (["x"], "This page was incomplete."),
        (["1:1:1"], "This page was incomplete."),
        (["9" * 30 + ":1"], "This page was incomplete."),
        (["987654:1"], "One of these is not there, or not yours to see."),
        (["1:1"] * 51, "This page was incomplete."),
    ],
)
def test_senseless_ticks_are_a_sentence(ben, ticked, sentence):
    response = ben.post("/queue/approve", {"ticked": ticked, "confirmed": "yes"})
    assert response.status_code == 400
    assert sentence in words(response)


def test_what_has_to_be_opened_is_not_approved_by_a_tampered_page(world, ben):
    row = world.ask(profile="help-center")
    response = ben.post("/queue/approve", {"ticked": [box(row)], "confirmed": "yes"})
    assert response.status_code == 400
    assert "It is more than low risk, so it has to be opened." in words(response)
    assert not Decision.objects.exists()


def test_a_row_says_why_it_cannot_be_ticked(world, ben):
    ask_low(world), world.ask(profile="help-center", script_name="writes")
    page = words(ben.get("/queue"))
    why = "It is more than low risk, so it has to be opened."
    assert f'<input type="checkbox" disabled title="{why}" aria-label="Tick writes of Ada' in page
    assert f">{why}</span>" in page


def give_new_terms(row: AccessRequest) -> ProfileVersion:
    newer = ProfileVersion.objects.get(pk=row.profile_version_id)
    newer.pk, newer.number = None, 2
    newer.save()
    AccessProfile.objects.filter(pk=row.profile_id).update(current=newer)
    return newer


def ask_about(world, row: AccessRequest) -> None:
    asker = world.person("ben")
    comments.write(access_request=row, words="Why?", by=asker, key="k" * 20, now=world.clock())


FLAGS = {
    "It takes several approvals": lambda world, row: ProfileVersion.objects.update(
        approvals_needed=2
    ),
    "Their role changed this week": lambda world, row: HelpdeskUser.objects.update(
        role_changed_at=world.now
    ),
    "The terms have changed since it was asked for": lambda world, row: give_new_terms(row),
    "It ends other access of theirs": lambda world, row: Helpdesk.objects.update(
        capabilities={SEVERAL_GRANTS: "no"}
    ),
    "Somebody asked about it and has no answer yet": ask_about,
}


@pytest.mark.parametrize(("why", "flag"), FLAGS.items(), ids=FLAGS)
def test_each_flag_keeps_a_box_from_being_ticked_and_a_tick_from_counting(world, ben, why, flag):
    world.active(script_name="older", days=7)
    row = ask_low(world)
    assert boxes(ben.get("/queue")) == [row.script_name]
    flag(world, row)
    (shown,) = ben.get("/queue").context["rows"]
    assert shown.may_be_ticked == no(f"{why}, so it has to be opened.")
    refused = ben.post("/queue/approve", {"ticked": [box(row)], "confirmed": "yes"})
    assert f"{why}, so it has to be opened." in words(refused)
    assert not Decision.objects.filter(access_request=row).exists()


def test_access_that_is_disconnected_is_ended_by_no_other(world, ben):
    held = world.active(script_name="older", days=7)
    Helpdesk.objects.update(capabilities={SEVERAL_GRANTS: "no"})
    row = ask_low(world)
    assert boxes(ben.get("/queue")) == []
    credentials.lose(credential=held, reason="Gone.", now=world.clock())
    assert boxes(ben.get("/queue")) == [row.script_name]
    sent = {"ticked": [box(row)], "confirmed": "yes"}
    assert "Approved 1" in words(ben.post("/queue/approve", sent, follow=True))


def test_a_row_names_its_risk_and_what_of_it_is_new_wider_or_the_same(world):
    world.active(script_name="held", days=7, scopes=frozenset({"tickets:read", "users:read"}))
    for script, profile, scopes in (
        ("same", "read-users", {"users:read"}),
        ("wider", "update-tickets", {"tickets:read", "tickets:write", "ticket_views:read"}),
        ("new", "read-rules", {"macros:read", "triggers:read"}),
        ("all", "read-everything", {"read"}),
    ):
        world.ask(script_name=script, profile=profile, scopes=frozenset(scopes))
    page = words(browser(world, "omar").get("/queue"))
    cells = re.findall(r'<td data-label="Change">(.*?)</td>', page)
    said = [" ".join(re.sub(r"<[^>]+>|[^\w ]", " ", cell).split()) for cell in cells]
    assert said == [
        "medium risk same", "can write 1 new scope wider 0 of 2 approvals",
        "low risk 2 new scopes", "wide wider",
    ]  # fmt: skip


def test_what_the_table_calls_risky_today_has_to_be_opened(world, ben):
    row = ask_low(world)
    assert boxes(ben.get("/queue")) == ["weekly-csat"]
    Scope.objects.filter(name="macros:read").update(risk="high")
    assert boxes(ben.get("/queue")) == []
    refused = ben.post("/queue/approve", {"ticked": [box(row)], "confirmed": "yes"})
    assert "so it has to be opened" in words(refused)
    assert not Decision.objects.exists()


def test_other_terms_are_another_access_and_what_each_gives_is_named(world, ben):
    scopes = frozenset({"macros:read", "ticket_views:read"})
    rows = [ask_low(world, script_name=name, scopes=scopes) for name in ("one", "two")]
    page = words(ben.post("/queue/approve", {"ticked": [box(row) for row in rows]}))
    assert page.count("Read macros · Read views") == 2
    newer = give_new_terms(rows[0])
    AccessRequest.objects.filter(pk__in=[row.pk for row in rows[1:]]).update(profile_version=newer)
    refused = ben.post("/queue/approve", {"ticked": [box(row) for row in rows]})
    assert "under the same terms" in words(refused)


def test_an_attempt_on_ones_own_leaves_its_row(world, ben):
    own = ask_low(world, by="ben")
    ben.post("/queue/approve", {"ticked": [box(own)], "confirmed": "yes"})
    assert AuditEvent.objects.filter(event="person.refused").count() == 1


def test_ticks_of_what_is_not_theirs_do_nothing_and_say_nothing(world, ben):
    own = ask_low(world, by="ben")
    hidden = world.ask(profile="help-center", script_name="secret-plan")
    AccessRequest.objects.filter(pk=hidden.pk).update(approver_group="others")
    ProfileVersion.objects.filter(pk=hidden.profile_version_id).update(approver_group="others")
    refused = ben.post("/queue/approve", {"ticked": [box(hidden)]})
    assert refused.status_code == 400
    assert "not yours to see" in words(refused)
    assert hidden.script_name not in words(refused)
    done = ben.post("/queue/approve", {"ticked": [box(own)], "confirmed": "yes"}, follow=True)
    assert "You cannot decide your own request." in words(done)
    assert not Decision.objects.exists()


# --- Meanwhile ---------------------------------------------------------------------------------------


def shown(row: AccessRequest) -> str:
    return f"{row.pk}:{row.revision}:{row.approvals}"


def test_what_became_of_a_row_meanwhile_is_told_to_those_who_may_see_it(world, ben):
    rows = [world.ask(script_name=name) for name in ("one", "two")]
    asked = {"shown": [shown(row) for row in rows]}
    assert "meanwhile-" not in words(
        ben.get("/queue/changes", asked, headers={"HX-Request": "true"})
    )
    world.approve(rows[0], by="june")
    told = words(ben.get("/queue/changes", asked, headers={"HX-Request": "true"}))
    assert f'id="meanwhile-{rows[0].pk}"' in told
    assert "June Moreno approved it for 90 days." in told
    assert f"meanwhile-{rows[1].pk}" not in told
    hidden = world.ask(profile="read-everything", script_name="not for ben")
    world.approve(hidden, by="june")
    quiet = ben.get("/queue/changes", {"shown": [shown(hidden)]}, headers={"HX-Request": "true"})
    assert "meanwhile-" not in words(quiet)


def test_the_list_keeps_its_place_after_a_decision(world, ben):
    rows = [world.ask(script_name=name, profile="read-users") for name in ("one", "two", "three")]
    page = ben.get("/queue", {"text": "numbers", "selected": rows[1].pk})
    back = page.context["links"].back
    done = ben.post(f"/requests/{rows[1].pk}/approve", {"revision": 1, "back": back}, follow=True)
    assert done.redirect_chain == [(f"/queue?text=numbers&selected={rows[2].pk}", 302)]
    assert done.context["card"].access_request == rows[2]
    page = ben.get("/queue", {"selected": rows[2].pk})
    assert page.context["links"].back == f"queue?selected={rows[0].pk}", "it was the last one"
    assert page.context["links"].stay == f"queue?selected={rows[2].pk}"


@pytest.mark.parametrize(
    "back", ["https://evil.test", "queue//evil.test", "//evil.test", "queuex", "x" * 5000]
)
def test_nobody_is_led_elsewhere(world, ben, back):
    row = world.ask()
    done = ben.post(f"/requests/{row.pk}/approve", {"revision": 1, "back": back})
    assert done.url == f"/requests/{row.pk}"


def test_the_first_of_two_approvals_is_told(world, ben):
    row = world.ask(profile="update-tickets")
    asked = {"shown": [shown(row)]}
    assert f"shown={shown(row)}" in ben.get("/queue").context["links"].shown
    world.approve(row, by="june")
    told = words(ben.get("/queue/changes", asked, headers={"HX-Request": "true"}))
    assert "June Moreno approved it" in told


@pytest.mark.parametrize("word", ["x", "1:1", "1:1:x", "1:1:1:1", "0:1:1", "9" * 30 + ":1:1"])
def test_what_no_page_shows_is_a_sentence(ben, word):
    response = ben.get("/queue/changes", {"shown": [word]}, headers={"HX-Request": "true"})
    assert response.status_code == 400
    assert "This page was incomplete." in words(response)


def test_who_lost_their_groups_hears_nothing_of_changes(world, ben):
    row = world.ask()
    world.approve(row, by="june")
    User.objects.filter(subject="ben").update(groups_read_at=clock.now() - timedelta(hours=2))
    quiet = ben.get("/queue/changes", {"shown": [shown(row)]}, headers={"HX-Request": "true"})
    assert "meanwhile-" not in words(quiet)
    assert "Load it again." in words(quiet)
    assert quiet.status_code == 286  # htmx asks no more


def test_what_an_older_version_wrote_comes_into_its_groups_queue_with_the_next_sweep(world, ben):
    AccessRequest.objects.filter(pk=world.ask().pk).update(approver_group="")
    assert listed(ben.get("/queue")) == []
    sweeps.sweep(now=world.clock())
    assert listed(ben.get("/queue")) == ["weekly-csat"]
