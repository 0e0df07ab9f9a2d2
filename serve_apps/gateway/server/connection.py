"""One client's connection: gathers heads, feeds bodies, answers requests one after the other, refuses early.

It is always in one stage. `head`: waiting for a request, or gathering its head. `body`: the request is being served and
the rest of its body comes in. `answer`: all of the request is here; what the client sends meanwhile waits. `linger`:
our last word is said, the rest is thrown away so that the client can read it. All but `answer` have a time limit.
"""

from __future__ import annotations

import asyncio
from functools import partial
from math import inf
from typing import Literal, cast

import h11
from starlette.types import ASGIApp

from serve_apps.gateway.http import HttpError, answer_id
from serve_apps.gateway.server.body import RETRY, Body
from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.cycle import Cycle, refusal
from serve_apps.gateway.server.head import Head, chunks_after, line_of, look, malformed, read_head
from serve_apps.gateway.server.hosts import Guard
from serve_apps.gateway.server.outlet import Outlet
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.wire.trace import HEADER

Stage = Literal["head", "body", "answer", "linger"]
PIPELINED = 64 * 1024
"""Bytes of later requests that are read while one is answered."""
ASKING = "/v1/"
"""Below it is what gives the gateway work to do; health, metrics and control are answered however late it is."""
FAREWELL_S = 1.0
"""Wall seconds after which a client that has said its last word is asked whether it still waits."""


class Connection(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, app: ASGIApp, guard: Guard, settings: HttpSettings, books: Books) -> None:
        self._app = app
        self._guard = guard
        self._settings = settings
        self._books = books
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._out: Outlet
        self._stage: Stage = "head"
        self._since = self._heard = self._loop.time()
        """When the present stage began, and when the client last sent something, by the loop's clock."""
        self._buffer = bytearray()
        """Received and not read yet."""
        self._looked = 0
        """Bytes of the buffer that are no whole head."""
        self._raw = b""
        """The head of a request that has no cycle yet."""
        self._cycle: Cycle | None = None
        """The request that is read or answered; between two, the last one."""
        self._body: Body | None = None
        self._task: asyncio.Task[None] | None = None
        self._wasted = 0
        self._half_closed = self._greeted = False

    # -- what the transport says --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here: it has a place, or is told that there is none."""
        self._transport = cast(asyncio.Transport, transport)
        self._out = Outlet(self._transport, self._settings.stall_s)
        if self._books.enter(self):
            return
        if self._books.turn_away(self):
            busy = "too many connections; try again"
            self._refuse(HttpError(503, busy, "server_error", code="busy", headers=RETRY))
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        self._heard = self._loop.time()
        if self._stage == "linger":
            self._wasted += len(data)
            if self._wasted > self._settings.body_bytes:
                self._transport.abort()
            return
        if self._stage == "head" and not self._buffer:
            self._since = self._heard
        if self._stage == "body" and not self._buffer:
            self._go_on(data)
            return
        self._buffer += data
        self._go_on()

    def eof_received(self) -> bool:
        """The client sends nothing more; it may still read."""
        self._half_closed = True
        if self._stage == "head" and self._buffer:
            self._go_on()
        if self._stage == "body" or (self._stage == "head" and self._buffer):
            self._refuse(malformed("it was cut short"))
        self._heard = self._loop.time()
        self._hear_no_more()
        return self._stage == "answer"

    def connection_lost(self, error: Exception | None) -> None:
        """It is over, for whatever reason."""
        self._books.leave(self)
        self._stage = "linger"
        self._buffer.clear()
        self._out.resume()
        if self._cycle is not None:
            self._cycle.leave()

    def pause_writing(self) -> None:
        """The client leaves too much unread."""
        self._out.pause()

    def resume_writing(self) -> None:
        """It has read most of it."""
        self._out.resume()

    # -- making room --------------------------------------------------------------------------------------

    def silent_since(self) -> float | None:
        """When the client last sent something, by the loop's clock; None while it waits for us."""
        return self._heard if self._stage in ("head", "body") else None

    def make_room(self) -> None:
        """Close it in favour of another."""
        if self._stage == "body" or self._buffer:
            self._refuse(_too_slow())
        self._out.close()

    # -- one request after the other ----------------------------------------------------------------------

    def _go_on(self, body: bytes = b"") -> None:
        """Do what can be done with what is in the buffer, or with more of a body while there is nothing in it."""
        try:
            if self._stage == "head":
                self._gather()
            if self._stage == "body":
                data = body or bytes(self._buffer)
                self._buffer.clear()
                self._feed(data)
        except HttpError as error:
            self._refuse(error)
        if self._stage == "answer" and len(self._buffer) > PIPELINED:
            self._transport.pause_reading()

    def _gather(self) -> None:
        """Begin a request if its head is complete. Raises `HttpError`."""
        while self._buffer.startswith(b"\r\n"):  # some clients end a body with one line too many
            del self._buffer[:2]
        if not self._buffer:
            return
        size = look(self._buffer, self._looked, self._settings)
        self._looked = len(self._buffer)
        if size < 0:
            return
        self._raw = raw = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._looked = 0
        head = read_head(raw, self._settings)
        chunks = chunks_after(raw, self._settings) if head.length is None else None
        origin = head.header(b"origin")
        self._guard.check(head.host, None if origin is None else origin.decode("latin-1"), head.path)
        if self._books.overloaded and head.path.startswith(ASKING):
            raise HttpError(503, self._overload(), "server_error", code="overloaded", headers=RETRY)
        self._begin(head, chunks)

    def _overload(self) -> str:
        late_s = self._books.late_s
        return f"overloaded: the gateway is {late_s:.1f} s late, more than {self._settings.late_s:g} s; try again"

    def _begin(self, head: Head, chunks: h11.Connection | None) -> None:
        self._body = body = Body(head, chunks, self._settings, self._books)
        self._cycle = cycle = Cycle(head, self)
        self._raw = b""
        self._enter("body")
        around = {
            "client": self._transport.get_extra_info("peername"),
            "server": self._transport.get_extra_info("sockname"),
            "state": {"json_values": self._settings.values},
        }
        self._task = self._loop.create_task(cycle.run(self._app, around))
        self._task.add_done_callback(lambda _: body.free())

    def _feed(self, data: bytes) -> None:
        """Give the request what has come of its body. Raises `HttpError`."""
        assert self._cycle is not None
        assert self._body is not None
        fed = self._body.feed(data, self._cycle)
        if fed == "all":
            self._buffer += self._body.rest()
            self._enter("answer")
            self._next()
        elif fed == "turn":
            self._transport.pause_reading()
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._stage in ("head", "body"):
            self._transport.resume_reading()
            self._go_on()
            self._hear_no_more()

    def _next(self) -> None:
        """Once a request is read and answered: on to the next one, or close."""
        cycle = self._cycle
        if cycle is None or not cycle.over or self._stage not in ("body", "answer"):
            return
        if cycle.closes:
            self._end()
        elif self._stage == "answer":
            self._enter("head")
            self._loop.call_soon(self._resume)

    # -- what a cycle says --------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send it, or nothing if the client is gone."""
        if len(data) > self._settings.small_body_bytes:
            self._books.freed_bytes += len(data)
        self._out.write(data)

    async def writable(self) -> None:
        """Wait while the client leaves too much unread."""
        await self._out.writable()

    def answered(self, status: int) -> None:
        """The answer to the present request is complete."""
        self._books.answers[status] += 1
        self._next()

    def cut(self) -> None:
        """The answer cannot be completed: the connection ends without the rest of it."""
        self._refuse(HttpError(500, "the gateway failed", "server_error", code="internal_error"))

    # -- the end ------------------------------------------------------------------------------------------

    def _refuse(self, error: HttpError) -> None:
        """Say why, and no more than that. A request that is being answered already is cut off."""
        if self._stage == "linger":
            return
        cycle, serving = self._cycle, self._stage in ("body", "answer")
        if cycle is not None and serving:
            if cycle.begun:
                (self._out.close if cycle.over else self._transport.abort)()
                cycle.leave()
                return
            cycle.leave()
        said = (
            cycle.head.header
            if cycle is not None and serving
            else partial(line_of, self._raw or self._buffer)
        )
        around = self._guard.readable_by(said(b"origin")) if error.code != "wrong_origin" else ()
        trace = [] if (told := said(HEADER)) is None else [told]
        self._out.write(refusal(error, answer_id(said(b"x-request-id")), around, trace))
        self._books.answers[error.status] += 1
        self._end()

    def _end(self) -> None:
        """Our last word is said: hear the client out for a while, and close."""
        self._buffer.clear()
        self._enter("linger")
        if self._half_closed:
            self._out.close()
        else:
            self._out.end()
            self._transport.resume_reading()

    def _hear_no_more(self) -> None:
        """After the client's last word: look whether it waits for its answer, or close."""
        if self._half_closed and self._stage == "head":
            self._out.close()

    # -- time limits --------------------------------------------------------------------------------------

    def look(self, now_s: float) -> None:
        """See whether the client has had its time, or is gone."""
        self._out.look(now_s)
        if self._half_closed and self._stage == "answer" and now_s > self._heard + FAREWELL_S:
            self._look_after()
        elif now_s < self._until() or self._transport.is_closing():
            return
        elif self._stage == "body" or (self._stage == "head" and self._buffer):
            self._refuse(_too_slow())
        else:
            self._out.close()

    def _look_after(self) -> None:
        """A client that sends no more waits, or is gone without a word: what we send to one that is gone comes back."""
        assert self._cycle is not None
        if self._out.is_gone():
            self._transport.abort()
        elif not (self._greeted or self._cycle.begun) and self._cycle.head.version == "1.1":
            self._greeted = True
            self._cycle.greet()

    def _enter(self, stage: Stage) -> None:
        self._stage, self._since = stage, self._loop.time()

    def _until(self) -> float:
        """When the time for the present stage is over, by the loop's clock."""
        settings = self._settings
        if self._stage == "head":
            waits = not self._buffer and self._cycle is not None
            return self._since + (settings.keep_alive_s if waits else settings.header_s)
        if self._stage == "body":
            return min(self._since + settings.body_s, self._heard + settings.quiet_s)
        return self._since + settings.linger_s if self._stage == "linger" else inf


def _too_slow() -> HttpError:
    return HttpError(408, "the request came too slowly", "server_error", code="request_timeout")
