"""What energy weighs where it is decided: an expected energy per request, from the watts of the testbed.

A scenario's `energy_weight` w adds w times the energy of a request above idle, in kJ, to J (MA eq. 10):

    J_E = lambda T / tau + (1 - lambda) (1 - F) + w e

Of one request that is lambda / tau (T + (w tau / lambda) e), with its latency T: a router that goes by seconds counts a
joule as w tau / (1000 lambda) of them (`Objective.energy_s_per_j`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from controller.capacity import Floats, Ints, RoleTable
from controller.demand import Demand
from controller.fast_view import FastView
from controller.pool import Pool
from emulation.domain.cluster import TestbedConfig
from emulation.domain.power import NodeWatts

_HOLDING = ("starting", "ready", "draining")


def reweigh(view: FastView, watts: Mapping[str, NodeWatts], node: str, s_per_j: float) -> None:
    """Write what a second of service on each executor of a node costs in seconds of score.

    A GPU counts as a whole, whoever shares it: the predicted time has its neighbours in it. Of the cores an executor
    has an equal part with those that hold a place there.
    """
    own = [belief for belief in view.beliefs.values() if belief.node == node]
    on_cpu = sum([belief.mode == "cpu" and belief.state in _HOLDING for belief in own])
    for belief in own:
        above_w = watts[node].above_idle(belief.mode) or 0.0
        share = 1.0 / max(on_cpu, 1) if belief.mode == "cpu" else 1.0
        for pool, column in belief.places:
            pool.energy[column] = s_per_j * above_w * share


def weigh(pool: Pool) -> None:
    """Add the price of its energy to the score of the request last evaluated, in every column."""
    for column, per_s in enumerate(pool.energy):
        if per_s:
            pool.rescore(column, pool.score[column] + per_s * pool.service[column])


def above_idle_w(testbed: TestbedConfig) -> Floats:
    """(2, N): watts that all cores, and one GPU, add to the idle node; 0 where they are not given."""
    watts = testbed.watts()
    return np.array([[watts[n.id].above_idle(mode) or 0.0 for n in testbed.nodes] for mode in ("cpu", "gpu")])


def plan_energy_kj(
    table: RoleTable, above_w: Floats, plans: Ints, capacity: Floats, demand: Demand, success: Floats
) -> Floats:
    """Expected energy above idle per request asked, kJ, (B,), of plans (B, N) with these capacities (B, N, M).

    All executors of a model are equally utilised, as in the estimate of success, (B, M). Work on a GPU takes it for as
    long as it would alone, so that what shares it draws no more than a whole GPU. A request that is not served is
    charged with the most it could take: refusing work saves no energy.
    """
    total = capacity.sum(axis=1)
    busy = np.minimum(1.0, demand.prompts_per_s / np.where(total > 0, total, 1.0)) * (total > 0)
    on_cpu = (table.cpu[plans] > 0).astype(float)
    cores = on_cpu / np.maximum(on_cpu.sum(axis=2, keepdims=True), 1.0)
    gpus = np.where(on_cpu > 0, 0.0, capacity) / np.where(table.gpu > 0, table.gpu, 1.0)
    each_w = cores * above_w[0][:, None] + gpus * above_w[1][:, None]
    spent_w = (each_w.sum(axis=1) * busy).sum(axis=1)
    refused_w = ((1.0 - success) * demand.prompts_per_s * most_j(table, above_w)).sum(axis=1)
    asked = (demand.prompts_per_s / demand.prompts_per_request).sum()
    energy: Floats = (spent_w + refused_w) / max(float(asked), 1e-12) / 1000.0
    return energy


def most_j(table: RoleTable, above_w: Floats) -> Floats:
    """(M,): joules above idle that a unit of each model takes where it takes most."""
    on_cpu = table.cpu > 0
    node = np.repeat(np.arange(len(table.count)), table.count)
    share = 1.0 / np.maximum(on_cpu.sum(axis=1), 1)
    by_cpu = np.where(on_cpu, (above_w[0][node] * share)[:, None] / np.where(on_cpu, table.cpu, 1.0), 0.0)
    by_gpu = np.where(table.gpu > 0, above_w[1][:, None] / np.where(table.gpu > 0, table.gpu, 1.0), 0.0)
    most: Floats = np.maximum(by_cpu.max(axis=0, initial=0.0), by_gpu.max(axis=0, initial=0.0))
    return most
