"""What both ends of a line have in common: a socket between a gateway and a replica of the same machine and user.

They write frames, each a head and a pickle. Whose the other end is the kernel is asked before a byte of it is read: a
pickle may do whatever it likes with whoever loads it. Why there is a line at all: docs/decisions/0041.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import pickle
import socket
import struct
from abc import ABC, abstractmethod
from typing import Any, cast

from serve_apps.wire.calls import LONGEST_S, Unreached

log = logging.getLogger("edgebed")

READY, SERVE, STREAM, GIVE_UP, MORE, ITEM, END, BROKE, LEAVING = range(9)
"""Kinds of frames. A gateway says `SERVE` and `STREAM` (a `Work`), `GIVE_UP` (nobody waits for it) and `MORE` (so many
items of a stream were taken); a replica `READY`, once, `ITEM` (an `Answer` or a `Delta`), `END` of a stream, `BROKE`
(the kind of exception), and `LEAVING`: it takes no further call."""
SWITCH = "EDGEBED_LINES"
"""Environment variable; `off`: every call goes by Serve's handle."""
LONGEST = 2**30
"""Bytes of a frame."""
WINDOW = 64
"""Items of a stream that are under way, or wait for who reads it; a replica that has sent as many waits."""
_HEAD = struct.Struct("<IBQ")
"""Bytes that follow it, kind, number of the call."""
_CREDENTIALS = struct.Struct("3i")
"""Process, user and group at the other end."""
_FULL, _EMPTY = 4 * 2**20, 2**20
"""Bytes not yet written from which on whoever writes waits, and down to which."""


class Corrupt(ValueError):
    """No frame of ours."""


class Frames:
    """Cuts what arrives into frames, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._kept = bytearray()
        """What came of a frame that is not whole."""
        self._needed = _HEAD.size

    def cut(self, data: bytes) -> list[tuple[int, int, memoryview]]:
        """Kind, number and pickle of every frame that is whole now. Raises `Corrupt`."""
        view = memoryview(data)
        if self._kept:
            self._kept += data
            if len(self._kept) < self._needed:
                return []
            view = memoryview(self._kept)
        frames, at, left = [], 0, len(view)
        self._needed = _HEAD.size
        while left >= _HEAD.size:
            length, kind, number = _HEAD.unpack_from(view, at)
            if length > LONGEST or kind > LEAVING:
                raise Corrupt(f"kind {kind}, {length} bytes")
            if left < _HEAD.size + length:
                self._needed = _HEAD.size + length
                break
            start = at + _HEAD.size
            at, left = start + length, left - _HEAD.size - length
            frames.append((kind, number, view[start:at]))
        self._kept = bytearray(view[at:])
        return frames


def frame(kind: int, number: int, what: Any = None) -> tuple[bytes, ...]:
    """Head and pickle, if there is one. Raises `Corrupt` for what is too long, and whatever its pickling raises."""
    if what is None:
        return (_HEAD.pack(0, kind, number),)
    body = pickle.dumps(what, 5)
    if len(body) > LONGEST:
        raise Corrupt(f"{len(body)} bytes in a frame")
    return _HEAD.pack(len(body), kind, number), body


def address(*parts: str) -> str:
    """Abstract address of the replica that these parts tell from all others; it may have 107 bytes."""
    return "\0edgebed-line-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def same_user(sock: socket.socket) -> bool:
    """Whether the process at the other end runs as our user, by the kernel."""
    said = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(said)
    return bool(uid == os.geteuid())


class LineEnd(asyncio.Protocol, ABC):
    """One end of a line."""

    def __init__(self) -> None:
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        """None before it is known whose the other end is, and after the end."""
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask whose the other end is."""
        made = cast(asyncio.Transport, transport)
        if not same_user(made.get_extra_info("socket")):
            log.error("a process of another user is at the end of a line: it is closed")
            asyncio.get_running_loop().call_soon(made.abort)  # uvloop takes it for a fault of its own in here
            return
        made.set_write_buffer_limits(_FULL, _EMPTY)
        self._transport = made
        self.begun()

    def data_received(self, data: bytes) -> None:
        """Hear every frame that is whole; what is none of ours ends the line."""
        if self._transport is None:
            return
        try:
            for kind, number, body in self._frames.cut(data):
                self.heard(kind, number, body)
        except Exception as error:  # whatever a pickle of another build does
            log.error("what came over a line is not understood: %s", type(error).__name__)
            self.close(at_once=True)

    def connection_lost(self, error: Exception | None) -> None:
        """The other end is gone."""
        self._transport = None
        self._room.set()
        self.ended()

    def pause_writing(self) -> None:
        """The other end does not read as fast."""
        self._room.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._room.set()

    def say(self, kind: int, number: int = 0, what: Any = None) -> None:
        """Write a frame; after the end nobody hears it. Raises as `frame` does."""
        said = frame(kind, number, what)
        if self._transport is not None:
            self._transport.writelines(said)

    async def room(self) -> None:
        """Wait until the other end reads. Raises `Unreached` if the line ends, or nothing is read for too long."""
        if not self._room.is_set():
            try:
                async with asyncio.timeout(LONGEST_S):
                    await self._room.wait()
            except TimeoutError as error:
                raise Unreached("nobody reads at the other end of the line") from error
        if self._transport is None:
            raise Unreached("the line is at its end")

    def close(self, at_once: bool = False) -> None:
        """End it; the other end hears of that, and of what was said before unless it is `at_once`."""
        transport, self._transport = self._transport, None
        if transport is not None:
            (transport.abort if at_once else transport.close)()

    @abstractmethod
    def begun(self) -> None:
        """The other end is one of ours."""

    @abstractmethod
    def heard(self, kind: int, number: int, body: memoryview) -> None:
        """A frame arrived."""

    @abstractmethod
    def ended(self) -> None:
        """Nothing more will arrive, and nothing more is heard."""
