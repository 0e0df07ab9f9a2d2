"""Means and 95% intervals over seeds, single and paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from edgebed.report.student import quantile

LEAST = 3
"""Values an interval needs: of two, Student's t is 12.7, and whatever it says is no information."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds with its confidence interval; low and high are None for fewer than `LEAST` values."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def half(self) -> float | None:
        """Half the width: the figure after the plus-minus sign."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside, that is, whether a difference is significant at this level."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def mean_interval(values: Sequence[float | None], level: float = 0.95) -> Interval | None:
    """Mean and Student-t interval of one figure over seeds; seeds without a measurement (None) are left out.

    There is no interval of fewer than `LEAST` values.

    None if no seed has one. Raises `ValueError` if `level` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level:g}")
    kept = np.array([v for v in values if v is not None], dtype=float)
    if not len(kept):
        return None
    mean = float(kept.mean())
    if len(kept) < LEAST:
        return Interval(mean, None, None, len(kept))
    half = float(quantile(0.5 + level / 2, len(kept) - 1) * kept.std(ddof=1) / sqrt(len(kept)))
    return Interval(mean, mean - half, mean + half, len(kept))


def paired_difference(
    by_seed: Mapping[int, float | None], baseline: Mapping[int, float | None], level: float = 0.95
) -> Interval | None:
    """Interval of (scheme - baseline) over the seeds both have: the same requests and events, so pairs.

    None if they share no seed with a measurement.
    """
    shared = sorted(by_seed.keys() & baseline.keys())
    pairs = [(by_seed[seed], baseline[seed]) for seed in shared]
    return mean_interval([a - b for a, b in pairs if a is not None and b is not None], level)
