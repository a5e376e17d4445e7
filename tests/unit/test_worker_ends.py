"""How long a worker may take to end, and what install.md tells those who start it."""

import re
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from tokens import tasks
from tokens.crew import Crew

INSTALL = Path(__file__).parents[2] / "docs" / "install.md"


def most_seconds(monkeypatch: pytest.MonkeyPatch) -> float:
    """From the signal until the process is gone at the latest."""
    patience: list[float] = []

    class Timer:
        def __init__(self, seconds: float, _act: Callable[[], None]) -> None:
            patience.append(seconds)

        def start(self) -> None: ...

    monkeypatch.setattr(tasks, "Timer", Timer)
    monkeypatch.setattr(tasks, "crew", Crew(1))
    monkeypatch.setattr(tasks, "_ending", Event())
    tasks.end()
    assert not tasks.crew.may_begin()
    return patience[0] + tasks._HAND_BACK_WITHIN


def test_install_md_says_how_long_it_takes_and_gives_it_longer(monkeypatch):
    words, most = INSTALL.read_text(), most_seconds(monkeypatch)
    assert f"after {most:.0f} seconds at the latest" in words
    given = re.findall(r"TimeoutStopSec=(\d+)|stop_grace_period: (\d+)s", words)
    assert [float(one or other) for one, other in given] == [2 * most, 2 * most]
