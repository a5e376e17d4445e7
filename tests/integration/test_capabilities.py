"""A helpdesk that keeps one access per person: found out once, then said before anybody is sent to consent."""

from datetime import timedelta

import pytest
from django.conf import settings

from accounts import clock
from accounts.models import AuditEvent
from tests.fakes import FakeConnector
from tests.integration._people import browser, words
from tests.world import World
from tokens import policies
from tokens.capabilities import SEVERAL_GRANTS
from tokens.connectors.base import Unknown
from tokens.models import Connection, Credential, Grant, Helpdesk, Job
from tokens.operations import capabilities, connections, credentials, helpdesks, sweeps
from tokens.refusals import Denied, StaleState
from tokens.states import CredentialState, GrantState

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(now=clock.now())
    monkeypatch.setattr(clock, "now", made.clock)
    made.desk.one_grant_per_user = True
    return made


def learned(world: World) -> str:
    return str(world.helpdesk.capabilities.get(SEVERAL_GRANTS, "unknown"))


def know(world: World) -> None:
    """What an earlier vanishing taught."""
    capabilities.learn(helpdesk=world.helpdesk, name=SEVERAL_GRANTS, is_so=False, now=world.clock())


def take(world: World) -> None:
    world.wait(seconds=settings.INVENTORY_EVERY.total_seconds() + 1)
    sweeps.order_inventories(now=world.clock())
    world.work()


def fresh(credential: Credential) -> Credential:
    return Credential.objects.select_related("helpdesk", "owner", "acts_as").get(pk=credential.pk)


def consented(world: World) -> Credential:
    """A second access of the same person, whose consent came back and waits for its exchange."""
    second = world.ordered(script_name="second")
    world.consent(second)
    return second


def connect(world: World, credential: Credential, **more: object) -> connections.Trip:
    return connections.start(
        credential=fresh(credential),
        by=credential.owner,
        session_key="s",
        now=world.clock(),
        **more,
    )


def allow(world: World, credential: Credential, trip: connections.Trip) -> Credential:
    code = world.desk.consent(credential.acts_as.remote_id, credential.scopes)
    return connections.come_back(
        came=connections.Return(trip.state, code, ""), slug="production",
        by=credential.owner, session_key="s", now=world.clock(),
    )  # fmt: skip


# --- Finding out -------------------------------------------------------------------------------------


def test_the_first_second_consent_of_a_person_shows_that_one_is_kept(world):
    first = world.active()
    assert learned(world) == "unknown"
    second = world.active(script_name="second")
    assert learned(world) == "no"
    event = AuditEvent.objects.get(event="helpdesk.learned", body__contains=SEVERAL_GRANTS)
    assert '"is_so": false' in event.body
    take(world)
    assert fresh(first).state == CredentialState.LOST
    assert fresh(second).state == CredentialState.ACTIVE


def test_a_script_that_runs_now_and_then_shows_it_too(world):
    """Its access half ended long ago; the other consent ends its refresh half."""
    world.active()
    world.wait(days=3)
    world.active(script_name="second")
    assert learned(world) == "no"


def test_or_that_several_are_and_then_nobody_looks_again(world):
    world.desk.one_grant_per_user = False
    world.active()
    world.active(script_name="second")
    assert learned(world) == "yes"
    looks = world.desk.calls.count("show")
    world.active(script_name="third")
    assert world.desk.calls.count("show") == looks


def test_a_demotion_between_two_consents_teaches_nothing(world):
    """All tokens of the person died before the next consent, so it did not end them."""
    world.desk.one_grant_per_user = False
    first = world.active()
    world.desk.end(first.grants.get().remote_id)
    second = world.active(script_name="second")
    take(world)
    assert [fresh(one).state for one in (first, second)] == ["lost", "active"]
    assert learned(world) == "unknown"


def test_a_consent_of_somebody_else_teaches_nothing(world):
    world.active()
    world.active(by="piotr", script_name="second")
    assert learned(world) == "unknown"


def test_a_refresh_of_the_other_access_meanwhile_teaches_nothing(world):
    first, second = world.active(), world.ordered(script_name="second")
    grant = first.grants.get()

    def refreshed() -> None:
        Grant.objects.create(
            helpdesk=grant.helpdesk, credential=first, purpose=Grant.Purpose.REFRESH, generation=2,
            replaces=grant, state=GrantState.SENT, intended_at=world.now, sent_at=world.now,
        )  # fmt: skip

    world.consent(second)
    world.desk.next_answers["exchange"].append(refreshed)
    world.work()
    assert fresh(second).state == CredentialState.ACTIVE
    assert learned(world) == "unknown"


@pytest.mark.parametrize("call", ["show", "list"])
def test_an_exchange_waits_for_the_look_before_it(world, call):
    """What cannot be told afterwards is not done."""
    world.active()
    second = consented(world)
    world.desk.next_answers[call].append(Unknown("It broke off."))
    world.work()
    assert fresh(second).state == CredentialState.ISSUING
    assert len(world.desk.living()) == 1
    world.wait(seconds=3)
    world.work()
    assert fresh(second).state == CredentialState.ACTIVE
    assert learned(world) == "no"


@pytest.mark.parametrize("call", ["show", "list"])
def test_a_code_that_dies_while_its_exchange_waits_is_a_sentence_and_one_click(world, call):
    world.active()
    second = consented(world)
    world.desk.next_answers[call].extend([Unknown("It broke off.")] * 20)
    for _ in range(5):
        world.work()
        world.wait(seconds=61)
    assert fresh(second).state == CredentialState.AWAITING_CONSENT
    assert "Connect again." in fresh(second).problem
    assert not Job.objects.filter(kind=Job.Kind.EXCHANGE, done_at=None).exists()
    assert len(world.desk.living()) == 1
    world.desk.next_answers[call].clear()
    world.consent(second)
    world.work()
    assert fresh(second).state == CredentialState.ACTIVE
    assert learned(world) == "no"


def test_a_list_and_a_look_that_disagree_let_no_exchange_leave(world, monkeypatch):
    world.active()
    second = consented(world)
    with monkeypatch.context() as patched:
        patched.setattr(FakeConnector, "show", lambda self, **asked: None)
        world.work()
    assert fresh(second).state == CredentialState.ISSUING
    assert len(world.desk.living()) == 1
    world.wait(seconds=3)
    world.work()
    assert learned(world) == "no"


def test_a_look_after_that_gets_no_answer_is_taken_again(world, monkeypatch):
    world.active()
    second = consented(world)
    world.desk.next_answers["exchange"].append(
        lambda: world.desk.next_answers["show"].append(Unknown("It broke off."))
    )
    world.work()
    assert fresh(second).state == CredentialState.ACTIVE
    assert learned(world) == "unknown"
    world.wait(seconds=3)
    world.work()
    assert learned(world) == "no"


# --- Finding out, though it is cut off ----------------------------------------------------------------


class Death(BaseException):
    """The process ends here; nothing catches it."""


def die(*_: object, **__: object) -> None:
    raise Death


def killed(world: World, call: str) -> Credential:
    """A second access whose worker dies at this call: the exchange when it is made, others after it."""
    second = consented(world)
    with pytest.MonkeyPatch.context() as patched:
        at_exchange = (
            die if call == "exchange" else lambda: patched.setattr(FakeConnector, call, die)
        )
        world.desk.next_answers["exchange"].append(at_exchange)
        with pytest.raises(Death):
            world.work()
    return second


def go_on(world: World) -> None:
    """Whoever takes it up, for as long as an unknown answer may take to be settled."""
    for _ in range(5):
        world.wait(seconds=settings.CLAIM.total_seconds() + 1)
        world.work()


@pytest.mark.parametrize(
    ("call", "before", "after"),
    [("show", "active", "active"), ("tokens_of_client", "active", "active"),
     ("current", "issuing", "active"), ("exchange", "issuing", "awaiting_consent")],
)  # fmt: skip
def test_a_worker_killed_on_the_way_leaves_it_to_the_next_one(world, call, before, after):
    """Before the proof, between the proof and either second look, or while nobody knows the answer."""
    world.active()
    second = killed(world, call)
    assert (fresh(second).state, learned(world)) == (before, "unknown")
    go_on(world)
    assert (fresh(second).state, learned(world)) == (after, "no")


def test_a_demotion_before_it_is_taken_up_again_teaches_nothing(world):
    """What the exchange made is dead as well, so the exchange ended nothing."""
    world.active()
    killed(world, "show")
    for pair in world.desk.living():
        world.desk.end(pair.record.id)
    go_on(world)
    assert learned(world) == "unknown"


def lost(world: World, *, is_made: bool = True) -> Credential:
    """A second access whose exchange gets no answer."""

    def lose() -> None:
        raise Unknown("No answer.")

    second = consented(world)
    world.desk.next_answers["exchange"].append(lose if is_made else Unknown("No answer."))
    world.work()
    return second


def test_an_exchange_without_an_answer_is_learned_from_by_what_it_made(world):
    world.active()
    second = lost(world)
    go_on(world)
    assert fresh(second).state == CredentialState.AWAITING_CONSENT
    assert learned(world) == "no"


def test_also_where_a_list_found_first_that_the_other_vanished(world):
    first = world.active()
    lost(world)
    sweeps.order_inventories(now=world.clock())
    world.work()
    assert fresh(first).state == CredentialState.LOST
    go_on(world)
    assert learned(world) == "no"


def test_one_without_an_answer_that_left_both_alive_teaches_that_several_are_held(world):
    world.desk.one_grant_per_user = False
    world.active()
    lost(world)
    go_on(world)
    assert learned(world) == "yes"


@pytest.mark.parametrize("is_one", [True, False])
def test_one_without_an_answer_that_made_nothing_teaches_nothing(world, is_one):
    """Even if the other is gone: somebody deleted it."""
    first = world.active()
    second = lost(world, is_made=False)
    if is_one:
        world.desk.end(first.grants.get().remote_id)
    go_on(world)
    assert fresh(second).state == CredentialState.AWAITING_CONSENT
    assert learned(world) == "unknown"


def test_one_without_an_answer_beside_access_that_its_owner_ended_teaches_nothing(world):
    world.desk.one_grant_per_user = False
    first = world.active()
    lost(world)
    credentials.revoke(credential=first, by=first.owner, reason="", now=world.clock())
    go_on(world)
    assert fresh(first).state == CredentialState.REVOKED
    assert learned(world) == "unknown"


def test_what_two_workers_learn_at_once_is_both_kept(world):
    one, other = world.helpdesk, world.helpdesk
    capabilities.learn(helpdesk=one, name="a", is_so=True, now=world.clock())
    capabilities.learn(helpdesk=other, name="b", is_so=False, now=world.clock())
    capabilities.learn(helpdesk=other, name="b", is_so=False, now=world.clock())
    assert world.helpdesk.capabilities == other.capabilities == {"a": "yes", "b": "no"}
    assert AuditEvent.objects.filter(event="helpdesk.learned").count() == 2


# --- Unknown or several: nothing changes -------------------------------------------------------------


@pytest.mark.parametrize("word", ["unknown", "yes"])
def test_where_several_are_held_nothing_is_asked_or_ended(world, ada, word):
    world.desk.one_grant_per_user = False
    if word == "yes":
        Helpdesk.objects.update(capabilities={SEVERAL_GRANTS: "yes"})
    first, second = world.active(), world.ordered(script_name="second")
    page = words(ada.get(f"/credentials/{second.pk}"))
    assert "keeps one access per person" not in page
    assert "keeps one access per person" not in words(ada.get("/requests/new"))
    assert ada.get(f"/credentials/{second.pk}/connect").status_code == 302
    assert ada.post(f"/credentials/{second.pk}/connect").status_code == 303
    world.consent(second)
    world.work()
    assert fresh(first).state == fresh(second).state == CredentialState.ACTIVE


# --- One per person: a replacement, and said so ------------------------------------------------------


def test_the_page_says_what_connecting_ends_before_anybody_is_sent_away(world, ada):
    first, second = world.active(), world.ordered(script_name="second")
    know(world)
    page = words(ada.get(f"/credentials/{second.pk}"))
    assert "keeps one access per person: connecting this ends “weekly-csat” for good." in page
    assert f'href="/credentials/{second.pk}/connect"' in page
    before = words(ada.get(f"/credentials/{second.pk}/connect"))
    assert "Owner: Ada Lindqvist" in before
    assert "not used yet" in before
    assert f'name="replaces" value="{first.pk}"' in before
    assert not Connection.objects.filter(credential=second).exists()


def test_without_agreeing_nobody_is_sent_to_the_consent(world, ada):
    first, second = world.active(), world.ordered(script_name="second")
    know(world)
    for sent in (
        {},
        {"replaces": "0"},
        {"replaces": ["x", ""]},
        {"replaces": "9" * 40},
    ):
        response = ada.post(f"/credentials/{second.pk}/connect", sent)
        assert response.status_code == 409, sent
        assert "You have to agree to that first." in words(response)
        assert f'href="/credentials/{second.pk}/connect"' in words(response)
    assert not Connection.objects.filter(credential=second).exists()
    assert fresh(first).state == CredentialState.ACTIVE


def test_agreed_the_consent_ends_the_other_and_both_histories_say_why(world, ada):
    first, second = world.active(), world.ordered(script_name="second")
    know(world)
    sent = ada.post(f"/credentials/{second.pk}/connect", {"replaces": str(first.pk)})
    assert sent.status_code == 303
    assert fresh(first).state == CredentialState.ACTIVE
    trip = connect(world, second, replaces=[first.pk])
    allow(world, second, trip)
    assert fresh(second).state == CredentialState.ISSUING
    assert fresh(first).state == CredentialState.REVOKING
    assert "Replaced by “second”" in fresh(first).end_reason
    event = AuditEvent.objects.get(event="credential.revoked", target_id=str(first.pk))
    assert event.actor_name == "Ada Lindqvist"
    for _ in range(3):
        world.work()
        world.wait(seconds=5)
    assert (fresh(first).state, fresh(second).state) == ("revoked", "active")
    assert len(world.desk.living()) == 1
    assert "Replaced by “second”" in words(ada.get(f"/credentials/{first.pk}"))


def test_a_denied_consent_ends_nothing(world):
    first, second = world.active(), world.ordered(script_name="second")
    know(world)
    trip = connect(world, second, replaces=[first.pk])
    connections.come_back(
        came=connections.Return(trip.state, "", "access_denied"), slug="production",
        by=second.owner, session_key="s", now=world.clock(),
    )  # fmt: skip
    assert fresh(first).state == CredentialState.ACTIVE
    assert fresh(second).state == CredentialState.AWAITING_CONSENT


def test_what_was_learned_on_the_way_stops_the_consent(world):
    first, second = world.active(), world.ordered(script_name="second")
    trip = connect(world, second)
    know(world)
    with pytest.raises(StaleState, match="agree to that first"):
        allow(world, second, trip)
    assert fresh(first).state == CredentialState.ACTIVE
    assert fresh(second).state == CredentialState.AWAITING_CONSENT
    assert not Job.objects.filter(kind=Job.Kind.EXCHANGE, done_at=None).exists()


def test_what_was_connected_on_the_way_is_not_ended_unasked(world):
    first, second = world.active(), world.ordered(script_name="second")
    third = world.ordered(script_name="third")
    know(world)
    early = connect(world, second, replaces=[first.pk])
    late = connect(world, third, replaces=[first.pk])
    allow(world, third, late)
    world.work()
    assert fresh(third).state == CredentialState.ACTIVE
    with pytest.raises(StaleState, match="third"):
        allow(world, second, early)
    assert fresh(third).state == CredentialState.ACTIVE
    assert fresh(second).state == CredentialState.AWAITING_CONSENT


def test_what_was_learned_after_the_consent_stops_the_exchange(world):
    first, second = world.active(), world.ordered(script_name="second")
    world.consent(second)
    know(world)
    world.work()
    assert fresh(first).state == CredentialState.ACTIVE
    assert fresh(second).state == CredentialState.AWAITING_CONSENT
    assert "keeps one access per person" in fresh(second).problem
    assert world.desk.calls.count("exchange") == 1
    assert len(world.desk.living()) == 1


def test_reconnecting_one_is_a_replacement_too(world, ada):
    first = world.active()
    take(world)
    second = world.active(script_name="second")
    take(world)
    assert fresh(first).state == CredentialState.LOST
    page = words(ada.get(f"/credentials/{first.pk}"))
    assert "connecting this ends “second” for good." in page
    trip = connect(world, first, replaces=[second.pk])
    allow(world, first, trip)
    for _ in range(3):
        world.work()
        world.wait(seconds=5)
    assert (fresh(first).state, fresh(second).state) == ("active", "revoked")


def test_what_has_ended_and_what_is_another_persons_is_not_replaced(world):
    first = world.active()
    world.active(by="piotr", script_name="piotrs")
    credentials.revoke(credential=first, by=first.owner, reason="", now=world.clock())
    second = world.ordered(script_name="second")
    know(world)
    assert policies.ended_by_connecting(fresh(second)) == []
    connect(world, second)


def test_it_is_told_when_asking_and_when_deciding(world, ada):
    world.active()
    know(world)
    assert "connecting this later ends “weekly-csat” for good." in words(ada.get("/requests/new"))
    row = world.ask(script_name="second")
    card = words(browser(world, "ben").get(f"/requests/{row.pk}"))
    assert "connecting this later ends “weekly-csat” for good." in card
    renewal = world.ask(renews=Credential.objects.get(), days=90)
    assert "for good" not in words(browser(world, "ben").get(f"/requests/{renewal.pk}"))


def test_nobodys_script_is_killed_to_find_out_twice(world):
    """The story whole: the first time costs one access; after that none is lost unasked."""
    first = world.active()
    take(world)
    world.active(script_name="second")
    take(world)
    third = world.ordered(script_name="third")
    with pytest.raises(StaleState):
        connect(world, third)
    for _ in range(3):
        take(world)
    lost = Credential.objects.filter(state=CredentialState.LOST)
    assert list(lost) == [first]
    assert world.now > first.issued_at + timedelta(minutes=15)


# --- What may not be taken for one per person --------------------------------------------------------


def test_a_sibling_that_is_about_to_end_by_itself_teaches_nothing(world):
    world.desk.one_grant_per_user = False
    first = world.active()
    second = world.ordered(script_name="second")
    left = settings.MINIMUM_AGE - timedelta(seconds=5)
    world.now = first.grants.get().access_expires_at - left
    world.consent(second)
    world.work()
    assert fresh(second).state == CredentialState.ACTIVE
    assert learned(world) == "unknown"


def test_a_sibling_whose_end_came_near_during_the_exchange_teaches_nothing(world):
    first = world.active()
    second = world.ordered(script_name="second")
    world.now = first.grants.get().access_expires_at - settings.MINIMUM_AGE - timedelta(seconds=20)
    world.desk.next_answers["exchange"].append(lambda: world.wait(seconds=30))
    world.consent(second)
    world.work()
    assert fresh(second).state == CredentialState.ACTIVE
    assert learned(world) == "unknown"


def test_a_sibling_that_is_said_to_be_gone_and_stands_in_the_list_teaches_nothing(
    world, monkeypatch
):
    world.desk.one_grant_per_user = False
    world.active()
    second = world.ordered(script_name="second")
    world.desk.next_answers["exchange"].append(
        lambda: monkeypatch.setattr(FakeConnector, "show", lambda self, **asked: None)
    )
    world.consent(second)
    world.work()
    assert fresh(second).state == CredentialState.ACTIVE
    assert learned(world) == "unknown"


def test_a_sibling_that_only_its_own_token_may_look_at_teaches_no_end(world):
    world.desk.forbidden.add("show")
    world.active()
    second = world.active(script_name="second")
    assert fresh(second).state == CredentialState.ACTIVE
    assert learned(world) == "unknown"


def test_but_one_that_its_own_token_shows_teaches_that_several_are_held(world):
    world.desk.forbidden.add("show")
    world.desk.one_grant_per_user = False
    world.active()
    world.active(script_name="second")
    assert learned(world) == "yes"


def test_an_admin_has_it_forgotten_and_the_history_says_so(world):
    know(world)
    omar = world.person("omar")
    forget = {"helpdesk": world.helpdesk, "name": SEVERAL_GRANTS}
    with pytest.raises(Denied):
        capabilities.forget(**forget, by=world.person("cleo"), now=world.clock())
    capabilities.forget(**forget, by=omar, now=world.clock())
    assert learned(world) == "unknown"
    event = AuditEvent.objects.get(event="helpdesk.forgot")
    assert (event.actor, event.target_id) == (f"user:{omar.pk}", str(world.helpdesk.pk))
    assert (
        "had Keydesk forget what it learned about the helpdesk: One person may hold one"
        in words(browser(world, "omar").get("/audit"))
    )
    with pytest.raises(StaleState, match="nothing to forget"):
        capabilities.forget(**forget, by=omar, now=world.clock())


def test_a_consent_that_comes_back_to_a_frozen_helpdesk_ends_nothing(world):
    first, second = world.active(), world.ordered(script_name="second")
    know(world)
    trip = connect(world, second, replaces=[first.pk])
    helpdesks.freeze(
        helpdesk=world.helpdesk, by=world.person("omar"), reason="Incident", now=world.clock()
    )
    with pytest.raises(StaleState, match="Nothing was ended"):
        allow(world, second, trip)
    assert fresh(first).state == CredentialState.ACTIVE
    assert fresh(second).state == CredentialState.AWAITING_CONSENT
