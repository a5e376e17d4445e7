"""`manage.py reconcile` and `manage.py verify` against the fake helpdesk: what they do, say and exit with."""

import io
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError

from accounts import clock
from accounts.models import AuditEvent
from tests.fakes import FreeLimiter
from tests.world import World
from tokens.connectors.base import Broken, HelpdeskConfig, RemoteUser, Retry
from tokens.management.commands import reconcile, verify
from tokens.models import Credential, Grant, Helpdesk, InventoryRun
from tokens.operations import credentials, helpdesks
from tokens.presenters import helpdesks as presenters
from tokens.presenters.alarms import watches
from tokens.queries import verification

pytestmark = pytest.mark.django_db

ADA = 360001001
READ = frozenset({"tickets:read"})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose time is the commands', and whose fake helpdesk they reach."""
    made = World(now=clock.now())
    monkeypatch.setattr(clock, "now", made.clock)
    for command in (reconcile, verify):
        monkeypatch.setattr(command, "connector_for", made._connect)
        monkeypatch.setattr(command, "limiter_for", lambda _: FreeLimiter())
    return made


@dataclass
class Said:
    """What a command printed and how it ended."""

    out: str
    err: str
    status: int


def run(*words: str, only: str = "production") -> Said:
    out, err, status = io.StringIO(), io.StringIO(), 0
    if words[0] == "reconcile" and "--helpdesk" not in words:
        words = (*words, "--helpdesk", only)
    try:
        call_command(*words, stdout=out, stderr=err)
    except SystemExit as end:
        status = int(str(end.code))
    return Said(out.getvalue(), err.getvalue(), status)


def done(said: Said) -> list[str]:
    """What `reconcile` says it did, before it says how everything stands."""
    lines = [line.removeprefix("production: ") for line in said.out.splitlines()]
    return lines[: next(n for n, line in enumerate(lines) if line.startswith("tasks: "))]


@pytest.fixture(autouse=True)
def _one_helpdesk(settings: Any) -> None:
    settings.HELPDESKS = {"production": settings.HELPDESKS["production"]}


def strays(world: World, count: int) -> None:
    """Tokens of nobody that a list has shown a minimum age ago."""
    for _ in range(count):
        world.desk.make(ADA, READ, 86_400, 900_000)
    run("reconcile")
    world.now += settings.MINIMUM_AGE + timedelta(seconds=1)


# --- reconcile -----------------------------------------------------------------------------------------


def test_nothing_to_do_is_said(world):
    world.active()
    said = run("reconcile")
    assert (done(said), said.err, said.status) == (["the list and the books agree"], "", 0)


def test_it_ends_with_how_everything_stands_as_the_operators_page_has_it(world):
    world.active()
    strays(world, 1)
    lines = [line.removeprefix("production: ") for line in run("reconcile").out.splitlines()]
    (panel,) = presenters.panels_of(watches(), now=world.now)
    assert lines[1:] == list(presenters.standing(panel, now=world.now))
    assert lines[1] == "tasks: 1 due, 0 running, 0 waiting; 0 stuck"
    assert lines[3].startswith("list of all tokens: 2 at ")


def test_what_nobody_owns_is_ended(world):
    strays(world, 2)
    said = run("reconcile")
    assert (done(said), said.err, said.status) == (["2 tokens of nobody: being deleted"], "", 0)
    world.work()
    assert world.desk.living() == []
    assert Grant.objects.filter(state="gone").count() == 2


def test_what_vanished_disconnects_its_access(world):
    held = world.active()
    world.desk.living()[0].is_deleted = True
    world.wait(seconds=1)
    said = run("reconcile")
    assert done(said) == ["1 token gone on the helpdesk: the access is disconnected"]
    held.refresh_from_db()
    assert held.state == "lost"


def test_what_changed_is_thrown_away(world):
    held = world.active()
    pair = world.desk.living()[0]
    pair.record = replace(pair.record, scopes=frozenset({"write", *(pair.record.scopes or ())}))
    world.wait(seconds=1)
    said = run("reconcile")
    assert "1 token not as it was proved: thrown away" in said.out
    held.refresh_from_db()
    assert held.state == "lost"


def test_too_much_is_held_back_with_the_place_to_look_and_a_status(world):
    strays(world, 5)
    said = run("reconcile")
    assert said.status == 1
    assert "5 tokens held back, too many to act on alone. An admin has to look" in said.out
    assert f"{settings.PORTAL_URL}/operations/production/confirm" in said.out
    assert len(world.desk.living()) == 5


@pytest.mark.parametrize("error", [Retry("The helpdesk is away."), Broken("The secret is wrong.")])
def test_a_list_that_cannot_be_had_is_a_sentence_and_a_status(world, error):
    world.desk.next_answers["list"].append(error)
    said = run("reconcile")
    assert said.status == 2
    assert done(said) == []
    assert said.err.strip() == f"production: the list of tokens could not be had: {error.reason}"
    assert (world.helpdesk.stopped_at is not None) is isinstance(error, Broken)
    assert run("reconcile").status == 0
    assert world.helpdesk.stopped_at is None


def test_restored_freezes_first_and_says_how_it_ends(world):
    world.active()
    world.desk.next_answers["list"].append(Retry("The helpdesk is away."))
    said = run("reconcile", "--restored")
    assert said.status == 2
    assert world.helpdesk.frozen_at is not None
    assert world.helpdesk.restored_at is not None
    assert "new access is frozen" in said.out
    assert "when an admin has confirmed the list at" in said.out
    row = AuditEvent.objects.get(event="helpdesk.frozen")
    assert row.actor_name == "Keydesk"
    assert "backup" in row.body


@pytest.mark.parametrize("said", ["WORKER_SEALING_KEYS", "Not loaded: moon"])
def test_restored_freezes_whatever_is_missing_to_take_the_list(world, settings, said):
    if said == "WORKER_SEALING_KEYS":
        settings.WORKER_SEALING_KEYS = []
    else:
        moon = replace(settings.HELPDESKS["production"], slug="moon")
        settings.HELPDESKS = {"moon": moon, **settings.HELPDESKS}
    out = io.StringIO()
    with pytest.raises(CommandError, match=said) as error:
        call_command("reconcile", "--restored", stdout=out)
    assert error.value.returncode == 2
    assert world.helpdesk.is_frozen_as_restored
    assert "production: new access is frozen." in out.getvalue()
    assert world.desk.calls == []


def test_nothing_is_frozen_where_nobody_said_restored(world, settings):
    settings.WORKER_SEALING_KEYS = []
    with pytest.raises(CommandError, match="WORKER_SEALING_KEYS"):
        call_command("reconcile")
    assert world.helpdesk.frozen_at is None


def test_restored_acts_on_nothing_before_a_person_has_looked(world):
    """One stray would be within the share on any other day."""
    strays(world, 1)
    said = run("reconcile", "--restored")
    assert said.status == 1
    assert "1 token held back" in said.out
    assert len(world.desk.living()) == 1


def test_restored_twice_wants_a_word_about_the_later_list(world):
    run("reconcile", "--restored")
    first = world.helpdesk
    world.wait(minutes=1)
    run("reconcile", "--restored")
    assert world.helpdesk.frozen_at == first.frozen_at
    assert world.helpdesk.restored_at > first.restored_at


def test_what_an_admin_froze_before_stays_frozen_after_the_word(world):
    admin = world.person("omar")
    helpdesks.freeze(helpdesk=world.helpdesk, by=admin, reason="An incident.", now=world.clock())
    run("reconcile", "--restored")
    confirmed = InventoryRun.objects.filter(is_complete=True).order_by("-pk").first()
    world.give_word(confirmed, by=admin)
    assert world.helpdesk.restored_at is None
    assert world.helpdesk.frozen_at is not None
    assert world.helpdesk.frozen_reason == "An incident."
    helpdesks.unfreeze(helpdesk=world.helpdesk, by=admin, now=world.clock())
    assert world.helpdesk.frozen_at is None


@pytest.mark.parametrize("slug", ["moon", ""])
def test_a_helpdesk_that_is_not_there_is_a_sentence(world, slug):
    with pytest.raises(CommandError, match="HELPDESKS does not name") as error:
        call_command("reconcile", "--helpdesk", slug)
    assert error.value.returncode == 2


def test_a_helpdesk_that_is_not_loaded_is_a_sentence(settings):
    settings.HELPDESKS = {"moon": replace(settings.HELPDESKS["production"], slug="moon")}
    with pytest.raises(CommandError, match="Not loaded: moon"):
        call_command("reconcile")


@pytest.mark.parametrize("command", ["reconcile", "verify"])
def test_a_database_that_is_not_ready_is_one_sentence(world, monkeypatch, command):
    def away(*_: object, **__: object) -> None:
        raise OperationalError("no such table: tokens_helpdesk\nline two\nline three")

    monkeypatch.setattr("tokens.models.Helpdesk.objects.filter", away)
    with pytest.raises(CommandError) as error:
        call_command(command)
    assert error.value.returncode == 2
    assert str(error.value) == (
        "The database is not ready (no such table: tokens_helpdesk). manage.py migrate?"
    )


# --- verify --------------------------------------------------------------------------------------------


def test_verify_finds_nothing_after_a_whole_life(world):
    held, other = world.active(), world.active(by="noor", script_name="other")
    live = held.grants.get(state="live")
    world.now = live.serve_until + timedelta(seconds=1)
    credentials.revoke(credential=other, by=other.owner, reason="", now=world.clock())
    run("reconcile")
    world.work()
    assert run("verify") == Said("verify: 0 violations\n", "", 0)


def test_verify_believes_no_list_that_holds_tokens_of_another_application(world):
    """A helpdesk that does not sift by client shows everybody's."""
    pair = world.desk.make(1, frozenset({"read"}), 80_000, 700_000)
    world.desk.told[pair.record.id] = {"client_id": 4711}
    said = run("verify")
    assert said.status == 2
    assert "tokens of another application" in said.err


def test_verify_believes_no_list_that_is_no_administrators(world):
    """Demoted before the list or while it was read: it holds their own tokens alone."""
    strays(world, 1)
    demoted = RemoteUser(900, "Keydesk integration", "", "", "agent", 0, None, True, False)
    for before in ([demoted], [None, demoted]):
        world.desk.next_answers["whoami"] = list(before)
        said = run("verify")
        assert said.status == 2
        assert "is no administrator" in said.err


def test_verify_changes_nothing(world):
    strays(world, 2)
    before = (AuditEvent.objects.count(), Grant.objects.count(), InventoryRun.objects.count())
    run("verify")
    after = (AuditEvent.objects.count(), Grant.objects.count(), InventoryRun.objects.count())
    assert before == after


def found(world: World) -> list[str]:
    said = run("verify")
    lines = said.out.splitlines()
    assert lines[-1] == f"verify: {len(lines) - 1} violations"
    assert said.status == int(len(lines) > 1)
    return lines[:-1]


def test_a_list_that_cannot_be_had_for_verify(world):
    world.desk.next_answers["list"].append(Retry("The helpdesk is away."))
    said = run("verify")
    assert said.status == 2
    assert "the list of tokens could not be had: The helpdesk is away." in said.err


def test_a_helpdesk_that_is_away_keeps_back_nothing_of_another_nor_of_the_rows(
    world, settings, monkeypatch
):
    """Sandbox comes first and is away: what is wrong on production and in the rows is said all the same."""
    production = settings.HELPDESKS["production"]
    settings.HELPDESKS = {
        slug: replace(production, slug=slug) for slug in ("sandbox", "production", "moon")
    }
    Helpdesk.objects.create(slug="sandbox", name="Acme sandbox", kind="zendesk")
    held = world.active()
    AuditEvent.objects.filter(event="credential.activated").delete()
    pair = world.desk.living()[0]
    pair.record = replace(pair.record, user_id=7)

    def connect(config: HelpdeskConfig, gate: object) -> object:
        if config.slug == "sandbox":
            raise Retry("The helpdesk is away.")
        return world._connect(config, gate)

    monkeypatch.setattr(verify, "connector_for", connect)
    said = run("verify")
    assert said.out.splitlines() == [
        f"production: token {pair.record.id} of {held.client_id}: wrong user 7, approved for {ADA}",
        f"{held.client_id}: no audit row says how it came to be active",
        "verify: 2 violations; nothing could be found out of sandbox, moon",
    ]
    assert said.err.splitlines() == [
        "sandbox: the list of tokens could not be had: The helpdesk is away.",
        "moon: it is not loaded; run manage.py load_catalogue",
    ]
    assert said.status == 2


def test_an_unknown_token_is_named_once_it_is_old_enough(world):
    pair = world.desk.make(ADA, READ, 86_400, 900_000)
    assert found(world) == []
    world.now += settings.MINIMUM_AGE + 2 * settings.INVENTORY_EVERY + timedelta(seconds=1)
    line = f"production: unknown token {pair.record.id} of user {ADA}: no row names it"
    assert found(world) == [line]
    world.now += timedelta(days=11)
    assert found(world) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user_id": 7}, f"wrong user 7, approved for {ADA}"),
        ({"scopes": frozenset({"tickets:read", "write"})}, "wider scopes: write"),
        ({"expires_at": None}, "it has no end"),
        ({"scopes": None}, "wider scopes: (none said)"),
        (
            {"scopes": frozenset({"tickets:read", "groups:read", "users:read"})},
            "narrower scopes, it lacks: satisfaction_ratings:read",
        ),
        ({"refresh_expires_at": None}, "its refresh half has no end"),
    ],
)
def test_a_token_that_is_not_as_approved_is_named(world, change, words):
    held = world.active()
    pair = world.desk.living()[0]
    pair.record = replace(pair.record, **change)
    assert found(world) == [f"production: token {pair.record.id} of {held.client_id}: {words}"]


def test_a_token_past_its_lease_is_named_with_five_minutes_grace(world):
    held = world.active(days=7)
    pair = world.desk.living()[0]
    ends = held.lives_until
    pair.record = replace(pair.record, expires_at=ends + timedelta(minutes=5))
    assert found(world) == []
    pair.record = replace(pair.record, expires_at=ends + timedelta(minutes=5, seconds=1))
    assert "too long, it outlives its lease" in found(world)[0]
    world.now = ends + timedelta(seconds=1)
    assert "overdue, it outlives its lease" in found(world)[0]


def test_a_token_that_should_be_gone_by_now_is_named(world):
    held = world.active(days=7)
    pair = world.desk.living()[0]
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    pair.record = replace(pair.record, expires_at=held.lives_until + timedelta(days=1))
    assert found(world) == []
    world.now = held.lives_until + timedelta(minutes=5, seconds=5)
    assert "overdue, it was to end at" in found(world)[0]


def test_a_second_living_pair_is_named(world):
    """A refresh that did not kill the pair before it."""
    held = world.active()
    old = world.desk.living()[0]
    live = held.grants.get(state="live")
    world.now = live.serve_until + timedelta(seconds=1)
    from tokens import outbox
    from tokens.models import Job

    outbox.order(Job.Kind.REFRESH, held.pk, helpdesk=held.helpdesk, now=world.clock())
    world.work()
    assert found(world) == []
    old.is_deleted = False
    line = found(world)
    assert len(line) == 1
    assert f"token {old.record.id} of {held.client_id}: a second living pair" in line[0]


def test_a_token_that_came_back_after_its_confirmed_end_is_named(world):
    held = world.active()
    pair = world.desk.living()[0]
    credentials.revoke(credential=held, by=held.owner, reason="", now=world.clock())
    for _ in range(2):
        world.work()
        world.wait(seconds=1)
        run("reconcile")
    world.work()
    held.refresh_from_db()
    assert held.state == "revoked"
    assert found(world) == []
    pair.is_deleted = False
    assert found(world) == [
        f"production: token {pair.record.id} of {held.client_id}: confirmed ended, and it lives"
    ]


def test_a_pair_that_was_replaced_while_the_list_was_read_is_none_of_nobody(world):
    """The list began before the refresh, the books are read after it."""
    held = world.active()
    began = world.clock()
    records = [pair.record for pair in world.desk.living()]
    live = held.grants.get(state="live")
    Grant.objects.filter(pk=live.pk).update(state="replaced", settled_at=world.clock())
    world.now += settings.MINIMUM_AGE + 2 * settings.INVENTORY_EVERY + timedelta(seconds=1)
    books = verification.books(world.helpdesk, records, taken_at=began)
    assert list(verification.of_list(books, records, now=world.now)) == []
    later = verification.books(world.helpdesk, records, taken_at=world.now)
    assert len(list(verification.of_list(later, records, now=world.now))) == 1


def test_ended_access_with_a_pair_that_is_not_gone_is_named(world):
    held = world.active()
    Credential.objects.filter(pk=held.pk).update(state="revoked")
    lines = found(world)
    assert f"{held.client_id}: confirmed ended, and a token of it is not gone" in lines
    assert any("the access is ended, the token lives" in line for line in lines)
    assert f"{held.client_id}: no audit row says how it came to be ended" in lines


def test_more_than_was_approved_is_named(world):
    held = world.active()
    Credential.objects.filter(pk=held.pk).update(scopes=held.scopes | {"write"})
    assert f"{held.client_id}: more than was approved: write" in found(world)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ("credential.activated", "no audit row says how it came to be active"),
        ("request.approved", "no audit row says how it came to be approved"),
        ("grant.proved", "no audit row says how it came to be live"),
    ],
)
def test_what_stands_somewhere_without_a_row_is_named(world, event, line):
    world.active()
    assert found(world) == []
    AuditEvent.objects.filter(event=event).delete()
    assert len(found(world)) == 1
    assert line in found(world)[0]


@pytest.mark.parametrize("act", ["cancelled", "lapsed", "lost", "declined"])
def test_every_way_to_go_leaves_its_row(world, act):
    if act == "lost":
        credentials.lose(credential=world.active(), reason="Withdrawn.", now=world.clock())
    else:
        held = world.ordered()
        if act == "cancelled":
            credentials.cancel(credential=held, by=held.owner, reason="", now=world.clock())
        elif act == "lapsed":
            world.now = held.connect_by + timedelta(seconds=1)
            credentials.lapse(credential=held, now=world.now)
        else:
            world.consent(held, as_user=7)
            world.work()
    assert found(world) == []


def test_frozen_helpdesks_are_verified_like_any_other(world):
    world.active()
    helpdesks.freeze_restored(helpdesk=world.helpdesk, now=world.clock())
    assert found(world) == []
