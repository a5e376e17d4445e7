"""Where a secret must never be seen: `leaked`. Looks for what was handed out, and for anything of a secret's form."""

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from tests.resilience.oracle.rules.finding import Finding, View

_HEADS = tuple(
    base64.urlsafe_b64encode(f'{{"alg":"HS256","typ":"{kind}+jwt"}}'.encode()).rstrip(b"=")
    for kind in ("at", "rt")
)
FORMS = re.compile(
    rb"(?:%s)\.[\w-]{20,}" % b"|".join(_HEADS)  # a token of the demo helpdesk
    + rb"|\bkds_[0-9A-Za-z]{38}\b"  # a client secret of the portal
    + rb"|[?&](?:code|state|client_secret|refresh_token|access_token)=[\w.~%-]{16,}"
)
_BODY = re.compile(rb'"body": ?"([A-Za-z0-9+/=]{8,})"')
_LARGEST = 200_000_000
_ACROSS = 2_000
"""Bytes a secret may span."""
_TAIL = 16
"""So many characters at its end tell one token from another."""


def in_bytes(data: bytes) -> bool:
    """Whether a secret stands in it, as it is or in the body of a message."""
    if FORMS.search(data):
        return True
    return any(FORMS.search(_opened(body)) for body in _BODY.findall(data))


def _opened(body: bytes) -> bytes:
    try:
        return base64.b64decode(body)
    except binascii.Error:
        return b""


def in_addresses(view: View) -> Iterator[Finding]:
    """The addresses the helpdesk was called at."""
    for address in view.desk.addresses:
        if in_bytes(address.encode()):
            yield Finding("leaked", f"a secret stands in an address: {address[:40]}…")
    view.desk.addresses.clear()


def in_files(folders: list[Path]) -> Iterator[Finding]:
    """Logs, and what the broker keeps on disk."""
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path.stat().st_size < _LARGEST and in_bytes(path.read_bytes()):
                yield Finding("leaked", f"a secret stands in {path.name}")


def in_growth(folders: list[Path], read_so_far: dict[Path, int]) -> Iterator[Finding]:
    """The same, of what was written since the last time, and a little before it."""
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            with path.open("rb") as file:
                file.seek(max(0, read_so_far.get(path, 0) - _ACROSS))
                data = file.read(_LARGEST)
            read_so_far[path] = path.stat().st_size
            if in_bytes(data):
                yield Finding("leaked", f"a secret stands in {path.name}")


def in_texts(texts: Iterator[tuple[str, str, str]], tokens: set[str]) -> Iterator[Finding]:
    """The database's columns. Sealed texts hold nothing of a secret's form."""
    tails = {token[-_TAIL:] for token in tokens}
    lengths = {len(tail) for tail in tails}
    for table, column, text in texts:
        if in_bytes(text.encode()) or (text.count(".") >= 2 and _has_one_of(tails, lengths, text)):
            yield Finding("leaked", f"a secret stands in {table}.{column}")


def _has_one_of(tails: set[str], lengths: set[int], text: str) -> bool:
    """Whether any of them stands anywhere in the text; as fast for ten thousand as for one."""
    return any(
        text[at : at + length] in tails
        for length in lengths
        for at in range(len(text) - length + 1)
    )


def in_broker(url: str) -> Iterator[Finding]:
    """Every key of the broker and its value; a broker that is away holds nothing to see."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2) as client:
            for key in client.scan_iter(count=500):
                if in_bytes(key) or in_bytes(_value(client, key)):
                    yield Finding("leaked", f"a secret stands in the broker, in {key[:60]!r}")
    except redis.RedisError:
        return


def _value(client: Any, key: bytes) -> bytes:
    reads = {
        b"string": lambda: client.get(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1),
        b"hash": lambda: client.hgetall(key),
    }
    read = reads.get(client.type(key))
    found = read() if read else b""
    if isinstance(found, dict):
        found = [part for pair in found.items() for part in pair]
    return found if isinstance(found, bytes) else b"\n".join(found or [])
