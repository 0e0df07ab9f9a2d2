"""Keeps real computing to the pace of its node: how a slowdown is injected into a model that really runs.

The computing thread asks `lap` after every piece of work, a token or a denoising step. A device that is f times slower
would have done dt / f of the work by the time dt; what was computed beyond that is ahead of it, and `lap` waits until
the device has caught up. So the service time is f times the undisturbed one, and a factor that changes, also during a
wait, changes the speed at which the rest is caught up with. An infinite factor is a pause. A factor below 1 cannot be
had from real hardware and counts as 1.

A thread that has slept computes its next piece slower: caches are cold, a clock has gone down (measured: 1 to 6 ms,
GPT-2 on a virtual CPU). The factor would multiply that. So there is no wait for less than `BURST_S` of computing, and
the first piece after a wait counts no more than pieces usually take. `settle` waits for what is left at the end.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from math import inf

from serve_apps.wire.messages import Pace, Timing

BURST_S = 0.04
"""Least computing between two waits, seconds."""
WORTH_S = 0.01
"""Shortest wait."""
COLD_MOST_S = 0.01
"""Most that a piece is taken to have lost to the wait before it."""
LONG_S = 0.2
"""Of a piece this long, that much is too little to matter."""
GROWTH = 1.02
"""Most by which pieces become longer, one after the other: a text model reads ever more of what it said."""
_ROUNDING_S = 1e-9


class Stopped(Exception):
    """The work is not wanted any more, or not now: the computing thread must let go."""


class Pacer:
    """Between the event loop, which sets the pace, and the one thread that computes."""

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        finish_queued: Callable[[], None] = lambda: None,
    ) -> None:
        """`finish_queued`: waits for what the device still computes, so that it is measured."""
        self._clock = clock
        self._finish_queued = finish_queued
        self._changed = threading.Condition()
        self._factors: tuple[float, ...] | None = (1.0,)
        self._over = False
        self._mark = 0.0
        self._ahead = WorkOwed()
        self._computed_s = [0.0, 0.0]
        self._service_s = 0.0

    def set(self, pace: Pace) -> None:
        """The node's word: go on at this pace, or stop for now."""
        with self._changed:
            self._factors = pace.factors
            self._changed.notify_all()

    def stop(self) -> None:
        """The work has ended, in whatever way."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def begin(self) -> None:
        """Computing starts now. Raises `Stopped` if it should not."""
        with self._changed:
            self._check()
            self._ahead.restart()
        self._mark = self._clock()

    def lap(self, coefficient: int = 0) -> None:
        """A piece of work is done: stretch it. Raises `Stopped`.

        `coefficient`: of the service law this piece belongs to (0: input, 1: output tokens); the last factor
        stands for those that have none of their own.
        """
        self._finish_queued()
        done = self._clock()
        computed_s = done - self._mark
        self._computed_s[coefficient] += computed_s
        try:
            with self._changed:
                self._check()
                self._ahead.add(computed_s, coefficient)
                factors = self._factors or (1.0,)
                self._ahead.pass_by(computed_s, (1.0,) if inf in factors else factors)
                self._catch_up(done, to_the_end=False)
        finally:
            self._count()

    def settle(self) -> None:
        """Computing is over for now: wait until the device has caught up. Raises `Stopped`."""
        self._mark = self._clock()
        try:
            with self._changed:
                self._ahead.settle()
                self._catch_up(self._mark, to_the_end=True)
        finally:
            self._count()

    def timing(self) -> Timing:
        """Where the time went so far."""
        return Timing(prefill_s=self._computed_s[0], decode_s=self._computed_s[1], service_s=self._service_s)

    def _catch_up(self, since: float, to_the_end: bool) -> None:
        """Wait for the device if that is worth it; holds the lock. `since`: up to when time has been counted."""
        while True:
            self._check()
            if self._paused():
                self._changed.wait()
                self._ahead.waited()
                since = self._clock()
                continue
            factors = self._factors or (1.0,)  # those of the wait: they may change during it
            due_s = self._ahead.due_s(factors)
            if due_s <= _ROUNDING_S or not (to_the_end or self._ahead.worth(due_s)):
                return
            self._changed.wait(due_s)
            self._ahead.waited()
            now = self._clock()
            self._ahead.pass_by(now - since, factors)
            since = now

    def _count(self) -> None:
        now = self._clock()
        self._service_s += now - self._mark
        self._mark = now

    def _paused(self) -> bool:
        return self._factors is not None and inf in self._factors

    def _check(self) -> None:
        if self._over or self._factors is None:
            raise Stopped


class WorkOwed:
    """Work that was computed and the slower device would not have done yet, oldest first. Factors are finite."""

    def __init__(self) -> None:
        self._owed: deque[list[float]] = deque()
        """[seconds of computing, coefficient]."""
        self._over_s = 0.0
        """Seconds waited for more than was due."""
        self._spare_s = 0.0
        """Seconds of computing that were lost to waits and not taken off anything yet."""
        self._burst_s = 0.0
        """Computed since the last wait."""
        self._slept = False
        """Whether the next piece is the first after a wait."""
        self._cold: tuple[float, int] | None = None
        """That piece, while it is not known what it should have taken: seconds and coefficient."""
        self._usual_s: dict[int, float] = {}
        """What a piece takes that follows another, by coefficient."""

    def restart(self) -> None:
        """Other work begins, in the same thread."""
        self._owed.clear()
        self._over_s = self._spare_s = self._burst_s = 0.0
        self._cold = None

    def add(self, computed_s: float, coefficient: int) -> None:
        """A piece was computed."""
        spared_s = min(self._spare_s, computed_s)
        self._spare_s -= spared_s
        self._owed.append([computed_s - spared_s, coefficient])
        self._burst_s += computed_s
        if self._slept:
            self._slept, self._cold = False, (computed_s, coefficient)
            return
        known_s = self._usual_s.get(coefficient, inf)
        self._usual_s[coefficient] = min(computed_s, known_s * GROWTH)
        self.settle()

    def pass_by(self, elapsed_s: float, factors: Sequence[float]) -> None:
        """So much time has passed at these factors."""
        left_s = elapsed_s + self._over_s
        while self._owed and left_s > 0.0:
            work_s, coefficient = self._owed[0]
            factor = factor_of(factors, int(coefficient))
            if left_s < work_s * factor:
                self._owed[0][0] -= left_s / factor
                left_s = 0.0
            else:
                self._owed.popleft()
                left_s -= work_s * factor
        self._over_s = left_s if max(factors) > 1.0 else 0.0

    def due_s(self, factors: Sequence[float]) -> float:
        """Seconds until the device has caught up at these factors."""
        return sum(w * factor_of(factors, int(c)) for w, c in self._owed) - self._over_s

    def worth(self, due_s: float) -> bool:
        """Whether it is time for a wait of so long."""
        cold = self._cold is not None and self._cold[0] < LONG_S
        return due_s >= WORTH_S and self._burst_s >= BURST_S and not cold

    def waited(self) -> None:
        """The thread has slept."""
        self._slept, self._cold, self._burst_s = True, None, 0.0

    def settle(self) -> None:
        """Take what a cold piece lost off what is owed, as far as it is known what such a piece takes."""
        if self._cold is None:
            return
        computed_s, coefficient = self._cold
        self._cold = None
        lost_s = min(max(computed_s - self._usual_s.get(coefficient, inf), 0.0), COLD_MOST_S)
        while self._owed and lost_s > 0.0:
            taken_s = min(self._owed[0][0], lost_s)
            self._owed[0][0] -= taken_s
            lost_s -= taken_s
            if self._owed[0][0] <= 0.0:
                self._owed.popleft()
        self._spare_s += lost_s


def factor_of(factors: Sequence[float], coefficient: int) -> float:
    """The factor of a coefficient, at least 1; the last one stands for those that have none of their own."""
    return max(factors[min(coefficient, len(factors) - 1)], 1.0)
