"""One HTTP request with one deadline, and whether it was sent. What an answer means is the caller's business.

Whether a failed request was sent is seen at the connection itself, not guessed from the library's
exceptions: nothing sent is `Retry`, anything sent without a whole answer is `Unknown`. Each request has
a connection of its own, because a kept one that the other side closes makes a sent write unknown.

No proxy, cookie or password file of the environment takes part, no redirect is followed, nothing is
sent twice, TLS is verified, nothing is logged.
"""

import json
import logging
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool

from tokens.connectors.base import GiveUp, Retry, Unknown

CONNECT_WITHIN = 3.0
"""Seconds to wait for a connection to one address of the other side."""
LARGEST_ANSWER = 1024 * 1024
"""Bytes of a body, decoded, that are read at most."""
_CHUNK = 64 * 1024
_HEADERS = {"User-Agent": "Keydesk", "Accept-Encoding": "identity", "Connection": "close"}
# Its one warning quotes the lines it could not read, and a token may stand in them.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
# At DEBUG it writes each path, and in a destination's path stands its secret.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


@dataclass(frozen=True, repr=False)
class Answer:
    """An answer that was read to its end. `headers` finds names whatever their case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whose: str = "The helpdesk"
    """The other side, at the beginning of a sentence."""

    def __repr__(self) -> str:
        return f"Answer({self.status})"

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Raises `Unknown` for HTML, nothing, or anything else."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unknown(f"{self.whose}'s answer ({self.status}) is not JSON.") from None


def prepare(
    method: str, url: str, *, headers: Mapping[str, str], **parts: Any
) -> requests.PreparedRequest:
    """The request, ready to send: `parts` are those of `requests.Request`.

    Raises `GiveUp`, outside of the library's own error, which quotes the address or the header.
    """
    with suppress(requests.RequestException, ValueError):
        return requests.Request(method, url, headers={**_HEADERS, **headers}, **parts).prepare()
    raise GiveUp("Keydesk could not put the request together.", code="unsendable")


def perform(
    prepared: requests.PreparedRequest, deadline: float, *, whose: str = "The helpdesk"
) -> Answer:
    """Send and read within `deadline` seconds, whatever the library does. Raises `Retry` and `Unknown`.

    `whose` names the other side at the beginning of a sentence.

    A thread does the work: no time-out of `requests` stops a server that drips, or a name look-up that hangs.
    """
    watch, done, outcome = _Watch(), Event(), list[Answer | Exception]()

    def work() -> None:
        try:
            outcome.append(_send(prepared, watch, deadline, whose))
        except Exception as error:
            outcome.append(error)
        finally:
            done.set()

    Thread(target=work, name="remote-call", daemon=True).start()
    try:
        is_in_time = done.wait(deadline)
    finally:
        was_sent = watch.stop()
    result = outcome[0] if is_in_time else None
    if isinstance(result, Answer):
        return result
    raise _failure(result, whose, was_sent=was_sent, deadline=deadline)


def _failure(
    error: Exception | None, whose: str, *, was_sent: bool, deadline: float
) -> Retry | Unknown:
    """The verdict on a request without a whole answer; `error` is None when the deadline fired."""
    if isinstance(error, _TooLong):
        return Unknown(f"{whose}'s answer is longer than {LARGEST_ANSWER // 1024} KiB.")
    if not was_sent:
        if isinstance(error, requests.exceptions.SSLError):
            return Retry(f"{whose}'s TLS certificate could not be verified; nothing was sent.")
        why = type(error).__name__ if error else f"not within {deadline:g} s"
        return Retry(f"{whose} could not be reached ({why}); nothing was sent.")
    if error is None or isinstance(error, requests.exceptions.Timeout):
        return Unknown(f"{whose} did not answer within {deadline:g} s.")
    return Unknown(f"{whose}'s answer broke off ({type(error).__name__}).")


def _send(
    prepared: requests.PreparedRequest, watch: "_Watch", deadline: float, whose: str
) -> Answer:
    """One request over one watched connection. The adapter alone follows and repeats nothing."""
    timeouts = (min(CONNECT_WITHIN, deadline), deadline)
    with (
        closing(_Adapter(watch)) as adapter,
        adapter.send(prepared, stream=True, timeout=timeouts, verify=True) as response,
    ):
        return Answer(response.status_code, response.headers, _body(response), whose)


def _is_plain(status: int) -> bool:
    """Whether the status alone is the verdict, so that the body need not be waited for."""
    return 300 <= status < 400 or status in {408, 429} or status >= 500


def _body(response: requests.Response) -> bytes:
    """The body, where the status does not say everything."""
    if _is_plain(response.status_code):
        return b""
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise _TooLong
    return bytes(body)


class _TooLong(Exception):
    """The body passed `LARGEST_ANSWER`."""


class _Stopped(Exception):
    """The deadline fired before anything was sent; now nothing may be."""


class _Watch:
    """What one request has done so far, and the brake on it. Two threads use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._was_sent = False
        self._is_stopped = False

    def opened(self, connection: socket.socket | None) -> None:
        """A connection is up; nothing has been sent."""
        with self._lock:
            self._socket = connection

    def sending(self) -> None:
        """The next thing is a byte on the wire. Raises `_Stopped` when it may not be any more."""
        with self._lock:
            if self._is_stopped:
                raise _Stopped
            self._was_sent = True

    def stop(self) -> bool:
        """Send nothing from now on and end what is under way. Returns whether anything was sent.

        Past `SSLSocket.shutdown`, which would turn encryption off first while the other thread writes.
        """
        with self._lock:
            self._is_stopped = True
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        return self._was_sent


class _Connection(HTTPConnection):
    """A connection that tells its watch before it acts."""

    def __init__(self, *args: Any, watch: _Watch, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watch = watch

    def connect(self) -> None:
        super().connect()
        self._watch.opened(self.sock)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self._watch.sending()
        super().send(data)


class _TLSConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Adapter(HTTPAdapter):
    """The library's adapter for one request, over a watched connection."""

    def __init__(self, watch: _Watch) -> None:
        self._watch = watch
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        """The seam the library documents for subclasses."""
        pool = super().get_connection_with_tls_context(*args, **options)
        assert isinstance(pool, HTTPConnectionPool)
        pool.ConnectionCls = _TLSConnection if pool.scheme == "https" else _Connection
        pool.conn_kw["watch"] = self._watch
        return pool
