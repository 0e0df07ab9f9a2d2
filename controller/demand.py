"""Demand per model as planners and schedulers estimate it from outcome counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from controller.capacity import Floats
from controller.objective import Objective
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.quantities import Range, SomeFraction
from emulation.domain.slots import slot_start_s
from emulation.domain.snapshot import ClusterSnapshot


class DemandPrior(Strict):
    """Guess before anything has arrived: equal rates for all models; the defaults are MA's K ~ U{0..8}."""

    prompts_per_slot: Annotated[float, Range(0.000001, 1_000_000, "prompts")] = 4.0
    """Prompts of one model that enter at one node in one slot."""
    prompts_per_request: Annotated[float, Range(0.001, 10_000, "prompts")] = 4.5
    least_share: SomeFraction = 0.02
    """A model nobody asked for counts with this share of the busiest one's rate, so that it keeps a host."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Per model, in inventory order."""

    prompts_per_s: Floats
    prompts_per_request: Floats


def estimated(
    testbed: TestbedConfig, objective: Objective, prior: DemandPrior, snapshot: ClusterSnapshot
) -> Demand:
    """Rates counted since the last epoch boundary, or the prior while nothing has been counted."""
    rates, sizes = counted(testbed, objective, prior, snapshot)
    return Demand(np.array(rates), np.array(sizes))


def counted(
    testbed: TestbedConfig, objective: Objective, prior: DemandPrior, snapshot: ClusterSnapshot
) -> tuple[list[float], list[float]]:
    """Prompts per second and per request of each model, in inventory order, as `estimated` has them."""
    stats = [snapshot.stats.get(m.id) for m in testbed.models]
    arrived = [float(s.arrived) if s else 0.0 for s in stats]
    prompts = [float(s.arrived_prompts) if s else 0.0 for s in stats]
    most = max(prompts)
    if most <= 0:
        rate = prior.prompts_per_slot * len(testbed.nodes) / objective.slot_s
        return [rate] * len(stats), [prior.prompts_per_request] * len(stats)
    least, window_s = prior.least_share * most, _window_s(objective, snapshot)
    sizes = [
        max(n / max(requests, 1.0), 1e-9) if requests > 0 else prior.prompts_per_request
        for requests, n in zip(arrived, prompts, strict=True)
    ]
    return [max(n, least) / window_s for n in prompts], sizes


def _window_s(objective: Objective, snapshot: ClusterSnapshot) -> float:
    """Seconds since the last epoch boundary; a whole epoch when asked on the boundary itself.

    Of a window that began elsewhere, because nobody looked at that boundary (a scheme without a planner was in force),
    as long as it is.
    """
    within = snapshot.slot % objective.epoch_slots
    slots = within if within > 0 else min(snapshot.slot, objective.epoch_slots)
    begin_s = slot_start_s(snapshot.slot - slots, objective.slot_s)
    if abs(snapshot.window.since_s - begin_s) > objective.slot_s:
        return max(snapshot.t_s - snapshot.window.since_s, objective.slot_s)
    return max(slots, 1) * objective.slot_s
