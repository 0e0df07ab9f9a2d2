"""A bound on a whole request to a model's server, whatever it does: its client by itself gives up only where nothing
comes for a while, so one that sends a little now and then, of its head or of its body, would never end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any
from weakref import WeakSet

import httpx2

_CONNECTED = ("connection.connect_tcp.complete", "connection.start_tls.complete")
"""What the client's `trace` extension tells of a connection: from then on it has this socket."""


class Deadline:
    """Breaks the connections of one HTTP client, which sends one request at a time."""

    def __init__(self) -> None:
        self._sockets: WeakSet[socket.socket] = WeakSet()

    def hooks(self) -> dict[str, list[Callable[..., Any]]]:
        """Event hooks of the client, by which its connections are known."""
        return {"request": [self._watch]}

    @contextmanager
    def within(self, limit_s: float) -> Iterator[Callable[[], bool]]:
        """Every connection is broken once this takes so many seconds; yields whether that was done."""
        late = []

        def end() -> None:
            late.append(True)
            for each in tuple(self._sockets):
                with suppress(
                    OSError
                ):  # not closed: another thread reads from it, and its number must stay its own
                    each.shutdown(socket.SHUT_RDWR)

        timer = Timer(limit_s, end)
        timer.daemon = True
        timer.start()
        try:
            yield lambda: bool(late)
        finally:
            timer.cancel()

    def _watch(self, request: httpx2.Request) -> None:
        request.extensions["trace"] = self._seen

    def _seen(self, event: str, told: dict[str, Any]) -> None:
        if event in _CONNECTED:
            self._sockets.add(told["return_value"].get_extra_info("socket"))
