"""How much of a helpdesk's limit four saturated processes use, alone and beside others, and whether one is ever refused.

The workers are real processes on a real broker with the product's own limiter, gate, connector and transport; the
helpdesks are the demo's, one allowing 200 requests a minute and one 2,500, and count whole minutes of real time.
After the first, partial minute come two minutes alone and two in each of which others take a random share at
random moments. Who got how much is read from the helpdesks' own event logs.
"""

import http.client
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from demo.environment import compose
from demo.helpdesk import process as helpdesk_process
from demo.helpdesk.remote import Remote
from demo.stack import Stack
from demo.supervisor import Supervisor
from tests.stack import free_base
from tokens.connectors.base import ConnectorError, HelpdeskConfig
from tokens.connectors.zendesk.connector import ZendeskConnector
from tokens.limiter import BudgetGate, RedisLimiter

LIMITS = (200, 2500)
WORKERS, THREADS = 4, 8
DEADLINE = 8.0
MINUTE = 60
ALONE, SHARED = 2, 2
"""Whole minutes of each kind that are measured."""
SHARES = (0.1, 0.6)
"""Between what parts of the limit others take a minute."""
OURS, THEIRS = "/api/v2/users/me", "/api/v2/tickets"


@dataclass(frozen=True)
class Minute:
    """What a helpdesk counted in one of its minutes."""

    ours: int
    theirs: int
    refused: int
    """Of ours."""


def shares(folder: Path) -> dict[str, float]:
    """The figures. Raises `AssertionError` if others were not heard in the minutes meant for them."""
    with ExitStack() as stack:
        broker = stack.enter_context(_broker(folder / "broker"))
        helpdesks = [stack.enter_context(_helpdesk(folder / str(limit), limit)) for limit in LIMITS]
        first = int(_now() // MINUTE) + 1
        end = (first + ALONE + SHARED) * MINUTE
        _saturate(broker, helpdesks, first + ALONE, end)
        found = {config.requests_per_minute: _minutes(config, first) for config in helpdesks}
    return _figures(found)


@contextmanager
def _broker(folder: Path) -> Iterator[str]:
    environment = compose(folder, free_base())
    supervisor = Supervisor(folder / "log")
    try:
        Stack(environment, supervisor).start_broker()
        yield environment["REDIS_URL"]
    finally:
        supervisor.end()


@contextmanager
def _helpdesk(folder: Path, limit: int) -> Iterator[HelpdeskConfig]:
    """A running helpdesk with that limit, as the workers have it configured."""
    names = {
        "client_id": "keydesk", "client_secret": "a secret of the benchmark's client",
        "service_client_id": "service", "service_client_secret": "a secret of its service",
    }  # fmt: skip
    environment = helpdesk_process.environment(
        folder, name=f"Limit {limit}", redirect_uri="http://127.0.0.1/callback",
        requests_per_minute=limit, **names,
    )  # fmt: skip
    with helpdesk_process.running(environment) as address:
        yield HelpdeskConfig(
            slug=f"limit-{limit}", name=f"Limit {limit}", kind="zendesk", url=address,
            requests_per_minute=limit, **names,
        )  # fmt: skip


def _saturate(broker: str, helpdesks: list[HelpdeskConfig], join: int, end: float) -> None:
    """Keep both helpdesks busy until `end`; others join them in the minute `join`."""
    context = get_context("spawn")
    processes = [
        context.Process(target=work, args=(broker, helpdesks, end)) for _ in range(WORKERS)
    ]
    others = [Thread(target=_crowd, args=(config, join)) for config in helpdesks]
    actors: list[BaseProcess | Thread] = [*processes, *others]
    for actor in actors:
        actor.start()
    for actor in actors:
        actor.join()


def work(broker: str, helpdesks: list[HelpdeskConfig], end: float) -> None:
    """One worker: its threads ask each helpdesk without a pause, as fast as the budget lets them."""
    rates = {config.slug: config.requests_per_minute for config in helpdesks}
    limiter = RedisLimiter.at(broker, rates)
    threads = [
        Thread(target=_ask_until, args=(config, limiter, end))
        for config in helpdesks
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ask_until(config: HelpdeskConfig, limiter: RedisLimiter, end: float) -> None:
    gate = BudgetGate(limiter, config.slug, deadline=DEADLINE)
    connector = ZendeskConnector(config, gate)
    token = ""
    while _now() < end:
        with suppress(ConnectorError):
            token = token or connector.mint_service_token(expires_in=3600).access_token
            connector.whoami(access_token=token)


def _crowd(config: HelpdeskConfig, join: int) -> None:
    """Others: in each minute a random share of the limit, at random moments, on a few connections."""
    dice = random.Random(f"others of {config.slug}")
    moments = sorted(
        (minute + dice.random()) * MINUTE
        for minute in range(join, join + SHARED)
        for _ in range(round(config.requests_per_minute * dice.uniform(*SHARES)))
    )
    hands = [Thread(target=_take_part, args=(config.url, moments[hand::4])) for hand in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()


def _take_part(address: str, moments: list[float]) -> None:
    for moment in moments:
        time.sleep(max(0.0, moment - _now()))
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
        connection.request("GET", THEIRS)
        connection.getresponse().read()
        connection.close()


def _minutes(config: HelpdeskConfig, first: int) -> list[Minute]:
    """The whole minutes from `first` on, by the helpdesk's own log."""
    counted: Counter[tuple[int, str, bool]] = Counter()
    for event in Remote(config.url).events():
        if event["kind"] == "request.served":
            minute = int(datetime.fromisoformat(event["at"]).timestamp() // MINUTE)
            whose = "theirs" if event["detail"]["path"] == THEIRS else "ours"
            counted[minute, whose, event["detail"]["status"] == 429] += 1
    return [
        Minute(
            counted[minute, "ours", False], counted[minute, "theirs", False], counted[minute, "ours", True]
        )
        for minute in range(first, first + ALONE + SHARED)
    ]  # fmt: skip


def _figures(found: dict[int, list[Minute]]) -> dict[str, float]:
    figures = {"budget_refused": float(sum(each.refused for row in found.values() for each in row))}
    for limit, minutes in found.items():
        alone, shared = minutes[:ALONE], minutes[ALONE:]
        assert all(each.theirs for each in shared), minutes
        assert not any(each.theirs for each in alone), minutes
        figures[f"budget_share_{limit}"] = _mean([each.ours / limit for each in alone])
        figures[f"budget_rest_{limit}"] = _mean(
            [each.ours / (limit - each.theirs) for each in shared]
        )
    return figures


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _now() -> float:
    return time.time()  # noqa: TID251 - the helpdesks count minutes of this machine's clock
