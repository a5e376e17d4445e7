"""The life of a credential through real operations and a real worker loop, against a helpdesk in memory."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction

from accounts.models import AuditEvent
from accounts.operations import deactivate
from tests.fakes import FakeConnector
from tests.world import World
from tokens import outbox
from tokens.capabilities import SEVERAL_GRANTS, current
from tokens.connectors.base import GiveUp, Retry, TokenRecord, Unknown
from tokens.models import Credential, Grant, Helpdesk, InventoryRun, Job
from tokens.operations import capabilities, credentials, grants, helpdesks, keys, sweeps
from tokens.provisioning import confirm, open_line
from tokens.refusals import StaleState
from tokens.states import GRANT_OPEN, CredentialState, GrantState

pytestmark = pytest.mark.django_db


def work_on(world: World) -> None:
    """Let a worker look three times, five seconds apart: a deletion, the list that confirms it, the end."""
    for _ in range(3):
        world.work()
        world.wait(seconds=5)


@pytest.fixture
def world() -> World:
    return World()


def test_an_approved_request_becomes_a_proved_token(world):
    credential = world.active()
    grant = credential.grants.get()
    assert grant.state == GrantState.LIVE
    assert grant.remote_id == world.desk.living()[0].record.id
    assert credential.lives_until == credential.issued_at + timedelta(days=90)
    assert not credential.connections.exclude(code="", verifier="").exists()


def test_consent_by_somebody_else_is_refused_and_revoked(world):
    credential = world.ordered()
    world.consent(
        credential, as_user=world.person("piotr").helpdesk_links.first().helpdesk_user.remote_id
    )
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT
    assert "Somebody else was signed in" in credential.problem
    assert world.desk.living() == []
    assert credential.grants.get().state == GrantState.GONE


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scopes": frozenset({"tickets:read", "tickets:write"})}, "other permissions"),
        ({"expires_at": None}, "without an end"),
        ({"refresh_expires_at": None}, "without an end"),
        ({"user_id": 1}, "Somebody else"),
        ({"client_id": 78}, "another application"),
    ],
)
def test_a_token_that_is_not_what_was_approved_is_thrown_away(world, change, sentence):
    credential = world.ordered()
    world.consent(credential)
    world.desk.next_answers["exchange"].append(change)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT
    assert sentence in credential.problem
    assert world.desk.living() == []


def test_a_token_that_lives_longer_than_asked_is_refused(world):
    credential = world.ordered()
    world.consent(credential)
    later = world.now + timedelta(seconds=credential.access_token_seconds + 120)
    world.desk.next_answers["exchange"].append({"expires_at": later})
    world.work()
    credential.refresh_from_db()
    assert "lives longer" in credential.problem


def test_a_dead_code_says_so_and_connecting_again_works(world):
    credential = world.ordered()
    world.consent(credential)
    world.desk.next_answers["exchange"].append(GiveUp("dead", code="invalid_grant"))
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT
    assert "ran out" in credential.problem
    world.consent(credential)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE


def test_an_exchange_without_an_answer_is_written_off_and_never_repeated(world):
    credential = world.ordered()
    world.consent(credential)

    def lost() -> None:
        raise Unknown("no answer")

    world.desk.next_answers["exchange"].append(lost)
    world.work()
    grant = credential.grants.get()
    assert grant.state == GrantState.UNKNOWN
    assert world.desk.calls.count("exchange") == 1
    world.wait(seconds=settings.MINIMUM_AGE.total_seconds())
    world.work()
    grant.refresh_from_db()
    credential.refresh_from_db()
    assert grant.state == GrantState.WRITTEN_OFF
    assert credential.state == CredentialState.AWAITING_CONSENT
    assert world.desk.calls.count("exchange") == 1


def test_what_a_lost_exchange_made_is_ended_by_two_lists(world):
    test_an_exchange_without_an_answer_is_written_off_and_never_repeated(world)
    assert len(world.desk.living()) == 1
    for _ in range(3):
        world.wait(seconds=settings.INVENTORY_EVERY.total_seconds() + 1)
        sweeps.sweep(now=world.now)
        world.work()
    assert world.desk.living() == []
    assert Grant.objects.get(credential=None).state == GrantState.GONE


def test_a_refresh_waits_for_serve_until_and_keeps_the_lease(world):
    credential = world.active()
    first = credential.grants.get()
    keys.order_refresh(credential, now=world.now)
    world.work()
    assert world.desk.calls.count("refresh") == 0
    world.now = first.serve_until
    world.work()
    first.refresh_from_db()
    second = credential.grants.get(state=GrantState.LIVE)
    assert (first.state, second.generation, second.replaces) == (GrantState.REPLACED, 2, first)
    assert len(world.desk.living()) == 1


def test_a_refresh_without_an_answer_is_sent_again_until_it_answers(world):
    credential = world.active()
    first = credential.grants.get()
    world.now = first.serve_until
    keys.order_refresh(credential, now=world.now)
    world.desk.next_answers["refresh"] += [Unknown("reset"), Unknown("reset")]
    world.work()
    first.refresh_from_db()
    assert first.serve_until > world.now
    assert first.serve_until <= world.now + settings.MINIMUM_AGE
    for _ in range(2):
        world.wait(seconds=settings.MINIMUM_AGE.total_seconds() + 1)
        world.work()
    states = list(credential.grants.order_by("generation").values_list("state", flat=True))
    assert states == ["replaced", "written_off", "written_off", "live"]


def test_a_refresh_that_was_lost_for_good_disconnects(world):
    credential = world.active()
    first = credential.grants.get()
    world.now = first.serve_until
    keys.order_refresh(credential, now=world.now)

    def lost() -> None:
        raise Unknown("no answer")

    world.desk.next_answers["refresh"].append(lost)
    world.work()
    world.wait(seconds=settings.MINIMUM_AGE.total_seconds() + 1)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.LOST
    first.refresh_from_db()
    assert first.state in (GrantState.DOOMED, GrantState.GONE)
    world.consent(credential)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE


def test_replaced_now_is_never_served_again(world):
    credential = world.active()
    keys.replace_now(credential=credential, by=credential.owner, now=world.clock())
    world.desk.next_answers["refresh"].append(Unknown("reset"))
    world.work()
    handed = keys.hand_out(
        credential_id=credential.pk, secret=None, address=None, now=world.clock()
    )
    assert handed is None


def test_revoke_ends_with_nothing_on_the_helpdesk(world):
    credential = world.active()
    credentials.revoke(credential=credential, by=credential.owner, reason="done", now=world.clock())
    with pytest.raises(StaleState):
        keys.hand_out(credential_id=credential.pk, secret=None, address=None, now=world.clock())
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []
    with pytest.raises(StaleState, match="Already"):
        credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())


def test_a_delete_that_did_nothing_is_not_gone(world):
    credential = world.active()
    world.desk.next_answers["delete"].append("lie")
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKING
    assert Job.objects.get(kind=Job.Kind.CLOSE, done_at=None).error
    world.wait(seconds=60)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED


def revoked_while_it_is_exchanged(world: World) -> Credential:
    credential = world.ordered()
    world.consent(credential)

    def revoked_meanwhile() -> None:
        credential.refresh_from_db()
        credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())

    world.desk.next_answers["exchange"].append(revoked_meanwhile)
    return credential


def test_a_revoke_during_an_exchange_ends_what_the_exchange_makes(world):
    credential = revoked_while_it_is_exchanged(world)
    for _ in range(3):
        world.work()
        world.wait(seconds=settings.MINIMUM_AGE.total_seconds())
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []


def urgency_of_its_end(credential: Credential) -> list[int]:
    ends = Job.objects.filter(kind=Job.Kind.CLOSE, target_id__in=credential.grants.values("pk"))
    return [job.urgency for job in ends]


def test_what_comes_after_a_click_to_end_it_is_in_nobodys_line(world):
    credential = revoked_while_it_is_exchanged(world)
    world.work()
    assert urgency_of_its_end(credential) == [outbox.AT_ONCE]


def test_what_is_thrown_away_already_is_hastened_by_a_click_to_end_it(world):
    credential = world.active()
    credentials.lose(credential=credential, reason="Changed.", now=world.clock())
    assert urgency_of_its_end(credential) == [outbox.ENDING]
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    assert urgency_of_its_end(credential) == [outbox.AT_ONCE]


def test_what_time_ended_goes_after_what_somebody_ended(world):
    credential = world.active()
    world.now = credential.lives_until
    sweeps.sweep(now=world.now)
    assert urgency_of_its_end(credential) == [outbox.ENDING]


def test_an_unused_token_needs_a_refused_refresh_to_be_gone(world):
    credential = world.active()
    grant = credential.grants.get()
    world.wait(days=30)
    assert grant.access_expires_at < world.now
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    work_on(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.calls.count("refresh") == 1
    assert world.desk.living() == []


def closed_meanwhile(world: World, credential: Credential) -> Callable[[], None]:
    """Another worker swaps the refresh half of what is to be closed."""

    def close() -> None:
        grant = credential.grants.get(purpose=Grant.Purpose.EXCHANGE)
        closing = grants.intend(
            credential=credential, purpose=Grant.Purpose.CLOSE, replaces=grant, now=world.clock()
        )
        grants.send(closing, now=world.clock())
        pair = FakeConnector(world.desk).refresh(
            refresh_token=world.desk.living()[0].refresh, scopes=credential.scopes,
            expires_in=300, refresh_expires_in=7 * 86_400,
        )  # fmt: skip
        grants.answer(closing, pair, now=world.clock())

    return close


def test_two_workers_at_one_closing_come_to_an_end(world, monkeypatch):
    """The slower would forget that the refresh half was swapped, and could never swap it again."""
    credential = world.active()
    world.wait(days=30)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    meanwhile, right = [closed_meanwhile(world, credential)], FakeConnector.show

    def show(self: FakeConnector, **asked: Any) -> TokenRecord | None:
        if meanwhile:
            meanwhile.pop()()
        return right(self, **asked)

    monkeypatch.setattr(FakeConnector, "show", show)
    work_on(world)
    work_on(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []


def test_a_half_that_was_swapped_is_not_swapped_again(world):
    """However it came that its row does not say so any more."""
    credential = world.active()
    world.wait(days=30)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    closed_meanwhile(world, credential)()
    Grant.objects.update(is_refresh_dead=False)
    work_on(world)
    work_on(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []


def test_a_closing_refresh_keeps_out_of_the_way_of_anothers_proof_by_list(world):
    """A second new token in the list after would have the other one thrown away."""
    credential = world.active()
    world.wait(days=30)
    Helpdesk.objects.update(proof_turn=0, proof_turn_until=world.now + timedelta(seconds=60))
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    work_on(world)
    assert world.desk.calls.count("refresh") == 0
    assert not credential.grants.filter(state__in=GRANT_OPEN).exists()
    world.wait(seconds=61)
    work_on(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.calls.count("refresh") == 1


def test_the_list_an_end_waits_for_goes_before_refreshes(world):
    def owed() -> Job:
        return Job.objects.get(kind=Job.Kind.INVENTORY, helpdesk=world.helpdesk, done_at=None)

    world.ended_without_an_answer()
    world.desk.next_answers["whoami"].append(Retry("Busy."))
    world.work()
    assert owed().urgency == outbox.AT_ONCE
    Job.objects.update(done_at=world.now - settings.INVENTORY_EVERY * 2)
    sweeps.order_inventories(now=world.clock())
    assert owed().urgency == outbox.AT_ONCE


def test_expiry_ends_by_itself(world):
    credential = world.active()
    world.now = credential.lives_until
    sweeps.sweep(now=world.now)
    for _ in range(2):
        world.work()
        world.wait(seconds=5)
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []


def test_a_narrow_token_is_proved_by_the_list(world):
    world.desk.narrow_may_ask_current = False
    credential = world.active()
    assert credential.grants.get().remote_id == world.desk.living()[0].record.id
    assert list(world.helpdesk.capabilities.values()) == ["no"]
    assert world.helpdesk.proof_turn is None


def test_a_list_that_lags_behind_proves_no_refresh(world, monkeypatch):
    """It still shows the token before; what was made must not be handed out as that one."""
    world.desk.narrow_may_ask_current = False
    credential = world.active()
    first = credential.grants.get()
    old = world.desk.living()[0].record
    world.now = first.serve_until
    keys.order_refresh(credential, now=world.now)
    with monkeypatch.context() as patched:
        patched.setattr(FakeConnector, "tokens_of_client", lambda self, **asked: [old])
        world.work()
    assert world.desk.calls.count("refresh") == 1
    assert not credential.grants.filter(state=GrantState.LIVE).exclude(pk=first.pk).exists()
    world.wait(minutes=1)
    world.work()
    assert (
        credential.grants.get(state=GrantState.LIVE).remote_id == world.desk.living()[0].record.id
    )


def test_what_closes_a_pair_and_may_not_say_who_it_is_is_found_by_list(world, monkeypatch):
    """Somebody who is suspended: else one closing refresh would follow the other for ever."""
    credential = world.active()
    grant = credential.grants.get()
    world.now = grant.access_expires_at + timedelta(minutes=1)
    world.desk.hidden.add(grant.remote_id)
    real = FakeConnector.show

    def spares(self: FakeConnector, *, token_id: int, access_token: str) -> TokenRecord | None:
        """The first is not there any more by its id, and its refresh half lives on."""
        if token_id == grant.remote_id:
            return None
        return real(self, token_id=token_id, access_token=access_token)

    monkeypatch.setattr(FakeConnector, "show", spares)
    world.desk.narrow_may_ask_current = False
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    for _ in range(10):
        world.work()
        world.wait(minutes=6)
        sweeps.order_inventories(now=world.clock())
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []
    assert world.desk.calls.count("refresh") <= 2


def test_two_new_tokens_at_once_are_both_thrown_away(world):
    world.desk.narrow_may_ask_current = False
    credential = world.ordered()
    world.consent(credential)
    stranger = credential.acts_as.remote_id

    def another() -> None:
        world.desk.make(stranger, frozenset({"read"}), 3600, 700_000)

    world.desk.next_answers["exchange"].append(another)
    for _ in range(3):
        world.work()
        world.wait(seconds=30)
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT
    assert "could not tell" in credential.problem
    assert world.desk.living() == []


def test_a_pause_the_helpdesk_asks_for_is_kept(world):
    credential = world.ordered()
    world.consent(credential)
    world.desk.next_answers["exchange"].append(Retry("busy", after=20))
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.ISSUING
    world.wait(seconds=21)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE


def test_a_renewal_moves_the_end_and_nothing_else(world):
    credential = world.active()
    before = (credential.client_id, credential.lives_until)
    world.wait(days=80)
    row = world.ask(scopes=credential.scopes, renews=credential, days=30)
    world.approve(row)
    credential.refresh_from_db()
    assert credential.client_id == before[0]
    assert before[1] < credential.lives_until <= world.now + timedelta(days=30)
    assert credential.grants.filter(state=GrantState.LIVE).count() == 1


def test_the_refresh_half_is_kept_alive_until_the_end(world):
    settings_days = 90
    credential = world.active(days=settings_days)
    Grant.objects.filter(credential=credential).update(
        refresh_expires_at=world.now + timedelta(days=2)
    )
    world.wait(hours=20)
    sweeps.sweep(now=world.now)
    world.work()
    live = credential.grants.get(state=GrantState.LIVE)
    assert live.generation == 2
    assert live.refresh_expires_at > world.now + timedelta(days=60)


def test_access_tokens_are_cut_to_the_lease(world):
    credential = world.active(days=1)
    first = credential.grants.get()
    assert first.access_expires_at <= credential.lives_until + timedelta(minutes=5)
    world.now = credential.lives_until - timedelta(minutes=2)
    keys.order_refresh(credential, now=world.now)
    world.work()
    live = credential.grants.get(state=GrantState.LIVE)
    assert live.asked_access_seconds == 300
    assert live.serve_until == credential.lives_until


def test_ending_an_older_pair_leaves_the_answer_to_the_next_consent_alone(world):
    """Connected again while the pair before is still being ended: the new one is proved, its code sent once."""
    credential = world.ordered()
    world.consent(
        credential, as_user=world.person("piotr").helpdesk_links.first().helpdesk_user.remote_id
    )
    world.desk.next_answers["show"].append(Retry("Busy."))
    world.work()
    first = credential.grants.get()
    assert first.state == GrantState.DOOMED
    closing = Job.objects.filter(kind=Job.Kind.CLOSE, target_id=first.pk)
    closing.update(not_before=world.now + timedelta(days=3))
    world.wait(days=2, seconds=1)  # the access half is over, so the refresh half must be asked

    credential.refresh_from_db()
    world.consent(credential)
    world.desk.next_answers["current"].append(Retry("Busy."))
    world.work()
    second = credential.grants.exclude(pk=first.pk).get()
    assert second.state == GrantState.ANSWERED
    closing.update(not_before=world.now)
    world.work()
    second.refresh_from_db()
    assert second.state == GrantState.ANSWERED
    world.wait(seconds=60)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE
    assert world.desk.calls.count("exchange") == 2


def test_a_lost_closing_call_refreshes_nothing_that_clients_hold(world):
    """It was about an older pair: when it is written off, the pair in clients' hands is left alone."""
    credential = world.active()
    first = credential.grants.get()
    with transaction.atomic():
        credentials.lose(credential=credential, reason="Gone.", now=world.clock())
    closing = Job.objects.filter(kind=Job.Kind.CLOSE, target_id=first.pk)
    closing.update(not_before=world.now + timedelta(days=3))
    world.wait(days=2, seconds=1)  # the access half is over, so the refresh half must be asked
    credential.refresh_from_db()
    world.consent(credential)
    world.work()
    live = credential.grants.get(state=GrantState.LIVE)

    world.desk.next_answers["refresh"].append(Unknown("No answer."))
    closing.update(not_before=world.now)
    world.work()
    lost = credential.grants.get(purpose=Grant.Purpose.CLOSE)
    assert lost.state == GrantState.UNKNOWN
    sweeps.find_stuck(now=world.clock())
    world.wait(seconds=settings.MINIMUM_AGE.total_seconds() + 1)
    assert world.now < live.serve_until
    world.work()
    lost.refresh_from_db()
    live.refresh_from_db()
    assert lost.state == GrantState.WRITTEN_OFF
    assert live.state == GrantState.LIVE
    assert not credential.grants.filter(purpose=Grant.Purpose.REFRESH).exists()


def test_a_pair_that_waits_for_its_proof_by_list_keeps_the_others_waiting(world):
    """Also once its turn has run out: two new tokens between two lists would be nobody's."""
    world.desk.narrow_may_ask_current = False
    first, second = (world.ordered(script_name=name) for name in ("first", "second"))
    world.consent(first)
    world.desk.next_answers["current"].append(Retry("Busy."))
    world.work()
    assert first.grants.get().state == GrantState.ANSWERED
    Helpdesk.objects.update(proof_turn=None, proof_turn_until=None)
    Job.objects.filter(target_id=first.pk, kind=Job.Kind.EXCHANGE).update(
        not_before=world.now + timedelta(minutes=1)
    )
    world.consent(second)
    world.work()
    assert not second.grants.exists()


def test_a_code_whose_answer_was_thrown_away_is_not_sent_again(world):
    credential = world.ordered()
    world.consent(credential)
    world.desk.next_answers["current"].append(Retry("Busy."))
    world.work()
    grants.doom(credential.grants.get(), reason="Thrown away.", now=world.clock())
    world.wait(seconds=5)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT
    assert world.desk.calls.count("exchange") == 1


def test_a_pair_nobody_can_name_is_asked_once_and_ends_beside_a_stray_that_only_waits(world):
    """Its access half is dead; a stray of the same person is deleted and waits for its refresh half's end."""
    credential = world.active()
    user = credential.acts_as.remote_id
    stray = world.desk.make(user, frozenset({"tickets:read"}), 60, 7 * 86_400)
    world.wait(days=1)
    for _ in range(3):
        sweeps.order_inventories(now=world.clock())
        world.work()
        world.wait(minutes=6)
    waiting = Grant.objects.get(remote_id=stray.record.id)
    assert (waiting.state, waiting.is_refresh_dead) == (GrantState.DOOMED, False)
    assert waiting.deleted_at is not None

    other = world.ordered(script_name="other")
    world.consent(other)
    world.desk.next_answers["current"] += [
        GiveUp("Dead.", code="invalid_token"), GiveUp("Dead.", code="invalid_token"),
    ]  # fmt: skip
    world.work()
    unnamed = other.grants.exclude(purpose=Grant.Purpose.CLOSE).get()
    for _ in range(5):
        world.wait(seconds=10)
        world.work()
    unnamed.refresh_from_db()
    assert unnamed.remote_id is None
    assert unnamed.state == GrantState.GONE
    asked = AuditEvent.objects.filter(event="grant.access_ended", target_id=str(unnamed.pk))
    assert asked.count() == 1


def test_a_pair_that_was_called_anothers_is_asked_again_with_the_next_list(world, monkeypatch):
    """Not only when its access half has ended, which may be days."""
    credential = world.ordered()

    def another(*_: object, **__: object) -> TokenRecord:
        return replace(world.desk.pairs[-1].record, id=99_999, user_id=4242)

    with monkeypatch.context() as patched:
        patched.setattr(FakeConnector, "current", another)
        world.consent(credential)
        for _ in range(3):
            world.work()
            world.wait(minutes=1)
    unnamed = credential.grants.exclude(purpose=Grant.Purpose.CLOSE).get()
    assert (unnamed.state, unnamed.remote_id) == (GrantState.DOOMED, None)
    assert unnamed.access_expires_at > world.now + 2 * settings.INVENTORY_EVERY
    world.now += settings.INVENTORY_EVERY
    world.work()
    unnamed.refresh_from_db()
    assert unnamed.state == GrantState.GONE


def test_an_end_that_waits_for_its_tokens_is_not_asked_for_again_and_again(world):
    credential = world.active()
    world.desk.next_answers["show"] += [Retry("Busy.")] * 50
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    for _ in range(5):
        world.work()
        world.wait(minutes=1)
        sweeps.find_stuck(now=world.clock())
    assert Job.objects.filter(kind=Job.Kind.CONFIRM).count() == 0, "its burial asks"
    world.desk.next_answers["show"].clear()
    for _ in range(3):
        world.wait(minutes=15)
        world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED


def test_a_pair_whose_scopes_were_changed_by_hand_is_closed_by_naming_none(world):
    credential = world.active()
    grant = credential.grants.get()
    world.now = grant.access_expires_at + timedelta(minutes=1)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    world.desk.next_answers["refresh"].append(GiveUp("Beyond.", code="invalid_scope"))
    for _ in range(3):
        world.work()
        world.wait(minutes=5)
        sweeps.order_inventories(now=world.clock())
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []


def test_a_list_that_fails_gives_the_turn_back(world):
    """Else nobody could exchange or refresh until the turn ends by itself."""
    credential = world.ordered()
    world.consent(credential)
    world.desk.next_answers["list"].append(Unknown("It broke off."))
    world.work()
    assert world.desk.calls.count("exchange") == 0
    assert world.helpdesk.proof_turn is None


def lists_taken(world: World) -> int:
    return InventoryRun.objects.filter(is_complete=True).count()


def know_that_several_are_held(world: World) -> None:
    """So that a list is taken for a proof only, and none to find that out."""
    capabilities.learn(helpdesk=world.helpdesk, name=SEVERAL_GRANTS, is_so=True, now=world.clock())


def test_the_list_after_one_proof_serves_as_the_next_ones_before(world):
    world.desk.narrow_may_ask_current = False
    know_that_several_are_held(world)
    world.active()
    second, third = (world.ordered(script_name=name) for name in ("second", "third"))
    before = lists_taken(world)
    for credential in (second, third):
        world.consent(credential)
        world.work()
        credential.refresh_from_db()
        assert credential.state == CredentialState.ACTIVE
    assert lists_taken(world) == before + 2


@pytest.mark.parametrize("meanwhile", ["a call without an answer", "a minimum age"])
def test_an_older_list_is_not_the_one_before(world, meanwhile):
    """What was made since, and by whom, would not be known."""
    world.desk.narrow_may_ask_current = False
    know_that_several_are_held(world)
    first = world.active()
    second = world.ordered(script_name="second")
    before = lists_taken(world)
    if meanwhile == "a minimum age":
        world.wait(seconds=settings.MINIMUM_AGE.total_seconds() + 1)
    else:
        lost = grants.intend(
            credential=first, purpose=Grant.Purpose.REFRESH, now=world.clock(),
            replaces=first.grants.get(state=GrantState.LIVE),
        )  # fmt: skip
        grants.send(lost, now=world.clock())
        grants.forget(lost, reason="no answer", now=world.clock())
    world.consent(second)
    world.work()
    second.refresh_from_db()
    assert second.state == CredentialState.ACTIVE
    assert lists_taken(world) == before + 2


# --- What the helpdesk says of a token is believed only where it can be ------------------------------


def closing_again(world: World) -> Job:
    return Job.objects.get(kind=Job.Kind.CLOSE, done_at=None)


def test_an_end_that_a_list_contradicts_fails_its_tries_and_orders_no_list_after_list(
    world, monkeypatch
):
    """Deleted by its id, listed all the same: else the two would order each other for ever, before all else."""
    credential = world.active()
    grant = credential.grants.get()
    ghost = world.desk.living()[0].record
    right = FakeConnector.tokens_of_client

    def haunted(self: FakeConnector, **asked: Any) -> list[Any]:
        return [*right(self, **asked), ghost]

    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    with monkeypatch.context() as patched:
        patched.setattr(FakeConnector, "tokens_of_client", haunted)
        lists_before = InventoryRun.objects.count()
        assert world.work() < 10
        for _ in range(outbox.TRIES_BEFORE_RED):
            world.wait(minutes=20)
            sweeps.sweep(now=world.clock())
            assert world.work() < 10
    assert InventoryRun.objects.count() - lists_before <= outbox.TRIES_BEFORE_RED + 2
    job = closing_again(world)
    assert job.tries >= outbox.TRIES_BEFORE_RED
    assert "still shows it" in job.error
    assert AuditEvent.objects.filter(event="grant.deleted", target_id=str(grant.pk)).count() == 1
    for _ in range(4):
        world.wait(minutes=20)
        sweeps.sweep(now=world.clock())
        world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert AuditEvent.objects.filter(event="grant.deleted", target_id=str(grant.pk)).count() == 1


def test_new_access_is_not_held_up_by_a_list_that_contradicts_an_end(world, monkeypatch):
    credential, new = world.active(), world.ordered(script_name="new")
    ghost = world.desk.living()[0].record
    right = FakeConnector.tokens_of_client
    monkeypatch.setattr(
        FakeConnector, "tokens_of_client", lambda self, **asked: [*right(self, **asked), ghost]
    )
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    world.consent(new)
    assert world.work() < 10
    new.refresh_from_db()
    assert new.state == CredentialState.ACTIVE


def test_an_id_that_another_access_holds_is_never_deleted_by(world, monkeypatch):
    """The helpdesk answers the new token with somebody else's description, once and again."""
    victim = world.active()
    held = victim.grants.get()
    other = world.ordered(script_name="other")
    lie = replace(world.desk.living()[0].record, user_id=4242)
    with monkeypatch.context() as patched:
        patched.setattr(FakeConnector, "current", lambda self, *, access_token: lie)
        world.consent(other)
        world.work()
    assert world.desk.living()[0].record.id == held.remote_id
    for _ in range(6):
        world.wait(minutes=6)
        sweeps.sweep(now=world.clock())
        world.work()
    victim.refresh_from_db()
    other.refresh_from_db()
    assert victim.state == CredentialState.ACTIVE
    assert other.state == CredentialState.AWAITING_CONSENT
    assert not other.grants.filter(remote_id=held.remote_id).exists()
    assert [pair.record.id for pair in world.desk.living()] == [held.remote_id]


def test_a_pair_with_another_ones_id_is_thrown_away_though_all_else_is_right(world, monkeypatch):
    victim = world.active()
    other = world.ordered(script_name="other", scopes=victim.scopes)
    lie = world.desk.living()[0].record
    monkeypatch.setattr(FakeConnector, "current", lambda self, *, access_token: lie)
    world.consent(other)
    world.work()
    victim.refresh_from_db()
    other.refresh_from_db()
    assert (victim.state, other.state) == ("active", "awaiting_consent")
    assert "could not tell" in other.problem
    assert lie.id in [pair.record.id for pair in world.desk.living()]


def test_a_token_of_another_application_is_not_deleted_by_its_id(world, monkeypatch):
    theirs = world.desk.make(4242, frozenset({"read"}), 80_000, 700_000)
    theirs.record = replace(theirs.record, client_id=99)
    credential = world.ordered()
    monkeypatch.setattr(FakeConnector, "current", lambda self, *, access_token: theirs.record)
    monkeypatch.setattr(FakeConnector, "tokens_of_client", lambda self, **asked: [])
    world.consent(credential)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT
    assert not theirs.is_deleted


def test_a_refusal_to_say_is_learned_only_where_the_list_proves_the_token(world):
    credential = world.ordered()
    world.consent(credential)
    world.desk.next_answers["current"].append(GiveUp("Suspended.", code="forbidden"))
    stranger = credential.acts_as.remote_id
    world.desk.next_answers["exchange"].append(
        lambda: world.desk.make(stranger, frozenset({"read"}), 3600, 700_000)
    )
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT
    assert "no" not in world.helpdesk.capabilities.values()
    world.consent(credential)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE
    assert "yes" in world.helpdesk.capabilities.values()


def test_a_refusal_where_it_was_answered_before_is_found_out_anew(world):
    world.active()
    second = world.ordered(script_name="second")
    world.desk.narrow_may_ask_current = False
    world.consent(second)
    world.work()
    second.refresh_from_db()
    assert second.state == CredentialState.AWAITING_CONSENT
    name = current(second.scopes)
    assert name not in world.helpdesk.capabilities
    assert AuditEvent.objects.get(event="helpdesk.forgot").actor == "system"
    world.consent(second)
    world.work()
    second.refresh_from_db()
    assert second.state == CredentialState.ACTIVE
    assert world.helpdesk.capabilities[name] == "no"


# --- A word that comes while a list is taken ---------------------------------------------------------


@pytest.mark.parametrize("word", ["freeze", "leave", "revoke"])
def test_what_changes_while_the_list_before_is_taken_stops_the_exchange(world, monkeypatch, word):
    credential = world.ordered()
    world.consent(credential)
    right = FakeConnector.tokens_of_client

    def slow(self: FakeConnector, **asked: Any) -> Any:
        if word == "leave":
            deactivate(user=credential.owner, by=None, reason="Left.", now=world.clock())
        elif word == "revoke":
            _end_and_confirm(world, credential)
        else:
            helpdesks.freeze_restored(helpdesk=world.helpdesk, now=world.clock())
        return right(self, **asked)

    with monkeypatch.context() as patched:
        patched.setattr(FakeConnector, "tokens_of_client", slow)
        world.work()
    assert "exchange" not in world.desk.calls
    assert world.helpdesk.proof_turn is None
    credential.refresh_from_db()
    becomes = {"freeze": "issuing", "leave": "cancelled", "revoke": "revoked"}
    assert credential.state == becomes[word]


def test_what_is_ended_while_the_list_before_is_taken_is_not_refreshed(world, monkeypatch):
    world.desk.narrow_may_ask_current = False
    credential = world.active()
    world.now = credential.grants.get().serve_until
    keys.order_refresh(credential, now=world.clock())
    right = FakeConnector.tokens_of_client

    def slow(self: FakeConnector, **asked: Any) -> Any:
        credential.refresh_from_db()
        if credential.state == CredentialState.ACTIVE:
            credentials.revoke(
                credential=credential, by=credential.owner, reason="", now=world.clock()
            )
        return right(self, **asked)

    with monkeypatch.context() as patched:
        patched.setattr(FakeConnector, "tokens_of_client", slow)
        world.work()
    assert "refresh" not in world.desk.calls
    assert not Grant.objects.filter(state__in=GRANT_OPEN).exists()


def _end_and_confirm(world: World, credential: Credential) -> None:
    """The owner ends it, and the worker that confirms the end is faster than the one that connects."""
    held = Credential.objects.get(pk=credential.pk)
    if held.state != CredentialState.ISSUING:
        return
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    line = open_line(
        world.helpdesk, gate=None, clock=world.clock, connect=lambda *_: FakeConnector(world.desk)
    )
    confirm(line, held.pk)
    Job.objects.filter(kind=Job.Kind.CONFIRM).update(done_at=world.now)
    held.refresh_from_db()
    assert held.state == CredentialState.REVOKED


def test_right_before_its_end_an_access_gets_no_token_that_would_outlive_it(world):
    """A call may take a slot and be done after its caller has given up: what it makes must not reach further
    than the least life beyond the lease."""
    credential = world.active()
    world.now = credential.lives_until - timedelta(seconds=30)
    credential.grants.update(serve_until=world.now)
    keys.order_refresh(credential, now=world.clock())
    world.work()
    assert "refresh" not in world.desk.calls
    assert Job.objects.get(kind=Job.Kind.REFRESH).not_before == credential.lives_until
    world.now = credential.lives_until
    work_on(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
