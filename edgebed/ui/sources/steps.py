"""What was so from which moment on, in the order of time, however late each was told."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Steps(Generic[T]):
    """Each step holds from its moment to that of the next; of what was told for one moment, the last counts."""

    def __init__(self) -> None:
        self._told: list[tuple[float, T]] = []
        self._moments: list[float] = []

    def __len__(self) -> int:
        return len(self._told)

    def add(self, t_s: float, what: T) -> None:
        """From this moment on it is so."""
        place = bisect_right(self._moments, t_s)
        self._moments.insert(place, t_s)
        self._told.insert(place, (t_s, what))

    def at(self, t_s: float) -> T | None:
        """What is so at this moment; None if nobody has told."""
        place = bisect_right(self._moments, t_s)
        return self._told[place - 1][1] if place else None

    def until(self, t_s: float) -> Sequence[tuple[float, T]]:
        """Everything that was told for up to this moment."""
        return self._told[: bisect_right(self._moments, t_s)]
