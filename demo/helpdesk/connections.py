"""The bare connection under a request: is the caller still there, what it is sent, how it is closed.

gunicorn hands its socket to the application. Everything written here comes instead of the answer,
so the connection is always closed afterwards.
"""

import contextlib
import select
import socket
import time

from django.http import HttpRequest, HttpResponse, HttpResponseBase

DRIP = 1.0
"""Seconds between two drops."""
MOST_DROPS = 3_600
_MOST_BYTES = 64 * 1024 * 1024
_PATIENCE = 30.0
"""Seconds a caller who stops reading can hold a thread of the helpdesk."""


def connection_of(request: HttpRequest) -> socket.socket:
    """The caller's connection."""
    connection: socket.socket = request.META["gunicorn.socket"]
    return connection


def has_left(connection: socket.socket, *, within: float = 0.0) -> bool:
    """Whether the caller closes within so many seconds; returns as soon as it does."""
    watch = select.poll()
    try:
        watch.register(connection, select.POLLIN)
        if not watch.poll(within * 1_000):
            return False
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except (OSError, ValueError):
        return True


def hang_up(connection: socket.socket) -> None:
    """Close it under whatever gunicorn still wants to send."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def drip_body(connection: socket.socket, response: HttpResponseBase) -> None:
    """The head at once, then the body one byte a second, until it is whole or the caller leaves."""
    head, body = _written(response)
    _send(connection, head)
    for place in range(len(body)):
        if has_left(connection, within=DRIP) or not _send(connection, body[place : place + 1]):
            return


def drip_headers(connection: socket.socket, response: HttpResponseBase) -> None:
    """Header lines without an end, one byte a second; the body never comes."""
    head, _ = _written(response)
    _send(connection, head.removesuffix(b"\r\n"))
    for drop in (b"X-Drop: %d\r\n" % number for number in range(MOST_DROPS)):
        for place in range(len(drop)):
            if has_left(connection, within=DRIP) or not _send(connection, drop[place : place + 1]):
                return


def send_without_end(connection: socket.socket, response: HttpResponseBase) -> None:
    """The answer's first half, then blanks until the caller leaves."""
    head, body = _written(response)
    lines = (line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length"))
    blanks = b" " * 65_536
    _send(connection, b"\r\n".join(lines) + body[: len(body) // 2])
    for _ in range(_MOST_BYTES // len(blanks)):
        if not _send(connection, blanks):
            return


def cut_short(connection: socket.socket, response: HttpResponseBase) -> None:
    """Half of the body that the head promises."""
    head, body = _written(response)
    _send(connection, head + body[: len(body) // 2])


def send_garbage(connection: socket.socket, _response: HttpResponseBase) -> None:
    """Bytes that are no HTTP."""
    _send(connection, b"\x00\x01 not an answer\r\n\r\n")


def keep_open(connection: socket.socket, seconds: float) -> None:
    """Nothing at all for so many seconds, or until the caller leaves."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if has_left(connection, within=left):
            return


def _written(response: HttpResponseBase) -> tuple[bytes, bytes]:
    body = response.content if isinstance(response, HttpResponse) else b""
    told = {name: value for name, value in response.items() if name != "Content-Length"}
    lines = [f"HTTP/1.1 {response.status_code} {response.reason_phrase}"]
    lines += [f"{name}: {value}" for name, value in told.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode(), body


def _send(connection: socket.socket, data: bytes) -> bool:
    """Whether it could be sent."""
    try:
        connection.settimeout(_PATIENCE)
        connection.sendall(data)
    except OSError:
        return False
    return True
