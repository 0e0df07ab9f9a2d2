"""Wall time as virtual seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any


class LiveClock:
    """Virtual seconds since the run began: (wall - t0) * speedup; 0 until `start` says when t0 is."""

    def __init__(self, speedup: float, t0_wall: float | None = None) -> None:
        self.speedup = speedup
        self.t0_wall = t0_wall

    def start(self, t0_wall: float) -> None:
        """The run begins (or began) at this wall time, in seconds since the epoch."""
        self.t0_wall = t0_wall

    @property
    def started(self) -> bool:
        """Whether t0 is known."""
        return self.t0_wall is not None

    def wall_s(self) -> float:
        """Wall time, seconds since the epoch, by the clock of this machine."""
        return time.time()

    def now_s(self) -> float:
        """Virtual seconds; never negative."""
        if self.t0_wall is None:
            return 0.0
        return max(0.0, (self.wall_s() - self.t0_wall) * self.speedup)

    def wall_until_s(self, t_s: float) -> float:
        """Wall seconds until a virtual instant; 0 if it has passed."""
        if self.t0_wall is None:
            return t_s / self.speedup
        return max(0.0, self.t0_wall + t_s / self.speedup - self.wall_s())

    def call_at(self, t_s: float, what: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Have the running loop call this at a virtual instant; at once if it has passed."""
        return asyncio.get_running_loop().call_later(self.wall_until_s(t_s), what, *args)
