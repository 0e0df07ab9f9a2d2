"""Join the shortest queue, in seconds."""

from __future__ import annotations

from controller.fast_view import FastView, Pool
from controller.routers.router import HOLD, Pick, Stateless
from emulation.domain.request import Request


class LeastBacklog(Stateless):
    """The least predicted wait, whatever the service time (join-the-shortest-queue on predicted work)."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The column of the least wait within the lowest avoidance tier."""
        if not pool.open:
            return HOLD, "every node that may serve it is away"
        return int((pool.wait + pool.tier).argmin()), "least backlog"
