"""One run: a city lives, everything goes wrong, it calms down, and the judge has the last word."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo.people import BY_KEY
from tests.resilience import chaos, sites
from tests.resilience.city import FAST, City, running_city
from tests.resilience.council import Council
from tests.resilience.lives import PLANS, Household, Ledger
from tests.resilience.oracle import Oracle, Times
from tests.stack import manage

RARELY = 12.0
"""How much slower deaths follow each other once enough died."""
CROWD = 8
"""How many lives a household lives at once when few of them are cut short."""
SETTLED = ("stays",) * 60
"""What most of them are then: scripts that fetch and fetch."""
SERVES_WITHIN = 15.0
"""Seconds within which a key that works gets a token once everything is at rest."""
JUDGED_FOR = 30.0
"""Seconds that a time of quiet lasts once nothing has an excuse any more: the judge of a long run takes so long to read."""
SETTLES_WITHIN = 60.0
"""Seconds within which everything is at rest once nothing goes wrong any more."""


@dataclass(frozen=True)
class Goal:
    """How much must have gone wrong before a run counts."""

    kills: int
    calls: int
    late: int = 1
    unknowns: int = 1
    races: int = 1
    """How often several people must have clicked in the same moment: who decides, who takes back, who ends."""
    rushes: int = 1
    """How often a script must have asked several times in the same moment."""
    served: int = 0
    """How many keys must have got a token once everything was at rest."""
    acts: tuple[str, ...] = ()
    """What an admin must have done at least once."""
    judged: int = 0
    """In how many seconds of the storm whatever was late must have been late without an excuse."""
    most_seconds: float = 3600


@dataclass
class Report:
    """What a run did and what the judge found."""

    seed: int
    kills: int = 0
    calls: int = 0
    requests: int = 0
    late: int = 0
    unknowns: int = 0
    races: int = 0
    rushes: int = 0
    judged: int = 0
    seconds: float = 0
    deaths: Counter[str] = field(default_factory=Counter)
    lived: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[str, str]] = field(default_factory=list)
    goal: Goal = field(default_factory=lambda: Goal(0, 0))

    @property
    def lacks(self) -> list[str]:
        """Why the run is void: what did not go wrong often enough, or who was served at rest."""
        served, wanted = self.lived["served at rest"], self.goal.served
        unserved = [f"keys served at rest {served} of {wanted}"] if served < wanted else []
        return self.lacks_so_far + unserved

    @property
    def lacks_so_far(self) -> list[str]:
        """What did not go wrong often enough yet."""
        return [
            f"{name} {found} of {wanted}"
            for name, found, wanted in (
                ("kills", self.kills, self.goal.kills),
                ("faulted calls", self.calls, self.goal.calls),
                ("late commits", self.late, self.goal.late),
                ("unknown answers", self.unknowns, self.goal.unknowns),
                ("races of people's clicks", self.races, self.goal.races),
                ("rushes of one script's calls", self.rushes, self.goal.rushes),
                ("seconds in which bounds were judged", self.judged, self.goal.judged),
                ("tokens handed out", self.lived["handed out"], 1),
                *((f"acts of {act}", self.lived[act], 1) for act in self.goal.acts),
            )
            if found < wanted
        ]


def times(requests_per_minute: int) -> Times:
    """The city's scaled times, for the judge."""

    def seconds(name: str) -> float:
        return float(FAST[f"{name}_SECONDS"])

    return Times(
        minimum_age=seconds("MINIMUM_AGE"), inventory_every=seconds("INVENTORY"),
        sweep_every=seconds("SWEEP"), due_every=seconds("DUE_SWEEP"), claim=seconds("CLAIM"),
        deadline=seconds("CALL_DEADLINE"), send_within=seconds("SEND_WITHIN"),
        access_least=seconds("ACCESS_TOKEN_LEAST"),
        slot=60 / requests_per_minute,
        backoff=float(FAST["BACKOFF_SECONDS"].rsplit(",", 1)[1]),
    )  # fmt: skip


def quiet_lasts(own: Times) -> float:
    """Seconds of a time of quiet: what went wrong before it excuses for a while yet, then every bound runs out."""
    return own.claim + own.backoff + own.unowned + JUDGED_FOR


@dataclass
class Run:
    """A city with its people, its chaos and its judge."""

    city: City
    seed: int
    share: float = 0.3
    households: int = 3
    at_once: int = 6
    armed_at_once: int = 3
    plans: tuple[str, ...] = PLANS
    climate: Mapping[str, float] | None = None
    is_deadly: bool = True
    has_lulls: bool = False
    pace: float = 1.0
    """How much slower deaths follow each other than about seventy a minute."""
    has_quiet: bool = False
    """Whether now and then nothing goes wrong for longer than anything may take."""
    has_council: bool = True
    points: Callable[[], set[str]] | None = None
    is_loud: bool = False
    """Whether it says at once what it finds, and how far it is every minute."""
    violations: dict[tuple[str, str], None] = field(default_factory=dict)
    judged: int | None = None
    """In how many seconds of the storm the judge excused nothing, once it is over: afterwards that is no feat."""
    _told_at: float = field(default_factory=time.monotonic)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        lena = BY_KEY["lena"].helpdesk_id or 0
        self.city.helpdesk.change_user(lena, external_id="")  # so that she is found by her address
        ledger = self.city.folder / "ledger.jsonl"
        ledger.touch()
        environment = self.city.environment
        budget = int(environment["HELPDESK_PRODUCTION_REQUESTS_PER_MINUTE"])
        self.judge = Oracle(
            database_url=environment["DATABASE_URL"],
            helpdesk_address=self.city.address("production helpdesk"),
            client_id=environment["HELPDESK_PRODUCTION_CLIENT_ID"],
            helpdesk_slug="production", ledger_path=ledger, times=times(budget),
            requests_per_minute=budget, window=60,
            redis_url=environment["REDIS_URL"], folders=[self.city.folder / "log", self.city.folder / "broker"],
        )  # fmt: skip
        book = Ledger(ledger)
        self.people = [
            Household(
                self.city, book, seed=f"s{self.seed}h{n}", at_once=self.at_once, plans=self.plans
            )
            for n in range(self.households)
        ]
        self.council = Council(self.city, seed=self.seed)
        self.chaos = chaos.Chaos(
            self.city, seed=self.seed, points=self.points or self.reached_points,
            share=self.share, at_once=self.armed_at_once, climate=self.climate,
            is_deadly=self.is_deadly, has_lulls=self.has_lulls, pace=self.pace,
            quiet=quiet_lasts(times(budget)) if self.has_quiet else 0.0,
            outside=lambda token: book.note(at=time.time(), event="outside", token_id=token),
        )  # fmt: skip

    def reached_points(self) -> set[str]:
        """Every crash point that was reached so far."""
        known = sites.places()
        return {
            point for point in self.city.seen()
            if point.endswith((" before", " after")) and point.rsplit(" ", 1)[0] in known
        }  # fmt: skip

    def play(
        self,
        goal: Goal,
        *,
        warm: float = 6,
        until: Callable[[], bool] | None = None,
        is_enough: Callable[[], bool] = lambda: False,
        settles_within: float = SETTLES_WITHIN,
    ) -> Report:
        """Live, go wrong until the goal is reached or time is over, calm down, be judged.

        `until`: go on, at one pace, until this holds as well. `is_enough`: end it all at once, without a calm.
        """

        def reached() -> bool:
            return self._has_reached(goal) if until is None else until() and not self._lacks(goal)

        began = self._began = time.monotonic()
        stop, threads = threading.Event(), list[threading.Thread]()
        for household in self.people:
            threads.append(threading.Thread(target=household.live, args=(stop.is_set,)))
        quiet = threading.Event()
        council = threading.Thread(target=self.council.live, args=(quiet.is_set,))
        threads += [threading.Thread(target=self._judge, args=(stop.is_set,)), council]
        if not self.has_council:
            quiet.set()
        for thread in threads:
            thread.start()
        try:
            time.sleep(warm)
            self.chaos.make_late()
            deadline = time.monotonic() + goal.most_seconds
            self.chaos.rage(lambda: is_enough() or time.monotonic() > deadline or reached())
            self.judged = self.judge.figures()["judged"]
            self.chaos.calm()
            quiet.set()
            council.join()
            if not is_enough():
                self._settle(min(20.0, settles_within))
        finally:
            quiet.set()
            stop.set()
            for thread in threads:
                thread.join()
        if not is_enough():
            self._rest(settles_within)
            self._serve()
            self._second_opinion()
        return self._report(goal, time.monotonic() - began)

    def _settle(self, most: float) -> None:
        """People finish what they began, and begin nothing more."""
        for household in self.people:
            household.may_begin = False
        end = time.monotonic() + most
        while time.monotonic() < end and any(self._is_busy(one) for one in self.people):
            self.council.give_word()
            time.sleep(0.5)

    def _rest(self, within: float) -> None:
        """The judge waits until nothing is left to do; an admin gives their word where one is waited for."""
        is_over = threading.Event()

        def give_words() -> None:
            while not is_over.wait(0.5):
                self.council.give_word()

        admin = threading.Thread(target=give_words)
        admin.start()
        try:
            self._keep(self.judge.at_rest(within=within))
        finally:
            is_over.set()
            admin.join()

    def _serve(self) -> None:
        """Every script that may have a token gets one now."""
        for household in self.people:
            for said in household.try_every_key(SERVES_WITHIN):
                self._say("unserved", said)

    def _is_busy(self, household: Household) -> bool:
        return any(not life.is_over and life.plan != "stays" for life in household.lives)

    def _judge(self, is_over: Callable[[], bool]) -> None:
        outages, deaths = 0, set[float]()
        while not is_over():
            for began, ended in self.chaos.outages[outages:]:
                self.judge.outage(began, ended)
                outages += 1
            for at in set(self.city.death_times()) - deaths:
                self.judge.killed(at)
                deaths.add(at)
            began = time.monotonic()
            self._look()
            time.sleep(max(0.7, 4 * (time.monotonic() - began)))

    def _look(self) -> None:
        try:
            self._keep(self.judge.look())
        except Exception as error:  # the judge must not fall silent
            self._say("judge", f"{type(error).__name__}: {error}")

    def _keep(self, found: list) -> None:  # type: ignore[type-arg]
        for violation in found:
            self._say(violation.rule, violation.sentence)

    def _say(self, rule: str, sentence: str) -> None:
        """A violation, told once and at once."""
        if (rule, sentence) not in self.violations:
            self.violations[rule, sentence] = None
            if self.is_loud:
                print(f"violation {rule}: {sentence}", flush=True)

    def _second_opinion(self) -> None:
        """`manage.py verify`, and pages that were an error of Keydesk's own."""
        done = manage(self.city.environment, "verify")
        if done.returncode:
            for line in (done.stdout + done.stderr).splitlines()[:-1]:
                self._say("verify", line)
        (known,) = self.city.rows.one("SELECT capabilities FROM tokens_helpdesk") or ("{}",)
        learned = known if isinstance(known, dict) else json.loads(known)
        if learned.get("several grants of one user") == "no":
            self._say("learned", "one per person, which is not so")
        for who in (*self.people, self.council):
            for said in who.broken:
                self._say("error page", said)

    def kills(self) -> int:
        return len(self.city.death_times())

    def _has_reached(self, goal: Goal) -> bool:
        """Enough died and enough went wrong. Once enough died, deaths are rare and more people live."""
        so_far = self._report(goal, time.monotonic() - self._began)
        if self.is_loud and time.monotonic() > self._told_at + 60:
            self._told_at = time.monotonic()
            print(
                f"so far kills={so_far.kills} calls={so_far.calls} of {so_far.requests}, "
                f"late={so_far.late} unknowns={so_far.unknowns} races={so_far.races} "
                f"rushes={so_far.rushes} judged={so_far.judged} "
                f"seconds={so_far.seconds:.0f}",
                flush=True,
            )
        if so_far.kills < goal.kills:
            return False
        self.chaos.pace = RARELY
        for household in self.people:
            household.at_once, household.plans = CROWD, (*self.plans, *SETTLED)
        return not so_far.lacks_so_far

    def _lacks(self, goal: Goal) -> list[str]:
        return self._report(goal, time.monotonic() - self._began).lacks_so_far

    def _report(self, goal: Goal, seconds: float) -> Report:
        found = self.judge.figures()
        lived: Counter[str] = sum((one.done for one in (*self.people, self.council)), Counter())
        judged = found["judged"] if self.judged is None else self.judged
        return Report(
            self.seed, kills=self.kills(), calls=found.get("faulted", 0),
            requests=found.get("calls", 0), late=found.get("late", 0),
            unknowns=found.get("unknowns", 0), races=lived["raced"],
            rushes=lived["fetched at once"], judged=judged, seconds=seconds,
            deaths=Counter(self.city.ordered_deaths()), lived=lived,
            violations=list(self.violations), goal=goal,
        )  # fmt: skip


@contextmanager
def prepared(
    folder: Path, *, seed: int, wrong: str = "", armed: Iterable[str] = (), **options: object
) -> Iterator[Run]:
    """A run in a city of its own. `options`: of `Run`, and in capitals the environment's."""
    environment = {name: str(value) for name, value in options.items() if name.isupper()}
    rest = {name: value for name, value in options.items() if not name.isupper()}
    with running_city(folder, wrong=wrong, armed=armed, **environment) as city:
        yield Run(city, seed, **rest)  # type: ignore[arg-type]
