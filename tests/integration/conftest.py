"""A world at this moment, and the browsers of the people who come up most; a test module may have its own."""

import pytest
from django.test import Client

from accounts import clock
from tests.integration._people import browser
from tests.world import World


@pytest.fixture
def world() -> World:
    return World(now=clock.now())


@pytest.fixture
def ada(world: World) -> Client:
    return browser(world, "ada")


@pytest.fixture
def ben(world: World) -> Client:
    return browser(world, "ben")


@pytest.fixture
def omar(world: World) -> Client:
    return browser(world, "omar")
