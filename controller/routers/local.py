"""Where it enters: MA's LL routing."""

from __future__ import annotations

from controller.fast_view import FastView, Pool
from controller.routers.router import HOLD, NO_HOST, Pick, Router
from controller.scoring import AWAY_S
from emulation.domain.request import Request


class Local(Router):
    """The node at which the request enters, even one other routers leave out (MA scheme LL)."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The origin's column; held while it is away, no host if it cannot serve the model."""
        column = pool.column_of_node.get(request.origin)
        if column is None:
            return NO_HOST, f"{request.origin} cannot host {pool.model}"
        if pool.tier[column] == AWAY_S:
            return HOLD, f"{request.origin} is away"
        return column, "origin"
