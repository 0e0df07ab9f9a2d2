"""SECT on the truth: the yardstick of E3's Oracle gap. The one router that is handed hidden facts."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
from pydantic import Field

from controller.fast_view import FastView, Pool
from controller.routers.router import HOLD, Pick
from controller.scoring import AVOID_S
from emulation.domain.cluster import Strict
from emulation.domain.request import Request


class Oracle:
    """Lowest true backlog + true service time + transfer (E3 "Oracle": the present truth, no future).

    `true_service_s(executor_id, request_id)` and `true_backlog_s(executor_id)` come from the wiring; no other
    decider reaches them, nor `stutters(executor_id, model)`: whether work sent there now would stutter.
    Biases and avoidance of the fast path apply as to SECT.
    """

    class Config(Strict):
        """Parameters."""

        courtesy: float = Field(default=0.0, ge=0, le=10)
        """Extra weight of the wait, as in `explore_risk`: an Oracle that is not myopic."""
        avoid_stutter: bool = False
        """Keep off executors in a degraded state while another can serve: the Oracle that pays for no stutter."""

    def __init__(
        self,
        config: Config | None = None,
        seed: int = 0,
        *,
        true_service_s: Callable[[str, str], float],
        true_backlog_s: Callable[[str], float],
        stutters: Callable[[str, str], bool] | None = None,
    ) -> None:
        self.config = config or self.Config()
        if self.config.avoid_stutter and stutters is None:
            raise ValueError("an oracle that avoids stutter needs to be told what stutters")
        self._stutters = stutters if self.config.avoid_stutter else None
        self._true_service_s = true_service_s
        self._true_backlog_s = true_backlog_s

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The column of the lowest true score; what the frame predicted is replaced by the truth."""
        if not pool.open:
            return HOLD, "every node that may serve it is away"
        columns = np.flatnonzero(np.isfinite(pool.score[: pool.routable]))
        for column in columns.tolist():
            name = pool.names[column]
            extra_s = pool.score.item(column) - pool.wait.item(column) - pool.service.item(column)
            wait_s, service_s = self._true_backlog_s(name), self._true_service_s(name, request.id)
            if (
                wait_s + service_s == inf
            ):  # it would not be served there now: what is believed stands, behind all others
                extra_s += AVOID_S
            else:
                pool.wait[column], pool.service[column] = wait_s, service_s
            if self._stutters is not None and self._stutters(name, pool.model):
                extra_s += AVOID_S
            waited_s = pool.wait[column] * (1.0 + self.config.courtesy)
            pool.score[column] = waited_s + pool.service[column] + extra_s
        pool.sigma[columns] = 0.0
        return int(pool.score.argmin()), "sect on the truth"

    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        """Nothing to remember."""
