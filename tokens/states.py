"""Which states there are, what leads from one to the next, and whose act that is.

Three machines, a table each. `manage.py state_diagram` draws them; a transition that is not listed
here does not exist. Who exactly may act stands in permissions.py, whether it makes sense in policies.py.
"""

from dataclasses import dataclass
from enum import StrEnum


class RequestState(StrEnum):
    """Where an access request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"
    LAPSED = "lapsed"


class CredentialState(StrEnum):
    """Where a credential stands."""

    AWAITING_CONSENT = "awaiting_consent"
    ISSUING = "issuing"
    ACTIVE = "active"
    LOST = "lost"
    REVOKING = "revoking"
    REVOKED = "revoked"
    LAPSED = "lapsed"
    CANCELLED = "cancelled"


class GrantState(StrEnum):
    """Where one token pair on the helpdesk stands."""

    INTENDED = "intended"
    ABANDONED = "abandoned"
    SENT = "sent"
    ANSWERED = "answered"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    WRITTEN_OFF = "written_off"
    LIVE = "live"
    REPLACED = "replaced"
    DOOMED = "doomed"
    GONE = "gone"


class Actor(StrEnum):
    """Whose act a transition is."""

    REQUESTER = "requester"
    APPROVER = "approver"
    POLICY = "policy"
    OWNER = "owner"
    ADMIN = "admin"
    WORKER = "worker"
    SYSTEM = "system"


@dataclass(frozen=True)
class Move:
    """One row of a machine: from any of `sources` (none: a new row), by `action`, to one of `targets`."""

    sources: tuple[StrEnum, ...]
    action: str
    targets: tuple[StrEnum, ...]
    by: tuple[Actor, ...]


R, C, G, A = RequestState, CredentialState, GrantState, Actor

ACCESS_REQUEST = (
    Move((), "submit", (R.PENDING,), (A.REQUESTER,)),
    Move((R.PENDING,), "amend", (R.PENDING,), (A.REQUESTER,)),
    Move((R.PENDING,), "approve", (R.PENDING, R.APPROVED), (A.APPROVER, A.POLICY)),
    Move((R.PENDING,), "deny", (R.DENIED,), (A.APPROVER,)),
    Move((R.PENDING,), "withdraw", (R.WITHDRAWN,), (A.REQUESTER,)),
    Move((R.PENDING,), "close", (R.CLOSED,), (A.SYSTEM,)),
    Move((R.PENDING,), "lapse", (R.LAPSED,), (A.SYSTEM,)),
)

CREDENTIAL = (
    Move((), "order", (C.AWAITING_CONSENT,), (A.SYSTEM,)),
    Move((C.AWAITING_CONSENT, C.LOST), "connect", (C.ISSUING,), (A.OWNER,)),
    Move((C.ISSUING,), "activate", (C.ACTIVE,), (A.WORKER,)),
    Move((C.ISSUING,), "refuse", (C.AWAITING_CONSENT, C.LOST), (A.WORKER,)),
    Move((C.ACTIVE,), "renew", (C.ACTIVE,), (A.SYSTEM,)),
    Move((C.LOST,), "renew", (C.LOST,), (A.SYSTEM,)),
    Move((C.AWAITING_CONSENT,), "lapse", (C.LAPSED,), (A.SYSTEM,)),
    Move((C.AWAITING_CONSENT,), "cancel", (C.CANCELLED,), (A.OWNER, A.ADMIN, A.SYSTEM)),
    Move((C.ACTIVE,), "lose", (C.LOST,), (A.WORKER,)),
    Move(
        (C.ISSUING, C.ACTIVE, C.LOST), "revoke", (C.REVOKING,), (A.OWNER, A.ADMIN, A.SYSTEM)
    ),
    Move((C.ISSUING, C.ACTIVE, C.LOST), "expire", (C.REVOKING,), (A.SYSTEM,)),
    Move((C.REVOKING,), "confirm", (C.REVOKED,), (A.WORKER,)),
)  # fmt: skip

GRANT = (
    Move((), "intend", (G.INTENDED,), (A.WORKER,)),
    Move((), "adopt", (G.DOOMED,), (A.WORKER,)),
    Move((G.INTENDED,), "abandon", (G.ABANDONED,), (A.WORKER,)),
    Move((G.INTENDED,), "send", (G.SENT,), (A.WORKER,)),
    Move((G.SENT,), "answer", (G.ANSWERED,), (A.WORKER,)),
    Move((G.SENT,), "refuse", (G.REFUSED,), (A.WORKER,)),
    Move((G.SENT,), "forget", (G.UNKNOWN,), (A.WORKER,)),
    Move((G.UNKNOWN,), "write off", (G.WRITTEN_OFF,), (A.WORKER,)),
    Move((G.ANSWERED,), "prove", (G.LIVE,), (A.WORKER,)),
    Move((G.ANSWERED, G.LIVE), "doom", (G.DOOMED,), (A.WORKER, A.SYSTEM)),
    Move((G.LIVE,), "replace", (G.REPLACED,), (A.WORKER,)),
    Move((G.DOOMED,), "bury", (G.GONE,), (A.WORKER,)),
)

CREDENTIAL_ENDED = (C.REVOKED, C.LAPSED, C.CANCELLED)
CREDENTIAL_CONNECTED = (C.ISSUING, C.ACTIVE)
"""What has a pair on the helpdesk, or is getting one."""
CREDENTIAL_USABLE = (*CREDENTIAL_CONNECTED, C.LOST)
GRANT_OPEN = (G.INTENDED, G.SENT, G.ANSWERED, G.UNKNOWN)
GRANT_VOID = (G.REFUSED, G.ABANDONED, G.WRITTEN_OFF)
"""Grants that made nothing we own: they do not count as the successor of the one before."""


def sources(machine: tuple[Move, ...], action: str) -> tuple[StrEnum, ...]:
    """The states `action` may start from."""
    return tuple(source for move in machine if move.action == action for source in move.sources)
