"""Two hundred clients at `/oauth/token` at the moment a refresh is due, while the helpdesk stalls."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier, Event

import requests

from demo.helpdesk.remote import Remote
from demo.stack import Stack
from tests.story import Actor, Key


@dataclass
class Outcome:
    """What the clients got, and how long a page took meanwhile."""

    tokens: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    most_tries: int = 0
    refreshes: int = 0
    page_seconds: list[float] = field(default_factory=list)
    pages_before: int = 0
    """Pages asked for after a client was turned away, so with no place left to wait, and there before the refresh was."""


def helpdesk(stack: Stack) -> Remote:
    return Remote(stack.address("production helpdesk"))


def order_stall(stack: Stack, seconds: float) -> None:
    """Let the next refresh take this long on the helpdesk."""
    helpdesk(stack).order_faults(
        {
            "method": "POST", "path": "/oauth/tokens", "grant_type": "refresh_token",
            "kind": "stall", "times": 1, "seconds": seconds,
        }
    )  # fmt: skip


def refreshes(stack: Stack) -> int:
    """Refreshes the production helpdesk has answered so far, by its own event log."""
    return sum(event["kind"] == "token.refreshed" for event in helpdesk(stack).events())


def due_key(stack: Stack, owner: str, approver: str) -> tuple[Key, Actor]:
    """A client's key whose token may no longer be served, and the browser of who approved it."""
    portal = stack.address("portal")
    asking, approving = Actor(portal, owner).sign_in(), Actor(portal, approver).sign_in()
    asked = asking.ask("stampede", "production/read-tickets", days=30)
    approving.approve(asked)
    credential = asking.credential_of(asked)
    key = asking.connect(credential).take_key(credential)
    time.sleep(key.fetch().json()["expires_in"] + 5.2)
    return key, approving


def run(
    stack: Stack, key: Key, reader: Actor, *, clients: int = 200, stall: float = 2.0
) -> Outcome:
    """All clients at once, each trying again after a 503 as it is told; a page is read all the while."""
    outcome = Outcome()
    before = refreshes(stack)
    order_stall(stack, stall)
    barrier, is_full = Barrier(clients + 1), Event()
    with ThreadPoolExecutor(clients) as pool:
        answers = [pool.submit(_client, key, barrier, is_full) for _ in range(clients)]
        barrier.wait(30)
        end = time.monotonic() + stall
        while time.monotonic() < end:
            was_full = is_full.is_set()
            outcome.page_seconds.append(_timed(lambda: reader.open("/queue")))
            outcome.pages_before += was_full and refreshes(stack) == before
            time.sleep(0.05)
        for answer in answers:
            tries, response = answer.result()
            outcome.most_tries = max(outcome.most_tries, tries)
            if response.status_code == 200:
                outcome.tokens.append(response.json()["access_token"])
            else:
                outcome.refused.append(response.status_code)
    outcome.refreshes = refreshes(stack) - before
    return outcome


def _client(key: Key, barrier: Barrier, is_full: Event) -> tuple[int, requests.Response]:
    barrier.wait(30)
    for tries in range(1, 10):
        answer = key.fetch()
        if answer.status_code != 503:
            return tries, answer
        is_full.set()
        time.sleep(float(answer.headers["Retry-After"]))
    return tries, answer


def _timed(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began
