"""A portal in which so many requests were made: what years of a big company would have left in the database.

A thousand requests are made as rows, then doubled by SQL, people and moments mixed. Runs in the portal's environment
(`python -m bench.crowd NUMBER`), and prints as JSON the cookies of the people who look, and a request that waits.
"""

import json
import sys
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection, models, transaction

from accounts import clock, sessions
from accounts.models import AuditEvent, User
from bench.rows import SLUG, count_on, linked
from tokens.models import (
    AccessProfile,
    AccessRequest,
    Credential,
    Helpdesk,
    HelpdeskLink,
    HelpdeskUser,
)
from tokens.states import CredentialState, RequestState

SEED = 1_000
PEOPLE = 2_000
WATCHERS = ("ben", "omar")
OWN, WORKING = 60, 20
STATES = (
    RequestState.PENDING, *[RequestState.APPROVED] * 6, RequestState.DENIED, RequestState.WITHDRAWN,
    RequestState.LAPSED,
)  # fmt: skip
"""Of ten requests one waits; the rest are over."""


def fill(number: int) -> dict[str, Any]:
    """Make so many requests, what came of them and their lines in the audit; sign in who looks."""
    now = clock.now()
    links = {key: linked(key, now) for key in WATCHERS}
    with transaction.atomic():
        crowd = _crowd(now)
        _first(now, crowd)
        made = SEED
        while made < number:
            _double(crowd, made, times=min(2, number // made))
            made *= 2
        _give(links["ben"], now)
        count_on([User, HelpdeskUser, AccessRequest, Credential, AuditEvent])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    waiting = AccessRequest.objects.filter(state=RequestState.PENDING, decide_by__gt=now)
    return {
        "cookies": {key: _session(link.user, now) for key, link in links.items()},
        "waiting": waiting.order_by("decide_by").values_list("pk", flat=True)[0],
    }


def _session(user: User, now: datetime) -> str:
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    sessions.begin(store, now=now, authenticated_at=now)
    store.save()
    return f"{settings.SESSION_COOKIE_NAME}={store.session_key}"


# --- The first thousand ------------------------------------------------------------------------------


class Crowd:
    """The people who ask: their first ids, as persons and as helpdesk users; the rest follow without a gap."""

    def __init__(self, user: int, helpdesk_user: int) -> None:
        self.user, self.helpdesk_user = user, helpdesk_user


def _crowd(now: datetime) -> Crowd:
    helpdesk = Helpdesk.objects.get(slug=SLUG)
    first = (User.objects.aggregate(n=models.Max("pk"))["n"] or 0) + 1
    User.objects.bulk_create(
        User(
            pk=first + n, identity=f"crowd-{n}", issuer="https://login.acme.test", subject=f"crowd-{n}",
            email=f"agent{n}@acme.test", name=f"Agent {n}", created_at=now, groups_read_at=now,
        )
        for n in range(PEOPLE)
    )  # fmt: skip
    known = (HelpdeskUser.objects.aggregate(n=models.Max("pk"))["n"] or 0) + 1
    HelpdeskUser.objects.bulk_create(
        HelpdeskUser(
            pk=known + n, helpdesk=helpdesk, remote_id=9_000_000 + n, name=f"Agent {n}", role="agent",
            active=True, suspended=False, seen_at=now,
        )
        for n in range(PEOPLE)
    )  # fmt: skip
    return Crowd(first, known)


def _first(now: datetime, crowd: Crowd) -> None:
    rows = AccessProfile.objects.filter(helpdesk__slug=SLUG).select_related("current")
    profiles = list(rows.order_by("pk"))
    requests = [_request(n, profiles[n % len(profiles)], crowd, now) for n in range(1, SEED + 1)]
    held = [row for row in requests if row.state == RequestState.APPROVED]
    Credential.objects.bulk_create(_credential(row, now) for row in held)
    for row in held:
        row.credential_id = row.pk
    AccessRequest.objects.bulk_create(requests)
    AuditEvent.objects.bulk_create(
        AuditEvent(
            pk=row.pk + 10_000, at=row.submitted_at, event="request.submitted", actor=f"person {row.requester_id}",
            actor_name=str(row.requester_id), target_type="AccessRequest", target_id=str(row.pk), body="{}",
        )
        for row in requests
    )  # fmt: skip


def _give(link: HelpdeskLink, now: datetime) -> None:
    """The first sixty are somebody's who looks: six wait, twenty of the access they were given work."""
    own = {"acts_as": link.helpdesk_user_id}
    AccessRequest.objects.filter(pk__lte=OWN).update(requester=link.user_id, **own)
    held = Credential.objects.filter(pk__lte=OWN)
    held.update(owner=link.user_id, **own)
    working = list(held.order_by("pk").values_list("pk", flat=True)[:WORKING])
    Credential.objects.filter(pk__in=working).update(
        state=CredentialState.ACTIVE, lives_until=now + timedelta(days=20), ended_at=None, end_reason="",
    )  # fmt: skip


def _request(n: int, profile: AccessProfile, crowd: Crowd, now: datetime) -> AccessRequest:
    version, state, who = profile.current, STATES[n % len(STATES)], n % PEOPLE
    assert version is not None
    is_open = state == RequestState.PENDING
    asked_at = now - (timedelta(minutes=4 * n) if is_open else timedelta(hours=12 * n))
    return AccessRequest(
        pk=n, requester_id=crowd.user + who, acts_as_id=crowd.helpdesk_user + who, profile=profile,
        profile_version=version, approver_group=version.approver_group, scopes=version.scopes,
        script_name=f"script-{n}", runs_where="server", days=30, purpose=f"Weekly numbers of team {n % 70}",
        submission_key=f"crowd-{n}", state=state, submitted_at=asked_at, revised_at=asked_at,
        decide_by=asked_at + timedelta(days=30), ended_at=None if is_open else asked_at + timedelta(hours=3),
        end_reason="" if is_open else "It was not needed.",
    )  # fmt: skip


def _credential(row: AccessRequest, now: datetime) -> Credential:
    return Credential(
        pk=row.pk, client_id=f"kd_{SLUG}_{row.pk:010d}", helpdesk=row.profile.helpdesk, owner_id=row.requester_id,
        acts_as_id=row.acts_as_id, profile_version=row.profile_version, script_name=row.script_name,
        runs_where="server", scopes=row.scopes, days=30, access_token_seconds=7200,
        state=CredentialState.REVOKED, ordered_at=row.revised_at, connect_by=row.revised_at + timedelta(days=5),
        issued_at=row.revised_at, lives_until=row.revised_at + timedelta(days=30),
        ended_at=row.revised_at + timedelta(days=20), end_reason="Its time was over.",
    )  # fmt: skip


# --- The rest ----------------------------------------------------------------------------------------


def _double(crowd: Crowd, made: int, *, times: int) -> None:
    """Each row once more, as somebody else's; ids count on."""
    assert times == 2, "Ask for a thousand times a power of two."
    step, turn = str(made), made // SEED * 7

    def somebody(column: str, first: int) -> str:
        return f"{first} + (({column} - {first} + {turn}) % {PEOPLE})"

    later, named = f"id + {step}", f"|| '-' || '{step}'"
    _insert(Credential, made, id=later, client_id=f"client_id {named}", script_name=f"script_name {named}",
            owner_id=somebody("owner_id", crowd.user), acts_as_id=somebody("acts_as_id", crowd.helpdesk_user))  # fmt: skip
    _insert(AccessRequest, made, id=later, submission_key=f"submission_key {named}",
            script_name=f"script_name {named}", credential_id=f"credential_id + {step}",
            requester_id=somebody("requester_id", crowd.user),
            acts_as_id=somebody("acts_as_id", crowd.helpdesk_user))  # fmt: skip
    _insert(AuditEvent, made, id=later)


def _insert(model: type[models.Model], made: int, **changes: str) -> None:
    columns = [field.column for field in model._meta.concrete_fields]
    values = ", ".join(changes.get(column, f'"{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    first = 10_000 if model is AuditEvent else 0
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({names}) SELECT {values} FROM {model._meta.db_table}"
            f" WHERE id > {first} AND id <= {first + made}"
        )


if __name__ == "__main__":
    print(json.dumps(fill(int(sys.argv[1]))))
