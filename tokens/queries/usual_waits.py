"""How long decisions took lately: what somebody who asks may expect."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import timedelta
from math import ceil

from django.db.models import F

from accounts.together import Read, together
from tokens.models import AccessRequest
from tokens.states import RequestState

LOOKED_AT = 300
"""How many requests of each group, the latest."""
LEAST = 3
"""Fewer decisions than this are no history."""
MOST_GROUPS = 50
USUALLY = 0.8
"""Of the decisions, how many came within what is called usual."""


def usual_waits(approver_groups: Collection[str]) -> Mapping[int, timedelta]:
    """Profile → within how long people of these groups decided four of five requests for it. One query."""
    groups = sorted(set(approver_groups))[:MOST_GROUPS]
    if not groups:
        return {}
    waits: dict[int, list[timedelta]] = defaultdict(list)
    for rows in together({group: _decided(group) for group in groups}).values():
        for row in rows:
            waits[row["profile_id"]].append(row["ended_at"] - row["revised_at"])
    return {profile: _usual(found) for profile, found in waits.items() if len(found) >= LEAST}


def _decided(approver_group: str) -> Read:
    """By people: what policy decides takes no time at all."""
    over = AccessRequest.objects.filter(approver_group=approver_group, ended_at__isnull=False)
    latest = over.order_by("-ended_at", "-id").values("pk")[:LOOKED_AT]
    decided = AccessRequest.objects.filter(
        pk__in=latest, state__in=(RequestState.APPROVED, RequestState.DENIED), ended_at__gt=F("revised_at")
    )  # fmt: skip
    return decided.values("profile_id", "revised_at", "ended_at")


def _usual(waits: list[timedelta]) -> timedelta:
    waits.sort()
    return waits[ceil(len(waits) * USUALLY) - 1]
