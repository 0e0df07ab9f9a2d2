"""What requests in one batch take from each other: the same request computed 1, 2, ... times at once by one replica."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import sqrt
from statistics import median
from typing import Any

from emulation.domain.batching import BatchCurve, InBatch
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
    found: dict[int, tuple[float, ...]] = {}
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
            found[level] = tuple(s for p in places for s in p.result())
        on_result(number + 1, len(levels))
    return found


def fit_batch(services_s: Mapping[int, Sequence[float]], x: tuple[float, ...]) -> BatchCurve:
    """The curve of batch sizes to service times, and its law. `services_s` must have 1 and more.

    Cost by least squares of t_n / t_1 - 1 = cost (n - 1), at least 0; through the median alone, t_1, by construction.
    """
    medians = {n: median(s) for n, s in sorted(services_s.items())}
    slower = {n: m / medians[1] for n, m in medians.items() if n > 1}
    cost = max(sum((n - 1) * (s - 1) for n, s in slower.items()) / sum((n - 1) ** 2 for n in slower), 0.0)
    errors = [s / (1.0 + cost * (n - 1)) - 1.0 for n, s in slower.items()]
    return BatchCurve(
        x=x,
        points=tuple(
            InBatch(requests=n, services_s=tuple(services_s[n]), median_s=m, speed=medians[1] / m)
            for n, m in medians.items()
        ),
        width=max(medians),
        cost=cost,
        residual=sqrt(sum(e * e for e in errors) / len(errors)),
        worst_error=max(abs(e) for e in errors),
    )
