"""Arrival times in virtual seconds, as pure functions of their parameters and a random stream."""

from __future__ import annotations

from collections.abc import Iterator

from numpy.random import Generator

from workloads.shapes import Shape


def poisson(rate_per_s: float, end_s: float, rng: Generator) -> Iterator[float]:
    """Arrivals of a Poisson process on [0, end_s), ascending."""
    t_s = float(rng.exponential(1.0 / rate_per_s))
    while t_s < end_s:
        yield t_s
        t_s += float(rng.exponential(1.0 / rate_per_s))


def thinned(shape: Shape, peak_per_s: float, end_s: float, rng: Generator) -> Iterator[float]:
    """Arrivals of a Poisson process of rate `shape(t)`, ascending; `shape` must not exceed `peak_per_s`.

    Thinning: candidates of the peak rate are kept with probability rate over peak.
    """
    for t_s in poisson(peak_per_s, end_s, rng):
        if float(rng.random()) * peak_per_s < shape(t_s):
            yield t_s


def periodic(interval_s: float, count: int) -> Iterator[float]:
    """`count` arrivals at 0, interval_s, 2 interval_s, ... (E3)."""
    return (i * interval_s for i in range(count))
