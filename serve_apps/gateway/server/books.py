"""What all connections of the server hold together, and what it has answered."""

from __future__ import annotations

from collections import Counter
from heapq import nsmallest
from typing import Protocol

from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.observe.metrics import LAG_S
from serve_apps.observe.samples import Histogram


class Guest(Protocol):
    """A connection, as far as its place goes."""

    def silent_since(self) -> float | None:
        """When the client last sent something; None while it waits for us."""
        ...

    def make_room(self) -> None:
        """Close it in favour of another."""
        ...

    def look(self, now_s: float) -> None:
        """See whether its time is over, by the event loop's clock."""
        ...


class Books:
    """Counts of one gateway process, since it started."""

    def __init__(self, settings: HttpSettings) -> None:
        self.settings = settings
        self.connections: set[Guest] = set()
        self._leaving: set[Guest] = set()
        """Without a place: they read why, and are closed."""
        self.body_bytes = 0
        """Of the bodies in the gateway, small ones apart."""
        self.freed_bytes = 0
        """Of large bodies and answers that are gone since somebody last gave their memory back."""
        self.answers: Counter[int] = Counter()
        """HTTP status to answers."""
        self.lag = Histogram(LAG_S)
        """Looks at the event loop, by how late it was, wall seconds."""
        self.late_s = 0.0
        """How late it was at the last look."""

    def enter(self, connection: Guest) -> bool:
        """Let a connection in, in place of the most silent ones if all places are taken; False if nobody makes room."""
        if len(self.connections) >= self.settings.connections:
            silent = [(since, id(c), c) for c in self.connections if (since := c.silent_since()) is not None]
            if not silent:
                return False
            for _, _, chosen in nsmallest(1 + len(self.connections) // 32, silent):
                self.connections.discard(chosen)
                self._leaving.add(chosen)
                chosen.make_room()
        self.connections.add(connection)
        return True

    def turn_away(self, connection: Guest) -> bool:
        """Keep it only until it has read that there is no place; False if too many are reading that already."""
        if len(self._leaving) >= self.settings.connections:
            return False
        self._leaving.add(connection)
        return True

    def leave(self, connection: Guest) -> None:
        """It is closed."""
        self.connections.discard(connection)
        self._leaving.discard(connection)

    def look(self, now_s: float) -> None:
        """Have every connection see whether its time is over, by the event loop's clock."""
        for connection in (*self.connections, *self._leaving):
            connection.look(now_s)

    def hold(self, size: int) -> bool:
        """Take so many bytes of bodies into the gateway; False if they do not fit now."""
        if self.body_bytes + size > self.settings.bodies_bytes:
            return False
        self.body_bytes += size
        return True

    def free(self, size: int) -> None:
        """Bytes of a body are gone."""
        self.body_bytes -= size
        self.freed_bytes += size

    def late(self, lag_s: float) -> None:
        """The event loop woke somebody so much too late."""
        self.late_s = lag_s
        self.lag.observe(lag_s)

    @property
    def overloaded(self) -> bool:
        """Whether the event loop is too late for anything more to be taken in."""
        return self.late_s > self.settings.late_s
