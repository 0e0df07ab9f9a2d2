"""The sending side of a connection: bounded while the client does not read, cut when it never does."""

from __future__ import annotations

import asyncio
import socket

_TCP_CLOSED = 7
"""State of a socket whose other end has said that it is gone (linux/tcp_states.h)."""


class Outlet:
    """What goes to one client."""

    def __init__(self, transport: asyncio.Transport, stall_s: float) -> None:
        """`stall_s`: wall seconds the client may leave everything unread."""
        self._transport = transport
        self._stall_s = stall_s
        self._free = asyncio.Event()
        self._free.set()
        self._sent = self._read = 0
        """Bytes we gave to the connection, and those of them its client's system has taken."""
        self._unread_since_s = 0.0

    def write(self, data: bytes) -> None:
        """Send it, or nothing if the connection is over."""
        if not self._transport.is_closing():
            self._sent += len(data)
            self._transport.write(data)

    async def writable(self) -> None:
        """Wait while the client leaves too much unread."""
        await self._free.wait()

    def pause(self) -> None:
        """The client leaves too much unread."""
        self._free.clear()

    def resume(self) -> None:
        """It has read most of it, or the connection is over."""
        self._free.set()

    def end(self) -> None:
        """Nothing more will be sent; the client may go on sending."""
        if not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Close the connection once the client has read what it was sent."""
        self._transport.close()

    def look(self, now_s: float) -> None:
        """Cut the connection if the client has read nothing for too long, whatever was added meanwhile."""
        unread = self._transport.get_write_buffer_size()
        read = self._sent - unread
        if not unread or read != self._read:
            self._read, self._unread_since_s = read, now_s
        elif now_s - self._unread_since_s > self._stall_s:
            self._transport.abort()

    def is_gone(self) -> bool:
        """Whether the client's system has answered something we sent with: there is no such connection."""
        sock: socket.socket = self._transport.get_extra_info("socket")
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == bytes((_TCP_CLOSED,))
