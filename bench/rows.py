"""What is needed to fill a portal with rows: people who are linked to the helpdesk, and counters that count on."""

from collections.abc import Sequence
from datetime import datetime

from django.core.management.color import no_style
from django.db import connection, models

from accounts.operations import sign_in
from demo.people import BY_KEY
from demo.seeding import claims_of
from tokens.connectors.base import RemoteUser
from tokens.models import Helpdesk, HelpdeskLink
from tokens.operations import people

SLUG = "production"


def linked(key: str, now: datetime) -> HelpdeskLink:
    """One of the demo's people, signed in and matched to their user on the helpdesk."""
    person = BY_KEY[key]
    user = sign_in(claims=claims_of(person), now=now)
    assert person.helpdesk_id is not None
    found = RemoteUser(
        id=person.helpdesk_id, name=person.name, email=person.email, external_id=person.key,
        role="agent", role_type=None, custom_role_id=None, active=True, suspended=False,
    )  # fmt: skip
    helpdesk = Helpdesk.objects.get(slug=SLUG)
    return people.link(user=user, helpdesk=helpdesk, found=found, matched_by="external id", now=now)


def count_on(tables: Sequence[type[models.Model]]) -> None:
    """Rows that carry ids of our choosing leave PostgreSQL's counters behind."""
    with connection.cursor() as cursor:
        for sql in connection.ops.sequence_reset_sql(no_style(), list(tables)):
            cursor.execute(sql)
