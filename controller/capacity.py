"""Fluid capacity of node roles from the profile: what a plan can serve, per node and model.

An executor on CPU runs on an equal share of its node's cores. One on a GPU gets the share of it that the others
on it leave: their utilisation depends on their load and capacity, so capacities are the least fixed point of
both. All executors of a model are taken to be equally utilised, as backlog-aware scheduling makes them.
Shapes: B plans, N nodes, G GPUs per node at most, M models. Rates are in work units per second, a unit being
a prompt, or for models with token features a request of typical length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulation.domain.cluster import Mode, ModelSpec, TestbedConfig
from emulation.domain.feasibility import pack_gpus

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TYPICAL_TOKENS = (512.0, 48.0)
"""Input and output tokens of a typical request, for models whose work is not counted in prompts."""

ROUNDS = 8
"""Steps to the fixed point of load and capacity."""


@dataclass(frozen=True, slots=True)
class RoleTable:
    """Candidate roles of every node as arrays; row r of `cpu` and `member` belongs to role `roles[r]`.

    `first[n]` is the row of node n's first role; `count[n]` how many it has.
    """

    roles: tuple[dict[str, Mode], ...]
    first: Ints
    count: Ints
    cpu: Floats
    """(rows, M): units per second of executors on CPU."""
    member: Floats
    """(rows, G, M): 1 where the model has a slice of the GPU."""
    gpu: Floats
    """(N, M): units per second on a whole idle GPU."""
    drop: Floats
    """(N, G, S): speed lost when the (s+1)-th other executor of a GPU becomes busy."""
    alone: Floats
    """(N, G): speed of an executor that is alone on its GPU."""
    routable: Floats
    """(N, M): 1 where requests may be routed."""

    def capacity(self, rows: Ints, units_per_s: Floats) -> Floats:
        """Units per second each executor can serve, (B, N, M), for plans of (B, N) rows under demand (M,).

        Plans are the last axis while it computes: sums over four models or two GPUs are then sums of long rows.
        """
        cpu = np.ascontiguousarray((self.cpu[rows] * self.routable).transpose(1, 2, 0))
        member = self.member[rows] * self.routable[:, None, :]
        member = np.ascontiguousarray(member.transpose(1, 2, 3, 0))
        whole = member * self.gpu[:, None, :, None]
        busy = np.zeros((len(units_per_s), len(rows)))
        capacity = cpu
        for _ in range(ROUNDS):
            load = member * busy
            others = load.sum(axis=2, keepdims=True) - load
            capacity = cpu + (whole * self._speed(others)).sum(axis=1)
            total = capacity.sum(axis=0)
            busy = np.minimum(1.0, units_per_s[:, None] / np.maximum(total, 1e-12)) * (total > 0)
        return capacity.transpose(2, 0, 1)

    def _speed(self, others: Floats) -> Floats:
        """Speed of an executor while `others` (a fraction counts) of its GPU are busy, (N, G, M, B); linear in
        between."""
        speed = np.broadcast_to(self.alone[:, :, None, None], others.shape)
        for s in range(self.drop.shape[2]):
            speed = speed - self.drop[:, :, s, None, None] * np.clip(others - s, 0.0, 1.0)
        return speed

    def rows_of(self, roles: Mapping[str, Mapping[str, Mode]], nodes: Sequence[str]) -> Ints:
        """Row of each node's role, (N,); the first row of the node where the role is not in the table."""
        rows = self.first.copy()
        for n, node in enumerate(nodes):
            wanted = _active(roles.get(node, {}))
            for r in range(int(self.first[n]), int(self.first[n] + self.count[n])):
                if _active(self.roles[r]) == wanted:
                    rows[n] = r
                    break
        return rows

    def plan_of(self, roles: Mapping[str, Mapping[str, Mode]], nodes: Sequence[str]) -> Ints | None:
        """The same; None where a role is not in the table: it would be another plan."""
        rows = self.rows_of(roles, nodes)
        found = zip(rows, nodes, strict=True)
        same = all([_active(self.roles[row]) == _active(roles.get(node, {})) for row, node in found])
        return rows if same else None


def role_table(testbed: TestbedConfig, candidates: Sequence[Sequence[dict[str, Mode]]]) -> RoleTable:
    """Table over the candidate roles of each node, nodes in inventory order, at least one role each."""
    gpus = max((len(n.gpus) for n in testbed.nodes), default=0) or 1
    slices = max((g.slices for n in testbed.nodes for g in n.gpus), default=1)
    count = np.array([len(c) for c in candidates])
    alone = np.ones((len(testbed.nodes), gpus))
    drop = np.zeros((len(testbed.nodes), gpus, max(slices - 1, 0)))
    for n, node in enumerate(testbed.nodes):
        for g, gpu in enumerate(node.gpus):
            speeds = [gpu.share(busy) for busy in range(1, slices + 1)]
            alone[n, g] = speeds[0]
            drop[n, g] = -np.diff(speeds)
    pairs = [(n.id, role) for n, roles in zip(testbed.nodes, candidates, strict=True) for role in roles]
    return RoleTable(
        roles=tuple(role for _, role in pairs),
        first=np.cumsum(count) - count,
        count=count,
        cpu=np.array([_cpu_rates(testbed, node, role) for node, role in pairs]),
        member=np.array([_gpu_member(testbed, node, role, gpus) for node, role in pairs]),
        gpu=np.array(
            [[full_rate(testbed, n.id, m.id, "gpu") for m in testbed.models] for n in testbed.nodes]
        ),
        drop=drop,
        alone=alone,
        routable=np.array(
            [[float(n.id in testbed.routable(m.id)) for m in testbed.models] for n in testbed.nodes]
        ),
    )


def unit_rate(testbed: TestbedConfig, node: str, model: str, mode: Mode) -> float:
    """Units per second on the whole idle resource (16-core reference for CPU); 0 where infeasible."""
    return rate_of(testbed.model(model), testbed.theta(node, model, mode))


def rate_of(model: ModelSpec, theta: tuple[float, ...] | None) -> float:
    """Units per second by a service law; 0 where there is none."""
    if theta is None:
        return 0.0
    if model.features == "prompts":
        return 1.0 / theta[0]
    return 1.0 / (theta[0] * TYPICAL_TOKENS[0] + theta[1] * TYPICAL_TOKENS[1])


def full_rate(testbed: TestbedConfig, node: str, model: str, mode: Mode) -> float:
    """Units per second of a busy executor: the same, or what a full batch does. A unit alone takes 1 / `unit_rate`."""
    return testbed.batching(node, model, mode).full_rate(unit_rate(testbed, node, model, mode))


def _active(role: Mapping[str, Mode]) -> dict[str, Mode]:
    return {m: mode for m, mode in role.items() if mode != "off"}


def _cpu_rates(testbed: TestbedConfig, node: str, role: Mapping[str, Mode]) -> list[float]:
    speed = testbed.cpu.share(testbed.node(node).cores, sum(mode == "cpu" for mode in role.values()))
    return [
        speed * full_rate(testbed, node, m.id, "cpu") if role.get(m.id) == "cpu" else 0.0
        for m in testbed.models
    ]


def _gpu_member(testbed: TestbedConfig, node: str, role: Mapping[str, Mode], gpus: int) -> Floats:
    member = np.zeros((gpus, len(testbed.models)))
    on_gpu = [i for i, m in enumerate(testbed.models) if role.get(m.id) == "gpu"]
    placed = pack_gpus(testbed.node(node), [testbed.models[i].vram_gb for i in on_gpu])
    for i, g in zip(on_gpu, placed or [], strict=False):
        member[g, i] = 1.0
    return member
