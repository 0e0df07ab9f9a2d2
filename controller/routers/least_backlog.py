"""Join the shortest queue, in seconds."""

from __future__ import annotations

from controller.fast_view import FastView, Pool
from controller.routers.router import ALL_AWAY, Pick, Router
from emulation.domain.request import Request


class LeastBacklog(Router):
    """The least predicted wait, whatever the service time (join-the-shortest-queue on predicted work)."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The column of the least wait within the lowest avoidance tier."""
        if not pool.open:
            return ALL_AWAY
        return pool.soonest(), "least backlog"
