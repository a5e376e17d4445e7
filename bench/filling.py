"""A portal and a helpdesk full of live credentials: what ten thousand consents would have left in both databases.

Rows are written straight, sealed under the product's own rings. Runs in the portal's environment
(`python -m bench.filling NUMBER DUE_IN JOBS`); the helpdesk's file lies in the same folder.
"""

import hashlib
import json
import os
import secrets
import sqlite3
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import django

if __name__ == "__main__":
    django.setup()

from django.db import transaction

from accounts import clock
from bench.rows import SLUG, count_on, linked
from bench.stage import CLICKED
from tokens.capabilities import current
from tokens.models import (
    AccessProfile,
    Credential,
    Grant,
    Helpdesk,
    HelpdeskLink,
    Job,
    ProfileVersion,
)
from tokens.sealing import Place, portal_ring, worker_ring
from tokens.states import CredentialState, GrantState

PROFILE = "read-tickets"
_OUTLIVES = timedelta(hours=2)
"""The access halves live longer than a run takes, so that each needs the same number of requests to end."""
_TOKEN = """insert into demo_helpdesk_token (id, client_id, user_id, scopes, access_digest,
  refresh_digest, hint, created_at, expires_at, refresh_expires_at, ended_because)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')"""


@dataclass(frozen=True)
class Pair:
    """What the helpdesk handed out: the number of the token and both halves."""

    number: int
    user_id: int
    access: str
    refresh: str


@dataclass(frozen=True)
class Filling:
    """What every row has in common."""

    now: datetime
    lives_until: datetime
    number: int

    @property
    def access_until(self) -> datetime:
        return self.now + _OUTLIVES

    @property
    def refresh_until(self) -> datetime:
        return self.now + timedelta(days=30)


def fill(number: int, *, due_in: float, with_jobs: bool) -> None:
    """Make so many live credentials whose lease ends in `due_in` seconds, Noor's perhaps each with a due refresh."""
    now = clock.now()
    filling = Filling(now, now + timedelta(seconds=due_in), number)
    links = [linked(key, now) for key in ("ada", "noor")]
    rows = [_credential(filling, index, links[index > CLICKED]) for index in range(1, number + 1)]
    pairs = [
        Pair(row.pk, row.acts_as.remote_id, secrets.token_urlsafe(48), secrets.token_urlsafe(48))
        for row in rows
    ]
    client = _fill_helpdesk(filling, pairs, rows[0].scopes)
    with transaction.atomic():
        Helpdesk.objects.filter(slug=SLUG).update(
            client_number=client, capabilities={current(rows[0].scopes): "yes"}
        )
        Credential.objects.bulk_create(rows, batch_size=500)
        Grant.objects.bulk_create(
            (_grant(filling, row, pair) for row, pair in zip(rows, pairs, strict=True)),
            batch_size=500,
        )
        if with_jobs:
            jobs = (_refresh_job(filling, row) for row in rows[CLICKED:])
            Job.objects.bulk_create(jobs, batch_size=500)
        count_on([Credential, Grant])


def _credential(filling: Filling, index: int, link: HelpdeskLink) -> Credential:
    version = _version()
    assert link.helpdesk_user is not None
    return Credential(
        pk=index, client_id=f"kd_{SLUG}_{index:010d}", helpdesk=link.helpdesk, owner=link.user,
        acts_as=link.helpdesk_user, profile_version=version, script_name=f"script {index}",
        runs_where="server", scopes=version.scopes, days=7, access_token_seconds=7200,
        state=CredentialState.ACTIVE, ordered_at=filling.now, connect_by=filling.lives_until,
        issued_at=filling.now, lives_until=filling.lives_until,
    )  # fmt: skip


@cache
def _version() -> ProfileVersion:
    found = AccessProfile.objects.get(helpdesk__slug=SLUG, slug=PROFILE).current
    assert found is not None
    return found


def _grant(filling: Filling, credential: Credential, pair: Pair) -> Grant:
    grant = Grant(
        pk=credential.pk, helpdesk=credential.helpdesk, credential=credential,
        purpose=Grant.Purpose.EXCHANGE, generation=1, state=GrantState.LIVE,
        intended_at=filling.now, sent_at=filling.now, answered_at=filling.now,
        proved_at=filling.now, serve_until=filling.now, remote_id=pair.number,
        remote_user_id=pair.user_id, scopes=credential.scopes,
        asked_access_seconds=7200, asked_refresh_seconds=2_592_000,
        access_expires_at=filling.access_until, refresh_expires_at=filling.refresh_until,
    )  # fmt: skip
    place = Place(*grant.place)
    grant.access_sealed = portal_ring().seal(pair.access, place)
    grant.refresh_sealed = worker_ring().seal(pair.refresh, place)
    grant.fingerprint = portal_ring().fingerprint(pair.access)
    return grant


def _refresh_job(filling: Filling, credential: Credential) -> Job:
    kind = Job.Kind.REFRESH
    return Job(
        helpdesk=credential.helpdesk, kind=kind, target_id=credential.pk, urgency=3,
        key=f"{kind}:{SLUG}:{credential.pk}", not_before=filling.now, created_at=filling.now,
    )  # fmt: skip


def _fill_helpdesk(filling: Filling, pairs: list[Pair], scopes: frozenset[str]) -> int:
    """The same tokens as the helpdesk keeps them. Returns the numeric id of Keydesk's client."""
    path = Path(os.environ["KEYDESK_DEMO_DIR"]) / SLUG / "helpdesk.sqlite3"
    with sqlite3.connect(path, timeout=20) as helpdesk:
        found = helpdesk.execute(
            "select id from demo_helpdesk_oauthclient where not is_service"
        ).fetchone()
        times = [
            moment.strftime("%Y-%m-%d %H:%M:%S.%f")
            for moment in (filling.now, filling.access_until, filling.refresh_until)
        ]
        helpdesk.executemany(
            _TOKEN,
            (
                (
                    pair.number, found[0], pair.user_id, json.dumps(sorted(scopes)),
                    _digest(pair.access), _digest(pair.refresh), pair.access[:10], *times,
                )
                for pair in pairs
            ),
        )  # fmt: skip
    helpdesk.close()
    number: int = found[0]
    return number


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


if __name__ == "__main__":
    fill(int(sys.argv[1]), due_in=float(sys.argv[2]), with_jobs=sys.argv[3] == "jobs")
