"""Upper bounds of histograms, the same at `/metrics` as in reports: figures of the two can be laid side by side."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

LATENCY_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0)
FIRST_TOKEN_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
PER_TOKEN_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)


def histogram(values: Iterable[float], bounds: Sequence[float]) -> tuple[int, ...]:
    """How many values lie in (bound before, bound], bound by bound, and last those above all of them."""
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    return tuple(counts)
