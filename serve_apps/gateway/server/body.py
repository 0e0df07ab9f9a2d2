"""The body of a request on its way in: taken apart, counted, refused as soon as it is too much."""

from __future__ import annotations

from typing import Literal

import h11

from serve_apps.gateway.http import HttpError
from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.cycle import Cycle
from serve_apps.gateway.server.head import Head, malformed, too_large
from serve_apps.gateway.server.settings import HttpSettings

AT_ONCE = 256
"""Pieces of a body that are taken before other connections have their turn."""
Fed = Literal["all", "more", "turn"]
RETRY = ((b"retry-after", b"1"),)


class Body:
    """One body, for the cycle that it belongs to."""

    def __init__(
        self, head: Head, chunks: h11.Connection | None, settings: HttpSettings, books: Books
    ) -> None:
        """`chunks` takes apart what comes in chunks; None: the head says how long it is.

        Raises `HttpError` 503 if a body as large as the head says does not fit beside the others now.
        """
        self._head = head
        self._protocol = chunks
        self._rest = b""
        self._settings = settings
        self._books = books
        self._chunks = self._held = 0
        if head.length is not None and head.length > settings.small_body_bytes:
            self._hold(head.length)

    def feed(self, data: bytes, cycle: Cycle) -> Fed:
        """Give a cycle what came: that was all; more is to come; or it is somebody else's turn first.

        Raises `HttpError` if it is malformed or too large.
        """
        if self._protocol is not None:
            return self._feed_chunks(data, cycle, self._protocol)
        assert self._head.length is not None
        left = self._head.length - cycle.received
        piece, self._rest = data[:left], data[left:]
        if piece:
            cycle.take(piece)
        if len(piece) < left:
            return "more"
        cycle.end()
        return "all"

    def _feed_chunks(self, data: bytes, cycle: Cycle, protocol: h11.Connection) -> Fed:
        if data:
            protocol.receive_data(data)
        for _ in range(AT_ONCE):
            try:
                event = protocol.next_event()
            except h11.RemoteProtocolError as error:
                raise malformed(str(error)[:200]) from error
            if isinstance(event, h11.Data):
                self._count(cycle, len(event.data))
                cycle.take(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._rest = protocol.trailing_data[0]
                cycle.end()
                return "all"
            else:
                return "more"
        return "turn"

    def rest(self) -> bytes:
        """What came after its end."""
        return self._rest

    def free(self) -> None:
        """It is gone from memory."""
        self._books.free(self._held)
        self._held = 0

    def _count(self, cycle: Cycle, more: int) -> None:
        self._chunks += 1
        size = cycle.received + more
        if size > self._settings.body_bytes or self._chunks > self._settings.chunks:
            raise too_large(self._settings)
        if size > max(self._held, self._settings.small_body_bytes) and not cycle.over:
            self._hold(size - self._held)

    def _hold(self, size: int) -> None:
        if not self._books.hold(size):
            message = "too many large bodies at once; try again"
            raise HttpError(503, message, "server_error", code="busy", headers=RETRY)
        self._held += size
