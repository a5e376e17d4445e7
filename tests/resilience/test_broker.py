"""The broker forgets, dies, hangs, comes back, says things twice or late: that costs time, never work.

Real processes, one stack for the file. Each test makes its trouble, owes one refresh by one click, and at
the end exactly one refresh was made, one token lives, no job failed and `verify` finds nothing.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median

import pytest
import requests
from celery import Celery

from demo.stack import Stack
from tests.resilience.handling import Handling, Script
from tests.stack import ROOT
from tests.story import Actor, until

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("resilience")]
soak = pytest.mark.skipif(
    not (os.environ.get("KEYDESK_SOAK") or os.environ.get("KEYDESK_TEST_ALL")),
    reason="long; KEYDESK_SOAK=1 or KEYDESK_TEST_ALL=1 runs it",
)
SECOND = 1.0
"""How much longer a click may take than with a broker that answers."""


@pytest.fixture(scope="module")
def handling(own_stack: Stack) -> Iterator[Handling]:
    made = Handling(own_stack)
    yield made
    made.commands.end()


@pytest.fixture(scope="module")
def script(handling: Handling) -> Script:
    return Script(handling, "noor", "through-everything")


@pytest.fixture(scope="module")
def usual(script: Script) -> float:
    """How long a click takes when everything works, at most: the machine has other things to do."""
    took = max(script.click() for _ in range(3))
    until(lambda: not script.has_open_work())
    return took


OTHER_TIME = """
import datetime, time

real, real_time, ahead = datetime.datetime, time.time, {seconds}


class Either(type):
    def __instancecheck__(cls, thing):
        return isinstance(thing, real)


class Ahead(real, metaclass=Either):
    @classmethod
    def now(cls, tz=None):
        return real.now(tz) + datetime.timedelta(seconds=ahead)

    @classmethod
    def utcnow(cls):
        return real.utcnow() + datetime.timedelta(seconds=ahead)


time.time = lambda: real_time() + ahead
datetime.datetime = Ahead
"""
"""What Python reads first of all in a process whose clock is to be wrong."""


def believed(handling: Handling) -> float:
    """By how many seconds the time in the worker's log is ahead of the real one."""
    stamps = re.findall(
        r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),", handling.logged("worker"), re.MULTILINE
    )
    there = datetime.strptime(stamps[-1], "%Y-%m-%d %H:%M:%S").astimezone()
    return (there - datetime.now().astimezone()).total_seconds()


def look_now(handling: Handling, times: int = 1) -> None:
    """Send the message that says "look now", as often as that."""
    with Celery(broker=handling.environment["REDIS_URL"], set_as_current=False) as app:
        for _ in range(times):
            app.send_task("tokens.run_due", args=["production"], ignore_result=True)


def looks(handling: Handling) -> list[bytes]:
    """The messages that wait and say "look now"."""
    with handling.broker() as client:
        return [raw for raw in client.lrange("celery", 0, -1) if b"tokens.run_due" in raw]


def stall(handling: Handling, seconds: float, *, looks: int = 0) -> None:
    """Let the next refresh take this long, and so many looks at a token after it."""
    slow = {"kind": "stall", "seconds": seconds}
    refresh = {"method": "POST", "path": "/oauth/tokens", "grant_type": "refresh_token", "times": 1}
    look = {"method": "GET", "path": "/api/v2/oauth/tokens/", "times": looks}
    handling.helpdesk.order_faults(*({**one, **slow} for one in (refresh, look) if one["times"]))


def grace(handling: Handling) -> float:
    """How long docs/install.md says a worker may take to end, times scaled; and a second for the process to go away."""
    return float(handling.environment["CALL_DEADLINE_SECONDS"]) + 2 + SECOND


def wait_until_sent(handling: Handling) -> None:
    until(lambda: handling.rows.count("SELECT count(*) FROM tokens_grant WHERE state = 'sent'") > 0)


# --- It forgets --------------------------------------------------------------------------------------


def test_a_flush_loses_the_messages_and_no_work(handling: Handling, script: Script) -> None:
    with handling.stopped("worker"):
        script.click()
        until(lambda: handling.flush() > 0)
    script.settle()


def test_after_a_flush_a_click_is_met_without_beat(handling: Handling, script: Script) -> None:
    with handling.stopped("beat"):
        handling.flush()
        script.click()
        script.settle()


# --- It is gone, or silent ---------------------------------------------------------------------------


def test_without_a_broker_pages_go_on_and_work_waits(
    handling: Handling, script: Script, usual: float
) -> None:
    handling.kill("broker")
    try:
        assert median(script.click() for _ in range(3)) < usual + SECOND
        assert script.has_open_work()
        signed_in = Actor(handling.portal, "ben").sign_in().open("/queue")
        assert signed_in.answer.status_code == 200
        ready = requests.get(f"{handling.portal}/readyz", timeout=10)
        assert ready.status_code == 503
        assert "Redis does not answer" in ready.text
        until(lambda: "was not sent" in handling.logged("beat"))
    finally:
        handling.start("broker")
    script.settle(seconds=45)
    assert "Traceback" not in handling.logged("beat")


def test_a_silent_broker_holds_up_no_click(
    handling: Handling, script: Script, usual: float
) -> None:
    with handling.stopped("broker"):
        assert median(script.click() for _ in range(3)) < usual + SECOND
        assert script.has_open_work()
        assert requests.get(f"{handling.portal}/readyz", timeout=10).status_code == 503
    script.settle(seconds=45)


# --- It says things twice, late, or not at all -------------------------------------------------------


def test_a_message_fifty_times_and_again_while_it_runs_is_one_refresh(
    handling: Handling, script: Script
) -> None:
    stall(handling, 2)
    script.click()
    wait_until_sent(handling)
    look_now(handling, times=50)
    beats = handling.heard("beat")
    until(lambda: handling.heard("beat") > beats, seconds=15)
    script.settle()


@soak
def test_a_message_that_comes_when_all_is_done_does_nothing(
    handling: Handling, script: Script
) -> None:
    with handling.stopped("worker"):
        script.click()
        until(lambda: bool(looks(handling)))
        late = looks(handling)
    script.settle()
    with handling.broker() as client:
        client.lpush("celery", *late)
        until(lambda: client.llen("celery") == 0)
    script.settle()


@soak
def test_two_beats_are_as_good_as_one(handling: Handling, script: Script) -> None:
    command = [
        sys.executable, "-m", "celery", "-A", "portal", "beat", "--pidfile=",
        "--schedule", str(handling.stack.folder / "second-beat"),
    ]  # fmt: skip
    second = subprocess.Popen(
        command, cwd=ROOT, env=handling.environment, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: any(handling.stack.folder.glob("second-beat*")))
        script.click()
        time.sleep(2)
        assert second.poll() is None
        script.settle()
    finally:
        second.terminate()
        second.wait()


@soak
def test_a_long_time_without_beat_is_made_up_for(handling: Handling, script: Script) -> None:
    """A lost message and an end that came meanwhile are both found from the database."""
    handling.kill("beat")
    over = Script(handling, "lena", "over-meanwhile")
    lost = handling.lost_nudges()
    handling.kill("broker")
    script.click()
    until(lambda: handling.lost_nudges() > lost)
    handling.start("broker")
    handling.rows.write(
        "UPDATE tokens_credential SET lives_until = issued_at WHERE id = ?", over.credential
    )
    time.sleep(3)
    assert script.has_open_work(), "it was lost, so nobody looks"
    handling.start("beat")
    script.settle()
    state = "SELECT count(*) FROM tokens_credential WHERE id = ? AND state = 'revoked'"
    until(lambda: handling.rows.count(state, over.credential) == 1)


@soak
def test_the_command_does_what_is_due_without_a_broker(handling: Handling, script: Script) -> None:
    bare = {**handling.environment, "REDIS_URL": "", "CELERY_BROKER_URL": ""}
    with handling.stopped("worker", "beat"):
        script.click()
        handling.flush()
        done = subprocess.run(
            [sys.executable, "manage.py", "work"],
            cwd=ROOT, env=bare, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        script.settle(seconds=1)


# --- The worker ends, is cut off, or has the wrong time ----------------------------------------------


@soak
def test_a_worker_told_to_end_keeps_the_answer_it_waits_for(
    handling: Handling, script: Script
) -> None:
    stall(handling, 2)
    script.click()
    wait_until_sent(handling)
    status, seconds = handling.terminate("worker", within=10)
    assert status == 0
    assert seconds < grace(handling)
    assert not script.has_open_work(), "it was answered in time, and kept"
    handling.start("worker")
    script.settle()


@soak
def test_a_worker_told_to_end_leaves_a_call_without_an_answer_as_unknown(
    handling: Handling, script: Script
) -> None:
    """The call outlasts every patience: the process ends all the same, the refresh is made again later."""
    stall(handling, 20)
    script.click()
    wait_until_sent(handling)
    status, seconds = handling.terminate("worker", within=10)
    assert status == 0
    assert seconds < grace(handling)
    handling.start("worker")
    until(lambda: not script.has_open_work(), seconds=60)
    assert script.key.fetch().status_code == 200
    until(lambda: handling.commands.run("verify")[0] == 0, seconds=60)


@soak
def test_a_worker_told_to_end_hands_back_what_takes_longer(
    handling: Handling, script: Script
) -> None:
    """The pair is answered and kept; its proof is cut off, and the next worker makes it at once."""
    stall(handling, 3, looks=1)
    script.click()
    wait_until_sent(handling)
    status, seconds = handling.terminate("worker", within=10)
    assert status == 0
    assert seconds < grace(handling)
    assert "jobs handed back: 1" in handling.logged("worker")
    assert script.has_open_work()
    assert handling.rows.count("SELECT count(*) FROM tokens_job WHERE claimed_by <> ''") == 0
    handling.start("worker")
    script.settle()


@soak
def test_a_worker_without_its_database_says_so_and_goes_on_when_it_is_back(
    handling: Handling, script: Script
) -> None:
    """The worker reaches the same file by a way of its own, which is cut."""
    way = handling.stack.folder / "way"
    way.symlink_to(handling.stack.folder)
    handling.terminate("worker", within=10)
    said_before = len(handling.logged("worker"))
    handling.start("worker", DATABASE_URL=f"sqlite:///{way}/keydesk.sqlite3")
    handling.wait_for_worker()
    way.unlink()
    until(lambda: "the database does not answer" in handling.logged("worker"))
    script.click()
    time.sleep(1)
    assert script.has_open_work()
    way.symlink_to(handling.stack.folder)
    script.settle()
    assert "Traceback" not in handling.logged("worker")[said_before:]
    handling.terminate("worker", within=10)
    handling.start("worker")


@soak
@pytest.mark.parametrize("minutes", [5, -5])
def test_clocks_of_web_and_worker_may_be_apart(
    handling: Handling, script: Script, tmp_path: Path, minutes: int
) -> None:
    """A worker that believes it is another time: beat's messages are taken, and every end is the database's."""
    (tmp_path / "sitecustomize.py").write_text(OTHER_TIME.format(seconds=minutes * 60))
    handling.terminate("worker", within=10)
    handling.start("worker", PYTHONPATH=f"{tmp_path}:{handling.environment['PYTHONPATH']}")
    handling.wait_for_worker()
    beats = handling.heard("beat")
    script.click()
    script.settle()
    until(lambda: handling.heard("beat") > beats, seconds=10)
    assert believed(handling) == pytest.approx(minutes * 60, abs=60), "its clock was not changed"
    ago = "SELECT (julianday('now') - julianday(at)) * 86400 FROM tokens_heartbeat WHERE name = ?"
    heard = handling.rows.one(ago, "worker")
    assert heard is not None
    assert heard[0] == pytest.approx(0, abs=60), "the database's time, not the worker's"
    handling.terminate("worker", within=10)
    handling.start("worker")
