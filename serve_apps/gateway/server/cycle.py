"""One request and its answer, as the ASGI application sees them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol

import orjson
from starlette.types import ASGIApp, Message, Scope

from serve_apps.gateway.http import JSON, Headers, HttpError, answer_id
from serve_apps.gateway.server.head import Head
from serve_apps.wire.trace import HEADER, trace_of

log = logging.getLogger("edgebed")

CLOSE = (b"connection", b"close")
_WORTH = 4 * 2**20
"""Bytes of a body that the application is given before there are more: it wants all of it, and a megabyte comes in
twenty pieces."""
_BRIEF = 64 * 1024
"""Bytes of a body nobody wants that are still read, so that the connection can go on."""


class Line(Protocol):
    """The connection below, as far as a cycle goes."""

    def write(self, data: bytes) -> None:
        """Send it, or nothing if the client is gone."""
        ...

    async def writable(self) -> None:
        """Wait while the client leaves too much unread."""
        ...

    def answered(self, status: int) -> None:
        """The answer is complete."""
        ...

    def cut(self) -> None:
        """The answer cannot be completed."""
        ...


class Cycle:
    """A request whose body comes in with `take`, and whose answer goes out over the line."""

    def __init__(self, head: Head, line: Line) -> None:
        self.head = head
        self.received = 0
        """Bytes of the body so far."""
        self.complete = False
        """All of the request is here."""
        self.over = False
        """Nothing more of the answer is sent: it is complete, or the client is gone."""
        self.begun = False
        self.closes = False
        """The connection ends with this answer."""
        self._asks_on = head.expects
        self._line = line
        self._chunks: list[bytes] = []
        self._gathered = 0
        """Bytes of them."""
        self._changed = asyncio.Event()
        self._told = False
        """The application has read the whole body."""
        self._status = 0
        self._in_chunks = False

    # -- from the client ----------------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """More of the body; dropped if nobody will read it."""
        self.received += len(data)
        if not self.over:
            self._chunks.append(data)
            self._gathered += len(data)
            if self._gathered >= _WORTH:
                self._changed.set()

    def end(self) -> None:
        """That was all of it."""
        self.complete = True
        self._changed.set()

    def leave(self) -> None:
        """The client is gone, or has been answered otherwise."""
        self.over = True
        self._chunks.clear()
        self._changed.set()

    def greet(self) -> None:
        """Say that we listen: an interim answer, which clients read over."""
        self._line.write(first_lines(100, []))

    # -- the application ----------------------------------------------------------------------------------

    async def run(self, app: ASGIApp, around: Mapping[str, Any]) -> None:
        """Have the application answer; one that does not is cut off. `around`: what its scope has beside the head."""
        try:
            await app({**_scope(self.head), **around}, self.receive, self.send)
        except Exception:
            where = (self.head.method, self.head.path[:200])
            log.exception("%s %s broke its answer off", *where, extra={"private": True})
        finally:
            if not self.over:
                self._line.cut()

    async def receive(self) -> Message:
        """Part of the body, or that the client is gone."""
        if self._asks_on and not self.over:
            self._asks_on = False
            self.greet()
        while not (self.over or self._gathered >= _WORTH or (self.complete and not self._told)):
            await self._changed.wait()
            self._changed.clear()
        if self.over:
            return {"type": "http.disconnect"}
        body, self._told = b"".join(self._chunks), self.complete
        self._chunks.clear()
        self._gathered = 0
        return {"type": "http.request", "body": body, "more_body": not self.complete}

    async def send(self, message: Message) -> None:
        """Part of the answer."""
        await self._line.writable()
        if self.over:
            return
        if message["type"] == "http.response.start":
            self._begin(message["status"], list(message.get("headers", ())))
            return
        body = b"" if self.head.method == "HEAD" else message.get("body", b"")
        over = not message.get("more_body", False)
        if self._in_chunks:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"0\r\n\r\n" if over else b"")
        self._line.write(body)
        if over:
            self.over = True
            self._line.answered(self._status)

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        named = {name for name, _ in headers}
        if b"x-request-id" not in named:
            headers.append((b"x-request-id", answer_id(self.head.header(b"x-request-id"))))
        if HEADER not in named:
            headers.append((HEADER, trace_of(self.head.all(HEADER)).header()))
        bodiless = status in (204, 304) or self.head.method == "HEAD" or b"content-length" in named
        self._in_chunks = not bodiless and self.head.version == "1.1"
        self.closes = self.head.version == "1.0" or self._bids_farewell() or self._leaves_much_unread()
        if self._in_chunks:
            headers.append((b"transfer-encoding", b"chunked"))
        if self.closes:
            headers.append(CLOSE)
        self.begun, self._status = True, status
        self._line.write(first_lines(status, headers))

    def _leaves_much_unread(self) -> bool:
        """Whether the client sends, or waits to be asked for, more of a body nobody wants than is worth reading."""
        if self.complete:
            return False
        return self._asks_on or self.head.length is None or self.head.length - self.received > _BRIEF

    def _bids_farewell(self) -> bool:
        said = [value.lower() for name, value in self.head.headers if name == b"connection"]
        return any(token.strip() == b"close" for value in said for token in value.split(b","))


def _scope(head: Head) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": head.version,
        "method": head.method,
        "scheme": "http",
        "path": head.path,
        "raw_path": head.raw_path,
        "query_string": head.query,
        "root_path": "",
        "headers": list(head.headers),
    }


def first_lines(status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Status line and headers of an answer. Raises `ValueError` for a header that would break out of its line."""
    lines = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode())]
    lines += [b"%b: %b" % header for header in headers]
    text = b"\r\n".join((*lines, b"", b""))
    if text.count(b"\n") != len(lines) + 1 or text.count(b"\r") != len(lines) + 1:
        raise ValueError("a line end in a header")
    return text


def refusal(error: HttpError, request_id: bytes, around: Headers = (), trace: Sequence[bytes] = ()) -> bytes:
    """An answer that ends the connection before any application was asked; `around`: headers it has beside its own.

    `trace`: what the request says of the trace it belongs to.
    """
    body = orjson.dumps(error.body())
    headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), (b"x-request-id", request_id)]
    headers.append((HEADER, trace_of(trace).header()))
    return first_lines(error.status, [*headers, *error.headers, *around, CLOSE]) + body
