"""Ids of the requests in one run: a client's word for its request becomes an id that no other request has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from emulation.domain.request_id import another

KEPT = 200_000
"""Names that are remembered; a request that comes later never has its client's word alone as its id."""


class NameTaken(Exception):
    """A request of this name is in flight."""


class Names:
    """Gives out ids in one gateway process of one run; nothing waits in here, so a look and its claim are one step."""

    def __init__(self, gateway: int = 0) -> None:
        """`gateway`: how many gateway processes took up this run before this one.

        What they called their requests is not known here, so only the first one ever uses a client's word alone.
        """
        self.gateway = gateway
        self._mark = f"{gateway}." if gateway else ""
        self._first = gateway == 0
        self._in_flight: set[str] = set()
        self._used: set[str] = set()
        self._numbers = count(2)

    @contextmanager
    def claimed(self, client_id: str) -> Iterator[str]:
        """The id of a request that its client calls so, for as long as it is served. Raises `NameTaken`."""
        if client_id in self._in_flight:
            raise NameTaken(client_id)
        self._in_flight.add(client_id)
        try:
            yield self._id(client_id)
        finally:
            self._in_flight.discard(client_id)

    def _id(self, client_id: str) -> str:
        if self._first and client_id not in self._used and len(self._used) < KEPT:
            self._used.add(client_id)
            return client_id
        return another(client_id, f"{self._mark}{next(self._numbers)}")
