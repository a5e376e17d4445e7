"""Weather: a share of the requests meets a fault at random, out of a weighted list, until it clears.

It strikes the token endpoint, the API's OAuth part, and everything asked with service access: what a
portal sends. What an agent's script asks with its own token is struck only where `scripts` says so.
The draw is seeded; threads come in an order of their own, so one seed is one climate, not one day.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from threading import Lock
from typing import Any

from django.http import HttpRequest

from demo.helpdesk.faults.fits import has_service_access, makes_a_token
from demo.helpdesk.faults.kinds import KINDS
from demo.helpdesk.models import Fault, WeatherSetting

Seconds = float | dict[str, float] | None


@dataclass
class Weather:
    """What may strike. `seconds`: one number for the kinds that wait, or a number for each kind."""

    share: float
    kinds: dict[str, float]
    seconds: Seconds
    scripts: bool
    random: Random
    struck: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def draw(self, request: HttpRequest) -> Fault | None:
        """The fault this request meets, if any."""
        if not self.scripts and not _is_of_a_portal(request):
            return None
        with self.lock:
            is_struck, place = self.random.random() < self.share, self.random.random()
        fitting = {n: w for n, w in self.kinds.items() if KINDS[n].fits(request)}
        if not is_struck or not fitting:
            return None
        kind = Random(place).choices(list(fitting), list(fitting.values()))[0]
        with self.lock:
            self.struck[kind] += 1
        return Fault(kind=kind, seconds=self._seconds_of(kind))

    def _seconds_of(self, kind: str) -> float | None:
        if isinstance(self.seconds, dict):
            return self.seconds.get(kind)
        return self.seconds if KINDS[kind].waits else None


def _is_of_a_portal(request: HttpRequest) -> bool:
    is_oauth = request.path.startswith("/api/v2/oauth/") or makes_a_token(request)
    return is_oauth or has_service_access(request)


_lock = Lock()
_now: list[Weather | None] = []
"""Empty until the row was read once."""


def let_be(terms: dict[str, Any]) -> None:
    """Weather on these terms, checked by the control; none clear it. Outlives a restart."""
    with _lock:
        WeatherSetting.objects.update_or_create(id=1, defaults={"terms": terms})
        _now[:] = [_made(terms)]


def weather() -> Weather | None:
    """The weather there is."""
    if not _now:
        with _lock:
            row = WeatherSetting.objects.filter(id=1).first()
            _now[:] = [_made(row.terms if row else {})]
    return _now[0]


def _made(terms: dict[str, Any]) -> Weather | None:
    if not terms:
        return None
    return Weather(
        share=terms["share"],
        kinds=terms["kinds"],
        seconds=terms.get("seconds"),
        scripts=terms.get("scripts", False),
        random=Random(terms.get("seed", 0)),
    )
