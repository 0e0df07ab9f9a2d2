"""E3's static baseline."""

from __future__ import annotations

from controller.fast_view import FastView, Pool
from controller.routers.router import ALL_AWAY, Pick, Router
from emulation.domain.request import Request


class FixedHeuristic(Router):
    """The fastest executor by the profile, whatever waits there (E3 "Fixed-Heuristic"; papers' baseline).

    Ignores backlog, learning, transfer and biases; keeps to the hard avoidance tiers.
    """

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The column of the lowest profiled service time."""
        if not pool.open:
            return ALL_AWAY
        return pool.quickest_by_profile(view.x), "fastest by profile"
