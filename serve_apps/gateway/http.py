"""Just enough HTTP for a fast gateway: a route table, bodies of bounded size, and the OpenAI error shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import orjson

from serve_apps.gateway.openai_api import error_body

MAX_BODY_BYTES = 32 * 2**20
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
JSON = b"application/json"


class HttpError(Exception):
    """An answer that is an error, in the OpenAI shape."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = orjson.dumps(error_body(message, kind, param, code))


class Exchange:
    """One HTTP request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self.begun = False
        self.request_id: bytes | None = None

    def header(self, name: bytes) -> str | None:
        """A header by its lower-case name; None if absent."""
        for key, value in self.scope["headers"]:
            if key == name:
                return bytes(value).decode("latin-1")
        return None

    async def body(self) -> bytes:
        """The whole body. Raises `HttpError` 413 if it is too large, `ConnectionError` if the client left."""
        chunks, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("client left while sending")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise HttpError(413, f"body larger than {MAX_BODY_BYTES} bytes")
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def gone(self) -> None:
        """Returns when the client has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def reply(
        self, status: int, body: bytes, kind: bytes = JSON, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        """A whole answer."""
        await self._begin(
            status, [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *headers]
        )
        await self._send({"type": "http.response.body", "body": body})

    async def stream(self, chunks: AsyncIterator[bytes]) -> None:
        """Server-sent events. The status line waits for the first chunk, so that an early failure has its
        own."""
        async for chunk in chunks:
            if not self.begun:
                await self._begin(
                    200, [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
                )
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def event(self, body: bytes) -> None:
        """A last event on a stream that has begun, then its end."""
        await self._send({"type": "http.response.body", "body": b"data: " + body + b"\n\n"})

    async def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self.request_id is not None:
            headers.append((b"x-request-id", self.request_id))
        self.begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})


Handler = Callable[[Exchange], Awaitable[None]]


class App:
    """An ASGI application over a table of path to method to handler."""

    def __init__(self, routes: Mapping[str, Mapping[str, Handler]]) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope; only plain HTTP is spoken."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        try:
            await self._find(scope)(exchange)
        except HttpError as error:
            await _fail(exchange, error)
        except (ConnectionError, asyncio.CancelledError):
            return

    def _find(self, scope: Scope) -> Handler:
        path, method = scope["path"], scope["method"]
        methods = self._routes.get(path)
        if methods is None and path.startswith("/v1/models/"):
            methods = self._routes.get("/v1/models/{model}")
        if methods is None:
            raise HttpError(404, f"no such path: {method} {path[:200]}", code="not_found")
        handler = methods.get(method)
        if handler is None:
            allowed = ", ".join(sorted(methods)).encode()
            message = f"{method} is not allowed on {path[:200]}"
            raise HttpError(405, message, code="method_not_allowed", headers=((b"allow", allowed),))
        return handler


async def _fail(exchange: Exchange, error: HttpError) -> None:
    if exchange.begun:
        await exchange.event(error.body)
    else:
        await exchange.reply(error.status, error.body, headers=error.headers)
