"""Where messages go besides people's mail, and of what kinds they are: what a destination is, and what its settings may say.

Read by portal/settings.py, so nothing of Django is imported here.
"""

import base64
import binascii
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

SIGNED, SLACK, TEAMS = "signed", "slack", "teams"
SHAPES = (SIGNED, SLACK, TEAMS)
MAIL = ""
"""The place of people's mail, beside the names of destinations."""


class Kind(StrEnum):
    """What happens that somebody is told of. An event is its kind, a colon, and what it happened to."""

    REQUEST_WAITS = "request.waits"
    REQUEST_ENDED = "request.ended"
    REQUEST_COMMENTED = "request.commented"
    STANDS_IN = "person.stands_in"
    CONNECT_WAITING = "connect.waiting"
    CONNECT_FAILED = "connect.failed"
    ACCESS_WORKS = "access.works"
    ENDS_SOON = "access.ends_soon"
    ACCESS_ENDED = "access.ended"
    ACCESS_REVOKED = "access.revoked"
    ACCESS_LOST = "access.lost"


def kind_of(event: str) -> str:
    """An event without what it happened to."""
    return event.partition(":")[0]


KINDS = (
    Kind.REQUEST_WAITS, Kind.REQUEST_ENDED, Kind.CONNECT_WAITING, Kind.ENDS_SOON,
    Kind.ACCESS_ENDED, Kind.ACCESS_REVOKED, Kind.ACCESS_LOST,
)  # fmt: skip
"""What a destination can be told of: the names in `WEBHOOK_<NAME>_EVENTS`, and the `type` of what is signed.

Personal ones are left out: what people wrote to each other, and that somebody can take their key.
"""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PREFIX = "whsec_"
_LEAST_KEY, _MOST_KEY = 24, 64
"""Bytes of a signing secret, as the Standard Webhooks specification has them."""


@dataclass(frozen=True)
class Destination:
    """One address that is told. Neither the address nor the secrets are ever shown: each is a key to it."""

    name: str
    url: str = field(repr=False)
    shape: str = SIGNED
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    """Newest first; each signs, so that the receiver can change over in peace."""
    kinds: frozenset[str] = frozenset(KINDS)

    @property
    def missing(self) -> str:
        """The setting a worker lacks to send to it; "" when none."""
        return f"{prefix_of(self.name)}_SECRET" if self.shape == SIGNED and not self.secrets else ""


def prefix_of(name: str) -> str:
    """How the variables of a destination begin in the environment: `WEBHOOK_OPS`."""
    return f"WEBHOOK_{name.upper().replace('-', '_')}"


def fault_of_address(url: str, *, may_be_local: bool) -> str:
    """What is wrong with an address, as the end of a sentence that does not quote it; "" when nothing.

    Plain http is for this machine alone, and there only where `may_be_local`.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address; write https://host/path"
    if parts.scheme == "https" and host:
        return ""
    if parts.scheme == "http" and host in LOOPBACK:
        return "" if may_be_local else "is plain http; write an https:// address"
    return "is no https address; write https://host/path"


def signing_secrets(text: str) -> tuple[bytes, ...]:
    """The secrets of a comma-separated list. Raises `ValueError`, which quotes none of them."""
    return tuple(_secret(word.strip()) for word in text.split(",") if word.strip())


def _secret(word: str) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not word.startswith(_PREFIX) or not _LEAST_KEY <= len(key) <= _MOST_KEY:
        raise ValueError(
            f"holds a secret that is not {_PREFIX} and the base64 of {_LEAST_KEY} to {_MOST_KEY} bytes"
        )
    return key
