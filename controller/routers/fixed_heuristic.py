"""E3's static baseline."""

from __future__ import annotations

from controller.fast_view import FastView, Pool
from controller.routers.router import HOLD, Pick, Stateless
from emulation.domain.request import Request


class FixedHeuristic(Stateless):
    """The fastest executor by the profile, whatever waits there (E3 "Fixed-Heuristic"; papers' baseline).

    Ignores backlog, learning, transfer and biases; keeps to the hard avoidance tiers.
    """

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The column of the lowest profiled service time."""
        if not pool.open:
            return HOLD, "every node that may serve it is away"
        return int((pool.prior_service_s(view.x) + pool.tier).argmin()), "fastest by profile"
