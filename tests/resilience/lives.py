"""The people of the city: each life of an access is looked at and taken one step further, whatever died meanwhile.

Level-triggered like the product itself: what to do next is read from the database, so that a step whose
answer was lost is seen to have happened, or is done again.
"""

import itertools
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path

import requests

from tests.resilience.city import City
from tests.story import Actor, Key

ASKERS = ("ada", "noor", "piotr", "lena")
APPROVERS = ("ben", "june")
PLANS = (
    "short", "two", "list", "keys", "denied", "withdrawn", "expired", "amended", "by hand",
    "contested", "contested", "idle", "regretted", "reminded", "stays", "stays", "stays", "declined",
    "never connected", "not decided", "closing",
)  # fmt: skip
FOR_EVER = 1_000_000
"""More fetches than anybody lives for."""
STAYS = 0.9995
"""How likely a script that stays goes on, at each look."""
AWAY, AWAY_FOR = 0.3, (8.0, 14.0)
"""How likely the owner of a script that stays does not see for a while that it was disconnected, and for how many seconds."""
_ASKS_ON = (1.0, 3.0)
"""Seconds between two calls of a script that does not know it was disconnected."""
_ENDED = ("revoked", "lapsed", "cancelled")
PUZZLED = (1.0, 5.0)
"""Seconds, from and to, before somebody whose page was not the one expected tries again."""
_BREATH = 0.2
"""Seconds between two looks at all lives of a household: what drives must not take the time of what is driven."""
_COMES = 0.3
"""How likely a household with room begins another life at a look, so that no crowd comes through the door together."""
_LOOKS_AGAIN = 2.0
"""Seconds after which somebody looks again whether what they connected works, or what they ended has ended."""
LEFT_TO_CONNECT = 4.0
"""Seconds that are left to connect what nobody connects: more than half is over, so its owner hears of it before it lapses."""
LEFT = 15.0
"""Seconds that are left of an access whose end is moved close: the tokens made in them must not outlive it."""
_IDLE = 13.0
"""Seconds after which an access half that nobody asked for again has ended."""
_PROFILES = {
    "two": ("production/update-tickets", 30),
    "list": ("production/read-rules", 7),
    "denied": ("production/read-users", 30),
    "withdrawn": ("production/read-users", 60),
    "amended": ("production/read-users", 30),
    "contested": ("production/update-tickets", 30),
    "reminded": ("production/read-tickets", 30),
    "not decided": ("production/read-users", 30),
}


@dataclass
class Ledger:
    """What clients were told, for the oracle: one JSON object a line, the moment before each request."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, **facts: object) -> None:
        with self._lock, self.path.open("a") as ledger:
            ledger.write(json.dumps(facts) + "\n")


@dataclass
class Life:
    """One access from its request to its end."""

    plan: str
    asker: str
    script: str
    fetches: int
    key: Key | None = None
    fetched: int = 0
    rests_until: float = 0
    puzzled_until: float = 0
    back_at: float | None = None
    """When its owner sees that it was disconnected; None: it is not."""
    has_new_secret: bool = False
    was_replaced: bool = False
    was_amended: bool = False
    is_ending: bool = False
    """Its end is ordered; nobody sits and waits until it is confirmed."""
    is_over: bool = False


class Household:
    """One thread of people who live several lives at once, with browsers of their own."""

    def __init__(
        self, city: City, ledger: Ledger, *, seed: str, at_once: int, plans: Sequence[str] = PLANS
    ) -> None:  # fmt: skip
        self.city, self.ledger = city, ledger
        self.random = random.Random(seed)
        self.name = seed
        self.at_once = at_once
        self.plans = plans
        self.lives: list[Life] = []
        self.people: dict[str, Actor] = {}
        self.done: Counter[str] = Counter()
        self.broken: list[str] = []
        self.may_begin = True
        self.scripts = ThreadPoolExecutor(16)
        self._numbers = itertools.count(1)

    def live(self, is_over: Callable[[], bool]) -> None:
        """Go on until told that it is over."""
        while not is_over():
            self.step()
            time.sleep(_BREATH)
        self.scripts.shutdown()

    def step(self) -> None:
        """Take every life one step further; begin new ones where there is room."""
        self.lives = [life for life in self.lives if not life.is_over]
        has_room = sum(not life.is_ending for life in self.lives) < self.at_once
        if self.may_begin and has_room and self.random.random() < _COMES:
            self.lives.append(self._begin())
        for life in list(self.lives):
            if time.monotonic() < life.puzzled_until:
                continue
            try:
                self._advance(life)
            except requests.RequestException:
                self.done["unanswered"] += 1
            except AssertionError as error:
                self._not_as_expected(life, str(error))
            except Exception as error:  # a household must not fall silent
                self.broken.append(f"{type(error).__name__} in {life.plan}: {error}")

    def _not_as_expected(self, life: Life, said: str) -> None:
        """A page that was not the one expected: somebody was faster, or the web died under it."""
        self.done["surprised"] += 1
        life.puzzled_until = time.monotonic() + self.random.uniform(*PUZZLED)
        if "something went wrong" in said.lower():
            self.broken.append(said[:400])

    def _begin(self) -> Life:
        number = next(self._numbers)
        plan = self.random.choice(self.plans)
        return Life(
            plan, self.random.choice(ASKERS), f"{plan} {self.name} {number}".replace(" ", "-"),
            fetches=1 if plan == "idle" else self.random.randrange(2, 7),
        )  # fmt: skip

    def actor(self, key: str) -> Actor:
        """A person at a browser, signed in once."""
        if key not in self.people:
            self.people[key] = Actor(self.city.address("portal"), key).sign_in()
        actor = self.people[key]
        if not str(actor.answer.url).startswith(actor.portal):
            actor.answer = requests.Response()  # back from wherever the last step ended
        return actor

    # --- One step ----------------------------------------------------------------------------------

    def _advance(self, life: Life) -> None:
        asked = self.city.rows.one(
            "SELECT id, state, credential_id, approvals FROM tokens_accessrequest WHERE script_name = ?",
            life.script,
        )
        if asked is None:
            return self._ask(life)
        number, state, credential, _ = asked
        if state == "pending":
            return self._decide(life, number)
        if state != "approved":
            return self._end(life, state)
        found = self.city.rows.one("SELECT state FROM tokens_credential WHERE id = ?", credential)
        self._go_on(life, credential, found[0] if found else "")

    def _ask(self, life: Life) -> None:
        profile, days = _PROFILES.get(life.plan, ("production/read-tickets", 7))
        actor = self.actor(life.asker)
        actor.open("/requests/new")
        if "not yet looked you up" in actor.text:
            return
        chosen = (
            {"days": str(days)}
            if days in (7, 30, 60, 90)
            else {"days": "other", "other_days": days}
        )
        actor.press(
            "Send request", script_name=life.script, runs_where="server", profile=profile,
            purpose="For the city's life.", **chosen,
        )  # fmt: skip
        self.done["asked"] += 1

    def _decide(self, life: Life, number: int) -> None:
        if life.plan == "withdrawn":
            actor = self.actor(life.asker)
            actor.open(f"/requests/{number}/withdraw").press("Withdraw")
        elif life.plan == "denied":
            actor = self.actor(self.random.choice(APPROVERS))
            actor.open(f"/requests/{number}/deny").press("Deny", reason="Not in this story.")
        elif life.plan == "contested":
            self._contest(life, number)
        elif life.plan == "not decided":
            self.let_pass("tokens_accessrequest", "decide_by", number)
        elif life.plan == "amended" and not life.was_amended:
            actor = self.actor(life.asker)
            actor.open(f"/requests/{number}/amend").press("Send again", purpose="Said better now.")
            life.was_amended = True
        else:
            self.actor(self.random.choice(APPROVERS)).approve(number)
        self.done["decided"] += 1

    def _contest(self, life: Life, number: int) -> None:
        """Both approvers, and now and then the requester, click in the same moment."""

        def click(key: str, path: str, button: str, **fields: str) -> Callable[[], object]:
            actor = self.actor(key)
            actor.open(f"/requests/{number}{path}")
            return lambda: actor.press(button, **fields)

        both = [click(key, "/approve", "Approve") for key in APPROVERS]
        others = (
            lambda: click(life.asker, "/withdraw", "Withdraw"),
            lambda: click(life.asker, "/amend", "Send again", purpose="Said once more."),
            lambda: click("omar", "/deny", "Deny", reason="Not in this story."),
        )
        if self.random.random() < 0.6:
            both.append(self.random.choice(others)())
        self._at_once(life, both)

    def _at_once(self, life: Life, clicks: list[Callable[[], object]]) -> None:
        """Every click from a thread of its own, let go together. Who is refused is told so on a page."""
        gate = threading.Barrier(len(clicks))

        def go(click: Callable[[], object]) -> None:
            gate.wait(10)
            try:
                click()
            except requests.RequestException:
                self.done["unanswered"] += 1
            except AssertionError as error:
                self._not_as_expected(life, str(error))

        threads = [threading.Thread(target=go, args=(click,)) for click in clicks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.done["raced"] += 1

    def _go_on(self, life: Life, credential: int, state: str) -> None:
        if state in _ENDED:
            return self._end(life, state)
        if state == "revoking":
            life.is_ending = True
            life.puzzled_until = time.monotonic() + _LOOKS_AGAIN
        elif state == "awaiting_consent" and life.plan == "never connected":
            self.let_pass("tokens_credential", "connect_by", credential, left=LEFT_TO_CONNECT)
        elif state == "lost" and self._is_away(life):
            self._ask_on(life)
        elif state in ("awaiting_consent", "lost"):
            self._connect(life, credential, "Connect on" if state != "lost" else "Connect again")
        elif life.plan == "regretted" and state in ("issuing", "active"):
            self._end_it(life, credential)
        elif state == "active":
            self._use(life, credential)

    def _connect(self, life: Life, credential: int, button: str) -> None:
        actor = self.actor(life.asker)
        actor.open(f"/credentials/{credential}").press(button)
        if any(
            actor.person.name in text for form in actor.page.forms for text, _, _ in form.buttons
        ):
            actor._pick()
        if life.plan == "declined":
            life.plan = "short"
            actor.press("Deny")
        else:
            actor.press("Allow")
            self.done["connected"] += 1
            life.puzzled_until = time.monotonic() + _LOOKS_AGAIN

    def _is_away(self, life: Life) -> bool:
        """Whether its owner has not seen yet that it was disconnected."""
        if life.back_at is None:
            stays_away = life.plan == "stays" and self.random.random() < AWAY
            life.back_at = time.monotonic() + self.random.uniform(*AWAY_FOR) * stays_away
        return time.monotonic() < life.back_at

    def _ask_on(self, life: Life) -> None:
        """Its script, which nobody told, goes on asking: it must get nothing."""
        if life.key is not None and time.monotonic() >= life.rests_until:
            life.rests_until = time.monotonic() + self.random.uniform(*_ASKS_ON)
            self.scripts.submit(self._fetch, life, life.key)
            self.done["asked while lost"] += 1

    def _use(self, life: Life, credential: int) -> None:
        life.back_at = None
        if life.key is None:
            return self._take_key(life, credential)
        if life.plan == "by hand" and self.random.random() < 0.3:
            return self._by_hand(life, credential)
        if life.fetched < life.fetches or (life.plan == "stays" and self.random.random() < STAYS):
            if time.monotonic() < life.rests_until:
                return
            pauses = {"idle": (_IDLE, _IDLE), "stays": (2, 8)}.get(life.plan, (0.5, 5))
            life.rests_until = time.monotonic() + self.random.uniform(*pauses)
            together = 4 if self.random.random() < 0.15 else 1
            for _ in range(together):
                self.scripts.submit(self._fetch, life, life.key)
            self.done["fetched at once"] += together > 1
        elif life.plan == "idle" and time.monotonic() < life.rests_until:
            return
        elif life.plan == "keys" and not life.has_new_secret:
            life.key = self.actor(life.asker).take_key(credential, "Make a new secret", "secret")
            life.has_new_secret = True
        elif life.plan == "keys" and not life.was_replaced:
            self.ledger.note(at=time.time(), client_id=life.key.client_id, event="replace")
            life.key = self.actor(life.asker).take_key(credential, "Replace now", "replace")
            life.was_replaced = True
            life.fetched = 0
        else:
            self._finish(life, credential)

    def _take_key(self, life: Life, credential: int) -> None:
        """The secret is shown once: where its page was lost, another one is made."""
        has_one = self.city.rows.count(
            "SELECT count(*) FROM tokens_clientsecret WHERE credential_id = ?", credential
        )
        button, page = ("Make a new secret", "secret") if has_one else ("Show my key", "key")
        life.key = self.actor(life.asker).take_key(credential, button, page)
        self.done["keys"] += 1

    def _fetch(self, life: Life, key: Key) -> None:
        """What a script does, in a thread of its own: it may have to wait."""
        began = time.time()
        try:
            answer = key.fetch()
        except requests.RequestException:
            return
        if answer.status_code == 200:
            told = answer.json()
            self.ledger.note(
                at=began, answered_at=time.time(), client_id=key.client_id,
                access_token=told["access_token"], expires_in=told["expires_in"],
            )  # fmt: skip
            life.fetched += 1
            self.done["handed out"] += 1
        elif answer.status_code == 401 and life.key is key:
            life.key = None  # the page of a newer secret was lost
        elif answer.status_code == 500:
            self.broken.append(f"/oauth/token answered {answer.status_code}: {answer.text[:200]}")

    def _by_hand(self, life: Life, credential: int) -> None:
        actor, began = self.actor(life.asker), time.time()
        actor.open(f"/credentials/{credential}/token").press("Get a token now")
        if "Confirm it is you" in actor.text:
            actor.confirm_it_is_me()
            began = time.time()
            actor.open(f"/credentials/{credential}/token").press("Get a token now")
        shown = re.search(r"<span>Access token</span>\s*<code>([^<]+)</code>", actor.answer.text)
        if shown and life.key is not None:
            self.done["by hand"] += 1
            self.ledger.note(
                at=began, answered_at=time.time(), client_id=life.key.client_id,
                access_token=shown[1], expires_in=0,
            )  # fmt: skip

    def _finish(self, life: Life, credential: int) -> None:
        assert life.key is not None
        if life.plan == "expired":
            self.let_pass("tokens_credential", "lives_until", credential)
            return
        if life.plan == "reminded":
            self.let_pass("tokens_credential", "issued_at", credential, left=-48 * 3600)
            self.let_pass("tokens_credential", "lives_until", credential, left=156 * 3600)
            life.plan, life.fetches = "short", life.fetches + 2
            return
        if life.plan == "closing":
            self.let_pass("tokens_credential", "lives_until", credential, left=LEFT)
            moved = time.time()
            client_id = life.key.client_id
            self.ledger.note(at=moved, event="lease", client_id=client_id, until=moved + LEFT)
            life.fetches = FOR_EVER
            return
        self.ledger.note(at=time.time(), client_id=life.key.client_id, event="revoke")
        self._end_it(life, credential)

    def _end_it(self, life: Life, credential: int) -> None:
        path, button = f"/credentials/{credential}/revoke", "End this access"
        both = [self.actor(life.asker), self.actor("omar")]
        clicks: list[Callable[[], object]] = []
        for actor in both if self.random.random() < 0.3 else both[:1]:
            actor.open(path)
            clicks.append(partial(actor.press, button))
        self._at_once(life, clicks) if len(clicks) > 1 else clicks[0]()
        self.done["ended by hand"] += 1

    def let_pass(self, table: str, clock: str, number: int, *, left: float = 0) -> None:
        """As if its time were over, or but for so many seconds: only the row's clock is moved, and only back."""
        left_over = f"{left:+.0f} seconds"
        moment = (
            f"strftime('%Y-%m-%d %H:%M:%f', 'now', '{left_over}')"
            if self.city.rows.is_sqlite
            else f"now() + interval '{left_over}'"
        )
        self.city.rows.write(
            f"UPDATE {table} SET {clock} = {moment} WHERE id = ? AND {clock} > {moment}", number
        )
        self.done["time passed"] += 1

    def try_every_key(self, within: float) -> list[str]:
        """With nothing wrong any more each key of a working access must get a token: what did not, in words."""
        end = time.monotonic() + within
        with ThreadPoolExecutor(8) as scripts:
            said = scripts.map(partial(self._try_key, end=end), list(self.lives))
            return [one for one in said if one]

    def _try_key(self, life: Life, *, end: float) -> str:
        if life.key is None or not self._works(life.key):
            return ""
        answer = life.key.fetch()
        while answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and time.monotonic() < end:
            time.sleep(0.5)
            answer = life.key.fetch()
        if answer.status_code == HTTPStatus.OK:
            self.done["served at rest"] += 1
        if answer.status_code == HTTPStatus.OK or self._is_outdated(life.key, answer.status_code):
            return ""
        if not self._works(life.key):  # its refresh half was dead, and nobody had asked
            return ""
        return f"{life.key.client_id} was answered {answer.status_code}"

    def _is_outdated(self, key: Key, status: int) -> bool:
        """Whether it is rightly refused: the page that showed a newer secret was lost on its way."""
        asked = (
            "SELECT count(*) FROM tokens_clientsecret s JOIN tokens_credential c ON c.id = s.credential_id"
            " WHERE c.client_id = ? AND s.hint = ? AND s.ends_at IS NULL"
        )
        is_current = self.city.rows.count(asked, key.client_id, key.client_secret[:8])
        return status == HTTPStatus.UNAUTHORIZED and not is_current

    def _works(self, key: Key) -> bool:
        asked = "SELECT count(*) FROM tokens_credential WHERE client_id = ? AND state = 'active'"
        return bool(self.city.rows.count(asked, key.client_id))

    def _end(self, life: Life, state: str) -> None:
        life.is_over = True
        self.done[f"life {state}"] += 1
