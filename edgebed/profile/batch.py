"""What requests in one batch take from each other: the same request computed 1, 2, ... times at once by one replica."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serve_apps.wire.messages import Work


def measure_batches(
    engine: Any,
    works: Sequence[Work],
    levels: Sequence[int],
    repeats: int,
    compute: Callable[[Any, Work], float],
    on_result: Callable[[int, int], None] = lambda done, of: None,
) -> dict[int, tuple[float, ...]]:
    """Service times, seconds, by number in the batch. `works`: one request for each place, all of one size.

    `compute(engine, work)` does one and returns its service time. Everybody in a batch goes on until all have their
    measurements, so that each measured request had the same company from its first moment to its last.
    """
    times_s: dict[int, tuple[float, ...]] = {}
    for number, level in enumerate(levels):
        finished = threading.Semaphore(0)
        over = threading.Event()

        def place(
            work: Work, finished: threading.Semaphore = finished, over: threading.Event = over
        ) -> list[float]:
            compute(engine, work)
            times = [compute(engine, work) for _ in range(repeats)]
            finished.release()
            while not over.is_set():
                compute(engine, work)
            return times

        with ThreadPoolExecutor(level) as pool:
            places = [pool.submit(place, work) for work in works[:level]]
            try:
                for _ in range(level):
                    while not finished.acquire(timeout=1.0):
                        for failed in (p for p in places if p.done()):
                            failed.result()
            finally:
                over.set()
            times_s[level] = tuple(s for p in places for s in p.result())
        on_result(number + 1, len(levels))
    return times_s
