"""A request with all rows it refers to, read beside other things in one statement and made into objects again."""

from collections.abc import Mapping
from functools import cache

from django.db.models import Model

from accounts.models import User
from accounts.together import Read, Row, columns_of, given, object_from
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Credential,
    Helpdesk,
    HelpdeskUser,
    ProfileVersion,
)

REQUEST = given("request")
REFERRED: Mapping[str, type[Model]] = {
    "requester": User,
    "deputy": User,
    "acts_as": HelpdeskUser,
    "credential": Credential,
    "profile_version": ProfileVersion,
    "profile_version__profile": AccessProfile,
    "profile_version__profile__helpdesk": Helpdesk,
}
"""Rows that pages about a request need, by the way that leads to them; whose a row is comes before it."""


@cache
def whole_request() -> Mapping[str, Read]:
    """The reads of `request_from`, with a place for the request's id."""
    one = AccessRequest.objects.filter(pk=REQUEST)
    return {"": one.values(*columns_of(AccessRequest))} | {
        path: model._default_manager.filter(pk__in=one.values(path)).values(*columns_of(model))
        for path, model in REFERRED.items()
    }


def request_from(found: Mapping[str, list[Row]]) -> AccessRequest:
    """The request that these reads found, with the rows it refers to."""
    made: dict[str, Model | None] = {"": _object(AccessRequest, found[""])}
    for path, model in REFERRED.items():
        of, _, name = path.rpartition("__")
        made[path] = _object(model, found[path])
        setattr(made[of], name, made[path])
    access_request = made[""]
    assert isinstance(access_request, AccessRequest)
    return access_request


def _object(model: type[Model], rows: list[Row]) -> Model | None:
    return object_from(model, rows[0]) if rows else None
