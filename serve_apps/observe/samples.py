"""Numbers on their way from the process that has them to the scraper."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram at one moment."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """Observations per bucket, not added up; one more than there are bounds."""
    total: float
    """Sum of what was observed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric of `metrics.METRICS`."""

    metric: str
    labels: tuple[str, ...]
    """Values, in the order of the metric's label names."""
    value: float | Buckets


class Histogram:
    """Counts how often a value fell into each bucket."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds`: upper bounds of the buckets, rising; one more bucket holds the rest."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def read(self) -> Buckets:
        """What was counted so far."""
        return Buckets(self.bounds, tuple(self.counts), self.total)
