"""Who is in the demo and the tests: the one home of invented people.

Ada asks, Ben and June approve, Cleo audits, Omar administers, Zoe may see nothing on the helpdesk.
The identity provider lets one pick any of `PEOPLE`; the helpdesks know those with a `helpdesk_role`,
and beside them the integration user, who is nobody's login and owns the two OAuth clients.
"""

from dataclasses import dataclass
from typing import Literal

HelpdeskRole = Literal["agent", "light agent", "admin"]


@dataclass(frozen=True)
class Person:
    """One invented person: `key` is the subject at the identity provider and the helpdesk's external id."""

    key: str
    name: str
    email: str
    groups: tuple[str, ...]
    helpdesk_role: HelpdeskRole | None
    helpdesk_id: int | None
    does: str


PEOPLE: tuple[Person, ...] = (
    Person(
        "ada", "Ada Lindqvist", "ada@acme.test", ("agents", "emea-tier-2"), "agent", 360001001,
        "asks for access and runs scripts",
    ),
    Person(
        "ben", "Ben Achterberg", "ben@acme.test", ("agents", "helpdesk-leads"), "agent", 360001002,
        "approves requests",
    ),
    Person(
        "june", "June Moreno", "june@acme.test",
        ("agents", "helpdesk-leads", "security-reviewers"), "agent", 360001003,
        "approves requests, also the wide ones",
    ),
    Person(
        "omar", "Omar Said", "omar@acme.test", ("keydesk-admins",), "admin", 360001004,
        "administers Keydesk",
    ),
    Person(
        "cleo", "Cleo Marchetti", "cleo@acme.test", ("internal-audit",), "light agent", 360001005,
        "audits: sees everything, changes nothing",
    ),
    Person(
        "noor", "Noor Haddad", "noor@acme.test", ("agents", "emea-tier-2"), "agent", 360001006,
        "asks for access to update tickets",
    ),
    Person(
        "piotr", "Piotr Wolny", "piotr@acme.test", ("agents",), "agent", 360001007,
        "asks for wide access",
    ),
    Person(
        "lena", "Lena Marsh", "lena@acme.test", ("agents",), "light agent", 360001008,
        "is a light agent with small scripts",
    ),
    Person(
        "zoe", "Zoe Finch", "zoe@acme.test", ("contractors",), None, None,
        "has no helpdesk user, so she cannot ask",
    ),
)  # fmt: skip

INTEGRATION_USER = Person(
    "keydesk-integration", "Keydesk integration", "integration@acme.test", (), "admin", 360000900,
    "owns Keydesk's OAuth clients on the helpdesk",
)  # fmt: skip

BY_KEY = {person.key: person for person in PEOPLE}
