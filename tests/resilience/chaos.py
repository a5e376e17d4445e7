"""Everything that goes wrong, from one seed: deaths at chosen points and at any moment, a broker that forgets, people changed."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import redis

from demo.helpdesk.remote import ControlRefused
from demo.people import BY_KEY
from tests.resilience.city import LATEST, City

ALWAYS = {
    "drop_before": 3, "drop_after": 5, "late_commit": 5, "500_before": 2, "500_after": 3,
    "502_after": 1, "503_before": 0.3, "html": 1, "html_after": 2, "empty": 1, "empty_after": 2,
    "half_json_after": 1, "cut_short": 0.7, "garbage": 0.7, "half_open": 0.5, "half_open_after": 0.5,
    "body_drip": 0.3, "header_drip": 0.3, "endless_body": 0.2, "ids_as_text": 0.3,
    "lives_as_text": 0.3, "missing_tokens": 0.3, "null_for_object": 0.3, "stall": 2, "redirect": 1, "redirect_after": 1,
    "429": 0.3, "429_bare": 0.3, "429_zero": 0.3, "429_date": 0.1,
}  # fmt: skip
"""Kinds of faults, and how often each rains beside the others: those that may come at any time."""
CLIMATES: tuple[dict[str, float], ...] = (
    {},
    {
        "other_user": 8, "wider_scopes": 8, "narrower_scopes": 4, "no_expiry": 6, "later_expiry": 6,
        "no_refresh_expiry": 4, "later_refresh_expiry": 4, "missing_expiry": 4, "missing_user_id": 2,
        "dead_access": 2,
    },
    {"keeps_token": 20, "spares_refresh": 20, "401": 3},
    {"keeps_token": 20, "404": 10},
    {"service_401": 1, "service_403": 1, "invalid_client": 0.5},
    {"missing_row": 20, "missing_page": 10, "own_only": 10, "repeated_page": 10, "short_list": 10,
     "changing_page": 5, "no_meta": 5},
)  # fmt: skip
"""Kinds that come in turns: a helpdesk that lies in its list, its answers and its deletes alike proves nothing."""


GUST, LULL = 8.0, 8.0
"""Seconds of each where they come in turns."""
LEFT_IN_A_LULL = 0.05
"""How much of the share of faults is left in a lull."""
QUIET_EVERY = 600.0
"""Seconds between two times of quiet, where there are any; the first comes after a quarter of them."""


class Chaos:
    """Throws things until told that it is enough."""

    def __init__(
        self, city: City, *, seed: int, points: Callable[[], set[str]],
        outside: Callable[[int], None], share: float = 0.3, at_once: int = 3,
        climate: Mapping[str, float] | None = None, is_deadly: bool = True, has_lulls: bool = False,
        pace: float = 1.0, quiet: float = 0.0,
    ) -> None:  # fmt: skip
        self.city = city
        self.random = random.Random(seed)
        self.points = points
        self.outside = outside
        """Told the id of each token that is changed by hand, before it is."""
        self.share = share
        self.at_once = at_once
        self.climate = climate
        """One climate for ever, instead of all in turns."""
        self.is_deadly = is_deadly
        """Whether anything is thrown beside the weather."""
        self.has_lulls = has_lulls
        """Whether gusts and lulls come in turns: where the weather is always foul no list is ever whole."""
        self.outages: list[tuple[float, float]] = []
        self.random_deaths = 12
        """How often somebody dies at no chosen point, beside sixty that do."""
        self.climate_changes = 2
        self.losses = 0.5
        """How often a token of ours is deleted on the helpdesk, how often that of our own access, how often one hides."""
        self.pace = pace
        """How much slower than about four throws a second."""
        self.quiet = quiet
        """For how many seconds now and then nothing at all goes wrong; 0: never."""
        self._quiet_at = time.monotonic() + QUIET_EVERY / 4
        self._climate = seed
        self._is_lull = False
        self._turns_at = time.monotonic()

    def rage(self, is_over: Callable[[], bool]) -> None:
        """One thing after another."""
        throws: list[tuple[float, Callable[[], Any]]] = [
            (60, self._arm), (self.random_deaths, self._kill), (5, self._flush), (1, self._silence_broker),
            (1, self._kill_broker), (2, self._demote_somebody), (1, self._refuse_service),
            (3, self._change_token), (self.losses, self._delete_token), (self.losses, self._end_service_token),
            (self.losses, self._hide_token), (1, self.make_late), (self.climate_changes, self._change_climate),
        ]  # fmt: skip
        self._change_climate()
        while not self.is_deadly and not is_over():
            time.sleep(0.3)
        while not is_over():
            if self.quiet and time.monotonic() > self._quiet_at:
                self._keep_quiet(is_over)
            self._turn()
            weights, acts = zip(*throws, strict=True)
            with suppress(OSError, ControlRefused, redis.RedisError):
                self.random.choices(acts, weights)[0]()
            time.sleep(self.random.uniform(0.05, 0.4) * self.pace)

    def make_late(self) -> None:
        """Two refreshes and an exchange that are done after their caller has given up, whatever the weather brings.

        In the place of what is ordered and has not struck yet.
        """
        self.city.helpdesk.order_faults(
            *(
                {
                    "method": "POST", "path": "/oauth/tokens", "grant_type": grant,
                    "kind": "late_commit", "times": times, "seconds": LATEST,
                }
                for grant, times in (("refresh_token", 2), ("authorization_code", 1))
            )
        )  # fmt: skip

    def calm(self) -> None:
        """Nothing more goes wrong."""
        self.city.helpdesk.clear_weather()
        self.city.helpdesk.order_faults()
        self.city.disarm()

    def _keep_quiet(self, is_over: Callable[[], bool]) -> None:
        """Nothing goes wrong for so long that whatever is late then is late without an excuse."""
        with suppress(OSError, ControlRefused):
            self.calm()
        end = time.monotonic() + self.quiet
        while time.monotonic() < end and not is_over():
            time.sleep(0.3)
        with suppress(OSError, ControlRefused):
            self._set_weather()
        self._quiet_at = time.monotonic() + QUIET_EVERY

    def _change_climate(self) -> None:
        self._climate += 1
        self._set_weather()

    def _turn(self) -> None:
        """A lull after a gust, and a gust after a lull."""
        if self.has_lulls and time.monotonic() > self._turns_at:
            self._is_lull = not self._is_lull
            self._turns_at = time.monotonic() + (LULL if self._is_lull else GUST)
            with suppress(OSError, ControlRefused):
                self._set_weather()

    def _set_weather(self) -> None:
        told = weather(self._climate, self.share * (LEFT_IN_A_LULL if self._is_lull else 1))
        told["seed"] = self.random.randrange(1_000_000)
        if self.climate is not None:
            told["kinds"] = dict(self.climate)
        self.city.helpdesk.set_weather(**told)

    def _arm(self) -> None:
        """Order a death at a point that was hit least so far, or at any, in the place of one nobody came to."""
        armed = self.city.armed()
        known = sorted(self.points() - armed)
        if not self.at_once or not known:
            return
        if len(armed) >= self.at_once:
            self.city.disarm(self.random.choice(sorted(armed)))
        hit = Counter(self.city.ordered_deaths())
        least = min(hit[point] for point in known)
        rare = [point for point in known if hit[point] == least]
        self.city.arm(self.random.choice(self.random.choice((rare, known))))

    def _kill(self) -> None:
        self.city.kill(
            self.random.choice(("worker-1", "worker-2", "worker-1", "worker-2", "web", "beat")),
            self.random,
        )

    def _flush(self) -> None:
        self.city.broker_client().flushall()

    def _silence_broker(self) -> None:
        """It is there and says nothing for a while."""
        pid = self.city.pid("broker")
        self._out(lambda: self.city.signal(pid, signal.SIGSTOP), 1.5)
        self.city.signal(pid, signal.SIGCONT)

    def _kill_broker(self) -> None:
        self.city.restart_broker()

    def _demote_somebody(self) -> None:
        """The helpdesk takes somebody's role away, and with it all their tokens; then gives it back."""
        person = BY_KEY[self.random.choice(("noor", "piotr"))]
        self.city.helpdesk.change_user(person.helpdesk_id or 0, role="end-user")
        time.sleep(0.5)
        self.city.helpdesk.change_user(person.helpdesk_id or 0, role="agent")

    def _change_token(self) -> None:
        """Somebody at the helpdesk gives one of our tokens more than it was approved for."""
        for token_id in self._one_of("keydesk"):
            self.outside(token_id)
            self.city.helpdesk.change_token(token_id, scopes=["read", "write"])

    def _delete_token(self) -> None:
        """Somebody at the helpdesk deletes one of our tokens.

        While its access half lives; else its refresh half lives on, and no list shows it any more.
        """
        for token_id in self._one_of("keydesk", access="live"):
            self.outside(token_id)
            self.city.helpdesk.delete_token(token_id)

    def _hide_token(self) -> None:
        """The helpdesk says of a token or two that it is not there, while its list shows it.

        Not while another order is still to strike, which this one would replace.
        """
        hidden = {"method": "GET", "path": "/api/v2/oauth/tokens/", "kind": "404", "times": 2}
        if not self.city.helpdesk.faults_left():
            self.city.helpdesk.order_faults(hidden)

    def _end_service_token(self) -> None:
        """Somebody at the helpdesk deletes the token of Keydesk's own access."""
        for token_id in self._one_of("keydesk-service"):
            self.city.helpdesk.delete_token(token_id)

    def _one_of(self, client: str, **state: str) -> list[int]:
        """One living token of this client, if there is any."""
        wanted = {"client": client, **state}
        alive = [
            one
            for one in self.city.helpdesk.tokens(alive=True)
            if all(one[name] == value for name, value in wanted.items())
        ]
        return [self.random.choice(alive)["id"]] if alive else []

    def _refuse_service(self) -> None:
        """Keydesk's own user is no administrator for a while."""
        self._out(self.city.helpdesk.demote_service_user, 2)
        self.city.helpdesk.restore_service_user()

    def _out(self, act: Callable[[], Any], seconds: float) -> None:
        began = time.time()
        act()
        time.sleep(seconds)
        self.outages.append((began, time.time()))


def weather(seed: int, share: float) -> dict[str, Any]:
    """What `Remote.set_weather` is told: late commits come while they still may."""
    kinds = {**ALWAYS, **CLIMATES[seed % len(CLIMATES)]}
    waits = {"late_commit": LATEST, "stall": 0.8, "429": 0.5, "429_date": 1.0, "503_before": 0.5}
    return {"seed": seed, "share": share, "kinds": kinds, "seconds": waits}
