"""A server of raw bytes for the connector's tests: it answers badly, in any way one can spell."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Reply = Callable[[socket.socket], None]
TLSWrap = Callable[[socket.socket], socket.socket]


@dataclass
class Seen:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class RawServer:
    """Listens on a free loopback port; each request gets the next reply, the last one for ever."""

    replies: list[Reply]
    wrap: TLSWrap | None = None
    seen: list[Seen] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._listen)]
        self.threads[0].start()

    @property
    def url(self) -> str:
        return f"http{'s' if self.wrap else ''}://127.0.0.1:{self.port}"

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                thread = threading.Thread(target=self._serve, args=[connection])
                self.threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            secured = self.wrap(connection) if self.wrap else connection
            with secured:
                self.seen.append(_read(secured))
                self.replies[min(len(self.seen), len(self.replies)) - 1](secured)

    def end(self) -> None:
        self.ended.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)


def _read(connection: socket.socket) -> Seen:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += _some(connection)
    return Seen(first, headers, body)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise OSError("The other side went away.")
    return data


@contextmanager
def serving(*replies: Reply, wrap: TLSWrap | None = None) -> Iterator[RawServer]:
    """A server for the length of a block."""
    server = RawServer(list(replies), wrap)
    try:
        yield server
    finally:
        server.end()


def answer(status: int, body: Any = b"", **headers: str) -> Reply:
    """A proper answer; a body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in named.items()]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + data)


def raw(data: bytes) -> Reply:
    """These bytes and nothing else."""
    return lambda connection: connection.sendall(data)


def dripping(head: bytes, drop: bytes, *, every: float = 0.05, times: int = 400) -> Reply:
    """`head` at once, then `drop` again and again, so that no read ever times out."""

    def reply(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(times):
            threading.Event().wait(every)
            connection.sendall(drop)

    return reply


def silent(connection: socket.socket) -> None:
    """Nothing at all, until the other side goes."""
    connection.recv(1)


def reset(connection: socket.socket) -> None:
    """A reset instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


@dataclass
class OpenGate:
    """A gate that lets everything through and keeps what it was told."""

    deadline: float = 5.0
    entered: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)

    def enter(self) -> None:
        self.entered += 1

    def heard(self, **said: Any) -> None:
        self.told.append(said)
