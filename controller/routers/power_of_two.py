"""Two random candidates, the better of them."""

from __future__ import annotations

from typing import Any

from controller.fast_view import FastView, Pool
from controller.routers.router import ALL_AWAY, Pick, Router
from emulation.domain.request import Request
from emulation.rng import stream


class PowerOfTwo(Router):
    """The lower score of two executors drawn at random (Mitzenmacher 2001, the power of two choices).

    Draws come from one stream of the seed, one pair per dispatched request.
    """

    def __init__(self, config: Any = None, seed: int = 0) -> None:
        super().__init__(config, seed)
        self._draws = stream(seed, "router.power_of_two")
        self._pair: tuple[float, float] = self._draw()

    def _draw(self) -> tuple[float, float]:
        first, second = self._draws.random(2).tolist()
        return first, second

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The better of two different open columns, or the only one."""
        n = len(pool.open)
        if n == 0:
            return ALL_AWAY
        if n == 1:
            return pool.open[0], "the only one"
        i = int(self._pair[0] * n)
        j = (i + 1 + int(self._pair[1] * (n - 1))) % n
        a, b = pool.open[i], pool.open[j]
        return (b if pool.score[b] < pool.score[a] else a), "better of two"

    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        """Draw the next pair."""
        self._pair = self._draw()
