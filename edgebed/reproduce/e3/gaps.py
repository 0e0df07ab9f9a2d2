"""The Oracle gap of many pools, and what a mean alone would hide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from edgebed.report.stats import Interval, mean_interval


@dataclass(frozen=True, slots=True)
class Gap:
    """Distribution over pools of T / T_oracle - 1 on the same task indices (E3 eq. 5 per pool)."""

    mean: Interval
    median: float
    p90: float
    share_negative: float
    """Pools in which the myopic Oracle was beaten: it is no lower bound."""
    n: int


def gap(latencies_s: Sequence[Sequence[float]], oracle_s: Sequence[Sequence[float]], skip: int = 0) -> Gap:
    """Gap of paired pools, over the tasks from index `skip` on.

    Both arguments hold one sequence of latencies per pool, by task index. Raises `ValueError` if pools or tasks do
    not pair, or there is none.
    """
    if len(latencies_s) != len(oracle_s) or not latencies_s:
        raise ValueError(f"{len(latencies_s)} pools do not pair with the Oracle's {len(oracle_s)}")
    each: list[float] = []
    for ours, best in zip(latencies_s, oracle_s, strict=True):
        if len(ours) != len(best) or len(ours) <= skip:
            raise ValueError(
                f"{len(ours)} tasks do not pair with the Oracle's {len(best)} from index {skip} on"
            )
        each.append(fmean(ours[skip:]) / fmean(best[skip:]) - 1.0)
    interval = mean_interval(each)
    assert interval is not None
    return Gap(
        mean=interval,
        median=float(np.median(each)),
        p90=float(np.percentile(each, 90)),
        share_negative=float(np.mean(np.array(each) < 0.0)),
        n=len(each),
    )


EASY = 3.0
"""A cell is easy where a router that never learns comes within this factor of our gap."""
_NOTHING = 0.001
"""Gaps below a tenth of a percent are taken as that: ratios of rounding say nothing."""


def easy(ours: Gap, never_learning: Gap) -> bool:
    """Whether prior-only SECT comes within 3x of our gap: the cell then shows little about learning."""
    return max(never_learning.mean.mean, _NOTHING) <= EASY * max(ours.mean.mean, _NOTHING)
