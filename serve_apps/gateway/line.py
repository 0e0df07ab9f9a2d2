"""The gateway's end of a line to a replica, and which replicas there is a line to."""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any

from serve_apps.wire.calls import LONGEST_S, Unreached
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
from serve_apps.wire.messages import Answer, Delta, Items, Work

log = logging.getLogger("edgebed")

LOOK_S = 4.0
"""Wall seconds a replica has to say where it listens, and to answer there."""
AGAIN_S = 5.0
"""Wall seconds from one look for a line to the next; longer than one takes."""
_LOST = -1
"""In the place of a kind: the line is at its end."""

_SOME = WINDOW // 2
"""Items of a stream that are handed on together at most, and taken before the replica is told."""
_LITTLE = 2**16
"""Bytes from which on nothing more is handed on together with what is here: clients read slowly."""

Frame = tuple[int, memoryview]
"""Kind and pickle."""
Heard = asyncio.Queue[Frame]


class Line(LineEnd):
    """Calls to one replica. What it raises is `Unreached`: the replica is lost, or the attempt broke there."""

    def __init__(self, app: str) -> None:
        """`app`: whose replica it leads to."""
        super().__init__()
        self._app = app
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.open = False
        """Whether new calls are taken."""
        self._numbers = count(1)
        self._calls: dict[int, Heard] = {}

    async def serve(self, work: Work) -> Answer:
        """One attempt, whole. Whoever leaves before its end has given it up."""
        number, heard = await self._begin(SERVE, work)
        over = False
        try:
            kind, body = await self._next(heard)
            over = True
            answer: Answer = self._item(kind, body)
            return answer
        finally:
            self._leave(number, over)

    async def stream(self, work: Work) -> AsyncIterator[Items]:
        """One attempt, its text on the way, the `Answer` last. Whoever leaves before that has given it up."""
        number, heard = await self._begin(STREAM, work)
        taken, over = 0, False
        try:
            while not over:
                first = await self._next(heard)
                items, end = self._together(first, heard)
                over = end is not None or (bool(items) and isinstance(items[-1], Answer))
                if items:
                    yield items
                taken += len(items)
                if taken >= _SOME and not over:
                    self.say(MORE, number, taken)
                    taken = 0
            if end is not None and end[0] != END:
                self._item(*end)
        finally:
            self._leave(number, over)

    def _together(self, frame: Frame, heard: Heard) -> tuple[list[Delta | Answer], Frame | None]:
        """What of a stream is here from this frame on, up to its end."""
        items: list[Delta | Answer] = []
        size = 0
        while frame[0] == ITEM:
            items.append(self._item(*frame))
            size += len(frame[1])
            if heard.empty() or len(items) == _SOME or size > _LITTLE or isinstance(items[-1], Answer):
                return items, None
            frame = heard.get_nowait()
        return items, frame

    async def _begin(self, kind: int, work: Work) -> tuple[int, Heard]:
        """Send an attempt off; its number, and where it is heard."""
        try:
            await self.room()
            number = next(self._numbers)
            self.say(kind, number, work)
        except Exception as error:  # whatever the pickling of it raises
            raise self._lost(
                f"not sent: {error if isinstance(error, Unreached) else _kind(error)}"
            ) from error
        heard = self._calls[number] = Heard()
        return number, heard

    async def _next(self, heard: Heard) -> Frame:
        """The next frame of a call."""
        if not heard.empty():
            return heard.get_nowait()
        try:
            async with asyncio.timeout(LONGEST_S):
                return await heard.get()
        except TimeoutError as error:
            raise self._lost("it says nothing") from error

    def _item(self, kind: int, body: memoryview) -> Any:
        """What a replica sent."""
        if kind == _LOST:
            raise self._lost("its process is gone")
        try:
            what = pickle.loads(body)
        except Exception as error:  # whatever a pickle of another build does
            raise self._lost(f"its answer cannot be read: {_kind(error)}") from error
        if kind == BROKE:
            raise self._lost(what)
        return what

    def _leave(self, number: int, over: bool) -> None:
        """Nobody hears a call any more."""
        del self._calls[number]
        if not over:
            self.say(GIVE_UP, number)

    def _lost(self, why: str) -> Unreached:
        return Unreached(f"{self._app}: {why}")

    # -- what the replica says ------------------------------------------------------------------------------

    def begun(self) -> None:
        """See `LineEnd`. It may be stopped: there is a line once it speaks."""

    def heard(self, kind: int, number: int, body: memoryview) -> None:
        """See `LineEnd`. Of a call that was given up there may still be something under way."""
        if kind == READY:
            self.open = True
            if not self.ready.done():
                self.ready.set_result(None)
        elif kind == LEAVING:
            self.open = False
        elif number in self._calls:
            self._calls[number].put_nowait((kind, body))

    def ended(self) -> None:
        """See `LineEnd`."""
        self.open = False
        if not self.ready.done():
            self.ready.set_exception(self._lost("it closed the line"))
        for heard in self._calls.values():
            heard.put_nowait((_LOST, memoryview(b"")))


def _kind(error: Exception) -> str:
    """An exception's words may be a client's."""
    return type(error).__name__


async def connect(where: str, app: str) -> Line:
    """A line to the replica that listens there, once that has spoken.

    Raises `OSError` if nobody does on this machine, and `Unreached` if it is none of ours. Wait for it with a limit.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.connect(where)  # at once, or there is no room for another who waits to be let in
        _, line = await asyncio.get_running_loop().create_unix_connection(partial(Line, app), sock=sock)
    except BaseException:
        sock.close()
        raise
    try:
        await line.ready
    except BaseException:
        line.close()
        raise
    return line


class Lines:
    """Lines to the replicas of this machine, by application. Looks for one when a call is to be made, and at most
    every `AGAIN_S`, since it is by a call through Serve that one is found."""

    def __init__(self, where: Callable[[str], Awaitable[str]]) -> None:
        """`where`: where the replica of an application listens; raises `Unreached`."""
        self._where = where
        self._lines: dict[str, Line] = {}
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._looked_s: dict[str, float] = {}

    def of(self, app: str) -> Line | None:
        """The line to the replica of an application; None: there is none now."""
        line = self._lines.get(app)
        if line is not None and line.open:
            return line
        if time.monotonic() - self._looked_s.get(app, -AGAIN_S) >= AGAIN_S:
            self._looked_s[app] = time.monotonic()
            self._looks[app] = asyncio.ensure_future(self.look(app))
        return None

    async def look(self, app: str) -> None:
        """Find the line to an application's replica, if it has one here. Takes `LOOK_S` at most."""
        self._looked_s[app] = time.monotonic()
        if app in self._lines and self._lines[app].open:
            return
        try:
            async with asyncio.timeout(LOOK_S):
                self._lines[app] = await connect(await self._where(app), app)
        except (Unreached, OSError, TimeoutError) as error:  # as it is with each one of another machine
            log.debug("%s: no line to its replica: %s", app, _kind(error))
        else:
            log.info("%s: there is a line to its replica", app)
