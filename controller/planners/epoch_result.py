"""What an epoch came to, from the counts a planner is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.objective import Objective
from emulation.domain.snapshot import TypeStats
from emulation.metrics.fairness import jain, jain_normalised, objective


@dataclass(frozen=True, slots=True)
class EpochResult:
    """Success and latency per model, and MA's eqs. 8 to 10 over them."""

    success: dict[str, float]
    latency_s: dict[str, float]
    latency_norm: float
    fairness_norm: float
    objective: float


def epoch_result(stats: Mapping[str, TypeStats], terms: Objective) -> EpochResult | None:
    """The result over the requests that ended; None if none did.

    Success is served over ended, not over arrived: what still waits has no outcome yet.
    """
    ended = {m: s for m, s in stats.items() if s.done + s.failed}
    if not ended:
        return None
    success = {m: s.done / (s.done + s.failed) for m, s in sorted(ended.items())}
    latency_s = {m: s.latency_sum_s / s.done for m, s in sorted(ended.items()) if s.done}
    served = sum(s.done for s in ended.values())
    if not served:
        return EpochResult(success, latency_s, 1.0, 0.0, 1.0)
    scale_s = terms.deadline_s or terms.epoch_slots * terms.slot_s
    latency = sum(s.latency_sum_s for s in ended.values()) / served / scale_s
    fair = jain_normalised(jain(list(success.values())), len(success))
    fairness = 1.0 if fair is None else fair
    value = objective(latency, fairness, terms.weight)
    assert value is not None
    return EpochResult(success, latency_s, latency, fairness, value)
