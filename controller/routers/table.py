"""The slot's route table, or the fast path's own choice."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from controller.fast_view import FastView, Pool
from controller.routers.router import Pick
from controller.routers.sect import Sect
from controller.scoring import AVOID_S, AWAY_S, OFF_S
from emulation.domain.request import Request


@mypyc_attr(allow_interpreted_subclasses=True)
class Table(Sect):
    """The destination the prompt scheduler set for (origin, model), unchanged during the slot (MA, MAL).

    Falls back to SECT where the table has no entry, its destination is away, or it is masked or risky.
    """

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The table's column, or the lowest score."""
        node = view.table.get((request.origin, pool.model))
        if node is None:
            return self._instead(request, pool, view, "no entry")
        column = pool.column_of_node.get(node)
        if column is None:
            return self._instead(request, pool, view, f"{node} cannot host it")
        tier_s = pool.tier[column]
        if tier_s == AWAY_S:
            return self._instead(request, pool, view, f"{node} is away")
        if tier_s % OFF_S >= AVOID_S and len(pool.open) and pool.tier[pool.open[0]] % OFF_S < AVOID_S:
            return self._instead(request, pool, view, f"{node} is avoided")
        return column, "table"

    def _instead(self, request: Request, pool: Pool, view: FastView, why: str) -> Pick:
        column, reason = super().choose(request, pool, view)
        return column, f"{reason}: {why}"
