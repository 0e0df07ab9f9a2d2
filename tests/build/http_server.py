"""The gateway's HTTP server on a loopback socket, without Ray: a made-up run behind it, raw sockets before it."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson
import uvloop

from emulation.domain.request import Request
from serve_apps.gateway.front import Front
from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.listener import listen, open_socket
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Items
from serve_apps.wire.secret import Keys
from tests.build.asgi import CHAT, NO_KEYS, SAID, MadeUpCalls, MadeUpRun

LIMIT_S = 20.0
"""Wall seconds after which a test gives a server up."""


class CountingRun(MadeUpRun):
    """A made-up run that knows who is being served. With `patience`, an answer waits until `go` is set."""

    def __init__(self, *items: Any, waits: bool = False) -> None:
        super().__init__(*items)
        self.serving = 0
        self.go = threading.Event()
        if not waits:
            self.go.set()

    async def stream(self, request: Request, ask: Ask, shadow: str | None = None) -> AsyncIterator[Items]:
        self.serving += 1
        try:
            while not self.go.is_set():
                await asyncio.sleep(0.005)
            async for batch in super().stream(request, ask):
                yield batch
        finally:
            self.serving -= 1


@dataclass
class Got:
    """One answer a client read."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)

    def error(self) -> Any:
        """The error, in OpenAI's shape and no other."""
        found = self.json()["error"]
        assert set(found) == {"message", "type", "param", "code"}
        assert self.headers["x-request-id"]
        return found


@dataclass
class Server:
    """A server in a thread of its own."""

    settings: HttpSettings = field(default_factory=HttpSettings)
    run: CountingRun = field(default_factory=CountingRun)
    keys: Keys = NO_KEYS
    calls: Any = field(default_factory=lambda: MadeUpCalls({"t_s": 1.0}))

    def __enter__(self) -> Self:
        self.books = Books(self.settings)
        self._socket = open_socket("127.0.0.1", 0)
        self.port = self._socket.getsockname()[1]
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def _serve(self) -> None:
        front = Front("127.0.0.1", self.keys, lambda: self.run, self.calls, self.books)  # type: ignore[arg-type,return-value]
        self._task = self._loop.create_task(
            listen(front.app(), self._socket, "127.0.0.1", self.settings, self.books)
        )
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0.01))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(LIMIT_S)

    @contextmanager
    def client(self) -> Iterator[socket.socket]:
        """A connection of a client."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S) as sock:
            yield sock

    def ask(self, *pieces: bytes, half_close: bool = False, pause_s: float = 0.02) -> list[Got]:
        """Send the pieces as packets of their own; every answer until the server closes, or is silent for a while."""
        with self.client() as sock:
            for number, piece in enumerate(pieces):
                if number:
                    time.sleep(pause_s)
                send(sock, piece)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            return answers(read_all(sock))

    def still_serves(self) -> bool:
        """Whether somebody else is served, the books are even again and nobody is left over."""
        assert [got.status for got in self.ask(get("/health", "Connection: close"))] == [200]
        return settled(lambda: self.run.serving == 0 and self.books.body_bytes == 0)


def send(sock: socket.socket, data: bytes) -> None:
    """Send what the server still takes."""
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return


def read_all(sock: socket.socket, silence_s: float = 2.0) -> bytes:
    """Everything until the server closes; what there is if it is silent for so long."""
    sock.settimeout(silence_s)
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except (TimeoutError, ConnectionResetError):
        pass
    return data


def answers(data: bytes) -> list[Got]:
    """The answers in what a client read, interim ones left out."""
    found = []
    for part in re.split(rb"(?=HTTP/1\.[01] \d{3} )", data):
        if not part or part.startswith(b"HTTP/1.1 100"):
            continue
        head, _, body = part.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        found.append(Got(int(first.split()[1]), headers, body))
    return found


def settled(holds: Any) -> bool:
    """Whether it comes true before a test gives up."""
    until = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def get(path: str, *lines: str, version: str = "1.1") -> bytes:
    """A GET."""
    return request("GET", path, *lines, version=version)


def post(path: str = "/v1/chat/completions", body: Any = CHAT, *lines: str, version: str = "1.1") -> bytes:
    """A POST of JSON."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return (
        request(
            "POST",
            path,
            "Content-Type: application/json",
            f"Content-Length: {len(raw)}",
            *lines,
            version=version,
        )
        + raw
    )


def request(method: str, target: str, *lines: str, version: str = "1.1") -> bytes:
    """A head."""
    host = () if any(line.lower().startswith("host:") for line in lines) else ("Host: localhost",)
    text = "\r\n".join((f"{method} {target} HTTP/{version}", *host, *lines, "", ""))
    return text.encode("latin-1")


__all__ = [
    "CHAT",
    "SAID",
    "CountingRun",
    "Got",
    "Server",
    "answers",
    "get",
    "post",
    "read_all",
    "request",
    "settled",
]
