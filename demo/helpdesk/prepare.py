"""What a helpdesk finds at its start: its tables, people, OAuth clients and tickets. Runs every time.

What exists is kept, so that changes survive a restart; only the clients follow the environment.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.core.management import call_command
from django.db import transaction

from demo.helpdesk import clock
from demo.helpdesk.configuration import configuration
from demo.helpdesk.content import CUSTOMERS, TICKETS, Story
from demo.helpdesk.issuing import digest
from demo.helpdesk.models import (
    ADMIN,
    ADMIN_ROLE_TYPE,
    AGENT,
    LIGHT_AGENT_ROLE_TYPE,
    Comment,
    HelpdeskUser,
    OAuthClient,
    Ticket,
)
from demo.people import INTEGRATION_USER, PEOPLE, Person

AGENTS_CLIENT, SERVICE_CLIENT = 360000501, 360000502
_ROLES = {"agent": (AGENT, None), "light agent": (AGENT, LIGHT_AGENT_ROLE_TYPE)} | {
    "admin": (ADMIN, ADMIN_ROLE_TYPE)
}


def prepare() -> None:
    """Migrate, then make what is missing. Two processes at once take turns."""
    with _turn():
        call_command("migrate", verbosity=0)
        with transaction.atomic():
            now = clock.real_now()
            _make_people(now)
            _make_clients(now)
            _make_tickets(now)


@contextmanager
def _turn() -> Iterator[None]:
    with (configuration().folder / "prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_people(now: datetime) -> None:
    since = now - timedelta(days=400)
    for person in (*PEOPLE, INTEGRATION_USER):
        if person.helpdesk_role is not None and person.helpdesk_id is not None:
            _make_person(person, person.helpdesk_id, person.helpdesk_role, since)
    for number, (name, email) in CUSTOMERS.items():
        HelpdeskUser.objects.get_or_create(
            id=number,
            defaults={"name": name, "email": email, "created_at": since, "updated_at": since},
        )


def _make_person(person: Person, number: int, wanted: str, since: datetime) -> None:
    role, role_type = _ROLES[wanted]
    HelpdeskUser.objects.get_or_create(
        id=number,
        defaults={
            "external_id": person.key,
            "name": person.name,
            "email": person.email,
            "role": role,
            "role_type": role_type,
            "created_at": since,
            "updated_at": since,
        },
    )


def _make_clients(now: datetime) -> None:
    told = configuration()
    _make_client(
        AGENTS_CLIENT, now, told.client_id, told.client_secret,
        name="Keydesk", redirect_uri=told.redirect_uri, is_service=False,
    )  # fmt: skip
    _make_client(
        SERVICE_CLIENT, now, told.service_client_id, told.service_client_secret,
        name="Keydesk service", redirect_uri="", is_service=True,
    )  # fmt: skip


def _make_client(
    number: int, now: datetime, identifier: str, secret: str,
    *, name: str, redirect_uri: str, is_service: bool,
) -> None:  # fmt: skip
    told = {
        "identifier": identifier,
        "secret_digest": digest(secret),
        "name": name,
        "redirect_uri": redirect_uri,
        "is_service": is_service,
        "owner_id": INTEGRATION_USER.helpdesk_id,
    }
    OAuthClient.objects.update_or_create(
        id=number, defaults=told, create_defaults={**told, "created_at": now}
    )


def _make_tickets(now: datetime) -> None:
    if Ticket.objects.exists():
        return
    agents = list(HelpdeskUser.objects.filter(role=AGENT, role_type=None).order_by("id"))
    for place, story in enumerate(TICKETS):
        opened = now - timedelta(days=len(TICKETS) - place, hours=3)
        _make_ticket(story, opened, agents[place % len(agents)])


def _make_ticket(story: Story, opened: datetime, agent: HelpdeskUser) -> None:
    ticket = Ticket.objects.create(
        subject=story.subject,
        description=story.asks,
        status=story.status,
        priority=story.priority,
        kind=story.kind,
        tags=sorted(story.tags),
        group_id=story.group,
        requester_id=story.customer,
        assignee=None if story.status == "new" else agent,
        created_at=opened,
        updated_at=opened + timedelta(hours=2 if story.answer else 0),
    )
    Comment.objects.create(
        ticket=ticket, author_id=story.customer, body=story.asks, created_at=opened
    )
    if story.answer:
        answered = opened + timedelta(hours=2)
        Comment.objects.create(ticket=ticket, author=agent, body=story.answer, created_at=answered)
