"""Browsers of the cast for the tests of pages, and what a filled-in form sends."""

from typing import Any

from django.test import Client

from tests.sign_in import sign_in
from tests.world import World
from tokens.models import AccessProfile


def browser(world: World, key: str) -> Client:
    """A browser in which this person of the cast is signed in; linked to the helpdesks as the world says."""
    world.person(key)
    client = Client()
    sign_in(client, key)
    return client


def filled(world: World, asked_for: str = "read-tickets", **changes: Any) -> dict[str, Any]:
    """What the page *Request access* sends when it is filled in for a profile; None takes a field out."""
    row: AccessProfile = world.profile(asked_for)
    assert row.current is not None
    fields: dict[str, Any] = {
        "key": "a-key-of-the-page-0001", "script_name": "weekly-csat", "runs_where": "server",
        "profile": f"{world.slug}/{asked_for}", f"scopes-{row.pk}": sorted(row.current.scopes),
        "days": "30", "other_days": "", "purpose": "Weekly numbers for the lead meeting",
        "ticket_url": "", "rhythm": "", "deputy": "",
    }  # fmt: skip
    return {name: value for name, value in (fields | changes).items() if value is not None}


def words(response: Any) -> str:
    """A page's source with blanks folded and quotes readable."""
    text = " ".join(response.content.decode().split())
    return text.replace("&#x27;", "'").replace("&quot;", '"')
