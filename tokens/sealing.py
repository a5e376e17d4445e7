"""How secrets are kept at rest: AES-256-GCM under a ring of keys, bound to the row they belong to.

Two rings: the portal's (access halves, codes), which web processes hold, and the workers' (refresh
halves, the service token). A text copied to another row, table or owner does not open.
"""

import base64
import hashlib
import hmac
import os
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class Unsealable(Exception):
    """A sealed text does not open: its key is missing, or it was changed or moved."""


class Place(NamedTuple):
    """Where a sealed text belongs; it opens nowhere else."""

    table: str
    row: int
    owner: str


class Ring:
    """Keys, newest first: the first one seals, all of them open."""

    def __init__(self, name: str, keys: list[bytes]) -> None:
        if not keys:
            raise ImproperlyConfigured(f"{name} is not set; this process cannot do without it.")
        self._keys = {_key_id(key): key for key in keys}
        self._newest = _key_id(keys[0])

    def seal(self, plain: str, place: Place) -> str:
        """`plain` as text that only opens for the same table, row and owner."""
        nonce = os.urandom(12)
        sealed = AESGCM(self._keys[self._newest]).encrypt(nonce, plain.encode(), _bound_to(place))
        return f"v1.{self._newest}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, place: Place) -> str:
        """What was sealed. Raises `Unsealable`."""
        try:
            _, key_id, body = sealed.split(".")
            raw = base64.urlsafe_b64decode(body)
            opened = AESGCM(self._keys[key_id]).decrypt(raw[:12], raw[12:], _bound_to(place))
        except (ValueError, KeyError, InvalidTag) as error:
            raise Unsealable(f"A secret of {place.table} {place.row} does not open.") from error
        return opened.decode()

    def is_stale(self, sealed: str) -> bool:
        """Whether `sealed` should be sealed again under the newest key."""
        return not sealed.startswith(f"v1.{self._newest}.")

    def fingerprint(self, token: str) -> str:
        """A keyed digest by which a leaked token can be looked up; says nothing without the key."""
        return f"{self._newest}:{self._digest(self._newest, token)}"

    def fingerprints(self, token: str) -> list[str]:
        """The fingerprint of `token` under every key of the ring."""
        return [f"{key_id}:{self._digest(key_id, token)}" for key_id in self._keys]

    def _digest(self, key_id: str, token: str) -> str:
        key = hashlib.sha256(b"keydesk fingerprint" + self._keys[key_id]).digest()
        return hmac.new(key, token.encode(), hashlib.sha256).hexdigest()


def portal_ring() -> Ring:
    """The ring of access halves and codes, which web and workers hold."""
    return Ring("SEALING_KEYS", settings.SEALING_KEYS)


def worker_ring() -> Ring:
    """The ring of refresh halves and service tokens, which only workers hold."""
    return Ring("WORKER_SEALING_KEYS", settings.WORKER_SEALING_KEYS)


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"keydesk key id" + key).hexdigest()[:8]


def _bound_to(place: Place) -> bytes:
    return "|".join(str(part) for part in place).encode()
