"""`manage.py verify`: hold the helpdesk's own list of tokens against the database, and print what breaks a promise.

It shares no code with what it checks: models, connectors and the limiter's gate only, with a service token
of its own. Exit 1 if anything is found, 2 if the list could not be had.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts import clock
from accounts.models import AuditEvent
from tokens.connectors.base import Connector, ConnectorError, HelpdeskConfig, TokenRecord
from tokens.connectors.registry import connector_for
from tokens.limiter import BudgetGate, Limiter, LimiterDown, LocalLimiter, shared_limiter
from tokens.models import Credential, Grant, Helpdesk

GRACE = timedelta(minutes=5)
"""The helpdesk's least life of an access token: how far one may reach past its lease."""


class Command(BaseCommand):
    help = "Print every violation of the promises; exit 1 if there is one."

    def handle(self, *_: Any, **__: Any) -> None:
        found = [line for slug in settings.HELPDESKS for line in self._helpdesk(slug)]
        found += _without_record()
        for line in found:
            self.stdout.write(line)
        self.stdout.write(f"verify: {len(found)} violations")
        if found:
            sys.exit(1)

    def _helpdesk(self, slug: str) -> list[str]:
        helpdesk = Helpdesk.objects.filter(slug=slug).first()
        if helpdesk is None:
            return [f"{slug}: not loaded; run manage.py load_catalogue"]
        try:
            records = _list(settings.HELPDESKS[slug])
        except (ConnectorError, LimiterDown) as error:
            self.stderr.write(f"{slug}: the list of tokens could not be had: {error}")
            sys.exit(2)
        return [f"{slug}: {line}" for line in violations(helpdesk, records, clock.now())]


def _list(config: HelpdeskConfig) -> Sequence[TokenRecord]:
    limiter = _limiter(config)
    gate = BudgetGate(limiter, config.slug, deadline=settings.CALL_DEADLINE.total_seconds())
    connector: Connector = connector_for(config, gate)
    own = connector.mint_service_token(expires_in=600).access_token
    number = connector.client_number(access_token=own)
    return connector.tokens_of_client(client_number=number, access_token=own)


def _limiter(config: HelpdeskConfig) -> Limiter:
    """The budget all workers share; where its Redis is away, a pace of our own."""
    if settings.REDIS_URL:
        try:
            shared_limiter().state(config.slug)
            return shared_limiter()
        except LimiterDown:
            pass
    return LocalLimiter({config.slug: config.requests_per_minute})


def violations(helpdesk: Helpdesk, records: Sequence[TokenRecord], now: datetime) -> Iterator[str]:
    """Each broken promise about the tokens on the helpdesk, as a line."""
    owners = {
        grant.remote_id: grant
        for grant in Grant.objects.filter(
            helpdesk=helpdesk, remote_id__in=[record.id for record in records],
            state__in=("answered", "live", "doomed"),
        ).select_related("credential__acts_as")
    }  # fmt: skip
    busy: set[int | None] = set(
        Grant.objects.filter(
            helpdesk=helpdesk, state__in=("intended", "sent", "answered", "unknown")
        ).values_list("credential__acts_as__remote_id", flat=True)
    )
    for record in records:
        grant = owners.get(record.id)
        if grant is None:
            if not _may_be_under_way(record, busy, now):
                yield f"unknown token {record.id} of user {record.user_id}: no row names it"
        elif grant.credential is not None and grant.state == "live":
            yield from _of_credential(record, grant.credential, now)
        elif grant.state == "doomed":
            yield from _of_doomed(record, grant, now)


def _of_doomed(record: TokenRecord, grant: Grant, now: datetime) -> Iterator[str]:
    """A token that is being ended: it may live until its lease's end and the least life, no longer."""
    ends = grant.credential.lives_until if grant.credential else grant.doomed_at
    is_alive = record.expires_at is None or record.expires_at > now
    if ends is not None and now > ends + GRACE and is_alive:
        yield f"token {record.id}: overdue, it was to end at {ends:%F %T} and still lives"


def _may_be_under_way(record: TokenRecord, busy: set[int | None], now: datetime) -> bool:
    """A call that is out right now may have made it; it is younger than the minimum age and two lists."""
    bound = settings.MINIMUM_AGE + 2 * settings.INVENTORY_EVERY
    is_young = record.created_at is not None and record.created_at > now - bound
    return is_young or record.user_id in busy


def _of_credential(record: TokenRecord, credential: Credential, now: datetime) -> Iterator[str]:
    what = f"token {record.id} of {credential.client_id}"
    if record.user_id != credential.acts_as.remote_id:
        yield f"{what}: wrong user {record.user_id}, approved for {credential.acts_as.remote_id}"
    if beyond := (record.scopes or frozenset({"(none said)"})) - credential.scopes:
        yield f"{what}: wider scopes: {' '.join(sorted(beyond))}"
    if credential.state != "active":
        yield f"{what}: the credential is {credential.state}, the token lives"
    if credential.lives_until is None or record.expires_at is None:
        yield f"{what}: it has no end"
    elif record.expires_at > credential.lives_until + GRACE:
        word = "overdue" if now > credential.lives_until else "too long"
        yield f"{what}: {word}, it outlives its lease, which ends at {credential.lives_until:%F %T}"


def _without_record() -> list[str]:
    """Credentials that work without an audit row that says who let them."""
    lines = []
    for credential in Credential.objects.filter(state="active"):
        request_ids = [str(pk) for pk in credential.access_requests.values_list("pk", flat=True)]
        approved = AuditEvent.objects.filter(
            target_type="AccessRequest", event="request.approved", target_id__in=request_ids
        )
        if not approved.exists():
            lines.append(f"credential {credential.client_id}: no audit row says who approved it")
    return lines
