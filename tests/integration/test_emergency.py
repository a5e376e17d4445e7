"""Ending everything of a person, a profile or a helpdesk: who may, what it ends, and that nothing stops it."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection, reset_queries
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import clock, operations
from accounts.models import AuditEvent
from tests.integration._people import browser, words
from tests.integration.test_token_endpoint import fetch
from tests.sign_in import sign_in
from tests.world import World
from tokens import outbox
from tokens.connectors.base import Retry, Unknown
from tokens.models import Credential, Emergency, Fetch, Job, ProfileVersion
from tokens.operations import connections, credentials, emergencies, keys, sweeps
from tokens.queries import emergencies as queries
from tokens.refusals import Denied, Invalid, StaleState

pytestmark = pytest.mark.django_db
ENDED = ("revoking", "revoked", "cancelled")
NAMES = {"person": "Ada Lindqvist", "profile": "Read tickets", "helpdesk": "Acme production"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose time is the portal's."""
    made = World(now=clock.now())
    monkeypatch.setattr(clock, "now", made.clock)
    return made


def key_of(world: World, kind: str = "person") -> str:
    """How a form names a subject of the cast."""
    ids = {"person": world.person("ada").pk, "profile": world.profile("read-tickets").pk}
    return f"{kind}:{ids.get(kind, world.helpdesk.pk)}"


def press(client: Client, world: World, kind: str = "person", **changes: str):
    """Send the form of the second page as it is filled in."""
    fields = {"subject": key_of(world, kind), "reason": "Laptop stolen", "name": NAMES[kind]}
    return client.post(f"/emergencies?subject={key_of(world, kind)}", fields | changes)


def order(world: World, kind: str = "person", by: str = "omar") -> Emergency:
    """The order alone, before anything is ended."""
    subject = queries.find(key_of(world, kind))
    assert subject is not None
    return emergencies.order(
        subject=subject, reason="Laptop stolen", by=world.person(by), now=world.clock()
    )


def test_a_rule_approves_nothing_whose_end_was_ordered_while_it_waited_for_the_row(
    world, monkeypatch
):
    world.active(days=7)
    hold = credentials.hold_subjects

    def held(row: Any) -> None:
        if not Emergency.objects.exists():
            order(world)
        hold(row)

    monkeypatch.setattr(credentials, "hold_subjects", held)
    row = world.ask(days=7, script_name="late")
    assert Emergency.objects.count() == 1
    assert (row.state, row.credential) == ("pending", None)


def many(world: World, count: int, *, half_active: bool = False) -> None:
    """Rows like one that waits to be connected, made in bulk; every second one active where asked for."""
    like = world.ordered(script_name="like")
    rows = []
    for n in range(count - 1):
        row = Credential.objects.get(pk=like.pk)
        row.pk, row.script_name, row.client_id = None, f"bulk-{n}", f"kd_bulk_{n}"
        if half_active and n % 2:
            row.state, row.lives_until = "active", world.now + timedelta(days=30)
        rows.append(row)
    Credential.objects.bulk_create(rows)


def states() -> dict[str, str]:
    return dict(Credential.objects.values_list("script_name", "state"))


def seen(page: str, name: str) -> str:
    """What stands in the page's list of facts under a name."""
    return page.partition(f"<dt>{name}</dt>")[2].partition("</dd>")[0]


# --- Who ---------------------------------------------------------------------------------------------


def test_admins_order_auditors_read_and_nobody_else_sees_it(world):
    world.active()
    for person, status in {"ada": 403, "ben": 403, "zoe": 403, "omar": 200, "cleo": 200}.items():
        assert browser(world, person).get("/emergencies").status_code == status, person
    assert Client().get("/emergencies").status_code == 302
    for person in ("ada", "ben", "cleo"):
        assert press(browser(world, person), world).status_code == 403, person
    assert not Emergency.objects.exists()
    assert "All access of" not in words(browser(world, "cleo").get("/emergencies"))
    order(world)
    assert (
        browser(world, "cleo").get(f"/emergencies/{Emergency.objects.get().pk}").status_code == 200
    )
    assert (
        browser(world, "ada").get(f"/emergencies/{Emergency.objects.get().pk}").status_code == 403
    )


def test_the_operation_refuses_whoever_is_no_admin(world):
    world.active()
    with pytest.raises(Denied):
        order(world, by="cleo")
    with pytest.raises(Denied):
        order(world, by="ada")


def test_it_asks_who_you_are_first(world):
    held, client = world.active(), Client()
    sign_in(client, "omar", authenticated_at=None)
    response = press(client, world)
    assert response.status_code == 403
    assert "Confirm" in words(response)
    assert not Emergency.objects.exists()
    held.refresh_from_db()
    assert held.state == "active"


# --- Before ------------------------------------------------------------------------------------------


def test_the_first_page_lists_whoever_has_something_to_end(world, omar):
    assert "there is nothing to end" in words(omar.get("/emergencies"))
    world.active()
    world.person("noor")
    page = words(omar.get("/emergencies"))
    assert "Ada Lindqvist (ada@acme.test)" in page
    assert "Noor Haddad" not in page
    assert "Acme production" in page
    assert "Acme sandbox" not in page


def test_the_second_page_says_how_much_would_end_and_reading_it_ends_nothing(world, omar):
    world.active()
    world.active(script_name="second")
    world.ordered(script_name="to-connect")
    ending = world.active(script_name="ending")
    world.active(by="noor", script_name="noors")
    credentials.revoke(credential=ending, by=ending.owner, reason="", now=world.clock())
    world.ask(profile="read-tickets", script_name="asked-for")
    before, rows = states(), AuditEvent.objects.count()
    page = words(omar.get(f"/emergencies?subject={key_of(world)}"))
    assert "<strong>3 accesses</strong> of 1 person" in page
    assert "2 connected, 1 waiting to be connected" in page
    assert seen(page, "Ending already").endswith("1")
    page = words(omar.get(f"/emergencies?subject={key_of(world, 'helpdesk')}"))
    assert "<strong>4 accesses</strong> of 2 people" in page
    assert states() == before
    assert AuditEvent.objects.count() == rows
    assert not Emergency.objects.exists()


@pytest.mark.parametrize(
    "subject",
    ["", "person:", "person:0", "person:-1", "person:x", "dog:1", "person:999999", f"person:{'9' * 30}",
     "person:²", "person:1:1", "a\x00b", "x" * 100],
)  # fmt: skip
def test_whom_nobody_knows_is_told_so(world, omar, subject):
    world.active()
    response = omar.get("/emergencies", {"subject": subject})
    assert response.status_code == 200
    assert "Not sent yet" in words(response)
    response = omar.post("/emergencies", {"subject": subject, "reason": "x", "name": "x"})
    assert response.status_code == 422
    assert not Emergency.objects.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reason": ""}, "Say why; everybody whose access ends will read it."),
        ({"reason": "  "}, "Say why; everybody whose access ends will read it."),
        ({"reason": "x" * 301}, "Use at most 300 characters."),
        ({"reason": "a\x00b"}, "It holds a character that cannot be seen."),
        ({"name": ""}, "Type the name, so that nothing ends by a slip."),
        ({"name": "Noor Haddad"}, "That is not “Ada Lindqvist”."),
        ({"name": "Ada"}, "That is not “Ada Lindqvist”."),
    ],
)
def test_a_form_that_is_wrong_says_so_and_keeps_what_was_typed(world, omar, changes, sentence):
    world.active()
    response = press(omar, world, **changes)
    assert response.status_code == 422
    assert sentence in words(response)
    kept = {"reason": "Laptop stolen", "name": "Ada Lindqvist"} | changes
    assert all(
        typed in words(response) for typed in kept.values() if typed.isprintable() and typed.strip()
    )
    assert not Emergency.objects.exists()
    assert states() == {"weekly-csat": "active"}


def test_blanks_and_capitals_of_the_name_do_not_matter(world, omar):
    world.active()
    assert press(omar, world, name="  ada   LINDQVIST ").status_code == 302


def test_where_there_is_nothing_to_end_none_is_ordered(world, omar):
    world.person("ada")
    page = words(omar.get(f"/emergencies?subject={key_of(world)}"))
    assert "Nothing to end." in page
    assert "End everything" not in page
    response = press(omar, world)
    assert response.status_code == 409
    assert "nothing to end" in words(response)
    assert not Emergency.objects.exists()


def test_the_operation_wants_a_reason(world):
    world.active()
    subject = queries.find(key_of(world))
    assert subject is not None
    for reason in ("", " ", "x" * 301):
        with pytest.raises(Invalid):
            emergencies.order(
                subject=subject, reason=reason, by=world.person("omar"), now=world.clock()
            )


# --- The click ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["person", "profile", "helpdesk"])
def test_the_click_ends_everything_of_its_subject_and_nothing_else(world, omar, kind):
    world.active(script_name="adas")
    world.ordered(script_name="adas-waiting")
    world.active(by="noor", script_name="noors")
    world.active(by="noor", profile="read-users", script_name="noors-other")
    world.slug = "sandbox"
    world.ordered(by="noor", script_name="noors-sandbox", days=7)
    world.slug = "production"
    response = press(omar, world, kind)
    emergency = Emergency.objects.get()
    assert response["Location"] == f"/emergencies/{emergency.pk}"
    ended = {name for name, state in states().items() if state in ENDED}
    assert (
        ended
        == {
            "person": {"adas", "adas-waiting"},
            "profile": {"adas", "adas-waiting", "noors"},
            "helpdesk": {"adas", "adas-waiting", "noors", "noors-other"},
        }[kind]
    )
    assert emergency.total == len(ended)
    assert emergency.finished_at is not None


def test_the_audit_names_who_ordered_it_and_who_ended_each(world, omar):
    held, waiting = world.active(), world.ordered(script_name="waiting")
    press(omar, world)
    emergency, admin = Emergency.objects.get(), world.person("omar")
    ordered = AuditEvent.objects.get(event="emergency.ordered")
    assert (ordered.actor, ordered.target_id) == (f"user:{admin.pk}", str(emergency.pk))
    body = json.loads(ordered.body)
    assert (body["kind"], body["subject"], body["total"], body["reason"]) == (
        "person", world.person("ada").pk, 2, "Laptop stolen",
    )  # fmt: skip
    for event, row in (("credential.revoked", held), ("credential.cancelled", waiting)):
        ended = AuditEvent.objects.get(event=event)
        assert (ended.actor, ended.target_id) == (f"user:{admin.pk}", str(row.pk))
        assert json.loads(ended.body)["reason"] == (
            "All access of Ada Lindqvist was ended: Laptop stolen"
        )
    assert AuditEvent.objects.filter(event="emergency.finished").count() == 1
    page = words(omar.get("/audit"))
    assert "Omar Said ordered the end of all access of Ada Lindqvist: 2 in all." in page
    assert f'href="/emergencies/{emergency.pk}"' in page
    assert "Ada Lindqvist" in words(omar.get("/audit?kind=Emergency"))


def test_the_list_counts_what_is_left_to_a_hundred(world, omar):
    many(world, 120)
    order(world)
    with CaptureQueriesContext(connection) as asked:
        page = words(omar.get("/emergencies"))
    assert "99+ left" in page
    (counted,) = [
        one["sql"]
        for one in asked
        if "COUNT(*) FROM" in one["sql"] and "tokens_credential" in one["sql"]
    ]
    assert " LIMIT 100" in counted


def test_the_click_ends_at_most_a_hundred_and_a_worker_the_rest(world, omar):
    many(world, 130)
    press(omar, world)
    emergency = Emergency.objects.get()
    left = queries.left_of(emergency).count()
    assert 30 <= left < 130
    assert emergency.finished_at is None
    page = words(omar.get(f"/emergencies/{emergency.pk}"))
    assert f"{130 - left} of 130 ended or ending" in page
    assert f"{left} left" in page
    assert "Nothing; its turn comes." in page
    assert f"And {left - 5} more." in page
    assert f"{left} left" in words(omar.get("/emergencies"))
    sweeps.sweep(now=world.clock())
    emergency.refresh_from_db()
    assert emergency.finished_at is not None
    assert set(states().values()) == {"cancelled"}


def test_a_click_whose_database_falters_still_leads_to_the_page(world, omar, monkeypatch, caplog):
    world.active()
    fail(monkeypatch, lambda _: OperationalError("database is locked"))
    response = press(omar, world)
    assert response.status_code == 302
    assert Emergency.objects.get().finished_at is None
    assert "goes on without the click" in caplog.text


def test_a_second_order_for_the_same_subject_is_told_who_was_first(world, omar):
    world.active()
    first = order(world)
    page = words(omar.get(f"/emergencies?subject={key_of(world)}"))
    assert "Under way. Omar Said ordered this" in page.replace("<strong>", "").replace(
        "</strong>", ""
    )
    assert "End everything <" not in page
    response = press(omar, world)
    assert response.status_code == 409
    page = words(response)
    assert "Omar Said ordered the end of all access of Ada Lindqvist at " in page
    assert f'href="/emergencies/{first.pk}"' in page
    assert Emergency.objects.get() == first
    assert AuditEvent.objects.filter(event="emergency.ordered").count() == 1


def test_another_can_be_ordered_for_a_wider_subject_and_once_the_first_is_finished(world):
    world.active()
    order(world)
    order(world, "helpdesk")
    sweeps.carry_on_emergencies(now=world.clock())
    assert not Emergency.objects.filter(finished_at=None).exists()
    world.ordered(script_name="later")
    assert order(world).total == 1


# --- Meanwhile ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["person", "profile", "helpdesk"])
def test_nothing_is_handed_out_from_the_order_on_though_its_turn_has_not_come(world, kind):
    held = world.active()
    key = keys.issue_secret(credential=held, by=held.owner, now=world.clock())
    assert fetch(key).status_code == 200
    order(world, kind)
    held.refresh_from_db()
    assert held.state == "active"
    refused = fetch(key)
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_grant"
    assert "access_token" not in refused.json()
    assert Fetch.objects.count() == 1


def test_the_last_look_sees_an_order_that_came_while_a_call_was_answered(world, monkeypatch):
    held = world.active()
    key = keys.issue_secret(credential=held, by=held.owner, now=world.clock())
    real = keys._works

    def works(*given: Any) -> bool:
        order(world)
        return real(*given)

    monkeypatch.setattr(keys, "_works", works)
    assert fetch(key).json()["error"] == "invalid_grant"
    assert not Fetch.objects.exists()


def test_other_access_is_handed_out_as_before_with_as_many_queries(world):
    held = world.active(by="noor", script_name="noors", profile="read-users")
    key = keys.issue_secret(credential=held, by=held.owner, now=world.clock())
    world.active()
    with CaptureQueriesContext(connection) as before:
        assert fetch(key).status_code == 200
    order(world)
    with CaptureQueriesContext(connection) as after:
        assert fetch(key).status_code == 200
    assert len(after) == len(before)


def test_a_token_by_hand_and_a_new_secret_are_refused_with_the_reason(world):
    ada = browser(world, "ada")
    held = world.active()
    order(world)
    by_hand = ada.post(f"/credentials/{held.pk}/token")
    assert by_hand.status_code == 409
    assert "An admin is ending all access like this one." in words(by_hand)
    first = ada.post(f"/credentials/{held.pk}/key")
    assert first.status_code == 409
    assert "Omar Said is ending all access of Ada Lindqvist: Laptop stolen" in words(first)
    assert not held.secrets.exists()


def test_nobody_goes_to_the_consent_page_any_more_nor_comes_back_from_it(world):
    held = world.ordered()
    trip = connections.start(credential=held, by=held.owner, session_key="s", now=world.clock())
    code = world.desk.consent(held.acts_as.remote_id, held.scopes)
    order(world)
    with pytest.raises(StaleState, match="Omar Said is ending all access of Ada"):
        connections.start(credential=held, by=held.owner, session_key="s", now=world.clock())
    with pytest.raises(StaleState, match="Omar Said is ending all access of Ada"):
        connections.come_back(
            came=connections.Return(trip.state, code, ""), slug="production", by=held.owner,
            session_key="s", now=world.clock(),
        )  # fmt: skip
    held.refresh_from_db()
    assert held.state == "awaiting_consent"


def test_a_code_that_came_just_before_is_not_exchanged(world):
    held = world.ordered()
    world.consent(held)
    order(world)
    world.work()
    assert "exchange" not in world.desk.calls
    held.refresh_from_db()
    assert held.state in ENDED
    assert not world.desk.living()


def test_a_refresh_that_is_due_ends_the_access_instead(world):
    held = world.active()
    keys.order_refresh(held, now=world.clock(), not_before=world.now)
    order(world)
    world.wait(days=1)
    world.work()
    assert not held.grants.filter(purpose="refresh").exists()
    held.refresh_from_db()
    assert held.state in ENDED


def test_what_is_ordered_later_is_none_of_its_business(world):
    world.active()
    emergency = order(world)
    later = world.ordered(script_name="later")
    sweeps.carry_on_emergencies(now=world.clock())
    emergency.refresh_from_db()
    assert emergency.finished_at is not None
    later.refresh_from_db()
    assert later.state == "awaiting_consent"
    connections.start(credential=later, by=later.owner, session_key="s", now=world.clock())


def by_policy(world: World, by: str = "ada") -> dict[str, Any]:
    """A request that policy approves at other times."""
    terms = ProfileVersion.objects.filter(
        policy_days__gt=0, profile__helpdesk__slug=world.slug
    ).first()
    assert terms is not None
    return {"by": by, "profile": terms.profile.slug, "days": terms.policy_days}


@pytest.mark.parametrize("kind", ["person", "profile", "helpdesk"])
def test_policy_approves_nothing_new_of_its_subject_until_the_last_was_ended(world, kind):
    asked = by_policy(world)
    world.ordered(**asked)
    keys_of = {"profile": f"profile:{world.profile(asked['profile']).pk}"}
    subject = queries.find(keys_of.get(kind) or key_of(world, kind))
    assert subject is not None
    emergencies.order(subject=subject, reason="Stolen", by=world.person("omar"), now=world.clock())
    assert world.ask(**asked, script_name="thief").state == "pending"
    others = world.ask(**by_policy(world, "noor"), script_name="noors")
    assert others.state == ("approved" if kind == "person" else "pending")
    sweeps.carry_on_emergencies(now=world.clock())
    assert world.ask(**asked, script_name="later").state == "approved"


def test_the_page_before_says_that_new_requests_stay_possible(world, omar):
    world.active()
    page = words(omar.get(f"/emergencies?subject={key_of(world)}"))
    assert "New requests stay possible, also those that policy approves." in page
    assert "policy approves none of this person: a person decides." in page


@pytest.mark.parametrize("kind", ["person", "profile", "helpdesk"])
def test_an_order_and_an_approval_wait_for_each_other(world, kind):
    """Both hold the subject's row before they look or write, so that none falls between the two."""
    table = {
        "person": "accounts_user",
        "profile": "tokens_accessprofile",
        "helpdesk": "tokens_helpdesk",
    }[kind]
    row = world.ask(script_name="race")
    with CaptureQueriesContext(connection) as approving:
        world.approve(row)
    with CaptureQueriesContext(connection) as ordering:
        order(world, kind)
    for asked, then in (
        (approving, 'INSERT INTO "tokens_credential"'),
        (ordering, 'SELECT MAX("tokens_credential"'),
    ):
        said = [query["sql"] for query in asked.captured_queries]
        held = next(n for n, sql in enumerate(said) if sql.startswith(f'UPDATE "{table}"'))
        assert held < next(n for n, sql in enumerate(said) if sql.startswith(then))


# --- Whatever happens --------------------------------------------------------------------------------


def fail(
    monkeypatch: pytest.MonkeyPatch, error_for: Callable[[Credential], Exception | None]
) -> None:
    """Let the end of some credentials fail."""
    real = credentials.revoke

    def revoke(*, credential: Credential, **more: Any) -> None:
        if (error := error_for(credential)) is not None:
            raise error
        real(credential=credential, **more)

    monkeypatch.setattr(credentials, "revoke", revoke)


class Killed(BaseException):
    """A process that ends in the middle: nothing after this line runs."""


def test_killed_between_any_two_commits_it_is_carried_on_where_it_stood(world, monkeypatch):
    many(world, 12)
    emergency = order(world)
    for _ in range(11):
        with monkeypatch.context() as patched:
            count = iter((None, Killed()))
            fail(patched, lambda _, count=count: next(count))
            with pytest.raises(Killed):
                emergencies.carry_on_all(now=world.clock())
    assert queries.left_of(emergency).count() == 1
    sweeps.sweep(now=world.clock())
    emergency.refresh_from_db()
    assert emergency.finished_at is not None
    assert set(states().values()) == {"cancelled"}
    assert AuditEvent.objects.filter(event="credential.cancelled").count() == 12
    assert AuditEvent.objects.filter(event="emergency.finished").count() == 1


def test_killed_before_it_could_be_closed_the_sweep_closes_it(world, monkeypatch):
    world.active()
    emergency = order(world)
    with monkeypatch.context() as patched:
        patched.setattr(emergencies, "_finish", lambda *_, **__: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            emergencies.carry_on(emergency=emergency, now=world.clock())
    assert not queries.left_of(emergency).exists()
    sweeps.carry_on_emergencies(now=world.clock())
    emergency.refresh_from_db()
    assert emergency.finished_at is not None


def test_two_workers_at_once_end_each_once(world, monkeypatch):
    many(world, 10)
    emergency = order(world)
    real, met = credentials.revoke, []

    def revoke(*, credential: Credential, **more: Any) -> None:
        if len(met) < 5:
            met.append(credential.pk)
            emergencies.carry_on(emergency=emergency, now=world.clock(), most=2)
        real(credential=credential, **more)

    monkeypatch.setattr(credentials, "revoke", revoke)
    emergencies.carry_on_all(now=world.clock())
    assert set(states().values()) == {"cancelled"}
    assert AuditEvent.objects.filter(event="credential.cancelled").count() == 10
    assert AuditEvent.objects.filter(event="emergency.finished").count() == 1


def test_an_end_that_waits_for_a_list_that_keeps_failing_stands_on_its_page(world, omar):
    credential = world.ordered()
    world.consent(credential)
    world.desk.next_answers["exchange"].append(Unknown("No answer."))
    world.work()
    press(omar, world)
    world.desk.next_answers["list"] += [Retry("The list is away.")] * 50
    for _ in range(outbox.TRIES_BEFORE_RED + 1):
        world.wait(minutes=15)
        world.work()
    emergency = Emergency.objects.get()
    (failing,) = queries.failing(emergency)
    assert (failing.credential, failing.jobs[0].kind) == (credential, Job.Kind.INVENTORY)
    page = words(browser(world, "omar").get(f"/emergencies/{emergency.pk}"))
    assert "The list is away." in page
    assert "not confirmed gone" in page


def test_one_that_cannot_be_ended_holds_up_no_other_and_is_tried_again(
    world, omar, monkeypatch, caplog
):
    poisoned = world.active(script_name="poisoned")
    many(world, 5)
    emergency = order(world)
    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        fail(patched, lambda row: ValueError("?") if row.pk == poisoned.pk else None)
        assert emergencies.carry_on_all(now=world.clock(), most=2) == 2
        assert emergencies.carry_on_all(now=world.clock()) == 3
        assert emergencies.carry_on_all(now=world.clock()) == 0
    assert f"credential {poisoned.pk}" in caplog.text
    emergency.refresh_from_db()
    assert emergency.finished_at is None
    assert AuditEvent.objects.filter(event="emergency.hindered").count() == 1
    page = words(omar.get(f"/emergencies/{emergency.pk}"))
    assert "An error of Keydesk's own (ValueError); the log says more." in page
    assert "tried again every minute" in page
    assert "not confirmed gone" in page
    assert "Keydesk could not end it, and tries again." in words(
        omar.get(f"/credentials/{poisoned.pk}")
    )
    sweeps.sweep(now=world.clock())
    emergency.refresh_from_db()
    assert emergency.finished_at is not None
    poisoned.refresh_from_db()
    assert poisoned.state in ENDED


def test_a_database_that_is_away_ends_the_run_and_blames_no_row(world, monkeypatch):
    many(world, 3)
    order(world)
    fail(monkeypatch, lambda _: OperationalError("database is locked"))
    with pytest.raises(OperationalError):
        emergencies.carry_on_all(now=world.clock())
    assert not AuditEvent.objects.filter(event="emergency.hindered").exists()


def test_it_goes_on_when_the_owner_and_the_admin_have_left_meanwhile(world):
    held = world.active()
    emergency = order(world)
    for person in ("omar", "ada"):
        operations.deactivate(user=world.person(person), by=None, reason="Left.", now=world.clock())
    sweeps.carry_on_emergencies(now=world.clock())
    emergency.refresh_from_db()
    assert emergency.finished_at is not None
    held.refresh_from_db()
    assert held.state in ENDED
    assert held.end_reason == (
        "By order of Omar Said. All access of Ada Lindqvist was ended: Laptop stolen"
    )
    assert AuditEvent.objects.get(event="credential.revoked").actor == "system"
    assert set(Job.objects.filter(done_at=None).values_list("urgency", flat=True)) <= {0}


def test_an_admin_can_end_everything_of_their_own(world):
    world.ordered(by="noor")
    own = world.ordered(by="omar", script_name="own")
    subject = queries.find(f"person:{own.owner_id}")
    assert subject is not None
    emergencies.order(subject=subject, reason="Taken over", by=own.owner, now=world.clock())
    sweeps.carry_on_emergencies(now=world.clock())
    assert states() == {"weekly-csat": "awaiting_consent", "own": "cancelled"}


def test_a_thousand_are_ended_in_batches_with_the_same_queries_for_each(world):
    many(world, 1000, half_active=True)
    emergency = order(world, "helpdesk")
    counts = []
    for _ in range(10):
        reset_queries()
        with CaptureQueriesContext(connection) as asked:
            assert emergencies.carry_on_all(now=world.clock()) == emergencies.BATCH
        counts.append(len(asked))
    assert max(counts) - min(counts) < emergencies.BATCH / 10
    assert counts[0] < 14 * emergencies.BATCH
    assert emergencies.carry_on_all(now=world.clock()) == 0
    emergency.refresh_from_db()
    assert emergency.finished_at is not None
    assert set(states().values()) == {"cancelled", "revoking"}
    ended = AuditEvent.objects.filter(event__in=("credential.cancelled", "credential.revoked"))
    assert ended.count() == 1000
    assert Job.objects.filter(kind=Job.Kind.CONFIRM, done_at=None).count() == 499


class Now:
    """A thread that runs where it is started."""

    def __init__(self, target: Callable[[], None]) -> None:
        self.start = target


def test_the_order_nudges_a_worker_after_its_commit(
    world, monkeypatch, django_capture_on_commit_callbacks
):
    world.active()
    sent: list[bool] = []
    monkeypatch.setattr(settings, "CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(emergencies, "Thread", lambda target, **_: Now(target))
    monkeypatch.setattr(emergencies, "_publish", lambda: sent.append(True))
    monkeypatch.setattr(outbox, "nudge", lambda _: None)
    with django_capture_on_commit_callbacks(execute=True):
        order(world)
    assert sent == [True]


# --- How far it is -----------------------------------------------------------------------------------


def test_the_page_follows_until_the_last_is_confirmed_gone(world, omar):
    world.active()
    world.ordered(script_name="waiting")
    press(omar, world)
    address = f"/emergencies/{Emergency.objects.get().pk}"
    page = words(omar.get(address))
    assert "Not confirmed gone yet: 1 of 2." in page
    assert "2 of 2" in seen(page, "Ended or ending")
    assert "1 of 2" in seen(page, "Confirmed gone")
    assert '<noscript><meta http-equiv="refresh"' in page
    for _ in range(5):
        world.work()
        world.wait(seconds=5)
    page = words(omar.get(address))
    assert "All 2 are confirmed gone." in page
    assert "refresh" not in page
    assert "hx-trigger" not in page


def test_asked_with_the_mark_of_what_is_shown_it_says_nothing_new(world, omar):
    world.active()
    emergency = order(world)
    address = f"/emergencies/{emergency.pk}"
    mark = words(omar.get(address)).split("?seen=")[1].split('"')[0]
    headers = {"HX-Request": "true"}
    assert omar.get(f"{address}?seen={mark}", headers=headers).status_code == 204
    sweeps.carry_on_emergencies(now=world.clock())
    assert omar.get(f"{address}?seen={mark}", headers=headers).status_code == 200


def test_ends_that_fail_stand_there_with_error_tries_and_next_try(world, omar):
    world.active(script_name="hard-to-kill")
    press(omar, world)
    for _ in range(outbox.TRIES_BEFORE_RED):
        world.desk.next_answers["show"].append(Retry("The helpdesk is away."))
        world.wait(minutes=15)
        world.work()
    browser_now = browser(world, "cleo")
    page = words(browser_now.get(f"/emergencies/{Emergency.objects.get().pk}"))
    table = page.split("Tries that failed")[1]
    assert "hard-to-kill" in table
    assert "The helpdesk is away." in table
    assert f'<span class="number">{outbox.TRIES_BEFORE_RED}</span>' in table
    assert "not confirmed gone" in table


def test_what_was_ending_before_is_told_apart(world, omar):
    early = world.active(script_name="early")
    over = world.ordered(script_name="over")
    credentials.cancel(credential=over, by=over.owner, reason="", now=world.clock())
    world.active()
    credentials.revoke(credential=early, by=early.owner, reason="", now=world.clock())
    world.wait(seconds=1)
    press(omar, world)
    page = words(omar.get(f"/emergencies/{Emergency.objects.get().pk}"))
    assert "1 of 1" in seen(page, "Ended or ending")
    assert seen(page, "Ending before it").startswith('<dd class="number">1')


def test_an_emergency_nobody_knows_is_not_found(world, omar):
    for pk in ("0", "7", "9" * 30):
        assert omar.get(f"/emergencies/{pk}").status_code == 404


def test_the_pages_ask_as_often_for_many_as_for_one(world, omar):
    many(world, 3)
    order(world)
    address = f"/emergencies/{Emergency.objects.get().pk}"

    def asked(page: str) -> int:
        with CaptureQueriesContext(connection) as queries_asked:
            assert omar.get(page).status_code == 200
        return len(queries_asked)

    few = asked(address)
    chosen = asked(f"/emergencies?subject={key_of(world, 'helpdesk')}")
    for row in Credential.objects.all():
        for n in range(10):
            row.pk, row.client_id = None, f"{row.script_name}-{n}"
            row.save()
    assert asked(address) == few < 20
    assert asked(f"/emergencies?subject={key_of(world, 'helpdesk')}") == chosen < 20


def test_the_inventory_and_the_page_of_an_access_lead_to_it(world, omar):
    held = world.active()
    assert 'href="/emergencies"' in words(omar.get("/inventory"))
    link = f"/emergencies?subject={key_of(world)}"
    assert link in words(omar.get(f"/credentials/{held.pk}"))
    cleo = browser(world, "cleo")
    assert link not in words(cleo.get(f"/credentials/{held.pk}"))
    assert 'href="/emergencies"' in words(cleo.get("/inventory"))
    assert link not in words(browser(world, "ada").get(f"/credentials/{held.pk}"))


def test_the_jobs_that_confirm_it_overtake_all_other_work(world, omar):
    world.active()
    press(omar, world)
    assert set(Job.objects.filter(done_at=None).values_list("urgency", flat=True)) == {0}
