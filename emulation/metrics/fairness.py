"""Fairness and objective of the second paper (MA, arXiv 2602.07215), equations 5 to 10."""

from __future__ import annotations

from collections.abc import Sequence


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


def objective(t_norm: float | None, fairness_norm: float | None, weight: float) -> float | None:
    """J = weight * T_norm + (1 - weight) * (1 - F_norm), lower is better (MA eq. 10).

    It rewards refusing work: never show it without the success ratio.
    """
    if t_norm is None or fairness_norm is None:
        return None
    return weight * t_norm + (1 - weight) * (1 - fairness_norm)
