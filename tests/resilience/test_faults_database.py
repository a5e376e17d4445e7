"""The database at its worst: full, deadlocked, back from a backup, refusing an audit row, half upgraded, one row poisoned.

On whichever database the tests have; the last test runs them on PostgreSQL too.
"""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DatabaseError, OperationalError, connection, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField
from django.test import Client

from accounts import clock
from accounts.models import AuditEvent, StandIn, User
from tests.fakes import FreeLimiter
from tests.integration._people import browser, filled, words
from tests.stack import ROOT
from tests.world import World
from tokens.management.commands import reconcile
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Connection,
    Credential,
    Decision,
    Emergency,
    Fetch,
    Grant,
    InventoryRun,
    Job,
    Notification,
    ProfileVersion,
    Scope,
)
from tokens.operations import connections, credentials, keys, sweeps
from tokens.queries import inventories as lists
from tokens.refusals import StaleState
from tokens.states import CredentialState

pytestmark = pytest.mark.django_db(transaction=True)

ALL_ROWS = (*apps.get_app_config("tokens").get_models(), AuditEvent)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose time is the portal's."""
    made = World(now=clock.now())
    monkeypatch.setattr(clock, "now", made.clock)
    return made


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row of ours."""
    return {kind.__name__: list(kind._default_manager.order_by("pk").values()) for kind in ALL_ROWS}


def go_on(world: World, *, rounds: int = 12) -> None:
    """Workers and sweeps for as many minutes."""
    for _ in range(rounds):
        sweeps.sweep(now=world.clock())
        world.work()
        world.wait(seconds=61)


def refresh(world: World, held: Credential) -> None:
    """A client asks at the due moment."""
    world.now = max(world.now, held.grants.get(state="live").serve_until)
    keys.order_refresh(held, now=world.clock())
    world.work()


def alive(world: World) -> set[int]:
    return {pair.record.id for pair in world.desk.living()}


@contextmanager
def refusing(table: str, act: str, condition: str) -> Iterator[None]:
    """A trigger in the real database that refuses one kind of write. `condition` names NEW or OLD."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "CREATE FUNCTION refusing() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'refused'; END $$"
            )
            body = f"FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refusing()"
        else:
            body = f"WHEN {condition} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        cursor.execute(f"CREATE TRIGGER refusing BEFORE {act} ON {table} {body}")
        try:
            yield
        finally:
            on = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER refusing{on}")
            if connection.vendor == "postgresql":
                cursor.execute("DROP FUNCTION refusing()")


# --- Disk full ---------------------------------------------------------------------------------------


@contextmanager
def full_disk() -> Iterator[None]:
    """SQLite may not grow by a page, and what room it has is used up."""
    if connection.vendor != "sqlite":
        pytest.skip(
            "PostgreSQL has no bound that could be set for it; see test_faults_anywhere.py."
        )
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE ballast (body BLOB)")
        (pages,) = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        for size in (3000, 300):
            with suppress(OperationalError):
                while True:
                    cursor.execute("INSERT INTO ballast VALUES (zeroblob(%s))", [size])
        try:
            yield
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")
            cursor.execute("DROP TABLE ballast")


def test_a_full_disk_hands_nothing_out_unrecorded_and_work_goes_on_once_there_is_room(world):
    held, waiting = world.active(), world.ordered(script_name="waits")
    world.consent(waiting)
    before = held.grants.get(state="live").pk
    handed_out = refusals = 0
    with full_disk():
        for _ in range(300):
            with suppress(OperationalError):
                keys.hand_out(credential_id=held.pk, secret=None, address=None, now=world.clock())
                handed_out += 1
                continue
            refusals += 1
            break
        assert Fetch.objects.count() == handed_out
        for _ in range(3):
            with suppress(OperationalError):
                refresh(world, held)
    assert refusals == 1, "The disk was not full."
    go_on(world)
    held.refresh_from_db(), waiting.refresh_from_db()
    assert waiting.state in (CredentialState.ACTIVE, CredentialState.AWAITING_CONSENT)
    assert held.state in (CredentialState.ACTIVE, CredentialState.LOST)
    if held.state == CredentialState.ACTIVE:
        refresh(world, held)
        assert held.grants.get(state="live").pk != before
    owned = Grant.objects.filter(state="live").values_list("remote_id", flat=True)
    assert alive(world) == set(owned)


def test_a_script_that_calls_on_a_full_disk_is_told_to_come_back(world, caplog):
    held = world.active()
    key = keys.issue_secret(credential=held, by=held.owner, now=world.clock())
    fields = (
        f"grant_type=client_credentials&client_id={key.client_id}&client_secret={key.client_secret}"
    )

    def call() -> Any:
        return Client().post("/oauth/token", fields, "application/x-www-form-urlencoded")

    with full_disk():
        answers = [call() for _ in range(150)]
        given = Fetch.objects.count()
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 503}
    assert sum(answer.status_code == 200 for answer in answers) == given
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["error"] == "temporarily_unavailable"
    assert refused["Retry-After"]
    assert call().status_code == 200


# --- A connection that breaks after COMMIT was sent ----------------------------------------------------


def test_a_form_whose_commit_was_heard_of_by_nobody_is_done_once(world, monkeypatch):
    """The page says that it may have been done; sent again it shows what was."""
    ada = browser(world, "ada")
    ada.raise_request_exception = False
    fields = filled(world)
    commit, broken = BaseDatabaseWrapper.commit, []

    def breaking(self: Any) -> None:
        commit(self)
        if AccessRequest.objects.exists() and not broken:
            broken.append(True)
            raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(BaseDatabaseWrapper, "commit", breaking)
        first = ada.post("/requests/new", fields)
    assert broken
    assert first.status_code == 500
    assert "What you sent may or may not have been done" in words(first)
    row = AccessRequest.objects.get()
    again = ada.post("/requests/new", fields)
    assert again.status_code == 302
    assert again["Location"].startswith(f"/requests/{row.pk}")
    assert AccessRequest.objects.count() == 1
    assert AuditEvent.objects.filter(event="request.submitted").count() == 1


# --- Deadlock ------------------------------------------------------------------------------------------


def lock_crosswise(credential: Credential, answered: threading.Event) -> threading.Thread:
    """Hold the row of its grant, and once somebody waits for it want the credential's, which he holds by then."""
    told: dict[str, Any] = connection.get_connection_params()
    place = {name: told[name] for name in ("host", "port", "user", "dbname") if name in told}
    other = psycopg.connect(**place)
    other.execute("SET deadlock_timeout = '60s'")
    other.execute("UPDATE tokens_grant SET state = state WHERE credential_id = %s", [credential.pk])

    def want() -> None:
        with psycopg.connect(**place, autocommit=True) as watching:
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not watching.execute(waits).fetchone()[0] and not answered.is_set():  # type: ignore[index]
                time.sleep(0.01)
        other.execute("UPDATE tokens_credential SET state = state WHERE id = %s", [credential.pk])
        other.rollback()
        other.close()

    thread = threading.Thread(target=want)
    thread.start()
    return thread


def test_a_deadlock_loses_an_answer_and_no_token(world, caplog):
    """The worker that is chosen to lose had just made a pair: nobody owns it, and it is ended."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time, so it knows no deadlock.")
    held, threads, is_over = world.ordered(), list[threading.Thread](), threading.Event()
    world.consent(held)
    world.desk.next_answers["exchange"].append(
        lambda: threads.append(lock_crosswise(held, is_over))
    )
    world.work()
    is_over.set()
    threads[0].join(30)
    assert "deadlock detected" in caplog.text
    (lost,) = alive(world)
    job = Job.objects.get(kind="exchange", done_at=None)
    assert "OperationalError" in job.error
    go_on(world)
    held.refresh_from_db()
    assert (held.state, alive(world)) == (CredentialState.AWAITING_CONSENT, set())
    assert Grant.objects.get(remote_id=lost).purpose == Grant.Purpose.STRAY
    world.consent(held)
    world.work()
    held.refresh_from_db()
    assert held.state == CredentialState.ACTIVE


# --- Back from a backup --------------------------------------------------------------------------------


class Backup:
    """All rows as they are now, to be put back later."""

    def __init__(self) -> None:
        connection.ensure_connection()
        if connection.vendor == "sqlite":
            self.copy = sqlite3.connect(":memory:")
            connection.connection.backup(self.copy)
            return
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS backup CASCADE; CREATE SCHEMA backup")
            for table in self.tables():
                cursor.execute(f'CREATE TABLE backup."{table}" AS TABLE public."{table}"')

    def tables(self) -> list[str]:
        return sorted(connection.introspection.table_names())

    def put_back(self) -> None:
        if connection.vendor == "sqlite":
            self.copy.backup(connection.connection)
            return self.copy.close()
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            tables = self.tables()
            cursor.execute(f"TRUNCATE {', '.join(f'public.{table}' for table in tables)}")
            for table in tables:
                cursor.execute(f'INSERT INTO public."{table}" SELECT * FROM backup."{table}"')
            cursor.execute("SET session_replication_role = DEFAULT")
            for sql in connection.ops.sequence_reset_sql(no_style(), apps.get_models()):
                cursor.execute(sql)
            cursor.execute("DROP SCHEMA backup CASCADE")


@pytest.fixture
def say_restored(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """`manage.py reconcile --restored`, whose exit status says that a person must look, or not."""
    monkeypatch.setattr(reconcile, "connector_for", world._connect)
    monkeypatch.setattr(reconcile, "limiter_for", lambda _: FreeLimiter())

    def run() -> None:
        with suppress(SystemExit):
            call_command("reconcile", "--restored", "--helpdesk", "production")

    return run


@pytest.fixture
def after_the_backup(world: World) -> dict[str, Credential]:
    """Four held things, a backup, an hour of life, and the backup put back."""
    world.person("omar")
    found = {name: world.active(script_name=name) for name in ("kept", "refreshed", "ended")}
    found["connected"] = world.ordered(script_name="connected")
    backup = Backup()
    refresh(world, found["refreshed"])
    credentials.revoke(
        credential=found["ended"], by=world.people["ada"], reason="", now=world.clock()
    )
    go_on(world, rounds=8)
    found["ended"].refresh_from_db()
    assert found["ended"].state == CredentialState.REVOKED
    world.consent(found["connected"])
    world.work()
    world.active(script_name="newcomer")
    assert len(alive(world)) == 4
    backup.put_back()
    for credential in found.values():
        credential.refresh_from_db()
    assert found["ended"].state == CredentialState.ACTIVE
    return found


def test_a_restored_database_is_told_and_ends_nothing_until_a_person_has_looked(
    world, after_the_backup, say_restored, capsys
):
    living = alive(world)
    say_restored()
    go_on(world, rounds=30)
    assert alive(world) == living
    assert {row.state for row in Credential.objects.all()} == {"active", "awaiting_consent"}
    run = lists.newest(world.helpdesk)
    assert run is not None
    assert run.held_back > 0
    assert "new access is frozen" in capsys.readouterr().out
    with pytest.raises(StaleState, match="frozen"):
        world.consent(after_the_backup["connected"])


def test_a_persons_word_on_a_restored_database_ends_what_nobody_owns_and_keeps_the_rest(
    world, after_the_backup, say_restored
):
    kept = after_the_backup["kept"].grants.get(state="live")
    say_restored()
    go_on(world)
    run = lists.newest(world.helpdesk)
    assert run is not None
    world.give_word(run, by=world.people["omar"])
    go_on(world, rounds=20)
    assert alive(world) == {kept.remote_id}
    states = dict(Credential.objects.values_list("script_name", "state"))
    assert states == {
        "kept": "active", "refreshed": "lost", "ended": "lost", "connected": "awaiting_consent",
    }  # fmt: skip
    for name in ("refreshed", "connected"):
        after_the_backup[name].refresh_from_db()
        world.consent(after_the_backup[name])
    world.work()
    assert Credential.objects.filter(state="active").count() == 3


def test_a_restored_database_nobody_was_told_of_revokes_nobody(world):
    """Twelve were refreshed since: the list agrees with none of our rows, which is no bad day but a backup."""
    held = [world.active(script_name=f"script-{n}") for n in range(12)]
    backup = Backup()
    for credential in held:
        refresh(world, credential)
    living = alive(world)
    assert len(living) == 12
    backup.put_back()
    go_on(world, rounds=30)
    assert alive(world) == living
    run = lists.newest(world.helpdesk)
    assert run is not None
    assert run.held_back >= 12
    assert "a person must look" in run.error


# --- The audit -----------------------------------------------------------------------------------------

ACTS: dict[str, Callable[[World], object]] = {
    "request.submitted": lambda world: world.ask(),
    "request.approved": lambda world: world.approve(AccessRequest.objects.get()),
    "connection.started": lambda world: connections.start(
        credential=only(), by=world.people["ada"], session_key="s", now=world.clock()
    ),
    "credential.activated": lambda world: world.work(),
    "key.issued": lambda world: keys.issue_secret(
        credential=only(), by=world.people["ada"], now=world.clock()
    ),
    "token.shown": lambda world: keys.hand_out(
        credential_id=only().pk, secret=None, address=None,
        now=world.clock(), by=world.people["ada"],
    ),
    "credential.revoked": lambda world: credentials.revoke(
        credential=only(), by=world.people["ada"], reason="", now=world.clock()
    ),
    "credential.ended": lambda world: go_on(world),
}  # fmt: skip
"""Event → what writes it; in the order of a life."""
BY_WORKERS = ("credential.activated", "credential.ended")


def only() -> Credential:
    return Credential.objects.select_related("helpdesk", "owner", "acts_as").get()


def prepare(world: World, event: str) -> None:
    """A life up to just before the event."""
    world.person("ada"), world.person("ben")
    for before, act in ACTS.items():
        if before == event:
            break
        if before == "connection.started":
            world.consent(only())
        else:
            act(world)
    if event == "credential.activated":
        assert only().state == CredentialState.ISSUING


@pytest.mark.parametrize("event", [event for event in ACTS if event not in BY_WORKERS])
def test_an_act_whose_audit_row_cannot_be_written_has_not_happened(world, event):
    prepare(world, event)
    before = everything()
    with refusing("accounts_auditevent", "INSERT", f"NEW.event = '{event}'"):
        with pytest.raises(DatabaseError, match="refused"):
            ACTS[event](world)
        assert everything() == before
    ACTS[event](world)
    assert AuditEvent.objects.filter(event=event).count() == 1


@pytest.mark.parametrize(
    ("event", "stays"), [("credential.activated", "issuing"), ("credential.ended", "revoking")]
)
def test_a_workers_act_whose_audit_row_cannot_be_written_waits_in_the_open(world, event, stays):
    prepare(world, event)
    with refusing("accounts_auditevent", "INSERT", f"NEW.event = '{event}'"):
        for _ in range(3):
            world.work()
            world.wait(seconds=601)
        assert only().state == stays
        assert not Grant.objects.filter(state="live").exists()
        assert Job.objects.filter(done_at=None).exclude(error="").exists()
    go_on(world)
    assert only().state == {"issuing": "active", "revoking": "revoked"}[stays]


def test_no_call_leaves_that_could_not_be_recorded(world):
    held = world.ordered()
    world.consent(held)
    with refusing("accounts_auditevent", "INSERT", "NEW.event = 'grant.sent'"):
        world.work()
        assert "exchange" not in world.desk.calls
    assert alive(world) == set()


def test_a_page_whose_audit_row_cannot_be_written_says_so_and_works_again_later(world):
    ada = browser(world, "ada")
    ada.raise_request_exception = False
    fields = filled(world)
    with refusing("accounts_auditevent", "INSERT", "NEW.event = 'request.submitted'"):
        answer = ada.post("/requests/new", fields)
        assert answer.status_code == 500
        assert "This is a fault of Keydesk, not of yours" in words(answer)
        assert "Traceback" not in words(answer)
        assert not AccessRequest.objects.exists()
    assert ada.post("/requests/new", fields).status_code == 302
    assert AccessRequest.objects.count() == 1


# --- One poisoned row ----------------------------------------------------------------------------------


def test_a_row_that_cannot_be_moved_holds_up_no_other(world, caplog):
    """The oldest of all that are due cannot be ended; all others are, and every other sweep goes on."""
    poisoned = world.active(script_name="poisoned", days=7)
    world.wait(minutes=1)
    others = [world.active(script_name=f"script-{n}", days=7) for n in range(3)]
    world.ask(script_name="undecided")
    world.now = max(row.lives_until for row in others) + timedelta(seconds=1)
    with refusing("tokens_credential", "UPDATE", f"OLD.id = {poisoned.pk}"):
        for _ in range(2):
            with suppress(DatabaseError):
                sweeps.sweep(now=world.clock())
        ended = Credential.objects.filter(pk__in=[row.pk for row in others])
        assert {row.state for row in ended} == {"revoking"}
        assert not AccessRequest.objects.filter(state="pending").exists(), "another sweep's row"
    assert f"Credential {poisoned.pk} cannot be moved" in caplog.text
    go_on(world)
    poisoned.refresh_from_db()
    assert poisoned.state == CredentialState.REVOKED


def test_a_poisoned_job_holds_up_no_other_and_stands_in_the_open(world):
    poisoned, other = world.active(), world.active(script_name="other")
    for held in (poisoned, other):
        keys.order_refresh(held, now=world.clock())
    Grant.objects.filter(credential=poisoned).update(refresh_sealed="v1.nonsense")
    world.now = other.grants.get(state="live").serve_until
    world.work()
    assert other.grants.get(state="live").purpose == Grant.Purpose.REFRESH
    job = Job.objects.get(kind="refresh", done_at=None)
    assert job.target_id == poisoned.pk
    assert "does not open" in job.error


# --- An old worker on a new schema ---------------------------------------------------------------------


def added_since() -> dict[type[models.Model], set[str]]:
    """Columns that came to tables which an older version knows: by every migration but the first of an app."""
    found: dict[type[models.Model], set[str]] = {}
    for (app, name), migration in MigrationLoader(connection).disk_migrations.items():
        if app not in ("tokens", "accounts") or name.startswith("0001"):
            continue
        for step in migration.operations:
            if isinstance(step, AddField):
                model = apps.get_model(app, step.model_name)
                found.setdefault(model, set()).add(model._meta.get_field(step.name).column)
    return found


def test_what_an_older_version_writes_fits_a_newer_schema(world):
    """Its INSERT does not name the new columns."""
    world.active()
    sweeps.order_inventories(now=world.clock())
    world.work()
    others: dict[type[models.Model], dict[str, object]] = {
        Connection: {"state_digest": "0" * 64}, InventoryRun: {},
        AccessRequest: {"submission_key": "another"}, Scope: {"name": "another"},
        AccessProfile: {"slug": "another", "current_id": None}, User: {"identity": "another"},
        ProfileVersion: {"number": 99}, Decision: {"revision": 99}, Notification: {"event": "another"},
    }  # fmt: skip
    newer = {apps.get_model("tokens", "Helpdesk"), Emergency, StandIn}
    assert set(added_since()) - newer == set(others)
    for model, changes in others.items():
        unknown = added_since()[model]
        row = {**model._default_manager.order_by("pk").values()[0], **changes}
        columns = {field.attname: field for field in model._meta.concrete_fields}
        told = {
            name: columns[name].get_db_prep_save(value, connection)
            for name, value in row.items()
            if name not in {"id", *unknown}
        }
        marks, names = ", ".join("%s" for _ in told), ", ".join(f'"{name}"' for name in told)
        before = model._default_manager.count()
        with connection.cursor() as cursor:
            table = model._meta.db_table
            cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(told.values()))
        assert model._default_manager.count() == before + 1
        written = model._default_manager.values(*unknown).latest("pk").values()
        assert {value for value in written if value} <= {"light agent"}, "what says nothing"


# --- On PostgreSQL -------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.processes
def test_the_same_on_postgresql() -> None:
    """Everything above, and a life that breaks after its commits."""
    if connection.vendor == "postgresql":
        pytest.skip("This is PostgreSQL.")
    if not (server := os.environ.get("KEYDESK_TEST_POSTGRES")):
        leave_out = pytest.fail if os.environ.get("KEYDESK_TEST_ALL") else pytest.skip
        leave_out("KEYDESK_TEST_POSTGRES names no PostgreSQL.")
    environment = {
        **os.environ, "KEYDESK_TEST_ALL": "",
        "DATABASE_URL": f"{server.rsplit('/', 1)[0]}/keydesk_faults_{os.getpid()}",
    }  # fmt: skip
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "tests/resilience/test_faults_database.py",
            "tests/resilience/test_faults_anywhere.py", "-k", "database or (lost and after)",
        ],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout.splitlines()[-1]
