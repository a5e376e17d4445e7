"""A slow identity provider holds up sign-ins and nothing else: few threads wait for it, and they hold no connection."""

from collections.abc import Iterator
from threading import BoundedSemaphore, Event, Thread
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
    connection.ensure_connection()
    slow.may_answer.set()
    assert provider.ask("GET", ADDRESS) == {"is": "there"}
    assert slow.has_connection is False


def test_one_more_than_may_wait_is_told_to_come_back_and_the_first_is_served(slow: Slow) -> None:
    answers: list[dict[str, Any]] = []
    first = Thread(target=lambda: answers.append(provider.ask("GET", ADDRESS)))
    first.start()
    assert slow.asked.wait(20)
    with pytest.raises(Refused) as refused:
        provider.ask("GET", ADDRESS)
    assert refused.value.status == 503
    assert first.is_alive()
    slow.may_answer.set()
    first.join()
    assert answers == [{"is": "there"}]
    assert provider.ask("GET", ADDRESS) == {"is": "there"}
