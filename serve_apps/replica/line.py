"""The replica's end of its lines: where gateways of the same machine reach it without Serve."""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Protocol

from serve_apps.wire.calls import LONGEST_S
from serve_apps.wire.line import (
    BROKE,
    END,
    GIVE_UP,
    ITEM,
    LEAVING,
    MORE,
    READY,
    SERVE,
    STREAM,
    WINDOW,
    LineEnd,
)
from serve_apps.wire.messages import Answer, Delta, Work

log = logging.getLogger("edgebed")

WAITING = 64
"""Gateways that may wait to be let in."""
DRAIN_S = 0.8
"""Wall seconds calls have to end once the replica is to go; Serve ends its process after one."""


Call = Callable[[int, memoryview], Awaitable[None]]


class Serving(Protocol):
    """What answers."""

    async def serve(self, work: Work) -> Answer:
        """One attempt, whole."""

    def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """One attempt, text as it comes, the `Answer` last."""


class GatewayLine(LineEnd):
    """The line of one gateway. Every call is a task; all of them end with the line: nobody waits for them."""

    def __init__(self, backend: Serving, lines: set[GatewayLine]) -> None:
        """`lines`: all there are; this one is among them while it lasts."""
        super().__init__()
        self._backend, self._lines = backend, lines
        self.calls: dict[int, asyncio.Task[None]] = {}
        self._windows: dict[int, asyncio.Semaphore] = {}
        """Of each stream, what may still be sent of it."""

    # -- what the gateway says ------------------------------------------------------------------------------

    def begun(self) -> None:
        """See `LineEnd`."""
        self._lines.add(self)
        self.say(READY)

    def heard(self, kind: int, number: int, body: memoryview) -> None:
        """See `LineEnd`."""
        if kind == SERVE:
            self._begin(self._serve, number, body)
        elif kind == STREAM:
            self._windows[number] = asyncio.Semaphore(WINDOW)
            self._begin(self._stream, number, body)
        elif kind == GIVE_UP and number in self.calls:
            self.calls[number].cancel()
        elif kind == MORE and number in self._windows:
            for _ in range(pickle.loads(body)):
                self._windows[number].release()

    def ended(self) -> None:
        """See `LineEnd`."""
        self._lines.discard(self)
        for call in self.calls.values():
            call.cancel()

    # -- calls ----------------------------------------------------------------------------------------------

    def _begin(self, how: Call, number: int, body: memoryview) -> None:
        call = self.calls[number] = asyncio.ensure_future(self._whole(how, number, body))
        call.add_done_callback(lambda _: self._over(number))

    def _over(self, number: int) -> None:
        del self.calls[number]
        self._windows.pop(number, None)

    async def _whole(self, how: Call, number: int, body: memoryview) -> None:
        """A call, from its begin to its end; one that breaks is told."""
        try:
            await how(number, body)
        except asyncio.CancelledError:
            self.say(BROKE, number, "CancelledError")
            raise
        except Exception as error:  # whatever a backend raises, its gateway must hear of it
            log.exception("an attempt broke", extra={"private": True})
            self.say(BROKE, number, type(error).__name__)

    async def _serve(self, number: int, body: memoryview) -> None:
        answer = await self._backend.serve(pickle.loads(body))
        await self.room()
        self.say(ITEM, number, answer)

    async def _stream(self, number: int, body: memoryview) -> None:
        items = self._backend.stream(pickle.loads(body))
        try:
            async for item in items:
                await self._turn(self._windows[number])
                self.say(ITEM, number, item)
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()
        self.say(END, number)

    async def _turn(self, window: asyncio.Semaphore) -> None:
        """Wait until the gateway has taken enough of the items before, and reads."""
        if not window.locked():
            await window.acquire()  # without waiting
        else:
            async with asyncio.timeout(LONGEST_S):
                await window.acquire()
        await self.room()


class Listening:
    """Where a replica listens, once it is `open`."""

    def __init__(self, where: str, backend: Serving) -> None:
        self._where, self._backend = where, backend
        self._lines: set[GatewayLine] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Let gateways in from now on. Raises `OSError` if somebody listens there."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(self._where)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(
                lambda: GatewayLine(self._backend, self._lines), sock=sock, backlog=WAITING
            )
        except BaseException:
            sock.close()
            raise

    async def close(self) -> None:
        """Take no further call, let those under way end if they do so soon, and end every line."""
        if self._server is not None:
            self._server.close()
        for line in self._lines:
            line.say(LEAVING)
        if calls := [call for line in self._lines for call in line.calls.values()]:
            await asyncio.wait(calls, timeout=DRAIN_S)
        for line in tuple(self._lines):
            line.close()
