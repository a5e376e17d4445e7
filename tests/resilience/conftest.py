"""One stack of real processes for the tests that break its processes one at a time, and for the races."""

from collections.abc import Iterator

import pytest

from demo.stack import Stack
from tests.stack import running


@pytest.fixture(scope="session")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Times run fast. Who breaks something mends it."""
    with running(tmp_path_factory.mktemp("resilience")) as stack:
        yield stack
