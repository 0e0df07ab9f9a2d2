"""Shortest expected completion time."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from controller.fast_view import FastView, Pool
from controller.routers.router import ALL_AWAY, Pick, Router
from emulation.domain.request import Request


@mypyc_attr(allow_interpreted_subclasses=True)
class Sect(Router):
    """The lowest score of the fast path: wait + service + transfer and the biases in force (E3 eq. 6).

    Prior-only with performance model `prior`; E3's router with `nnls`; its `explore_risk` variant with
    `explore_s` > 0. Ties go to the first in inventory order.
    """

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The column of the lowest score."""
        if not pool.open:
            return ALL_AWAY
        return pool.lowest(), "sect"
