"""Had the model the processor while it was measured? A law fitted to a busy machine's times is not the model's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from emulation.files import ConfigError

QUIET = 0.9
"""Least share of the wall time that was computing where nothing else took the processor; below, a profile says so."""
LEAST = 0.2
"""Below this share nothing is written: what was measured is mostly waiting."""

Clock = Callable[[], float]


@dataclass(slots=True)
class Computing:
    """Sums up how much of the time that work took was computing.

    Either by the calling thread alone, or by the whole process over the threads it may compute with: engines compute in
    the one way or in the other, so the larger share counts.
    """

    threads: int
    wall: Clock = time.perf_counter
    of_thread: Clock = time.thread_time
    of_process: Clock = time.process_time
    _wall_s: float = 0.0
    _thread_s: float = 0.0
    _process_s: float = 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """The work that is done inside counts."""
        began = (self.wall(), self.of_thread(), self.of_process())
        yield
        self._wall_s += self.wall() - began[0]
        self._thread_s += self.of_thread() - began[1]
        self._process_s += self.of_process() - began[2]

    def share(self) -> float:
        """Share of the wall time so far that was computing, in (0, 1]; 1 before anything was counted."""
        if self._wall_s <= 0.0:
            return 1.0
        return min(1.0, max(self._thread_s, self._process_s / self.threads) / self._wall_s)


def checked(share: float, anyway: bool) -> str | None:
    """What to say of a measurement of which this share was computing; None: nothing.

    Raises `ConfigError` if it was so little that the measurement says nothing, unless it is wanted anyway.
    """
    if share >= QUIET:
        return None
    busy = (
        f"the machine was busy: the model computed for {100 * share:.0f}% of the time that was measured, so times are "
        f"up to {1 / max(share, 1e-3):.1f} times too long"
    )
    if share < LEAST and not anyway:
        raise ConfigError(f"{busy}; nothing was written. Measure again when it is idle, or add --anyway")
    return f"{busy}; measure again when it is idle"
