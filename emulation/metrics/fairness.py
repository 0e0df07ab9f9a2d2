"""Fairness and objective of the second paper (MA, arXiv 2602.07215), equations 5 to 10."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_Number = TypeVar("_Number", float, Floats)


class Counted(NamedTuple):
    """What became of the requests of one model type."""

    asked: float
    served: float
    latency_s: float
    """Sum over those served."""
    prompts: float = 0.0
    """Of those served."""


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What an epoch came to, or is expected to come to; the defaults are of one in which nothing was served."""

    success: Mapping[str, float] = field(default_factory=dict)
    """Model to the share of its requests that were served in time (eq. 5)."""
    latency_s: Mapping[str, float] = field(default_factory=dict)
    """Model to the mean latency of those, seconds (eq. 4)."""
    latency_norm: float = 1.0
    """T_norm (eq. 9), request-weighted; over the epoch where requests never expire."""
    fairness_norm: float = 0.0
    """F_norm (eq. 8); 1 for fewer than two types."""
    objective: float = 1.0
    """J (eq. 10); lower is better."""
    prompts: Mapping[str, float] = field(default_factory=dict)
    """Model to the prompts that were served in time, where they were counted: goodput over the epoch."""


def epoch_result_of(counts: Mapping[str, Counted], scale_s: float, weight: float) -> EpochResult:
    """Equations 4 to 10 over the types that were asked for. Latencies count as shares of `scale_s`."""
    asked = {m: c for m, c in counts.items() if c.asked}
    success = {m: c.served / c.asked for m, c in asked.items()}
    served = sum(c.served for c in asked.values())
    if not served:
        return EpochResult(success)
    latency_s = {m: c.latency_s / c.served for m, c in asked.items() if c.served}
    t_norm = sum(c.latency_s for c in asked.values()) / served / scale_s
    f_norm = jain_normalised(jain(list(success.values())), len(success))
    f_norm = 1.0 if f_norm is None else f_norm
    prompts = {m: c.prompts for m, c in asked.items()}
    return EpochResult(success, latency_s, t_norm, f_norm, weighed(t_norm, f_norm, weight), prompts)


def mean_of(draws: Sequence[EpochResult]) -> EpochResult:
    """The mean over draws; of a model over those in which it was asked for, or served."""
    n = len(draws)

    def by_model(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
        keys = sorted({k for part in parts for k in part})
        return {k: sum(p[k] for p in parts if k in p) / sum(k in p for p in parts) for k in keys}

    return EpochResult(
        by_model([d.success for d in draws]),
        by_model([d.latency_s for d in draws]),
        sum(d.latency_norm for d in draws) / n,
        sum(d.fairness_norm for d in draws) / n,
        sum(d.objective for d in draws) / n,
        by_model([d.prompts for d in draws]),
    )


def jain(ratios: Sequence[float]) -> float | None:
    """Jain's index of per-type success ratios, in [1/I, 1] (MA eq. 6).

    None without types, and where every ratio is 0: nothing was shared, so nothing was shared fairly.
    Raises `ValueError` on a negative ratio.
    """
    if any(r < 0 for r in ratios):
        raise ValueError(f"success ratios must be >= 0: {list(ratios)}")
    top = max(ratios, default=0.0)
    if top == 0:
        return None
    scaled = [r / top for r in ratios]  # the index has no scale; without this, tiny ratios underflow
    return sum(scaled) ** 2 / (len(scaled) * sum(r * r for r in scaled))


def jain_normalised(raw: float | None, types: int) -> float | None:
    """Jain's index stretched from [1/I, 1] to [0, 1] (MA eq. 8); None for fewer than two types."""
    if raw is None or types < 2:
        return None
    floor = 1 / types
    return min(1.0, max(0.0, (raw - floor) / (1 - floor)))


def jain_normalised_rows(success: Floats) -> Floats:
    """MA eqs. 6 and 8 of many plans at once: ratios per plan and type, (B, I), to (B,); 1 for a single type."""
    types = success.shape[1]
    if types < 2:
        return np.ones(len(success))
    raw = success.sum(axis=1) ** 2 / np.maximum(types * (success**2).sum(axis=1), 1e-12)
    stretched: Floats = (raw - 1.0 / types) / (1.0 - 1.0 / types)
    return stretched


def objective(t_norm: float | None, fairness_norm: float | None, weight: float) -> float | None:
    """J as `weighed` has it; None where one side was not measured."""
    return None if t_norm is None or fairness_norm is None else weighed(t_norm, fairness_norm, weight)


def weighed(t_norm: _Number, fairness_norm: _Number, weight: float) -> _Number:
    """J = weight * T_norm + (1 - weight) * (1 - F_norm), lower is better (MA eq. 10); for numbers or arrays.

    It rewards refusing work: never show it without the success ratio.
    """
    return weight * t_norm + (1 - weight) * (1 - fairness_norm)
