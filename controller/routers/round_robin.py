"""In turn, one pointer per model."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from mypy_extensions import mypyc_attr

from controller.fast_view import FastView, Pool
from controller.routers.router import ALL_AWAY, Pick, Router
from emulation.domain.request import Request


@mypyc_attr(allow_interpreted_subclasses=True)
class RoundRobin(Router):
    """Each model's feasible nodes in turn, by a pointer of its own. Nodes that are away are skipped."""

    def __init__(self, config: Any = None, seed: int = 0) -> None:
        super().__init__(config, seed)
        self._next: dict[str, int] = {}

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The first open column at or after the model's pointer."""
        if not pool.open:
            return ALL_AWAY
        at = bisect_left(pool.open, self._next.get(pool.model, 0))
        return pool.open[at % len(pool.open)], "next in turn"

    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        """Move the model's pointer past the column."""
        self._next[pool.model] = column + 1
