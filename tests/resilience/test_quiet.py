"""In a soak now and then nothing goes wrong for a while, so that lateness has no excuse. No processes."""

import time
from collections import Counter

import pytest

from tests.resilience import chaos
from tests.resilience.oracle.times import Pauses
from tests.resilience.run import quiet_lasts, times

SECONDS = 0.5


class City:
    """Notes what is done to it, and when."""

    def __init__(self):
        self.done: list[tuple[str, float]] = []
        self.helpdesk = self

    def __getattr__(self, name):
        return lambda *_, **__: self.done.append((name, time.monotonic()))

    def when(self, name):
        return [at for done, at in self.done if done == name]


def _storm(monkeypatch: pytest.MonkeyPatch, **options: float) -> City:
    """Four seconds of a storm that throws one thing again and again; its first quiet comes after half a second."""
    monkeypatch.setattr(chaos, "QUIET_EVERY", 2.0)
    city = City()
    storm = chaos.Chaos(city, seed=1, points=set, outside=lambda _: None, pace=0.1, **options)
    storm.random.choices = lambda *_: [city.thrown]
    end = time.monotonic() + 4
    storm.rage(lambda: time.monotonic() > end)
    return city


def test_nothing_is_thrown_and_no_weather_made_in_a_time_of_quiet(monkeypatch):
    city = _storm(monkeypatch, quiet=SECONDS)
    began = city.when("clear_weather")[0]
    assert Counter(done for done, at in city.done if began <= at < began + SECONDS) == {
        "clear_weather": 1, "order_faults": 1, "disarm": 1,
    }  # fmt: skip
    assert any(at < began for at in city.when("thrown"))
    assert any(at > began + SECONDS for at in city.when("set_weather"))
    assert any(at > began + SECONDS for at in city.when("thrown"))


def test_it_lasts_until_the_longest_bound_of_what_was_hit_last_has_run_out():
    own = times(requests_per_minute=9000)
    pauses = Pauses(own.claim + own.backoff)
    pauses.blow(0.0)
    lasts = quiet_lasts(own)
    assert lasts - pauses.lost(0.0, lasts) > own.unowned + 20


def test_without_one_it_never_stops(monkeypatch):
    assert _storm(monkeypatch).when("clear_weather") == []


def test_late_commits_are_ordered_again_and_again():
    """Few of them make a token: mostly the caller has asked again before. A run with none of these is void."""
    city = City()
    storm = chaos.Chaos(city, seed=1, points=set, outside=lambda _: None, pace=0.1)
    late: list[dict] = []
    city.order_faults = lambda *orders: late.extend(o for o in orders if o["kind"] == "late_commit")
    storm.random.choices = lambda acts, _: [act for act in acts if act == storm.make_late]
    storm.rage(lambda: len(late) >= 6)
    assert Counter(order["grant_type"] for order in late) == {
        "refresh_token": 3, "authorization_code": 3,
    }  # fmt: skip
