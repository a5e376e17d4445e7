"""The cast, in the database: ada asks, ben and june approve, cleo audits, omar administers, zoe may see nothing."""

import hashlib
from datetime import datetime

from accounts.models import Membership, User
from demo.people import BY_KEY, Person
from tests.fakes import FakeHelpdesk
from tokens.connectors.base import RemoteUser
from tokens.models import Helpdesk
from tokens.operations import people

ISSUER = "http://127.0.0.1:8001"


def make(key: str, *, now: datetime) -> User:
    """A person of the cast as the database knows them after a sign-in, without a helpdesk link."""
    person = BY_KEY[key]
    user = User.objects.create(
        identity=hashlib.sha256(f"{ISSUER}\0{key}".encode()).hexdigest(), issuer=ISSUER, subject=key,
        email=person.email, email_verified=True, name=person.name, groups_read_at=now, created_at=now,
    )  # fmt: skip
    Membership.objects.bulk_create([Membership(user=user, group=g) for g in person.groups])
    return user


def remote(person: Person) -> RemoteUser:
    """The helpdesk's user of a person."""
    assert person.helpdesk_id is not None
    role = "admin" if person.helpdesk_role == "admin" else "agent"
    kind = {"admin": 4, "light agent": 1}.get(person.helpdesk_role or "", 0)
    return RemoteUser(
        person.helpdesk_id, person.name, person.email, person.key, role, kind, None, True, False
    )


def linked(key: str, *, now: datetime, desk: FakeHelpdesk | None = None) -> User:
    """A person who is linked to their user on every helpdesk."""
    user = make(key, now=now)
    person = BY_KEY[key]
    found = remote(person) if person.helpdesk_id else None
    if desk is not None and found is not None:
        desk.users[found.id] = found
    for helpdesk in Helpdesk.objects.all():
        people.link(user=user, helpdesk=helpdesk, found=found, matched_by="external id", now=now)
    return user
