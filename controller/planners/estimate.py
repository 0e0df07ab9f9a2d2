"""What a plan is worth: a fluid estimate of MA's objective (eqs. 5-10) from capacities alone.

Shapes: B plans, N nodes, M models. A model that is offered less than its capacity waits as a slotted batch
queue does; one that is offered more builds a FIFO queue from empty until the wait reaches the deadline, after
which part of its work is spent on requests that miss it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from controller.capacity import Floats
from controller.demand import Demand
from controller.objective import Objective
from emulation.domain.cluster import Strict

_FOREVER_S = 1e9


class EstimateConfig(Strict):
    """Constants of the fluid estimate; calibrated against the emulator on bristol-A."""

    dispersion: float = Field(default=1.7, gt=0)
    """Variance over mean of the prompts of one model that arrive in a slot (K uniform over 0..8: 1.67)."""
    useful_share: float = Field(default=0.62, gt=0, le=1)
    """Share of an overloaded FIFO's capacity that goes to requests which still meet the deadline."""


@dataclass(frozen=True, slots=True)
class Worth:
    """Estimated outcome of each plan."""

    success: Floats
    """(B, M): share of requests served in time."""
    latency_s: Floats
    """(B, M): mean latency of those."""
    objective: Floats
    """(B,): J of MA eq. 10; lower is better."""


def worth(capacity: Floats, demand: Demand, objective: Objective, config: EstimateConfig) -> Worth:
    """Success, latency and J of plans with these capacities, (B, N, M) units per second."""
    total = capacity.sum(axis=1)
    hosted = total > 0
    load = demand.prompts_per_s / np.where(hosted, total, 1.0)
    batch_s = _batch_s(capacity, demand, objective)
    calm = batch_s + _queue_s(total, load, demand, objective, config)
    success, late = _overloaded(load, batch_s, objective, config)
    success = np.where(hosted, success, 0.0)
    latency_s = np.where(load > 1.0, np.maximum(late, calm), calm)
    if objective.deadline_s is not None:
        latency_s = np.minimum(latency_s, objective.deadline_s)
    return Worth(success, latency_s, _objective(success, latency_s, demand, objective))


def _batch_s(capacity: Floats, demand: Demand, objective: Objective) -> Floats:
    """Mean finish of a slot's requests, placed one by one where they finish first on empty pods, (B, M).

    Mean-sized requests; a slot with a fractional number of requests is interpolated.
    """
    unit_s = 1.0 / np.where(capacity > 0, capacity, 1.0 / _FOREVER_S)
    size_s = unit_s * demand.prompts_per_request
    requests = np.maximum(demand.prompts_per_s * objective.slot_s / demand.prompts_per_request, 1.0)
    finish = np.zeros_like(unit_s)
    spent = np.zeros(capacity.shape[::2])
    for r in range(min(int(np.ceil(requests.max())), 24)):
        weight = np.clip(requests - r, 0.0, 1.0)
        ends = finish + size_s
        best = ends.argmin(axis=1)[:, None, :]
        end = np.take_along_axis(ends, best, axis=1)
        np.put_along_axis(finish, best, end, axis=1)
        spent = spent + weight * end[:, 0, :]
    return np.minimum(spent / np.minimum(requests, 24.0), _FOREVER_S)


def _queue_s(
    total: Floats, load: Floats, demand: Demand, objective: Objective, config: EstimateConfig
) -> Floats:
    """Wait for work left over from earlier slots, (B, M): Kingman's bound, and near saturation a random walk's."""
    arrivals = demand.prompts_per_s * objective.slot_s
    variance = config.dispersion * arrivals
    spare = np.maximum(total * objective.slot_s - arrivals, 1e-9)
    walk = 0.53 * np.sqrt(variance * objective.slots)
    left = np.minimum(variance / (2.0 * spare), walk)
    return left / np.maximum(total, 1e-12)


def _overloaded(
    load: Floats, batch_s: Floats, objective: Objective, config: EstimateConfig
) -> tuple[Floats, Floats]:
    """Success and mean latency, (B, M), of a FIFO offered `load` > 1 from empty: wait grows by load - 1 per second."""
    excess = np.maximum(load - 1.0, 1e-9)
    horizon_s = objective.horizon_s
    if objective.deadline_s is None:
        return np.ones_like(load), batch_s + excess * horizon_s / 2
    room_s = np.maximum(objective.deadline_s - batch_s, 0.0)
    full_s = np.minimum(room_s / excess, horizon_s)
    share = config.useful_share / np.maximum(load, 1.0)
    early, late = full_s, (horizon_s - full_s) * share
    served = early + late
    early_s = batch_s + excess * full_s / 2
    latency_s = (early * early_s + late * objective.deadline_s) / np.maximum(served, 1e-9)
    return np.where(load > 1.0, served / horizon_s, 1.0), latency_s


def _objective(success: Floats, latency_s: Floats, demand: Demand, objective: Objective) -> Floats:
    """J of eq. 10, latency weighted by successes (eq. 9), fairness normalised (eq. 8)."""
    models = success.shape[1]
    served = success * (demand.prompts_per_s / demand.prompts_per_request)
    scale_s = objective.deadline_s if objective.deadline_s is not None else objective.horizon_s
    latency = (served * latency_s).sum(axis=1) / np.maximum(served.sum(axis=1), 1e-12) / scale_s
    jain = success.sum(axis=1) ** 2 / np.maximum(models * (success**2).sum(axis=1), 1e-12)
    fair = (jain - 1.0 / models) / (1.0 - 1.0 / models) if models > 1 else np.ones_like(jain)
    value = objective.weight * latency + (1.0 - objective.weight) * (1.0 - fair)
    return np.where(served.sum(axis=1) > 0, value, 1.0)
