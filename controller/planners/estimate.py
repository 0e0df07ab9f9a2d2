"""What a plan is worth: a fluid estimate of MA's objective (eqs. 5-10) from capacities alone.

Shapes: B plans, N nodes, M models. A model that is offered less than its capacity waits as a slotted batch
queue does; one that is offered more builds a FIFO queue from empty until the wait reaches the deadline, after
which part of its work is spent on requests that miss it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from controller.capacity import Floats
from controller.demand import Demand
from controller.objective import Objective
from emulation.domain.cluster import Strict
from emulation.domain.quantities import Range, SomeFraction
from emulation.metrics.fairness import jain_normalised_rows, weighed

_FOREVER_S = 1e9
_MOST_REQUESTS = 24.0
"""Requests of one model per slot that are placed one by one; of more, the mean is that of so many."""


class EstimateConfig(Strict):
    """Constants of the fluid estimate; calibrated against the emulator on bristol-A."""

    slots: Annotated[int, Range(1, 1000, "slots")] = 6
    """Slots of list scheduling after which the finish of a slot's requests is read."""
    dispersion: Annotated[float, Range(0.001, 1000)] = 1.7
    """Variance over mean of the prompts of one model that arrive in a slot (K uniform over 0..8: 1.67)."""
    useful_share: SomeFraction = 0.5
    """Share of an overloaded FIFO's capacity that goes to requests which still meet the deadline."""
    late_share: SomeFraction = 0.92
    """Mean latency of those, as a share of the deadline."""
    spare_weight: Annotated[float, Range(0, 1000)] = 0.01
    """Price of mean utilisation in the score: of plans of like J, the one with room for surprises wins."""
    latency_weight: Annotated[float, Range(0, 1000)] = 0.1
    """Price of Tw / tau in the score, beside its part in J: of plans of like J, the faster one wins."""


@dataclass(frozen=True, slots=True)
class Worth:
    """Estimated outcome of each plan."""

    success: Floats
    """(B, M): share of requests served in time."""
    latency_s: Floats
    """(B, M): mean latency of those."""
    objective: Floats
    """(B,): J of MA eq. 10; lower is better."""
    score: Floats
    """(B,): what is minimised: J, small prices of latency and utilisation, and energy by its weight."""
    energy: Floats
    """(B,): the part of `score` that energy has."""


def worth(capacity: Floats, demand: Demand, objective: Objective, config: EstimateConfig) -> Worth:
    """Success, latency and J of plans with these capacities, (B, N, M) units per second."""
    total = capacity.sum(axis=1)
    hosted = total > 0
    load = demand.prompts_per_s / np.where(hosted, total, 1.0)
    batch_s = _batch_s(capacity, load, demand, objective, config)
    queue_s = _queue_s(total, demand, objective, config)
    success, latency_s = _outcome(load, batch_s, queue_s, objective, config)
    success = np.where(hosted, success, 0.0)
    if objective.deadline_s is not None:
        latency_s = np.minimum(latency_s, objective.deadline_s)
    value, latency = _objective(success, latency_s, demand, objective)
    busy = np.where(hosted, np.minimum(load, 1.0), 1.0).mean(axis=1)
    score = value + config.spare_weight * busy + config.latency_weight * latency
    return Worth(success, latency_s, value, score, np.zeros(len(value)))


def _batch_s(
    capacity: Floats, load: Floats, demand: Demand, objective: Objective, config: EstimateConfig
) -> Floats:
    """Mean finish of a slot's requests, placed one by one where they finish first, (B, M), seconds.

    Requests are mean-sized and arrive together at slot starts; a fractional last one counts by its fraction.
    Pods start empty and carry what they do not finish into the next slot; the last of a few slots is read,
    less what an overloaded model's queue has grown by then.
    """
    plans, nodes, models = capacity.shape
    unit_s = 1.0 / np.maximum(capacity, 1.0 / _FOREVER_S)
    size_s = np.ascontiguousarray((unit_s * demand.prompts_per_request).transpose(0, 2, 1)).reshape(-1, nodes)
    requests = np.clip(
        demand.prompts_per_s * objective.slot_s / demand.prompts_per_request, 1.0, _MOST_REQUESTS
    )
    share = np.clip(requests - np.arange(np.ceil(requests.max()))[:, None], 0.0, 1.0)
    weights = np.tile(share, plans)
    finish = np.zeros(size_s.shape)
    sizes, finishes, first = size_s.reshape(-1), finish.reshape(-1), nodes * np.arange(plans * models)
    for _ in range(config.slots):
        np.maximum(finish - objective.slot_s, 0.0, out=finish)
        spent = np.zeros(plans * models)
        for weight in weights:
            best = first + (finish + size_s).argmin(axis=1)
            size, begins = sizes[best], finishes[best]
            spent += weight * (begins + size)
            finishes[best] = begins + weight * size
    grown_s = np.maximum(load - 1.0, 0.0) * objective.slot_s * (config.slots - 1)
    mean_s = spent.reshape(plans, models) / requests
    return np.clip(mean_s - grown_s, size_s.min(axis=1).reshape(plans, models), _FOREVER_S)


def _queue_s(total: Floats, demand: Demand, objective: Objective, config: EstimateConfig) -> Floats:
    """Wait for work left from earlier slots, (B, M): Kingman's bound, near saturation a random walk's."""
    arrivals = demand.prompts_per_s * objective.slot_s
    variance = config.dispersion * arrivals
    spare = np.maximum(total * objective.slot_s - arrivals, 1e-9)
    walk = 0.53 * np.sqrt(variance * objective.slots)
    left = np.minimum(variance / (2.0 * spare), walk)
    return left / np.maximum(total, 1e-12)


def _outcome(
    load: Floats, batch_s: Floats, queue_s: Floats, objective: Objective, config: EstimateConfig
) -> tuple[Floats, Floats]:
    """Success and mean latency, (B, M). An overloaded FIFO's wait grows from 0 by load - 1 per second."""
    excess = np.maximum(load - 1.0, 1e-9)
    horizon_s = objective.horizon_s
    if objective.deadline_s is None:
        return np.ones_like(load), batch_s + np.hypot(queue_s, excess * horizon_s / 2)
    room_s = np.maximum(objective.deadline_s - batch_s, 0.0)
    early = np.minimum(room_s / excess, horizon_s)
    late = (horizon_s - early) * config.useful_share / np.maximum(load, 1.0)
    early_s = batch_s + np.hypot(queue_s, excess * early / 2)
    late_s = config.late_share * objective.deadline_s
    served = early + late
    return served / horizon_s, (early * early_s + late * late_s) / np.maximum(served, 1e-9)


def _objective(
    success: Floats, latency_s: Floats, demand: Demand, objective: Objective
) -> tuple[Floats, Floats]:
    """J of eq. 10, latency weighted by successes (eq. 9), fairness normalised (eq. 8); and that latency, over tau."""
    served = success * (demand.prompts_per_s / demand.prompts_per_request)
    scale_s = objective.deadline_s if objective.deadline_s is not None else objective.horizon_s
    latency = (served * latency_s).sum(axis=1) / np.maximum(served.sum(axis=1), 1e-12) / scale_s
    value = weighed(latency, jain_normalised_rows(success), objective.weight)
    some = served.sum(axis=1) > 0
    return np.where(some, value, 1.0), np.where(some, latency, 1.0)
