"""SECT on the truth: the yardstick of E3's Oracle gap. The one router that is handed hidden facts."""

from __future__ import annotations

from math import inf
from typing import Annotated

from controller.fast_view import FastView, Pool
from controller.routers.router import ALL_AWAY, Pick, Router
from controller.scoring import AVOID_S
from emulation.domain.cluster import Strict
from emulation.domain.ports import OracleView
from emulation.domain.quantities import Range
from emulation.domain.request import Request


class Oracle(Router):
    """Lowest true backlog + true service time + transfer (E3 "Oracle": the present truth, no future).

    The truth comes from the wiring; no other decider reaches it. Biases and avoidance of the fast path apply as to
    SECT.
    """

    class Config(Strict):
        """Parameters."""

        courtesy: Annotated[float, Range(0, 10, "times the wait")] = 0.0
        """Extra weight of the wait, as in `explore_risk`: an Oracle that is not myopic."""
        avoid_stutter: bool = False
        """Keep off executors in a degraded state while another can serve: the Oracle that pays for no stutter."""

    def __init__(self, config: Config | None, seed: int, truth: OracleView) -> None:
        super().__init__(config, seed)
        self._truth = truth

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The column of the lowest true score; what the frame predicted is replaced by the truth."""
        if not pool.open:
            return ALL_AWAY
        for column in range(pool.routable):
            score_s = float(pool.score[column])
            if score_s < inf:
                self._overrule(request, pool, column, score_s)
        return pool.lowest(), "sect on the truth"

    def _overrule(self, request: Request, pool: Pool, column: int, score_s: float) -> None:
        name, wait_s, service_s = pool.names[column], float(pool.wait[column]), float(pool.service[column])
        extra_s = score_s - wait_s - service_s
        true_wait_s, true_service_s = self._truth.backlog_s(name), self._truth.service_s(name, request.id)
        if true_wait_s + true_service_s == inf:
            extra_s += AVOID_S  # it would not be served there now: what is believed stands, behind all others
        else:
            wait_s, service_s = true_wait_s, true_service_s
        if self.config.avoid_stutter and self._truth.stutters(name, pool.model):
            extra_s += AVOID_S
        score_s = wait_s * (1.0 + self.config.courtesy) + service_s + extra_s
        pool.overrule(column, wait_s, service_s, score_s)
