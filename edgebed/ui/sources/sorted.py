"""Sorted columns that grow at their end: how many up to a moment, in which order, and what was said last.

What is added waits until somebody asks, and is then merged in: what comes late is nearly in order, and a stable sort of
that takes little more than reading it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FIRST = 1024


class Column:
    """A column of numbers that grows: `values` is all of it, as one array."""

    def __init__(self, dtype: type = float) -> None:
        self._room: NDArray[np.generic] = np.empty(_FIRST, dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> NDArray[np.generic]:
        """A view; it does not grow with the column."""
        return self._room[: self._length]

    def add(self, more: NDArray[np.generic]) -> None:
        """Append these."""
        length = self._length + len(more)
        if length > len(self._room):
            room = np.empty(max(length, 2 * len(self._room)), self._room.dtype)
            room[: self._length] = self.values
            self._room = room
        self._room[self._length : length] = more
        self._length = length


class Instants:
    """Moments, each of which may come more than once."""

    def __init__(self) -> None:
        self._sorted: Floats = np.empty(0)
        self._new: list[Floats] = []

    def add(self, moments: Floats) -> None:
        """More of them, in any order."""
        if len(moments):
            self._new.append(moments)

    @property
    def sorted(self) -> Floats:
        """All of them, in order."""
        if self._new:
            self._sorted = np.sort(np.concatenate([self._sorted, *self._new]), kind="stable")
            self._new = []
        return self._sorted

    def until(self, t_s: float) -> int:
        """How many are not after this moment."""
        return int(self.sorted.searchsorted(t_s, side="right"))


class Order:
    """Rows of a table by a key of theirs."""

    def __init__(self) -> None:
        self._rows: Ints = np.empty(0, np.int64)
        self._keys: Floats = np.empty(0)
        self._new: list[tuple[Ints, Floats]] = []

    def add(self, rows: Ints, keys: Floats) -> None:
        """More rows, in any order."""
        if len(rows):
            self._new.append((rows, keys))

    def _merge(self) -> None:
        if self._new:
            keys = np.concatenate([self._keys, *(k for _, k in self._new)])
            rows = np.concatenate([self._rows, *(r for r, _ in self._new)])
            order = np.argsort(keys, kind="stable")
            self._rows, self._keys, self._new = rows[order], keys[order], []

    @property
    def keys(self) -> Floats:
        """The keys, in order."""
        self._merge()
        return self._keys

    @property
    def rows(self) -> Ints:
        """The rows in the order of their keys; of equal keys, the one added first."""
        self._merge()
        return self._rows

    def between(self, after_s: float, until_s: float) -> Ints:
        """Rows whose key is after the one and not after the other."""
        first, last = self.keys.searchsorted((after_s, until_s), side="right")
        return self.rows[first:last]


class Latest:
    """What was said at moments: the last word counts."""

    def __init__(self) -> None:
        self._order = Order()
        self._said = Column()

    def add(self, moments: Floats, values: Floats) -> None:
        """More words, in any order."""
        self._order.add(np.arange(len(self._said), len(self._said) + len(moments)), moments)
        self._said.add(values)

    def at(self, t_s: float) -> float | None:
        """The last word up to this moment; None if there is none, or it is no number."""
        place = int(self._order.keys.searchsorted(t_s, side="right"))
        if not place:
            return None
        value = float(self._said.values[self._order.rows[place - 1]])
        return value if np.isfinite(value) else None
