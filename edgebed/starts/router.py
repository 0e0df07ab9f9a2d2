"""A router of mine, and a scheme to compare it by."""

from __future__ import annotations

from pydantic import Field

from controller.fast_view import FastView, Pool
from controller.routers.router import ALL_AWAY, Pick, Router
from controller.schemes import Scheme
from emulation.domain.cluster import Strict
from emulation.domain.request import Request


class Mine(Router):
    """The lowest score plus `weight` standard deviations of the predicted service time."""

    class Config(Strict):
        """Parameters, set in a scenario under `controllers`."""

        weight: float = Field(default=1.0, ge=0)

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """A column of the pool and why; seconds throughout, the lowest wins. Remember nothing here."""
        if not pool.open:
            return ALL_AWAY
        return min(
            pool.open, key=lambda c: pool.score[c] + self.config.weight * pool.sigma[c]
        ), "lowest with doubt"


MINE = Scheme(
    name="mine",
    paper="outside",
    summary="lowest pessimistic score, learning, over full activation",
    router="edgebed.starts.router:Mine",
    perf="nnls",
    deployer="full",
)
