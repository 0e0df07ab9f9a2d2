"""What a router is: a pick of a column from a scored pool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from controller.fast_view import FastView, Pool
from emulation.domain.cluster import Strict
from emulation.domain.request import Request
from emulation.domain.strict import NoParams

HOLD = -1
"""Every executor it may use is away: the request waits for a return."""
NO_HOST = -2
"""Nothing it may use can serve the model, now or ever."""

Pick = tuple[int, str]
"""A column of the pool (or HOLD or NO_HOST) and a short reason."""
ALL_AWAY: Pick = (HOLD, "every node that may serve it is away")


class Router(ABC):
    """Per-request choice. Its own state (pointers, draws) changes in `dispatched` only, so asking is free.

    This base remembers nothing and takes its parameters as `config`, an instance of the class's `Config`.
    """

    Config: ClassVar[type[Strict]] = NoParams

    explores = False
    """Whether it is optimistic where little is known: what the meta-controller calls `explore_risk`."""

    def __init__(self, config: Any = None, seed: int = 0) -> None:
        self.config: Any = config or self.Config()

    @property
    def warmup_tasks(self) -> int:
        """Requests that are forced to go in turn before the scores count."""
        return 0

    @property
    def learn_batch(self) -> int:
        """Completions after which the performance model is to be told of them, at present."""
        return 1

    @abstractmethod
    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """Pick a column. The pool's frame holds the scores of this request; `view.x` its features."""

    def dispatched(self, request: Request, pool: Pool, column: int) -> None:  # noqa: B027 (most remember nothing)
        """The request was sent to that column."""
