"""The heap loop and nothing else: events in order of (time, priority, sequence)."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import Any

NODE = 0
"""Completions and lifecycle at a node come before anything else at the same instant."""
FAULT = 1
DELIVERY = 2
CONTROL = 3
"""Slot and epoch ticks see the state after everything that happened up to them ..."""
LANDING = 4
ARRIVAL = 5
"""... and requests arriving at a slot boundary see the decisions of that slot, ..."""
DISPATCHED = 6
"""... but for those of deployment agents that look once these requests are queued."""

Callback = Callable[[Any], None]


class Kernel:
    """Virtual time. `now_s` never goes back: scheduling in the past raises `ValueError`."""

    __slots__ = ("_heap", "_optional", "_sequence", "_stopped", "now_s")

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[tuple[float, int, int, Callback, Any]] = []
        self._sequence = 0
        self._optional = 0
        """Events that `run` does not go on for."""
        self._stopped = False

    def at(self, t_s: float, priority: int, callback: Callback, argument: Any = None) -> None:
        """Call `callback(argument)` at `t_s`."""
        if t_s < self.now_s:
            raise ValueError(f"cannot schedule at {t_s}: it is {self.now_s}")
        self._sequence += 1
        heappush(self._heap, (t_s, priority, self._sequence, callback, argument))

    def if_anything_comes_later(
        self, t_s: float, priority: int, callback: Callback, argument: Any = None
    ) -> None:
        """As `at`, for what `run` does not go on for: it is called only if anything else comes as late."""
        self._optional += 1
        self.at(t_s, priority, self._call_optional, (callback, argument))

    def _call_optional(self, wanted: tuple[Callback, Any]) -> None:
        self._optional -= 1
        callback, argument = wanted
        callback(argument)

    def stop(self) -> None:
        """End `run` after the present event."""
        self._stopped = True

    def run(self, until_s: float = inf) -> None:
        """Process events until none is left that has to come, `stop` is called, or the next one is after `until_s`."""
        heap = self._heap
        while len(heap) > self._optional and not self._stopped:
            if heap[0][0] > until_s:
                self.now_s = until_s
                return
            t_s, _, _, callback, argument = heappop(heap)
            self.now_s = t_s
            callback(argument)
