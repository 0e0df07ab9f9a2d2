"""Keeps real computing to the pace of its node: how a slowdown is injected into a model that really runs.

The computing thread asks `lap` after every piece of work, a token or a denoising step. `lap` measures how long
the piece took and waits (factor - 1) times as long, so that the service time is `factor` times the undisturbed
one. The factor may change while it waits; what is left of the wait changes with it. Waiting that overshoots
is taken off the next wait, so that errors do not add up. An infinite factor is a pause. A factor below 1 cannot
be had from real hardware and counts as 1.

A thread that sleeps for less than it takes to find its caches again computes slower afterwards, and the slowdown would
multiply that. So short waits are saved up until they are worth a sleep, `WORTH_S`, and `settle` waits for the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from math import inf

from serve_apps.messages import Pace, Timing

WORTH_S = 0.01
"""Shortest wait, seconds."""
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
        self._credit_s = 0.0
        """Waited more than was due; what is negative was saved up."""
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
                self._stretch(computed_s, coefficient, done)
        finally:
            now = self._clock()
            self._service_s += now - self._mark
            self._mark = now

    def settle(self) -> None:
        """Computing is over for now: wait for what was saved up. Raises `Stopped`."""
        began = self._clock()
        try:
            with self._changed:
                self._stretch(0.0, 0, began, worth_s=0.0)
        finally:
            self._service_s += self._clock() - began

    def timing(self) -> Timing:
        """Where the time went so far."""
        return Timing(self._computed_s[0], self._computed_s[1], self._service_s)

    def _stretch(self, left_s: float, coefficient: int, since: float, worth_s: float = WORTH_S) -> None:
        """Wait until `left_s` of computing has been stretched, or save the wait up; holds the lock."""
        while True:
            self._check()
            more = max(_factor(self._factors, coefficient) - 1.0, 0.0)
            if more == inf:
                self._changed.wait()
                since = self._clock()
                continue
            due_s = more * left_s - self._credit_s
            if due_s <= max(worth_s, _ROUNDING_S):
                self._credit_s = -due_s if more > 0.0 or due_s > 0.0 else 0.0
                return
            self._changed.wait(due_s)
            self._credit_s += self._clock() - since
            since = self._clock()
            spent_s = min(max(self._credit_s, 0.0), more * left_s)
            self._credit_s -= spent_s
            left_s -= spent_s / more if more > 0.0 else left_s

    def _check(self) -> None:
        if self._over or self._factors is None:
            raise Stopped


def _factor(factors: Sequence[float] | None, coefficient: int) -> float:
    assert factors is not None
    return factors[min(coefficient, len(factors) - 1)]
