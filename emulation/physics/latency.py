"""How long one unit of work takes, and which share of a resource an executor gets."""

from __future__ import annotations

from collections.abc import Sequence

from emulation.domain.cluster import CpuLaw, GpuSpec
from emulation.domain.truth import Condition


def unit_s(
    theta: Sequence[float], ratios: Sequence[float], conditions: Sequence[Condition], x: Sequence[float]
) -> float:
    """True seconds of one unit with features x on a whole idle resource.

    s = sum_i theta_i * ratio_i * prod_c factor_c(i) * x_i (E3 eqs. 1 and 2; the ratios are the hidden mismatch,
    the conditions the hidden slowdowns in force).
    """
    total = 0.0
    for i, (coefficient, feature) in enumerate(zip(theta, x, strict=True)):
        value = coefficient * ratios[i] * feature
        for condition in conditions:
            value *= condition.factor(i)
        total += value
    return total


def gpu_share(gpu: GpuSpec, busy: int) -> float:
    """Speed of one of `busy` executors of a GPU, relative to having it alone."""
    if gpu.sharing == "none" or busy <= 0:
        return 1.0
    if gpu.sharing == "static":
        return 1.0 / gpu.slices
    return 1.0 / (busy * (1.0 + gpu.overhead * (busy - 1)))


def cpu_share(cores: int, pods: int, law: CpuLaw) -> float:
    """Speed of one of `pods` CPU pods that split the cores equally, relative to the reference cores."""
    return float((cores / max(pods, 1) / law.reference_cores) ** law.exponent)
