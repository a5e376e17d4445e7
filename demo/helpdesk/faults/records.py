"""Answers with a wrong word in them: what was done is right, what is told of it is not."""

import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from demo.helpdesk.faults.fits import has_a_body, lists, makes_a_token, reads_the_api, reads_tokens
from demo.helpdesk.faults.kind import Act, Kind, Next
from demo.helpdesk.models import Fault

Change = Callable[[Any], Any]
_IDS = ("id", "client_id", "user_id")
_LIVES = ("expires_in", "refresh_token_expires_in", "expires_at", "refresh_token_expires_at")


def rewrites(change: Change) -> Act:
    """The answer's JSON is changed; a refusal stays as it is."""

    def act(_fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
        response = go_on(request)
        if isinstance(response, HttpResponse) and response.status_code == 200:
            response.content = json.dumps(change(json.loads(response.content)))
        return response

    return act


def _in_every_object(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    """The same change in every object of the answer, however deep."""

    def deep(value: Any) -> Any:
        if isinstance(value, list):
            return [deep(one) for one in value]
        if isinstance(value, dict):
            return change({name: deep(one) for name, one in value.items()})
        return value

    return deep


def _each(names: tuple[str, ...], change: Change) -> Act:
    """The fields of these names, where they have a value, are changed in every object."""

    def changed(found: dict[str, Any]) -> dict[str, Any]:
        return found | {name: change(found[name]) for name in names if found.get(name) is not None}

    return rewrites(_in_every_object(changed))


def _without(*names: str) -> Act:
    """The fields of these names are left out of every object."""

    def changed(found: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in found.items() if name not in names}

    return rewrites(_in_every_object(changed))


def _scopes_as_text(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list) else value


def _object_for_list(found: Any) -> Any:
    """Every list of objects becomes an object."""
    return {
        name: dict(enumerate(value)) if isinstance(value, list) else value
        for name, value in found.items()
    }


KINDS = {
    "ids_as_text": Kind(_each(_IDS, str), reads_the_api),
    "ids_as_objects": Kind(_each(_IDS, lambda value: {"value": value}), reads_the_api),
    "missing_id": Kind(_without("id"), reads_the_api),
    "missing_user_id": Kind(_without("user_id"), reads_tokens),
    "missing_expiry": Kind(_without("expires_at", "refresh_token_expires_at"), reads_tokens),
    "other_id": Kind(_each(("id",), lambda value: value + 1), reads_tokens),
    "other_user_id": Kind(_each(("user_id",), lambda value: value + 1), reads_tokens),
    "scopes_as_text": Kind(_each(("scopes",), _scopes_as_text), reads_tokens),
    "scopes_as_number": Kind(_each(("scopes",), lambda _: 7), reads_tokens),
    "scope_as_number": Kind(_each(("scope",), lambda _: 7), makes_a_token),
    "dates_as_numbers": Kind(_each(_LIVES, lambda _: 1_800), reads_tokens),
    "lives_as_text": Kind(_each(_LIVES, str), makes_a_token),
    "missing_lives": Kind(_without(*_LIVES), makes_a_token),
    "missing_tokens": Kind(_without("access_token", "refresh_token"), makes_a_token),
    "token_as_object": Kind(_each(("access_token",), lambda _: {"value": 1}), makes_a_token),
    "list_for_object": Kind(rewrites(lambda found: [found]), has_a_body),
    "null_for_object": Kind(rewrites(lambda _: None), has_a_body),
    "object_for_list": Kind(rewrites(_object_for_list), lists),
}
