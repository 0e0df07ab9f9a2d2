"""E3's second router: shortest expected completion, optimistic where little is known, after a warm-up."""

from __future__ import annotations

from bisect import bisect_left
from math import sqrt
from typing import ClassVar

from mypy_extensions import mypyc_attr

from controller.fast_view import FastView, Pool
from controller.routers.explore_risk_config import ExploreRiskConfig
from controller.routers.router import ALL_AWAY, Pick, Router
from emulation.domain.request import Request
from emulation.domain.strict import Strict


@mypyc_attr(allow_interpreted_subclasses=True)
class ExploreRisk(Router):
    """Lowest score less `explore` epistemic standard deviations of this very request's service time (E3 eq. 6).

    E3 subtracts a weight times a dimensionless uncertainty; here the uncertainty is the performance model's own
    sqrt(x' C x) in seconds, so that one parameter fits fast and slow devices and vanishes as a law becomes known.
    E3's own term (`explore_s` of the fast path) and the risk penalty are in the score already; hard avoidance
    and its least-bad fallback are tiers of the fast path. The first `warmup_tasks` requests go in turn, one
    pointer per model (E3's warm-up budget), and their completions are learned `warmup_batch` at a time.
    """

    explores = True

    Config: ClassVar[type[Strict]] = ExploreRiskConfig

    def __init__(self, config: ExploreRiskConfig | None = None, seed: int = 0) -> None:
        chosen = config or ExploreRiskConfig()
        super().__init__(chosen, seed)
        self._warmup_tasks = int(chosen.warmup_tasks)
        self._warmup_batch = int(chosen.warmup_batch)
        self._explore, self._courtesy = chosen.explore, chosen.courtesy
        self._return_hazard, self._probe_share = chosen.return_hazard, chosen.probe_share
        self._sent = 0
        self._next: dict[str, int] = {}

    @property
    def warmup_tasks(self) -> int:
        """As configured."""
        return self._warmup_tasks

    @property
    def learn_batch(self) -> int:
        """As configured while requests still go in turn."""
        return self._warmup_batch if self._warming else 1

    @property
    def _warming(self) -> bool:
        return self._sent < self._warmup_tasks

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The column of the lowest optimistic score; the next in turn while warming up."""
        if not pool.open:
            return ALL_AWAY
        if self._warming:
            at = bisect_left(pool.open, self._next.get(pool.model, 0))
            return pool.open[at % len(pool.open)], "warm-up"
        if self._probe_share and (column := self._due_probe(pool)) is not None:
            return column, "probe"
        pool.bend(self._courtesy, self._explore)
        if self._explore and pool.before and self._return_hazard:
            self._hope(pool, view.x)
        return pool.lowest(), "explore_risk"

    def _due_probe(self, pool: Pool) -> int | None:
        """Every 1 / share requests of the model, the idle device that was not heard of for longest, if that is as long;
        None where it is not time, or there is none."""
        period = round(1.0 / self._probe_share)
        if (pool.sent + 1) % period:
            return None
        silent = [c for c in pool.open if pool.wait[c] <= 0.0 and pool.sent - pool.heard[c] >= period - 1]
        return min(silent, key=pool.heard.__getitem__, default=None)

    def _hope(self, pool: Pool, x: tuple[float, float]) -> None:
        """Executors that became slower and stand idle may be their old selves again: probe them now and then.

        With probability p = 1 - (1 - hazard)^(requests of this model since it was last heard of) the earlier law
        holds, which makes the service time a mixture of two points: its mean and standard deviation enter the score.
        """
        for column, before in pool.before.items():
            if pool.wait[column] > 0.0:
                continue
            earlier_s = sum([c * v for c, v in zip(before, x, strict=False)])
            gain_s = float(pool.service[column]) - earlier_s
            if gain_s > 0.0:
                p = 1.0 - (1.0 - self._return_hazard) ** (pool.sent - pool.heard[column])
                gain_s *= p + self._explore * sqrt(p * (1.0 - p))
                pool.rescore(column, float(pool.score[column]) - gain_s)

    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        """Count the warm-up and move the model's pointer."""
        if self._warming:
            self._next[pool.model] = column + 1
            self._sent += 1
