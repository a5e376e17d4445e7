"""The list of all tokens, both ways: what nobody owns, what vanished, what changed; and when it waits for a person."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from accounts import clock
from accounts.models import AuditEvent
from tests.fakes import INTEGRATION, FakeConnector, Pair
from tests.integration._people import browser
from tests.world import World
from tokens import findings, outbox
from tokens.capabilities import ENDS
from tokens.connectors.base import Broken, GiveUp, Retry, TokenRecord, Unknown
from tokens.models import Credential, Grant, Helpdesk, InventoryRun, Job, Notification, SeenToken
from tokens.operations import (
    capabilities,
    credentials,
    grants,
    helpdesks,
    inventories,
    keys,
    people,
    service_access,
    sweeps,
)
from tokens.presenters import inventories as presenters
from tokens.provisioning import Line, open_line
from tokens.provisioning.inventory import take_list
from tokens.queries import inventories as lists
from tokens.refusals import Denied, StaleState
from tokens.states import CredentialState, GrantState

pytestmark = pytest.mark.django_db

DEMOTED = replace(INTEGRATION, role="agent", role_type=0)


@pytest.fixture
def world() -> World:
    return World()


def take(world: World) -> InventoryRun:
    """The sweep's next inventory."""
    world.wait(seconds=settings.INVENTORY_EVERY.total_seconds() + 1)
    sweeps.order_inventories(now=world.clock())
    world.work()
    return InventoryRun.objects.order_by("-pk")[0]


def give_up_a_call(world: World, credential: Credential, *, replaces: Grant | None = None) -> None:
    """An exchange, or the refresh of a pair, that had no answer and was written off."""
    call = (
        grants.intend(
            credential=credential,
            purpose=Grant.Purpose.REFRESH,
            replaces=replaces,
            now=world.clock(),
        )
        if replaces
        else world.intended(credential)
    )
    grants.send(call, now=world.clock())
    grants.forget(call, reason="no answer", now=world.clock())
    grants.write_off(call, now=world.clock())


def live(credential: Credential) -> Grant:
    return credential.grants.get(state=GrantState.LIVE)


def several(world: World, count: int) -> list[Credential]:
    return [world.active(script_name=f"script-{n}") for n in range(count)]


CROWD = ("ada", "noor", "piotr", "omar", "june", "ben", "cleo", "lena")


def crowd(world: World, count: int) -> list[Credential]:
    """An access each for different people: what happens to one of them is one finding."""
    held = []
    for key in CROWD[:count]:
        row = world.ask(by=key, script_name=f"of-{key}")
        row = world.approve(row, by="june" if key == "ben" else "ben")
        assert row.credential is not None
        world.consent(row.credential)
        held.append(row.credential)
    world.work()
    for credential in held:
        credential.refresh_from_db()
        assert credential.state == CredentialState.ACTIVE, credential.problem
    return held


def states(held: list[Credential]) -> list[str]:
    """Their states now, in the order given."""
    found = Credential.objects.in_bulk([one.pk for one in held])
    return [found[one.pk].state for one in held]


# --- Vanished ----------------------------------------------------------------------------------------


def test_what_vanished_is_lost_its_owner_told_and_one_click_reconnects_it(world):
    credential = world.active()
    grant = live(credential)
    world.desk.end(grant.remote_id)
    take(world)
    credential.refresh_from_db()
    grant.refresh_from_db()
    assert credential.state == CredentialState.LOST
    assert "deleted on Acme production" in credential.problem
    assert grant.state in (GrantState.DOOMED, GrantState.GONE)
    assert Notification.objects.filter(template="access_lost", recipient=credential.owner).exists()
    world.consent(credential)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE


def test_what_only_a_list_lacks_is_not_vanished_and_the_list_does_not_count(world):
    credential = world.active()
    world.desk.hidden.add(live(credential).remote_id)
    run = take(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE
    assert not run.is_complete
    assert "does not count" in run.error
    assert lists.newest(world.helpdesk) != run


def test_a_list_that_lacks_what_exists_buries_nothing(world):
    kept, ending = world.active(), world.active(script_name="other")
    gone = live(ending)
    credentials.revoke(credential=ending, by=ending.owner, reason="", now=world.clock())
    world.desk.hidden |= {gone.remote_id, live(kept).remote_id}
    world.work()
    take(world)
    gone.refresh_from_db()
    assert gone.state == GrantState.DOOMED


def test_a_token_of_nobody_that_a_list_leaves_out_is_looked_at_by_id(world):
    """An end that waits for the list must not believe one that lies."""
    world.active()
    stray = world.desk.make(world.person("ada").helpdesk_links.first().helpdesk_user.remote_id,
                            frozenset({"tickets:read"}), 3600, 7200)  # fmt: skip
    first = take(world)
    assert lists.unowned(first).get().remote_id == stray.record.id
    world.desk.hidden.add(stray.record.id)
    second = take(world)
    assert not second.is_complete
    assert "does not count" in second.error
    stray.is_deleted = True
    third = take(world)
    assert third.is_complete
    assert not lists.unowned(third).exists()


def test_a_deletion_that_a_list_contradicts_says_nothing_about_the_refresh_half(world):
    """It was found gone by somebody who could not see it; by now its access half is over, so it is asked."""
    credential = world.active()
    grant = live(credential)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    Grant.objects.filter(pk=grant.pk).update(deleted_at=world.clock(), is_refresh_dead=True)
    Job.objects.filter(kind=Job.Kind.CLOSE).update(not_before=world.now + timedelta(days=5))
    world.now = grant.access_expires_at + timedelta(minutes=1)
    take(world)
    for _ in range(3):
        world.wait(minutes=10)
        sweeps.order_inventories(now=world.clock())
        world.work()
    grant.refresh_from_db()
    assert grant.state == GrantState.GONE
    assert credential.grants.filter(purpose=Grant.Purpose.CLOSE).exists()


def test_a_refresh_half_that_was_swapped_is_not_asked_again_though_a_list_contradicts_the_deletion(
    world, monkeypatch
):
    """Hidden by a 404, ended by its refresh half, then listed: a second closing refresh could never be asked."""
    credential = world.active()
    grant = live(credential)
    ghost = world.desk.living()[0].record
    right = FakeConnector.tokens_of_client
    world.now = grant.access_expires_at - timedelta(seconds=2)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    with monkeypatch.context() as patched:
        hidden = {grant.remote_id}
        shows = FakeConnector.show
        patched.setattr(
            FakeConnector,
            "show",
            lambda self, *, token_id, access_token: (
                None
                if token_id in hidden
                else shows(self, token_id=token_id, access_token=access_token)
            ),
        )
        patched.setattr(
            FakeConnector,
            "tokens_of_client",
            lambda self, **asked: [*right(self, **asked), ghost],
        )
        world.work()
        grant.refresh_from_db()
        assert grant.is_refresh_dead
        assert grant.successors.filter(answered_at__isnull=False).exists()
        take(world)
        grant.refresh_from_db()
        assert grant.state == GrantState.DOOMED
    for _ in range(4):
        world.wait(minutes=10)
        sweeps.order_inventories(now=world.clock())
        world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []


def test_an_access_half_past_its_end_is_not_missed(world):
    credential = world.active()
    world.now = live(credential).access_expires_at
    world.desk.end(live(credential).remote_id)
    take(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE


def test_a_pair_with_an_open_call_is_not_judged(world):
    credential = world.active()
    grant = live(credential)
    grants.intend(
        credential=credential, purpose=Grant.Purpose.REFRESH, replaces=grant, now=world.now
    )
    world.desk.end(grant.remote_id)
    run = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    inventories.keep(run=run, records=[], now=world.clock())
    assert len(findings.of(run, now=world.now)) == 0


def test_a_pair_proved_after_the_list_began_is_not_judged(world):
    run = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    world.active()
    inventories.keep(run=run, records=[], now=world.clock())
    assert len(findings.of(run, now=world.now)) == 0


def test_a_refresh_between_the_list_and_the_deed_saves_the_credential(world):
    credential = world.active()
    old = live(credential)
    run = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    inventories.keep(run=run, records=[], now=world.clock())
    assert findings.of(run, now=world.now).suspects == [old]
    found = findings.of(run, now=world.now)
    keys.replace_now(credential=credential, by=credential.owner, now=world.clock())
    world.work()
    new = live(credential)
    assert new != old
    vanished, changed = inventories._end_suspects(
        run, found.suspects, {old.pk: None}, now=world.clock()
    )
    credential.refresh_from_db()
    assert (vanished, changed) == (0, 0)
    assert credential.state == CredentialState.ACTIVE


def test_where_our_access_may_not_look_the_tokens_own_does(world):
    world.desk.forbidden.add("show")
    alive, dead = world.active(), world.active(script_name="other")
    world.desk.end(live(dead).remote_id)
    run = take(world)
    assert run.is_complete
    assert states([alive, dead]) == [CredentialState.ACTIVE, CredentialState.LOST]
    assert world.helpdesk.capabilities["service access shows tokens"] == "no"


def test_our_user_demoted_between_the_list_and_the_look_judges_nothing(world):
    credential = world.active()
    world.desk.end(live(credential).remote_id)
    world.desk.next_answers["whoami"] += [INTEGRATION, INTEGRATION, DEMOTED]
    take(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.ACTIVE
    assert "no longer an administrator" in world.helpdesk.stopped_reason


# --- Changed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"user_id": 1}, "acts as somebody else"),
        ({"scopes": frozenset({"tickets:read", "write"})}, "other permissions"),
        ({"scopes": frozenset({"users:read"})}, "other permissions"),
        ({"expires_at": None}, "no end"),
        ({"refresh_expires_at": None}, "no end"),
    ],
)
def test_a_token_that_changed_is_thrown_away_and_its_owner_reads_why(world, told, sentence):
    credential = world.active()
    remote_id = live(credential).remote_id
    world.desk.told[remote_id] = told
    take(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.LOST
    assert sentence in credential.problem
    assert remote_id not in [pair.record.id for pair in world.desk.living()]


def test_a_token_that_changed_is_thrown_away_also_once_its_access_half_is_over(world):
    credential = world.active()
    grant = live(credential)
    world.now = grant.access_expires_at + timedelta(hours=1)
    world.desk.told[grant.remote_id] = {"scopes": frozenset({"read", "write"})}
    take(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.LOST


def test_a_token_that_outlives_its_lease_is_thrown_away_and_one_within_it_is_not(world):
    short, longer = world.active(days=1), world.active(script_name="other")
    for credential in (short, longer):
        late = short.lives_until + timedelta(hours=1)
        world.desk.told[live(credential).remote_id] = {"expires_at": late}
    take(world)
    short.refresh_from_db()
    longer.refresh_from_db()
    assert (short.state, longer.state) == (CredentialState.LOST, CredentialState.ACTIVE)
    assert "lives longer" in short.problem


# --- Strays ------------------------------------------------------------------------------------------


def test_a_stray_that_found_its_owner_meanwhile_is_left_alone(world):
    stranger = world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    take(world)
    world.wait(seconds=settings.INVENTORY_EVERY.total_seconds())
    run = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    inventories.keep(run=run, records=[stranger.record], now=world.clock())
    seen = findings.of(run, now=world.now).strays[0]
    credential = world.active()
    Grant.objects.filter(credential=credential).update(remote_id=stranger.record.id)
    assert not inventories._end_stray(run, seen, now=world.clock())
    assert not Grant.objects.filter(purpose=Grant.Purpose.STRAY).exists()


def test_two_who_settle_one_list_end_a_stray_once(world):
    world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    take(world)
    world.wait(seconds=settings.INVENTORY_EVERY.total_seconds())
    run = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    records = [pair.record for pair in world.desk.living()]
    inventories.keep(run=run, records=records, now=world.clock())
    seen = findings.of(run, now=world.now).strays[0]
    assert inventories._end_stray(run, seen, now=world.clock())
    assert not inventories._end_stray(run, seen, now=world.clock())


def test_what_was_replaced_while_the_list_was_read_is_no_stray(world):
    credential = world.active()
    old = live(credential)
    take(world)
    world.wait(seconds=settings.INVENTORY_EVERY.total_seconds())
    run = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    records = [pair.record for pair in world.desk.living()]
    keys.replace_now(credential=credential, by=credential.owner, now=world.clock())
    world.work()
    inventories.keep(run=run, records=records, now=world.clock())
    old.refresh_from_db()
    assert old.state == GrantState.REPLACED
    assert findings.of(run, now=world.now).strays == []


def test_a_token_of_nobody_knows_whom_waits_while_any_call_is_open(world):
    stranger = world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    world.desk.told[stranger.record.id] = {"user_id": None}
    credential = world.ordered()
    take(world)
    world.intended(credential)
    assert not lists.strays(take(world)).exists()
    grants.abandon(credential.grants.get(), now=world.now)
    take(world)
    assert stranger.is_deleted


# --- The share, and a person's word ------------------------------------------------------------------


def test_vanished_and_changed_share_one_limit_and_strays_have_their_own(world):
    held = crowd(world, 8)
    world.desk.end(live(held[0]).remote_id)
    world.desk.told[live(held[1]).remote_id] = {"user_id": 1}
    strays = [world.desk.make(1, frozenset({"read"}), 80_000, 700_000) for _ in range(2)]
    run = take(world)
    assert run.held_back == 0  # nobody's tokens have stood in one list only
    assert states(held).count(CredentialState.LOST) == 2
    for credential in held[2:4]:
        world.desk.end(live(credential).remote_id)
    for credential in held[4:]:
        world.desk.told[live(credential).remote_id] = {"user_id": 1}
    run = take(world)
    assert run.held_back == 6
    assert "a person must look" in run.error
    assert states(held).count(CredentialState.ACTIVE) == 6
    assert all(stray.is_deleted for stray in strays)


def test_of_what_is_held_back_only_a_few_are_looked_at(world):
    for credential in crowd(world, 8):
        world.desk.end(live(credential).remote_id)
    calls = len(world.desk.calls)
    assert take(world).held_back == 8
    assert world.desk.calls[calls:].count("show") == 5


def test_three_at_once_are_no_bad_day(world):
    held = several(world, 3)
    for credential in held:
        world.desk.end(live(credential).remote_id)
    assert take(world).held_back == 0
    assert set(states(held)) == {CredentialState.LOST}


def test_an_admins_word_lets_the_next_list_act_on_what_he_saw_and_on_no_more(world):
    held = crowd(world, 8)
    for credential in held[:4]:
        world.desk.end(live(credential).remote_id)
    run = take(world)
    assert run.held_back == 4
    for credential in held[4:8]:
        world.desk.end(live(credential).remote_id)
    world.give_word(run, by=world.person("omar"))
    world.work()
    assert states(held).count(CredentialState.LOST) == 4
    newest = InventoryRun.objects.order_by("-pk")[0]
    assert newest.held_back == 4
    assert set(states(held[4:])) == {CredentialState.ACTIVE}


def test_strays_of_a_confirmed_list_are_ended_and_younger_ones_are_not(world):
    for _ in range(4):
        world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    take(world)
    run = take(world)
    assert run.held_back == 4
    world.give_word(run, by=world.person("omar"))
    world.work()
    world.work()
    assert world.desk.living() == []


def test_a_word_does_not_count_for_ever(world):
    held = crowd(world, 4)
    run = take(world)
    world.give_word(run, by=world.person("omar"))
    world.work()
    world.wait(days=1)
    for credential in held:
        Grant.objects.filter(credential=credential).update(
            access_expires_at=world.now + timedelta(days=1)
        )
        world.desk.end(live(credential).remote_id)
    assert take(world).held_back == 4
    assert set(states(held)) == {CredentialState.ACTIVE}


def test_a_list_nobody_looked_at_is_judged_anew_by_the_next(world):
    held = crowd(world, 4)
    for credential in held:
        world.desk.end(live(credential).remote_id)
    first = take(world)
    second = take(world)
    first.refresh_from_db()
    assert (first.held_back, second.held_back) == (0, 4)
    with pytest.raises(StaleState, match="newer list"):
        world.give_word(first, by=world.person("omar"))


@pytest.mark.parametrize("key", ["ada", "ben", "cleo"])
def test_only_an_admin_gives_the_word(world, key):
    run = take(world)
    with pytest.raises(Denied):
        world.give_word(run, by=world.person(key))
    run.refresh_from_db()
    assert run.confirmed_at is None


def test_the_word_is_given_once_and_the_second_hears_who_gave_it(world):
    run = take(world)
    world.give_word(run, by=world.person("omar"))
    event = AuditEvent.objects.get(event="inventory.confirmed")
    assert event.actor_name == str(world.person("omar"))
    assert Job.objects.filter(kind=Job.Kind.INVENTORY, done_at=None).exists()
    stale = InventoryRun.objects.get(pk=run.pk)
    with pytest.raises(StaleState, match=f"Already confirmed by {world.person('omar')}"):
        world.give_word(stale, by=world.person("omar"))
    assert AuditEvent.objects.filter(event="inventory.confirmed").count() == 1


def test_a_list_that_is_not_complete_cannot_be_confirmed(world):
    world.desk.next_answers["list"].append(Unknown("half a list"))
    run = take(world)
    with pytest.raises(StaleState, match="not complete"):
        world.give_word(run, by=world.person("omar"))


def test_after_a_restored_backup_nothing_is_ended_until_an_admin_has_looked(world):
    credential = world.active()
    helpdesks.freeze_restored(helpdesk=world.helpdesk, now=world.clock())
    world.desk.end(live(credential).remote_id)
    run = take(world)
    credential.refresh_from_db()
    assert (run.held_back, credential.state) == (1, CredentialState.ACTIVE)
    world.give_word(run, by=world.person("omar"))
    desk = world.helpdesk
    assert (desk.frozen_at, desk.frozen_reason, desk.restored_at) == (None, "", None)
    assert AuditEvent.objects.filter(event="helpdesk.unfrozen").exists()
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.LOST


def test_a_list_from_before_the_backup_came_back_ends_no_freeze(world):
    run = take(world)
    helpdesks.freeze_restored(helpdesk=world.helpdesk, now=world.clock())
    world.give_word(run, by=world.person("omar"))
    assert world.helpdesk.frozen_at is not None


def test_a_word_about_strays_is_no_word_about_anything_else(world):
    """Nor is one about what vanished a word about the same access when its token has changed."""
    held = crowd(world, 8)
    for _ in range(4):
        world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    take(world)
    run = take(world)
    assert run.held_back == 4
    world.give_word(run, by=world.person("omar"))
    for credential in held:
        world.desk.told[live(credential).remote_id] = {"user_id": 1}
    world.work()
    newest = InventoryRun.objects.order_by("-pk")[0]
    assert newest.held_back == 8
    assert set(states(held)) == {CredentialState.ACTIVE}
    assert not any(pair.record.user_id == 1 for pair in world.desk.living())


def test_a_word_about_what_vanished_is_none_about_what_changed(world):
    held = crowd(world, 4)
    ids = [live(credential).remote_id for credential in held]
    for token_id in ids:
        world.desk.end(token_id)
    run = take(world)
    assert run.held_back == 4
    world.give_word(run, by=world.person("omar"))
    for pair in world.desk.pairs:
        if pair.record.id in ids:
            pair.is_deleted = False
            world.desk.told[pair.record.id] = {"user_id": 1}
    world.work()
    assert InventoryRun.objects.order_by("-pk")[0].held_back == 4
    assert set(states(held)) == {CredentialState.ACTIVE}


def test_slices_within_the_share_are_one_bad_day_within_an_hour(world):
    held = crowd(world, 8)
    for credential in held[:3]:
        world.desk.end(live(credential).remote_id)
    assert take(world).held_back == 0
    for credential in held[3:6]:
        world.desk.end(live(credential).remote_id)
    run = take(world)
    assert run.held_back == 3
    assert states(held).count(CredentialState.ACTIVE) == 5
    world.wait(seconds=12 * settings.INVENTORY_EVERY.total_seconds())
    assert take(world).held_back == 0
    assert states(held).count(CredentialState.ACTIVE) == 2


def test_strays_in_slices_are_one_bad_day_too_but_for_those_a_person_agreed_to(world):
    def more(count: int) -> None:
        for _ in range(count):
            world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
        take(world)

    more(4)
    run = take(world)
    world.give_word(run, by=world.person("omar"))
    world.work()
    assert world.desk.living() == []
    more(3)
    assert take(world).held_back == 0
    assert world.desk.living() == []
    more(1)
    assert take(world).held_back == 1
    assert len(world.desk.living()) == 1


def test_a_look_that_fails_leaves_the_rest_to_the_next_list(world):
    """A hundred strays are a hundred looks, of which one always fails on a bad day."""
    for _ in range(4):
        world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    take(world)
    run = take(world)
    world.give_word(run, by=world.person("omar"))
    world.desk.next_answers["show"] += [None, None, Retry("Busy.")]
    world.work()
    assert world.desk.living() == []
    assert not InventoryRun.objects.exclude(error="").filter(pk__gt=run.pk).exists()


def test_who_loses_the_job_while_looking_settles_nothing(world, monkeypatch):
    for _ in range(4):
        world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    take(world)
    run = take(world)
    world.give_word(run, by=world.person("omar"))
    renew = outbox.renew_claim
    monkeypatch.setattr(
        outbox,
        "renew_claim",
        lambda job, *, now: world.desk.calls[-1] != "show" and renew(job, now=now),
    )
    world.work()
    assert len(world.desk.living()) == 4
    assert "Another worker" in InventoryRun.objects.latest("pk").error


def test_who_deletes_all_their_tokens_is_one_finding_and_keeps_no_stray_alive(world):
    held = several(world, 4)
    stray = world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    take(world)
    for credential in held:
        world.desk.end(live(credential).remote_id)
    assert take(world).held_back == 0
    assert set(states(held)) == {CredentialState.LOST}
    assert stray.is_deleted


def test_one_persons_many_are_many_where_tokens_of_theirs_are_nobodys(world):
    """Then it may be our books that are old: each was refreshed since, and a backup came back."""
    held = several(world, 4)
    for credential in held:
        world.desk.end(live(credential).remote_id)
        world.desk.make(credential.acts_as.remote_id, credential.scopes, 80_000, 700_000)
    assert take(world).held_back == 4
    assert set(states(held)) == {CredentialState.ACTIVE}


def test_the_page_shows_the_first_of_many_and_says_how_many_more(world, monkeypatch):
    monkeypatch.setattr(presenters, "MOST_FINDINGS", 3)
    for credential in crowd(world, 4):
        world.desk.end(live(credential).remote_id)
    for _ in range(4):
        world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    take(world)
    run = take(world)
    assert run.held_back == 8
    found = findings.of(run, now=world.now)
    assert len(presenters.findings(world.helpdesk, found.strays, found.suspects)) == 3
    few = presenters.findings(world.helpdesk, found.strays[:1], found.suspects)
    assert len(few) == 3
    monkeypatch.setattr(clock, "now", world.clock)
    monkeypatch.setattr(clock, "of_page", lambda _: world.clock())
    page = browser(world, "omar").get("/operations/production/confirm").content.decode()
    assert page.split("<tbody>")[1].count("<tr>") == 3
    assert "differ in 8 places" in page
    assert "And 5 more that are not shown. Confirming is about them too." in page


# --- A list that counts ------------------------------------------------------------------------------


def test_a_list_that_lacks_everything_ends_nothing(world):
    held = crowd(world, 4)
    world.desk.hidden |= {live(credential).remote_id for credential in held}
    run = take(world)
    assert (run.is_complete, run.held_back) == (False, 0)
    assert "does not count" in run.error
    assert set(states(held)) == {CredentialState.ACTIVE}


def test_an_older_list_that_comes_late_takes_nothing_back(world):
    credential = world.active()
    early = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    late = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    records = [pair.record for pair in world.desk.living()]
    assert inventories.keep(run=late, records=records, now=world.clock()) == late
    assert inventories.keep(run=early, records=[], now=world.clock()) == late
    early.refresh_from_db()
    assert (early.is_complete, early.error) == (False, inventories.OVERTAKEN)
    assert list(lists.listed(late).values_list("remote_id", flat=True)) == [
        live(credential).remote_id
    ]


def test_a_token_that_a_later_list_shows_too_is_not_absent_from_the_earlier(world):
    run = take(world)
    stranger = world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    later = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    inventories.keep(run=later, records=[stranger.record], now=world.clock())
    inventories.discard(run=later, reason="does not count", now=world.clock())
    assert lists.newest(world.helpdesk) == run
    assert lists.unowned(run).count() == 1


def test_lists_that_only_prove_a_token_do_not_put_off_the_inventory(world):
    world.desk.narrow_may_ask_current = False
    take(world)
    world.wait(seconds=settings.INVENTORY_EVERY.total_seconds() - 20)
    world.active()
    recent = InventoryRun.objects.filter(is_complete=True).order_by("-pk")[0]
    world.wait(seconds=30)
    assert world.now - recent.started_at < settings.INVENTORY_EVERY
    assert sweeps.order_inventories(now=world.now) == 1


def test_an_inventory_that_is_owed_keeps_its_pace(world):
    world.desk.next_answers["list"].append(Unknown("half a list"))
    take(world)
    job = Job.objects.get(kind=Job.Kind.INVENTORY, helpdesk=world.helpdesk, done_at=None)
    assert sweeps.order_inventories(now=world.now) == 0
    again = Job.objects.get(pk=job.pk)
    assert (again.not_before, again.orders) == (job.not_before, job.orders)


def line_of(world: World) -> Line:
    return open_line(world.helpdesk, gate=None, clock=world.clock, connect=world._connect)


def test_a_list_for_a_proof_that_lacks_what_exists_counts_for_nothing(world):
    kept = world.active()
    world.desk.hidden.add(live(kept).remote_id)
    before = lists.newest(world.helpdesk)
    world.wait(seconds=5)
    with pytest.raises(Unknown, match="does not count"):
        take_list(line_of(world))
    run = InventoryRun.objects.order_by("-pk")[0]
    assert (run.is_complete, "does not count" in run.error) == (False, True)
    assert lists.newest(world.helpdesk) == before


def test_a_list_counts_only_after_it_was_looked_at(world):
    """Between the reading and the look another worker must find nothing to bury by it."""
    kept = world.active()
    world.desk.hidden.add(live(kept).remote_id)
    before = lists.newest(world.helpdesk)
    found: list[object] = []
    real = FakeConnector.show

    def show(self: FakeConnector, **asked: Any) -> TokenRecord | None:
        found.append(lists.newest(world.helpdesk))
        return real(self, **asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeConnector, "show", show)
        take(world)
    assert found == [before]


def test_a_list_that_agrees_costs_no_look(world):
    several(world, 3)
    calls = len(world.desk.calls)
    take_list(line_of(world))
    assert "show" not in world.desk.calls[calls:]


def test_a_reading_overtaken_by_one_that_is_noted_already_is_taken_again(world):
    world.active()
    early = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    late = inventories.begin(helpdesk=world.helpdesk, now=world.clock())
    records = [pair.record for pair in world.desk.living()]
    assert inventories.note(run=late, records=records, now=world.clock())
    assert not inventories.note(run=early, records=records, now=world.clock())
    early.refresh_from_db()
    assert (early.is_complete, early.error) == (False, inventories.OVERTAKEN)
    inventories.keep(run=late, now=world.clock())
    assert lists.listed(late).count() == 1


# --- Whose application's ------------------------------------------------------------------------------


def tell(world: World, pair: Pair, *, in_list: int | None, by_id: int | None) -> None:
    """What the helpdesk says of a token's application, in the list and by its id."""
    world.desk.told[pair.record.id] = {"client_id": in_list}
    world.clients[pair.record.id] = by_id


@pytest.fixture
def two_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.clients = {}
    real = FakeConnector.show

    def show(self: FakeConnector, *, token_id: int, access_token: str) -> TokenRecord | None:
        found = real(self, token_id=token_id, access_token=access_token)
        if found is None or token_id not in world.clients:
            return found
        return replace(found, client_id=world.clients[token_id])

    monkeypatch.setattr(FakeConnector, "show", show)


@pytest.mark.usefixtures("two_words")
@pytest.mark.parametrize(
    ("in_list", "by_id", "is_ended"),
    [(77, 77, True), (None, 77, True), (77, None, True), (None, None, False), (None, 99, False),
     (77, 99, False)],
)  # fmt: skip
def test_only_what_the_helpdesk_says_is_our_applications_is_ended(world, in_list, by_id, is_ended):
    world.active()
    pair = world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    tell(world, pair, in_list=in_list, by_id=by_id)
    take(world)
    run = take(world)
    take(world)
    assert pair.is_deleted is is_ended
    if in_list is None and not is_ended:
        assert run.is_complete
        assert "nobody says which application they belong to: 1" in run.error


def test_where_nobody_may_look_a_token_of_no_application_is_left_alone(world):
    world.active()
    pair = world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    world.desk.told[pair.record.id] = {"client_id": None}
    world.desk.forbidden.add("show")
    take(world)
    assert take(world).is_complete
    assert not pair.is_deleted


@pytest.mark.usefixtures("two_words")
def test_a_proof_by_list_takes_no_token_of_another_application_for_ours(world):
    world.desk.narrow_may_ask_current = False
    credential = world.ordered()
    theirs: list[Pair] = []

    def beside() -> None:
        """Ours is left out of the list, and theirs appears in it at the same moment."""
        world.desk.hidden.add(world.desk.living()[-1].record.id)
        user_id = credential.acts_as.remote_id
        theirs.append(world.desk.make(user_id, credential.scopes, 80_000, 700_000))
        tell(world, theirs[0], in_list=None, by_id=99)

    world.desk.next_answers["exchange"].append(beside)
    world.consent(credential)
    world.work()
    credential.refresh_from_db()
    assert credential.state == CredentialState.AWAITING_CONSENT
    assert not Grant.objects.filter(remote_id=theirs[0].record.id).exists()
    assert not theirs[0].is_deleted


def test_a_stray_that_a_list_shows_and_nobody_finds_by_id_is_left_to_the_next_list(
    world, monkeypatch
):
    ghost = world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    ghost.is_deleted = True
    real = FakeConnector.tokens_of_client
    monkeypatch.setattr(
        FakeConnector, "tokens_of_client", lambda self, **k: [*real(self, **k), ghost.record]
    )
    take(world)
    take(world)
    assert not Grant.objects.filter(purpose=Grant.Purpose.STRAY).exists()


# --- Our own access refused --------------------------------------------------------------------------


def work_of(world: World, kind: str) -> None:
    """Something of each kind to do that needs our own access."""
    if kind == "exchange":
        Helpdesk.objects.update(client_number=None)
        world.consent(world.ordered())
    elif kind == "close":
        credential = world.active()
        credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    elif kind == "link":
        people.order_links(user=world.person("ada"), now=world.clock())
    else:
        sweeps.order_inventories(now=world.clock())


def refuse(world: World, how: str) -> None:
    if how == "demoted":
        world.desk.integration = DEMOTED
        world.desk.forbidden = {"show", "delete", "list", "client", "user", "users"}
    elif how == "403":
        world.desk.forbidden = {"whoami", "show", "delete", "list", "client", "user", "users"}
    elif how == "401":
        dead = GiveUp("dead", code="invalid_token")
        for name in ("whoami", "show", "list", "client", "user"):
            world.desk.next_answers[name] += [dead] * 40
    else:
        Helpdesk.objects.update(service_token="")
        world.desk.next_answers["mint"] += [Broken("The helpdesk refused (invalid_client).")] * 40


def accept_again(world: World) -> None:
    world.desk.integration = INTEGRATION
    world.desk.forbidden = set()
    world.desk.next_answers.clear()


@pytest.mark.parametrize("how", ["401", "403", "invalid_client", "demoted"])
@pytest.mark.parametrize("kind", ["exchange", "close", "link", "inventory"])
def test_our_own_access_refused_stops_the_line_fails_nothing_and_resumes(world, kind, how):
    world.person("ada")
    work_of(world, kind)
    refuse(world, how)
    for _ in range(8):
        world.work()
        world.wait(seconds=settings.PROBE_EVERY.total_seconds() + 1)
        job = Job.objects.get(kind=kind, helpdesk=world.helpdesk, done_at=None)
        assert (job.tries, job.error) == (0, "")
        assert world.helpdesk.stopped_at is not None
        assert world.helpdesk.stopped_reason
    assert AuditEvent.objects.filter(event="helpdesk.stopped").count() == 1
    accept_again(world)
    world.work()
    assert world.helpdesk.stopped_at is None
    assert not Job.objects.filter(kind=kind, helpdesk=world.helpdesk, done_at=None).exists()
    assert AuditEvent.objects.filter(event="helpdesk.resumed").count() == 1


def test_a_client_secret_that_is_refused_never_loses_a_credential(world):
    credential = world.active()
    world.now = live(credential).serve_until
    keys.order_refresh(credential, now=world.now)
    world.desk.next_answers["refresh"] += [Broken("invalid_client")] * 8
    for _ in range(8):
        world.work()
        credential.refresh_from_db()
        assert credential.state == CredentialState.ACTIVE
        assert Job.objects.get(kind=Job.Kind.REFRESH, done_at=None).tries == 0
        world.wait(seconds=settings.PROBE_EVERY.total_seconds() + 1)
    world.work()
    assert live(credential).generation == 10
    assert world.helpdesk.stopped_at is None


def test_what_the_service_access_does_says_nothing_of_a_refused_client(world):
    """Else each list would take the banner away and the next refresh put it up again."""
    credential = world.active()
    world.now = live(credential).serve_until
    keys.order_refresh(credential, now=world.now)
    world.desk.next_answers["refresh"] += [Broken("invalid_client")] * 2
    world.work()
    assert world.helpdesk.is_agents_client_refused
    world.wait(seconds=settings.PROBE_EVERY.total_seconds() + 1)
    helpdesks.order_inventory(helpdesk=world.helpdesk, by=world.person("omar"), now=world.clock())
    world.work()
    assert InventoryRun.objects.filter(is_complete=True).exists()
    assert world.helpdesk.stopped_at is not None
    world.wait(seconds=settings.PROBE_EVERY.total_seconds() + 1)
    world.work()
    assert world.helpdesk.stopped_at is None
    assert AuditEvent.objects.filter(event="helpdesk.stopped").count() == 1
    assert AuditEvent.objects.filter(event="helpdesk.resumed").count() == 1


def test_a_stopped_line_is_proved_before_a_code_is_spent(world):
    credential = world.ordered()
    world.consent(credential)
    helpdesks.stop(helpdesk=world.helpdesk, reason="refused", now=world.clock())
    world.wait(seconds=settings.PROBE_EVERY.total_seconds() + 1)
    world.desk.integration = DEMOTED
    world.work()
    assert "exchange" not in world.desk.calls
    assert not credential.grants.exists()


def test_nobody_is_called_unknown_by_somebody_who_may_not_see_everybody(world):
    ada = world.person("ada")
    world.desk.users.clear()
    world.desk.integration = DEMOTED
    people.order_links(user=ada, now=world.clock())
    world.work()
    assert ada.helpdesk_links.get(helpdesk=world.helpdesk).problem == ""
    assert world.helpdesk.stopped_at is not None


def test_a_token_that_neither_may_delete_fails_in_the_open_and_is_deleted_when_one_may(world):
    world.desk.forbidden = {"show", "delete"}
    credential = world.active()
    grant = live(credential)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    world.desk.next_answers["delete"] += [
        GiveUp("no", code="forbidden"), GiveUp("no", code="forbidden"), GiveUp("no", code="forbidden")
    ]  # fmt: skip
    world.work()
    assert "no" in Job.objects.get(kind=Job.Kind.CLOSE, done_at=None).error
    world.desk.forbidden = set()
    for _ in range(3):
        world.wait(seconds=60)
        world.work()
    grant.refresh_from_db()
    assert grant.state == GrantState.GONE


@pytest.mark.parametrize("may_again", [True, False])
def test_a_token_whose_access_half_is_over_ends_though_ours_was_refused_once(world, may_again):
    """That our access may not delete may have been learned while its user was no administrator."""
    credential = world.active()
    grant = credential.grants.get()
    capabilities.learn(helpdesk=world.helpdesk, name=ENDS, is_so=False, now=world.clock())
    if not may_again:
        world.desk.forbidden = {"delete"}
    world.now = grant.access_expires_at + timedelta(seconds=1)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    for _ in range(6):
        world.work()
        world.wait(seconds=61)
        sweeps.sweep(now=world.clock())
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []
    assert not Job.objects.filter(done_at=None, kind=Job.Kind.CLOSE).exists()
    if may_again:
        assert world.helpdesk.capabilities[ENDS] == "yes"


def test_a_token_deletes_itself_where_our_access_may_not(world):
    world.desk.forbidden = {"show", "delete"}
    credential = world.active()
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    for _ in range(3):
        world.work()
        world.wait(seconds=5)
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []
    assert world.helpdesk.stopped_at is None


def test_who_waits_for_our_access_to_be_renewed_counts_no_try(world):
    world.person("ada")
    Helpdesk.objects.update(service_token="", service_turn_until=world.now + timedelta(seconds=30))
    sweeps.order_inventories(now=world.now)
    world.work()
    job = Job.objects.get(kind=Job.Kind.INVENTORY, helpdesk=world.helpdesk, done_at=None)
    assert (job.tries, job.error) == (0, "")
    assert "mint" not in world.desk.calls


def test_the_turn_to_renew_our_access_is_as_long_as_a_claim(world, settings):
    settings.CLAIM = timedelta(seconds=7)
    world.person("ada")
    Helpdesk.objects.update(service_token="")
    until: list[object] = []

    def look() -> None:
        until.append(world.helpdesk.service_turn_until - world.now)

    world.desk.at_mint = look
    sweeps.order_inventories(now=world.now)
    world.work()
    assert timedelta(seconds=6) < until[0] <= timedelta(seconds=7)
    assert world.helpdesk.service_turn_until is None


def test_our_own_access_is_renewed_once_before_its_end_with_a_row_for_it(world):
    world.person("ada")
    take(world)
    first = world.helpdesk
    assert world.desk.calls.count("mint") == 1
    world.now = first.service_token_expires_at - timedelta(seconds=60)
    take(world)
    take(world)
    assert world.desk.calls.count("mint") == 2
    assert world.helpdesk.service_token_expires_at > first.service_token_expires_at
    rows = AuditEvent.objects.filter(event="helpdesk.access_renewed", target_id=str(first.pk))
    assert rows.count() == 2
    assert first.service_token not in rows[0].body


def test_that_our_own_access_is_asked_for_is_on_record_before_it_is(world):
    """An answer that is lost leaves a token of an administrator that nobody holds."""
    world.person("ada")
    said: list[int] = []
    asked = AuditEvent.objects.filter(event="helpdesk.access_asked")
    world.desk.at_mint = lambda: said.append(asked.count())
    world.desk.next_answers["mint"].append(Unknown("It timed out."))
    take(world)
    assert said == [1]
    assert not AuditEvent.objects.filter(event="helpdesk.access_renewed").exists()


def test_who_looked_before_another_had_renewed_our_access_does_not_renew_it_again(world):
    world.person("ada")
    looked = world.helpdesk
    take(world)
    assert service_access.take_turn(helpdesk=looked, now=world.clock()) is None
    assert service_access.take_turn(helpdesk=world.helpdesk, now=world.clock()) is not None


def test_a_refused_service_token_does_not_drop_the_one_renewed_meanwhile(world):
    world.person("ada")
    take(world)
    fresh = world.helpdesk.service_token
    service_access.drop(helpdesk=world.helpdesk, sealed="another")
    assert world.helpdesk.service_token == fresh != ""


def test_an_end_waits_for_a_list_in_which_nobody_owns_nothing_of_its_user(world):
    """The rule of strays and the rule of a confirmed end are one: who owns a token."""
    credential = world.active()
    stranger = world.desk.make(credential.acts_as.remote_id, frozenset({"read"}), 80_000, 700_000)
    grant = live(credential)
    give_up_a_call(world, credential, replaces=grant)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    world.work()
    credential.refresh_from_db()
    assert SeenToken.objects.filter(remote_id=stranger.record.id).exists()
    assert credential.state == CredentialState.REVOKING
    for _ in range(3):
        take(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []


def test_an_end_waits_for_what_an_exchange_may_have_made_for_whoever_was_signed_in(world):
    """Only an answer would have told whose token it is; one that stood in an earlier list is not its."""
    earlier = world.desk.make(4711, frozenset({"read"}), 80_000, 700_000)
    take(world)
    credential = world.approve(world.ask()).credential
    give_up_a_call(world, credential)
    stranger = world.desk.make(4712, frozenset({"read"}), 80_000, 700_000)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    world.wait(seconds=1)
    before = take_list(line_of(world))
    in_the_way = credentials.confirm_ended(credential=credential, now=world.clock())
    assert {earlier.record.id, stranger.record.id} <= set(
        lists.unowned(before).values_list("remote_id", flat=True)
    )
    assert in_the_way == "A token that nobody owns and that may be its is still on the helpdesk."
    world.desk.end(stranger.record.id)
    world.wait(seconds=1)
    take_list(line_of(world))
    assert credentials.confirm_ended(credential=credential, now=world.clock()) == ""


def test_an_end_waits_until_what_its_call_made_is_gone_and_not_only_doomed(world):
    credential = world.ended_without_an_answer(is_made=True)
    world.desk.next_answers["delete"] += [Retry("Busy.")] * 50
    for _ in range(3):
        take(world)
    assert Grant.objects.get(purpose=Grant.Purpose.STRAY).state == GrantState.DOOMED
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKING
    world.desk.next_answers["delete"].clear()
    for _ in range(2):
        take(world)
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED
    assert world.desk.living() == []


def test_an_end_does_not_wait_for_tokens_that_came_after_its_calls_or_before_them(world):
    """Of somebody in whose name something is always made, no end would ever be confirmed."""
    user = world.ordered(script_name="other").acts_as.remote_id
    world.desk.make(user, frozenset({"read"}), 80_000, 700_000)
    take_list(line_of(world))
    world.wait(seconds=settings.INVENTORY_EVERY.total_seconds() + 1)
    credential = world.approve(world.ask()).credential
    give_up_a_call(world, credential)
    credentials.revoke(credential=credential, by=credential.owner, reason="", now=world.clock())
    world.wait(seconds=1)
    assert credentials.confirm_ended(credential=credential, now=world.clock()) != ""
    take_list(line_of(world))
    world.desk.make(user, frozenset({"read"}), 80_000, 700_000)
    world.wait(seconds=1)
    assert lists.unowned(take_list(line_of(world))).count() == 2
    assert credentials.confirm_ended(credential=credential, now=world.clock()) == ""
