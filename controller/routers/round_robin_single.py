"""In turn, one pointer for everything."""

from __future__ import annotations

from bisect import bisect_left

from controller.fast_view import FastView, Pool
from controller.routers.router import HOLD, NoParams, Pick
from emulation.domain.request import Request


class RoundRobinSingle:
    """One pointer over all executors of the testbed, skipping those that cannot serve the model.

    The reading of E3's RoundRobin that gives its published figures: under strict alternation of two task
    types the pointer pins each type to one device, the first of its kind.
    """

    Config = NoParams

    def __init__(self, config: NoParams | None = None, seed: int = 0) -> None:
        self._next = 0

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The first open column whose executor stands at or after the pointer in inventory order."""
        if not pool.open:
            return HOLD, "every node that may serve it is away"
        at = bisect_left(pool.open, self._next, key=pool.order.__getitem__)
        return pool.open[at % len(pool.open)], "next in turn"

    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        """Move the pointer past the executor."""
        self._next = pool.order[column] + 1
