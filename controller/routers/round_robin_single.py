"""In turn, one pointer for everything."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from controller.fast_view import FastView, Pool
from controller.routers.router import ALL_AWAY, Pick, Router
from emulation.domain.request import Request


class RoundRobinSingle(Router):
    """One pointer over all executors of the testbed, skipping those that cannot serve the model.

    The reading of E3's RoundRobin that gives its published figures: under strict alternation of two task
    types the pointer pins each type to one device, the first of its kind.
    """

    def __init__(self, config: Any = None, seed: int = 0) -> None:
        super().__init__(config, seed)
        self._next = 0

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The first open column whose executor stands at or after the pointer in inventory order."""
        if not pool.open:
            return ALL_AWAY
        at = bisect_left(pool.open, self._next, key=pool.order.__getitem__)
        return pool.open[at % len(pool.open)], "next in turn"

    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        """Move the pointer past the executor."""
        self._next = pool.order[column] + 1
