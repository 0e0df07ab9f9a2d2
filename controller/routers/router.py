"""What a router is: a pick of a column from a scored pool."""

from __future__ import annotations

from typing import Protocol

from controller.fast_view import FastView, Pool
from emulation.domain.cluster import Strict
from emulation.domain.request import Request

HOLD = -1
"""Every executor it may use is away: the request waits for a return."""
NO_HOST = -2
"""Nothing it may use can serve the model, now or ever."""

Pick = tuple[int, str]
"""A column of the pool (or HOLD or NO_HOST) and a short reason."""


class NoParams(Strict):
    """Parameters of a router that has none."""


class Router(Protocol):
    """Per-request choice. Its own state (pointers, draws) changes in `dispatched` only, so asking is free."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """Pick a column. The pool's frame holds the scores of this request; `view.x` its features."""

    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        """The request was sent to that column."""


class Stateless:
    """A router that remembers nothing."""

    Config = NoParams

    def __init__(self, config: NoParams | None = None, seed: int = 0) -> None:
        self.config = config or NoParams()
        self.seed = seed

    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        """Nothing to remember."""
