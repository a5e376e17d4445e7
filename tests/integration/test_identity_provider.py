"""A slow identity provider holds up sign-ins and nothing else: few threads wait for it, and they hold no connection."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore, Event
from typing import Any

import pytest
from django.db import connection

from accounts import identity_provider as provider
from accounts.refusals import Refused

ADDRESS = "http://127.0.0.1:9/token"


class Slow:
    """A provider that answers once it is told to."""

    def __init__(self) -> None:
        self.asked, self.may_answer = Event(), Event()
        self.has_connection: bool | None = None

    def answer(self, *_: object, **__: object) -> dict[str, Any]:
        self.has_connection = connection.connection is not None
        self.asked.set()
        assert self.may_answer.wait(20)
        return {"is": "there"}


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    made = Slow()
    monkeypatch.setattr(provider, "_ask", made.answer)
    monkeypatch.setattr(provider, "_asking", BoundedSemaphore(1))
    monkeypatch.setattr(provider, "PATIENCE", 0.05)
    yield made
    made.may_answer.set()


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_it_holds_no_database_connection(slow: Slow) -> None:
    def ask() -> dict[str, Any]:
        connection.ensure_connection()
        return provider.ask("GET", ADDRESS)

    slow.may_answer.set()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(ask).result(20) == {"is": "there"}
    assert slow.has_connection is False


def test_one_more_than_may_wait_is_told_to_come_back_and_the_first_is_served(slow: Slow) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(provider.ask, "GET", ADDRESS)
        assert slow.asked.wait(20)
        refused = pool.submit(provider.ask, "GET", ADDRESS).exception(20)
        assert isinstance(refused, Refused)
        assert refused.status == 503
        assert not first.done()
        slow.may_answer.set()
        assert first.result(20) == {"is": "there"}
        assert pool.submit(provider.ask, "GET", ADDRESS).result(20) == {"is": "there"}
