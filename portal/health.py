"""Is this process alive, and is Keydesk ready to work? For load balancers and monitors, as JSON."""

import redis
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import clock
from accounts.decorators import public
from tokens.queries.health import heartbeats

Part = tuple[str, bool, str]
"""Name, whether it is well, and a sentence."""


@public
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while this process answers; asks nothing of anything else."""
    return JsonResponse({"is_ok": True})


@public
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when every part works, else 503, with a sentence for each."""
    found = parts()
    is_ok = all(is_well for _, is_well, _ in found)
    body = {
        "is_ok": is_ok,
        "parts": [
            {"name": name, "is_ok": is_well, "sentence": sentence}
            for name, is_well, sentence in found
        ],
    }
    return JsonResponse(body, status=200 if is_ok else 503)


def parts() -> list[Part]:
    """Database, Redis where one is configured, and whether beat and a worker were heard of lately."""
    return [*_database_and_workers(), *_redis()]


def _database_and_workers() -> list[Part]:
    try:
        beats = heartbeats(clock.now())
    except DatabaseError:
        return [("database", False, "The database does not answer.")]
    return [("database", True, "The database answers."), *beats]


def _redis() -> list[Part]:
    if not settings.REDIS_URL:
        return []
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1
        ) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError):
        return [("redis", False, "Redis does not answer: pages go on, work waits.")]
    return [("redis", True, "Redis answers.")]
