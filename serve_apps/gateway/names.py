"""Ids of the requests in one run: a client's word for its request becomes an id that no other request has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from emulation.domain.request_id import another

SEEN_BITS = 1 << 23
"""Bits in which names are remembered, 1 MB. After a million requests one new name in forty counts as borne already."""
_PLACES = 4
"""Bits per name."""


class NameTaken(Exception):
    """A request of this name is in flight."""


class Seen:
    """Which names came, in memory that does not grow: a Bloom filter (Bloom 1970, CACM 13/7).

    Of a name that came it never says that it did not; of a new one it may say that it came.
    """

    def __init__(self, bits: int) -> None:
        """`bits`: a multiple of 8."""
        self._bits = bits
        self._array = bytearray(bits // 8)

    def add(self, name: str) -> bool:
        """Remember a name; whether it may have come before."""
        first, step = divmod(hash(name) & (1 << 62) - 1, 1 << 31)
        known = True
        for place in (((first + n * (step | 1)) % self._bits) for n in range(_PLACES)):
            byte, bit = place >> 3, 1 << (place & 7)
            known = known and bool(self._array[byte] & bit)
            self._array[byte] |= bit
        return known


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
        self._seen = Seen(SEEN_BITS)
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
        if self._first and not self._seen.add(client_id):
            return client_id
        return another(client_id, f"{self._mark}{next(self._numbers)}")
