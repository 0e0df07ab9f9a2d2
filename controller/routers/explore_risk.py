"""E3's second router: shortest expected completion, optimistic where little is known, after a warm-up."""

from __future__ import annotations

from bisect import bisect_left
from math import sqrt
from typing import Annotated

from controller.fast_view import FastView, Pool
from controller.routers.router import ALL_AWAY, Pick, Router
from emulation.domain.cluster import Strict
from emulation.domain.quantities import Range
from emulation.domain.request import Request


class ExploreRisk(Router):
    """Lowest score less `explore` epistemic standard deviations of this very request's service time (E3 eq. 6).

    E3 subtracts a weight times a dimensionless uncertainty; here the uncertainty is the performance model's own
    sqrt(x' C x) in seconds, so that one parameter fits fast and slow devices and vanishes as a law becomes known.
    E3's own term (`explore_s` of the fast path) and the risk penalty are in the score already; hard avoidance
    and its least-bad fallback are tiers of the fast path. The first `warmup_tasks` requests go in turn, one
    pointer per model (E3's warm-up budget), and their completions are learned `warmup_batch` at a time.
    """

    explores = True

    class Config(Strict):
        """Parameters."""

        explore: Annotated[float, Range(0, 4, "standard deviations")] = 1.0
        """Standard deviations of optimism; 0 is SECT."""
        courtesy: Annotated[float, Range(0, 10, "times the wait")] = 0.0
        """Extra weight of the wait: joining a queue delays those who come after, an idle slower device nobody.

        Selfish joining is excessive (Naor 1969); 0 is E3's score, 2 what the schemes of ours use.
        """
        return_hazard: Annotated[float, Range(0, 0.999, "per request")] = 0.02
        """Chance, per request of the model, that a device which became slower has recovered."""
        probe_share: Annotated[float, Range(0, 0.5, "of a model's requests")] = 0.0
        """Budget of probes: the share of a model's requests that may go to an idle device nothing was heard of for
        as long, to see whether it has become faster. 0: none (E3)."""
        warmup_tasks: Annotated[int, Range(0, 10_000, "requests")] = 0
        """Requests that are forced to go in turn."""
        warmup_batch: Annotated[int, Range(1, 100, "requests")] = 5
        """Completions after which the performance model is updated during warm-up (E3: every 5 tasks)."""

    def __init__(self, config: Config | None = None, seed: int = 0) -> None:
        super().__init__(config, seed)
        self._warmup_tasks = int(self.config.warmup_tasks)
        self._explore, self._courtesy = self.config.explore, self.config.courtesy
        self._return_hazard, self._probe_share = self.config.return_hazard, self.config.probe_share
        self._sent = 0
        self._next: dict[str, int] = {}

    @property
    def warmup_tasks(self) -> int:
        """As configured."""
        return self._warmup_tasks

    @property
    def learn_batch(self) -> int:
        """As configured while requests still go in turn."""
        return int(self.config.warmup_batch) if self._warming else 1

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
            earlier_s = sum(c * v for c, v in zip(before, x, strict=False))
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
