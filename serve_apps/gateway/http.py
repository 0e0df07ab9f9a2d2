"""HTTP over ASGI, no more than the gateway needs: bodies of JSON, streams, errors in the OpenAI shape.

Starlette's router finds the path. Between it and a handler stands nothing but an `Endpoint`, which turns what a
handler raises into an answer.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from emulation.domain.request_id import may_be_given
from serve_apps.gateway.json_text import SHORT, count, without_strings
from serve_apps.wire.secret import Secret
from serve_apps.wire.trace import HEADER, trace_of

log = logging.getLogger("edgebed")

JSON = b"application/json"
CHALLENGE = ((b"www-authenticate", b'Bearer realm="edgebed"'),)
"""What an answer 401 says of how to ask."""
BRIEF_BYTES = 64 * 1024
"""A body up to this size is read by the event loop itself; a larger one by a thread."""
BRIEF_VALUES = 4096
"""So is one that has not more values than this."""
OBJECT_VALUES = 8
"""As so many values an object counts: made up of nothing but `{}` a body takes 150 times its size in memory."""
JSON_VALUES = 500_000
"""Most values in a body, where the server says nothing else (`HttpSettings.values`)."""
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|([,\[{])', re.S)
"""Strings of a JSON text, and what stands before or between its values; looks at no byte twice."""
_CHARSETS = ("", "utf-8", "utf8", "us-ascii")
Headers = tuple[tuple[bytes, bytes], ...]
T = TypeVar("T")
SILENCE_S = 15.0
"""Wall seconds without a chunk of a stream after which a comment says that it goes on."""
STILL_HERE = b": still here\n\n"
ONCE: Headers = ((b"x-should-retry", b"false"),)
"""Of an answer that must not make a client send its request again by itself; OpenAI's own clients obey it."""


@dataclass(eq=False)
class HttpError(Exception):
    """An answer that is an error, in the OpenAI shape."""

    status: int
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: Headers = ()

    def body(self) -> dict[str, Any]:
        """What the client reads."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class ClientLeft(Exception):
    """The client has closed the connection: nobody is there to be answered."""


class Exchange:
    """One HTTP request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._begun = False
        self._one_by_one = asyncio.Lock()
        """Events of a stream, and what is said while there are none."""
        self._said_s = 0.0
        """When the last of them was sent, by the loop's clock."""
        self.also: Headers = ()
        """Headers of its answer beside its own, whatever it is."""
        self._named: dict[bytes, bytes] = {key: bytes(value) for key, value in reversed(scope["headers"])}
        """Each header's first value."""
        self.request_id = answer_id(self._raw(b"x-request-id"))
        """The client's name for its request, or ours; in the headers of every answer."""
        self.trace = trace_of([bytes(value) for key, value in scope["headers"] if key == HEADER])
        """The trace it belongs to; in the headers of every answer."""

    def header(self, name: bytes) -> str | None:
        """A header by its lower-case name; None if absent."""
        found = self._raw(name)
        return None if found is None else found.decode("latin-1")

    def bearer(self) -> bytes | None:
        """The key or token the client gave, once and as `Bearer`, however that is spelt; None: it gave none."""
        given = [bytes(value) for key, value in self.scope["headers"] if key == b"authorization"]
        if len(given) != 1:
            return None
        scheme, _, credentials = given[0].partition(b" ")
        return credentials.strip(b" ") if scheme.lower() == b"bearer" else None

    def bears(self, secret: Secret) -> bool:
        """Whether the client gave this key or token."""
        given = self.bearer()
        return given is not None and hmac.compare_digest(given, secret.value.encode())

    async def parsed(self, read: Callable[[bytes], T]) -> T:
        """What `read` makes of the body, which is JSON; one that takes long is read by a thread: the loop goes on.

        Raises `HttpError` 415 for a body that says it is something else, 413 for one of too many values, `ClientLeft`
        if the client left.
        """
        self._check_kind()
        raw = await self._body()
        most = self.scope.get("state", {}).get("json_values", JSON_VALUES)
        if len(raw) <= BRIEF_BYTES and not has_more_values(raw, min(BRIEF_VALUES, most)):
            return read(raw)

        def bounded() -> T:
            if has_more_values(raw, most):
                raise HttpError(413, f"more than {most} values in one body", code="body_too_large")
            return read(raw)

        return await asyncio.to_thread(bounded)

    def _check_kind(self) -> None:
        kind, _, options = (self.header(b"content-type") or "").lower().partition(";")
        charset = next(
            (o.partition("=")[2] for o in options.split(";") if o.strip().startswith("charset=")), ""
        )
        if kind.strip() != "application/json" or charset.strip(' "') not in _CHARSETS:
            raise HttpError(415, "Content-Type must be application/json", code="unsupported_media_type")
        if (self.header(b"content-encoding") or "identity").strip().lower() != "identity":
            plain = ((b"accept-encoding", b"identity"),)
            raise HttpError(415, "send the body uncompressed", code="unsupported_media_type", headers=plain)

    async def _body(self) -> bytes:
        chunks = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(chunks)

    def _raw(self, name: bytes) -> bytes | None:
        return self._named.get(name)

    async def unless_left(self, serving: Awaitable[T]) -> T:
        """What the work brings. If the client leaves first, the work is cancelled and `ClientLeft` raised."""
        here, left = asyncio.current_task(), False
        assert here is not None, "somebody serves it"

        def leave(_: asyncio.Future[None]) -> None:
            nonlocal left
            left = True
            here.cancel()

        gone = asyncio.ensure_future(self._gone())
        gone.add_done_callback(leave)
        try:
            return await serving
        except asyncio.CancelledError:
            if not left or here.uncancel():  # somebody else wants it to end
                raise
            raise ClientLeft from None
        finally:
            gone.remove_done_callback(leave)
            gone.cancel()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def json(self, body: Any, status: int = 200, headers: Headers = ()) -> None:
        """A whole answer in JSON."""
        await self.reply(status, orjson.dumps(body), JSON, headers)

    async def reply(self, status: int, body: bytes, kind: bytes, headers: Headers = ()) -> None:
        """A whole answer."""
        await self._begin(status, (b"content-type", kind), (b"content-length", b"%d" % len(body)), *headers)
        await self._send({"type": "http.response.body", "body": body})

    async def stream(self, chunks: AsyncIterator[bytes], silence_s: float | None = None) -> None:
        """Server-sent events. The status line waits for the first chunk: a failure before it has its own status.

        After `silence_s` wall seconds (None: `SILENCE_S`) without a chunk a comment is sent, which clients skip: nobody
        on the way takes the connection for dead.
        """
        beating = asyncio.ensure_future(self._beat(SILENCE_S if silence_s is None else silence_s))
        try:
            async for chunk in chunks:
                await self._event(chunk)
                await asyncio.sleep(0)  # others have their turn, also if the chunks never wait for anything
        finally:
            beating.cancel()
            await asyncio.wait((beating,))  # what it has begun to send is whole
            _ = (
                beating.cancelled() or beating.exception()
            )  # of a client that is gone, which the stream hears too
        await self._send({"type": "http.response.body", "body": b""})

    async def _beat(self, limit_s: float) -> None:
        """Say that a stream goes on whenever it has said nothing for so long."""
        loop = asyncio.get_running_loop()
        self._said_s = loop.time()
        while True:
            await asyncio.sleep(self._said_s + limit_s - loop.time())
            if loop.time() >= self._said_s + limit_s:
                await self._event(STILL_HERE)

    async def _event(self, chunk: bytes) -> None:
        async with self._one_by_one:
            if not self._begun:
                kind = (b"content-type", b"text/event-stream")
                await self._begin(200, kind, (b"cache-control", b"no-cache"))
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._said_s = asyncio.get_running_loop().time()

    async def fail(self, error: HttpError) -> None:
        """The error as the answer, or as the last event of a stream that has begun."""
        if self._begun:
            await self._send({"type": "http.response.body", "body": sse(error.body())})
        else:
            await self.json(error.body(), error.status, error.headers)

    async def _begin(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        named = [*headers, *self.also, (b"x-request-id", self.request_id), (HEADER, self.trace.header())]
        start = {"type": "http.response.start", "status": status, "headers": named}
        await self._send(start)
        self._begun = True


Handler = Callable[[Exchange], Awaitable[None]]


class Endpoint:
    """The ASGI application of one path, which has one method (and HEAD with GET): any other is answered 405."""

    def __init__(self, handler: Handler, method: str | None = None) -> None:
        self._handler = handler
        self._method = method

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. What the handler did not mean to raise is logged and answered 500."""
        exchange = Exchange(scope, receive, send)
        try:
            if self._method is not None and scope["method"] not in _allowed(self._method):
                raise _not_allowed(scope, self._method)
            await self._handler(exchange)
        except HttpError as error:
            await exchange.fail(error)
        except (ClientLeft, asyncio.CancelledError):
            return
        except Exception:
            about = {"request_id": exchange.request_id.decode("latin-1"), "private": True}
            log.exception("%s %s failed", scope["method"], scope["path"][:200], extra=about)
            await exchange.fail(HttpError(500, "the gateway failed", "server_error", code="internal_error"))


def router(endpoints: Iterable[tuple[str, str, Handler]]) -> Router:
    """Starlette's router over (method, path, handler), tried in this order; other paths are answered 404."""
    routes = [Route(path, Endpoint(handler, method)) for method, path, handler in endpoints]
    return Router(routes, redirect_slashes=False, default=Endpoint(_not_found))


async def _not_found(exchange: Exchange) -> None:
    method, path = exchange.scope["method"][:40], exchange.scope["path"]
    raise HttpError(404, f"no such path: {method} {path[:200]}", code="not_found")


def _not_allowed(scope: Scope, method: str) -> HttpError:
    message = f"{scope['method'][:40]} is not allowed on {scope['path'][:200]}"
    return HttpError(
        405, message, code="method_not_allowed", headers=((b"allow", ", ".join(_allowed(method)).encode()),)
    )


def _allowed(method: str) -> tuple[str, ...]:
    return ("GET", "HEAD") if method == "GET" else (method,)


def answer_id(given: bytes | None) -> bytes:
    """The id an answer carries: the client's own if it is 1 to 128 letters, digits or `_.:/-`, else a new one."""
    named = given is not None and may_be_given(given.decode("latin-1"))
    return given if given is not None and named else b"x-" + uuid.uuid4().hex.encode()


def has_more_values(raw: bytes, most: int) -> bool:
    """Whether a JSON text has more values than this, an object being `OBJECT_VALUES`: what it costs to read goes by
    their number."""
    outside = without_strings(raw) if len(raw) > SHORT else None
    text = raw if outside is None else outside
    if count(text, b",") + count(text, b"[") + OBJECT_VALUES * count(text, b"{") <= most:
        return False
    if outside is not None:
        return True
    values = 0
    for found in _TOKENS.finditer(raw):
        values += OBJECT_VALUES if found[1] == b"{" else found[1] is not None
        if values > most:
            return True
    return False


def sse(payload: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"
