"""Clicks raced by real processes against the real web server: is there exactly one winner, and do losers hear who?

What a race must come to is read from its answers and, by SQL, from the audit table; whatever is wrong is a sentence.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urljoin

from demo.helpdesk.remote import Remote
from demo.people import BY_KEY
from demo.stack import Stack
from tests import pages
from tests.plain_browser import PlainBrowser
from tests.resilience.rows import Rows
from tests.stack import ROOT
from tests.story import Actor, Key, until

CLOCK = re.compile(r"\bat \d{2}:\d{2} on \d{1,2} \w+ \d{4}|\bsince \d{2}:\d{2} on ")
PEOPLE = ("ada", "ben", "june", "omar", "noor")
RACERS = 3
_KEY_MADE = r"The key was shown already|A new secret was made already"
DEEDS = {
    "Approve": r"Already approved", "Deny": r"Already denied", "Withdraw": r"Already withdrawn",
    "Send again": r"Already amended", "Show my key": _KEY_MADE, "Make a new secret": _KEY_MADE,
    "Replace now": _KEY_MADE, "End this access": r"Already revoked|has been (?:ending|over) since",
}  # fmt: skip
"""By the button that won: what those who came too late read has happened."""


@dataclass(frozen=True)
class Shot:
    """A form, filled and aimed but not sent. `who` presses it; `act` is the word for it."""

    who: str
    act: str
    address: str
    fields: list[tuple[str, str]]
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    auth: tuple[str, str] | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a shot."""

    shot: Shot
    status: int
    html: str
    sent: float
    answered: float

    @property
    def has_won(self) -> bool:
        return self.status == 200

    @property
    def words(self) -> str:
        return " ".join(re.sub(r"<[^>]+>", " ", self.html).split())


def aim(browser: PlainBrowser, who: str, words: str, **fields: str) -> Shot:
    """The form of the page with this button, as the browser would send it."""
    for form in browser.page.forms:
        for text, name, value in form.buttons:
            if words in text:
                kept = [(known, held) for known, held in form.values if known not in fields]
                sent = [*kept, *fields.items(), *([(name, value)] if name else [])]
                return Shot(
                    who, words, urljoin(browser.url, form.action or browser.url), sent,
                    {"Referer": browser.url, "Origin": browser.portal},
                    browser.session.cookies.get_dict(),
                )  # fmt: skip
    raise AssertionError(f"No button {words!r} on {browser.url}: {browser.text[:300]}")


def is_told(loser: Outcome, won: list[Outcome]) -> bool:
    """Whether a loser reads what has happened already, when, and by whom; of what they did themselves only the first two."""
    names = {BY_KEY[one.shot.who].name for one in won}
    is_told_what = any(re.search(DEEDS[one.shot.act], loser.words) for one in won)
    is_told_who = names <= {BY_KEY[loser.shot.who].name} or any(
        name in loser.words for name in names
    )
    is_told_when = bool(CLOCK.search(loser.words))
    return loser.status == 409 and is_told_what and is_told_who and is_told_when


class Racers:
    """Some processes that wait for shots."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.resilience.racer"]
        self._processes = [
            subprocess.Popen(
                command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            for _ in range(RACERS)
        ]
        for process in self._processes:
            self._line(process)

    def fire(self, shots: list[Shot]) -> list[Outcome]:
        """All at the same moment."""
        at = time.monotonic() + 0.25  # by then all of them have read it, also on a busy machine
        running = self._processes[: len(shots)]
        for process, shot in zip(running, shots, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps({**vars(shot), "at": at}) + "\n")
            process.stdin.flush()
        said = [json.loads(self._line(process)) for process in running]
        return [Outcome(shot, **answer) for shot, answer in zip(shots, said, strict=True)]

    @staticmethod
    def _line(process: "subprocess.Popen[str]") -> str:
        assert process.stdout is not None
        return process.stdout.readline()

    def end(self) -> None:
        for process in self._processes:
            process.communicate()


class Races:
    """The people, the racers, and what was found."""

    def __init__(self, stack: Stack) -> None:
        self.portal = stack.address("portal")
        self.helpdesk = Remote(stack.address("production helpdesk"))
        self.rows = Rows(stack.environment["DATABASE_URL"])
        self.racers = Racers()
        self.people = {key: Actor(self.portal, key).sign_in() for key in PEOPLE}
        self.violations: list[str] = []
        self.run = self.close = 0
        self._names = count(1)

    # --- What a race needs ---------------------------------------------------------------------------

    def asked(self, profile: str = "read-users") -> int:
        """A request of Ada's that waits."""
        name = f"race-{next(self._names)}-{time.monotonic_ns() % 1_000_000}"
        return self.people["ada"].ask(name, f"production/{profile}", days=30)

    def connected(self) -> int:
        """An access of Noor's that works and whose key nobody has seen."""
        noor = self.people["noor"]
        name = f"race-{next(self._names)}-{time.monotonic_ns() % 1_000_000}"
        credential = noor.credential_of(noor.ask(name, "production/read-tickets", days=7))
        noor.connect(credential)
        return credential

    def approve(self, who: str, request: int) -> Shot:
        browser = self.people[who].open(f"/requests/{request}")
        if any("Approve…" in text for text, _ in browser.page.links):
            browser.follow("Approve…")
        return aim(browser, who, "Approve")

    def deny(self, who: str, request: int) -> Shot:
        browser = self.people[who].open(f"/requests/{request}/deny")
        return aim(browser, who, "Deny", reason="Not for this script.")

    def withdraw(self, request: int) -> Shot:
        return aim(self.people["ada"].open(f"/requests/{request}/withdraw"), "ada", "Withdraw")

    def amend(self, request: int) -> Shot:
        browser = self.people["ada"].open(f"/requests/{request}/amend")
        return aim(browser, "ada", "Send again", purpose="Said better, after thinking again.")

    def press(self, credential: int, page: str, words: str) -> Shot:
        """A button of Noor's on a page that may first ask who she is."""
        noor = self.people["noor"].open(f"/credentials/{credential}/{page}")
        if "Confirm it is you" in noor.text:
            noor.confirm_it_is_me()
            noor.open(f"/credentials/{credential}/{page}")
        return aim(noor, "noor", words)

    def revoke(self, who: str, credential: int) -> Shot:
        browser = self.people[who].open(f"/credentials/{credential}/revoke")
        reason = {} if who == "noor" else {"reason": "It is not needed any more."}
        return aim(browser, who, "End this access", **reason)

    # --- What must hold ------------------------------------------------------------------------------

    def race(self, *shots: Shot, winners: tuple[int, ...] = (1,)) -> list[Outcome]:
        """Fire, and judge: so many winners, and every loser reads who was first, with what, and when."""
        found = self.racers.fire(list(shots))
        self.run += 1
        self.close += max(one.sent for one in found) < min(one.answered for one in found)
        won = [one for one in found if one.has_won]
        if len(won) not in winners:
            self._wrong(shots, f"{len(won)} winners: {[(o.status, o.words[-300:]) for o in found]}")
        for one in found:
            for fault in pages.faults(one.html):
                self._wrong(shots, fault)
            if not one.has_won and not is_told(one, won):
                said = f"{one.status}: {one.words[-400:]}"
                self._wrong(shots, f"the loser {one.shot.who} got {said}")
        return won

    def _wrong(self, shots: tuple[Shot, ...], sentence: str) -> None:
        acts = ", ".join(f"{shot.act} by {shot.who}" for shot in shots)
        self.violations.append(f"{acts}: {sentence}")

    def audited(self, kind: str, target: int, *events: str) -> list[tuple[str, str]]:
        """The rows of the audit about one thing, of these events, as event and actor."""
        marks = ", ".join("?" for _ in events)
        return [
            (str(event), str(actor))
            for event, actor in self.rows.all(
                "SELECT event, actor_name FROM accounts_auditevent WHERE target_type = ?"
                f" AND target_id = ? AND event IN ({marks}) ORDER BY id",
                kind, str(target), *events,
            )
        ]  # fmt: skip

    def must(self, holds: object, sentence: str) -> None:
        if not holds:
            self.violations.append(sentence)

    def one_row(self, won: list[Outcome], kind: str, target: int, *events: str) -> None:
        """As many rows as winners, by the winners."""
        rows = self.audited(kind, target, *events)
        winners = sorted(self.people[one.shot.who].person.name for one in won)
        self.must(
            sorted(actor for _, actor in rows) == winners,
            f"{kind} {target}: the winners are {winners}, the audit says {rows}",
        )

    def credentials_of(self, request: int) -> int:
        sql = "SELECT count(*) FROM tokens_accessrequest WHERE id = ? AND credential_id IS NOT NULL"
        return self.rows.count(sql, request)

    def end(self) -> None:
        self.racers.end()


# --- The races ---------------------------------------------------------------------------------------

DECIDED = ("request.approved", "request.denied", "request.withdrawn", "request.amended")


def approve_by_three(races: Races) -> None:
    """One approval is needed, three approvers click."""
    request = races.asked()
    won = races.race(*(races.approve(who, request) for who in ("ben", "june", "omar")))
    races.one_row(won, "AccessRequest", request, *DECIDED)
    races.must(races.credentials_of(request) == 1, f"request {request} led to no access")


def approve_two_of_two_by_three(races: Races) -> None:
    """Two are needed, three click: two count, one comes late, and it does not stay half-approved."""
    request = races.asked("update-tickets")
    shots = [races.approve(who, request) for who in ("ben", "june", "omar")]
    won = races.race(*shots, winners=(2,))
    races.one_row(won, "AccessRequest", request, *DECIDED)
    state = races.rows.one(
        "SELECT state, approvals FROM tokens_accessrequest WHERE id = ?", request
    )
    races.must(state == ("approved", 2), f"request {request} is {state} after two approvals")


def deny_or_approve(races: Races) -> None:
    request = races.asked()
    won = races.race(races.deny("ben", request), races.approve("june", request))
    races.one_row(won, "AccessRequest", request, *DECIDED)


def deny_or_amend(races: Races) -> None:
    """What is denied is the revision that was shown; what is amended waits, undecided."""
    request = races.asked()
    won = races.race(races.deny("ben", request), races.amend(request))
    races.one_row(won, "AccessRequest", request, *DECIDED)
    is_denied = any(one.shot.act == "Deny" for one in won)
    stands = races.rows.one(
        "SELECT state, revision FROM tokens_accessrequest WHERE id = ?", request
    )
    right = ("denied", 1) if is_denied else ("pending", 2)
    races.must(stands == right, f"request {request} is {stands}, not {right}")


def deny_or_withdraw(races: Races) -> None:
    request = races.asked()
    won = races.race(races.deny("ben", request), races.withdraw(request))
    races.one_row(won, "AccessRequest", request, *DECIDED)


def deny_by_three(races: Races) -> None:
    request = races.asked()
    won = races.race(*(races.deny(who, request) for who in ("ben", "june", "omar")))
    races.one_row(won, "AccessRequest", request, *DECIDED)


def approve_or_withdraw(races: Races) -> None:
    request = races.asked()
    won = races.race(races.approve("june", request), races.withdraw(request))
    races.one_row(won, "AccessRequest", request, *DECIDED)
    is_approved = any(one.shot.act == "Approve" for one in won)
    races.must(races.credentials_of(request) == is_approved, f"request {request}: access unasked")


def approve_or_amend(races: Races) -> None:
    """What is approved is the revision that was shown."""
    request = races.asked()
    won = races.race(races.approve("june", request), races.amend(request))
    races.one_row(won, "AccessRequest", request, *DECIDED)


def amend_twice(races: Races) -> None:
    request = races.asked()
    won = races.race(races.amend(request), races.amend(request))
    races.one_row(won, "AccessRequest", request, *DECIDED)


def withdraw_twice(races: Races) -> None:
    request = races.asked()
    won = races.race(races.withdraw(request), races.withdraw(request))
    races.one_row(won, "AccessRequest", request, *DECIDED)


def keys_and_ends(races: Races) -> None:
    """One access, from its first key to its end: each step is raced."""
    credential, secrets = races.connected(), ("key.issued", "key.replaced")
    shows = [races.press(credential, "key", "Show my key") for _ in range(RACERS)]
    first = races.race(*shows)
    races.one_row(first, "Credential", credential, *secrets)
    replaces = [races.press(credential, "replace", "Replace now") for _ in range(RACERS)]
    second = races.race(*replaces)
    races.one_row([*first, *second], "Credential", credential, *secrets)
    third = races.race(
        races.press(credential, "secret", "Make a new secret"),
        races.press(credential, "replace", "Replace now"),
    )
    races.one_row([*first, *second, *third], "Credential", credential, *secrets)
    unended = "SELECT count(*) FROM tokens_clientsecret WHERE credential_id = ? AND ends_at IS NULL"
    races.must(races.rows.count(unended, credential) == 1, f"access {credential} has two keys")
    if first:
        _end_while_a_refresh_is_due(races, credential, [*first, *second, *third])


def _end_while_a_refresh_is_due(races: Races, credential: int, shown: list[Outcome]) -> None:
    """The script asks, the refresh is on its way, the owner ends it: what ends stays ended."""
    keys = [key for one in shown if (key := _key_of(races, one))]
    asks = Shot(
        "noor", "the script asks", f"{races.portal}/oauth/token",
        [("grant_type", "client_credentials")],
        auth=(keys[-1].client_id, keys[-1].client_secret),
    )  # fmt: skip
    found = races.racers.fire([races.revoke("noor", credential), asks])
    races.run += 1
    races.close += max(one.sent for one in found) < min(one.answered for one in found)
    ended, asked = found
    races.must(ended.has_won, f"access {credential} could not be ended: {ended.words[-300:]}")
    races.must(asked.status in (200, 400, 401, 503), f"the script got {asked.status}: {asked.html}")
    _must_be_gone(races, credential)
    races.one_row([ended], "Credential", credential, "credential.revoked")


def _key_of(races: Races, one: Outcome) -> Key | None:
    """The key on a page that shows one."""
    client = re.search(r"\bkd_[a-z_]+_[0-9A-Z]{10}\b", one.html)
    secret = re.search(r"\bkds_[0-9A-Za-z]{38}\b", one.html)
    if not client or not secret:
        return None
    return Key(f"{races.portal}/oauth/token", client.group(), secret.group())


def end_by_two(races: Races) -> None:
    """Its owner and an administrator end it at once."""
    credential = races.connected()
    won = races.race(races.revoke("noor", credential), races.revoke("omar", credential))
    races.one_row(won, "Credential", credential, "credential.revoked")
    _must_be_gone(races, credential)


def end_or_show_key(races: Races) -> None:
    credential = races.connected()
    _end_or(races, credential, races.press(credential, "key", "Show my key"), "key.issued")


def end_or_replace(races: Races) -> None:
    credential = races.connected()
    races.people["noor"].take_key(credential)
    _end_or(races, credential, races.press(credential, "replace", "Replace now"), "key.replaced")


def _end_or(races: Races, credential: int, key: Shot, event: str) -> None:
    """An administrator ends it, its owner makes a key: the end wins in any case, and a key only if it was first."""
    ends, made = races.revoke("omar", credential), ("key.issued", "key.replaced")
    before = races.audited("Credential", credential, *made)
    won = races.race(ends, key, winners=(1, 2))
    races.must(any(one.shot is ends for one in won), f"access {credential} could not be ended")
    by = [(event, key.who)] if any(one.shot is key for one in won) else []
    right = [
        (what, races.people[who].person.name)
        for what, who in [*by, ("credential.revoked", ends.who)]
    ]
    told = races.audited("Credential", credential, *made, "credential.revoked")
    races.must(told == [*before, *right], f"access {credential}: the audit says {told}")
    secrets = "SELECT count(*) FROM tokens_clientsecret WHERE credential_id = ?"
    races.must(
        races.rows.count(secrets, credential) == len(before) + len(by),
        f"access {credential} has a key that nobody was told of",
    )
    _must_be_gone(races, credential)
    for shown in filter(None, (_key_of(races, one) for one in won)):
        status = shown.fetch().status_code
        races.must(status in (400, 401), f"access {credential} has ended, its key got {status}")


def _must_be_gone(races: Races, credential: int) -> None:
    """Ended in the database, and no token of it works on the helpdesk."""
    sql = "SELECT count(*) FROM tokens_credential WHERE id = ? AND state = 'revoked'"
    until(lambda: races.rows.count(sql, credential) == 1, seconds=60)
    mine = {
        row[0]
        for row in races.rows.all(
            "SELECT remote_id FROM tokens_grant WHERE credential_id = ? AND remote_id IS NOT NULL",
            credential,
        )
    }
    alive = [
        token["id"] for token in races.helpdesk.tokens()
        if token["id"] in mine and not token["is_removed"] and token["access"] == "live"
    ]  # fmt: skip
    races.must(not alive, f"access {credential} has ended and its tokens {alive} live")


RACES: tuple[Callable[[Races], None], ...] = (
    approve_by_three,
    approve_two_of_two_by_three,
    deny_or_approve,
    deny_or_amend,
    deny_or_withdraw,
    deny_by_three,
    approve_or_withdraw,
    approve_or_amend,
    amend_twice,
    withdraw_twice,
    keys_and_ends,
    end_by_two,
    end_or_show_key,
    end_or_replace,
)


@contextmanager
def racing(stack: Stack) -> Iterator[Races]:
    """People signed in and racers waiting, for as long as the block."""
    races = Races(stack)
    try:
        yield races
    finally:
        races.end()
