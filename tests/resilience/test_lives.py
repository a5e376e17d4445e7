"""What people of the city do that a run counts on, looked at by itself. No processes."""

import time
from types import SimpleNamespace

import pytest

from tests.resilience import lives
from tests.resilience.lives import Household, Ledger, Life
from tests.story import Key

KEY = Key("http://portal/oauth/token", "kd_production_A", "kds_a")


@pytest.fixture
def household(tmp_path, monkeypatch):
    """Its people connect at a stroke, and its scripts' calls are noted and lead nowhere."""
    made = Household(SimpleNamespace(), Ledger(tmp_path / "ledger.jsonl"), seed="s", at_once=1)
    made.asked, made.connected = [], []
    made.scripts = SimpleNamespace(submit=lambda *words: made.asked.append(words))
    monkeypatch.setattr(made, "_connect", lambda *words: made.connected.append(words))
    return made


@pytest.fixture
def life():
    return Life("stays", "ada", "stays-s-1", fetches=3, key=KEY)


def test_who_is_away_connects_again_only_when_back_while_the_script_asks_on(
    household, life, monkeypatch
):
    monkeypatch.setattr(lives, "AWAY", 1.0)
    household._go_on(life, 1, "lost")
    assert household.connected == []
    assert [key for _, _, key in household.asked] == [KEY]
    assert life.back_at >= time.monotonic() + lives.AWAY_FOR[0] - 1
    household._go_on(life, 1, "lost")
    assert len(household.asked) == 1, "It asks again at once."
    life.back_at = time.monotonic()
    household._go_on(life, 1, "lost")
    assert household.connected == [(life, 1, "Connect again")]


def test_whether_somebody_is_away_is_drawn_anew_at_each_loss(household, life, monkeypatch):
    monkeypatch.setattr(lives, "AWAY", 0.0)
    household._go_on(life, 1, "lost")
    assert len(household.connected) == 1
    life.rests_until = time.monotonic() + 9
    household._go_on(life, 1, "active")
    assert life.back_at is None


@pytest.mark.parametrize("plan", ["short", "list"])
def test_only_owners_of_scripts_that_stay_are_away(household, life, monkeypatch, plan):
    monkeypatch.setattr(lives, "AWAY", 1.0)
    life.plan = plan
    household._go_on(life, 1, "lost")
    assert len(household.connected) == 1
    assert household.asked == []


def test_calls_of_one_script_in_the_same_moment_are_no_race_between_people(
    household, life, monkeypatch
):
    monkeypatch.setattr(household.random, "random", lambda: 0.0)
    household._go_on(life, 1, "active")
    assert len(household.asked) == 4
    assert (household.done["fetched at once"], household.done["raced"]) == (1, 0)


def test_clicks_in_the_same_moment_are_a_race(household, life):
    clicked = []
    household._at_once(life, [lambda: clicked.append(1), lambda: clicked.append(2)])
    assert sorted(clicked) == [1, 2]
    assert (household.done["fetched at once"], household.done["raced"]) == (0, 1)
