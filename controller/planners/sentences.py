"""What a planner that is a language model is told: the paper's input contract (MA section V-D), from telemetry only.

Plain data and sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from controller.capacity import TYPICAL_TOKENS, role_table
from controller.demand import Demand, DemandPrior, estimated
from controller.objective import Objective
from controller.planners.estimate import EstimateConfig, worth
from controller.planners.memory import Case
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import Mode, NodeSpec, TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.snapshot import ClusterSnapshot
from emulation.metrics.fairness import EpochResult, jain, jain_normalised
from emulation.metrics.shares import share_percent
from emulation.rng import stream

BASELINE_POLICIES = 64


def random_baseline(testbed: TestbedConfig, objective: Objective, seed: int) -> dict[str, Any]:
    """What random feasible roles on every node come to under the prior demand, by the fluid estimate.

    The mean over `policies` of them: `objective`, `latency_s`, `fairness`, and `success` per model in words.
    """
    table = role_table(testbed, [feasible_configs(testbed, n.id) for n in testbed.nodes])
    rng = stream(seed, "planner:baseline")
    rows = table.first + rng.integers(table.count, size=(BASELINE_POLICIES, len(testbed.nodes)))
    demand = estimated(testbed, objective, DemandPrior(), ClusterSnapshot(0.0, 0, ()))
    estimate = worth(table.capacity(rows, demand.prompts_per_s), demand, objective, EstimateConfig())
    served = estimate.success * (demand.prompts_per_s / demand.prompts_per_request)
    latency = (served * estimate.latency_s).sum(axis=1) / np.maximum(served.sum(axis=1), 1e-12)
    fair = [jain_normalised(jain([float(s) for s in row]), row.size) for row in estimate.success]
    success = {m.id: float(s) for m, s in zip(testbed.models, estimate.success.mean(axis=0), strict=True)}
    return {
        "policies": BASELINE_POLICIES,
        "objective": float(estimate.objective.mean()),
        "latency_s": float(latency.mean()),
        "fairness": sum(f for f in fair if f is not None) / len(fair),
        "success": per_model(success),
    }


def nodes_told(testbed: TestbedConfig) -> list[dict[str, Any]]:
    """Static capacities of every node."""
    return [
        {"id": n.id, "cores": n.cores, "ram_gb": n.ram_gb, "gpus": gpus_of(n)}
        for n in (testbed.node(node.id) for node in testbed.nodes)
    ]


def gpus_of(node: NodeSpec) -> str:
    """A node's GPUs in words."""
    if not node.gpus:
        return "no GPU"
    first = node.gpus[0]
    each = f"{first.vram_gb:g} GB vRAM and {first.slices} vGPUs"
    return f"{len(node.gpus)} GPU{'s, each' if len(node.gpus) > 1 else ''} with {each}"


def models_told(testbed: TestbedConfig, believed: TestbedConfig) -> list[dict[str, Any]]:
    """Characteristics and constraints of every model; speeds as `believed`."""
    return [
        {
            "id": m.id, "modality": m.modality, "ram_gb": m.ram_gb, "vram_gb": m.vram_gb, "init_s": m.init_s,
            "unload_s": m.unload_s, "gpu_nodes_only": m.route_to == "gpu_nodes",
            "unit": "prompt" if m.features == "prompts" else "typical request",
            "speeds": _speeds(believed, m.id),
        }
        for m in testbed.models
    ]  # fmt: skip


def _speeds(believed: TestbedConfig, model: str) -> str:
    parts: list[str] = []
    for mode, where in (("gpu", "a whole idle GPU"), ("cpu", "CPU")):
        by_seconds: dict[str, list[str]] = {}
        for node in believed.routable(model):
            theta = believed.theta(node, model, mode)  # type: ignore[arg-type]
            if theta is not None:
                x = (1.0,) if len(theta) == 1 else TYPICAL_TOKENS
                seconds = sum(c * v for c, v in zip(theta, x, strict=True))
                by_seconds.setdefault(f"{seconds:.3g}", []).append(node)
        if by_seconds:
            told = ", ".join(f"{s} ({' '.join(nodes)})" for s, nodes in by_seconds.items())
            parts.append(f"on {where} {told}")
    return "; ".join(parts)


def cpu_law(testbed: TestbedConfig) -> str:
    """How CPU models share their node."""
    law = testbed.cpu
    return (
        f"Models on the CPU of a node share its cores equally; their seconds hold for {law.reference_cores:g} cores "
        f"and shrink with cores to the power {law.exponent:g}."
    )


def demand_told(testbed: TestbedConfig, demand: Demand) -> str:
    """Rates per model."""
    rates = zip(testbed.models, demand.prompts_per_s, demand.prompts_per_request, strict=True)
    return ", ".join(
        f"{m.id} {rate:.3f} {'prompts' if m.features == 'prompts' else 'requests'}/s ({size:.1f} per request)"
        for m, rate, size in rates
    )


def case_told(case: Case) -> str:
    """One earlier epoch: demand, policy, and what came of it."""
    away = f", {' '.join(case.telemetry.absent)} away" if case.telemetry.absent else ""
    return (
        f"in epoch {case.epoch} ({per_model(case.telemetry.prompts_per_s, 3)} per second{away}) the roles "
        f"{roles_told(case.roles)} with shares {shares_told(case.p)} came to J {case.objective:.3f} "
        f"(T {case.latency_norm:.3f}, F {case.fairness_norm:.3f}): success {per_model(case.success)}, "
        f"mean latency {per_model(case.latency_s, 0)} s."
    )


def telemetry_told(snapshot: ClusterSnapshot, result: EpochResult | None, policy: MacroPolicy | None) -> str:
    """What the epoch that ended came to, in sentences like the paper's."""
    if result is None:
        return "No request has ended yet, so there is no telemetry of an epoch."
    served = sum(s.done for s in snapshot.stats.values())
    mean_s = sum(s.latency_sum_s for s in snapshot.stats.values()) / max(served, 1)
    arrived = {m: float(s.arrived) for m, s in snapshot.stats.items()}
    said = (
        f"In the epoch that ended, requests arrived: {per_model(arrived, 0)}. Success ratios over those that ended: "
        f"{per_model(result.success)}. Mean latencies of those served: {per_model(result.latency_s, 1)} s. Over all "
        f"models the mean latency was {mean_s:.1f} s and the normalised Jain fairness {result.fairness_norm:.2f}, so J "
        f"was {result.objective:.3f}."
    )
    if policy is None:
        return said
    said += f" The policy in force had the roles {roles_told(policy.roles)} and the shares {shares_told(policy.p)}."
    total = sum(w.requests for w in snapshot.window.work.values())
    if total:
        off = sum(
            w.requests
            for (node, model, _), w in snapshot.window.work.items()
            if policy.roles.get(node, {}).get(model, "off") == "off"
        )
        said += f" {share_percent(off / total)} of the served requests were served outside the roles."
    return said


def backlog_told(snapshot: ClusterSnapshot) -> str:
    """Requests that wait, per model over all nodes, and where most of them are."""
    waiting: dict[str, dict[str, int]] = {}
    for view in snapshot.nodes:
        for executor in view.executors:
            for model, count in executor.queued.items():
                if count:
                    waiting.setdefault(model, {})[view.id] = count
    parts = []
    for model, by_node in sorted(waiting.items()):
        most = max(sorted(by_node), key=lambda n: by_node[n])
        parts.append(f"{model} {sum(by_node.values())} requests (most at {most}: {by_node[most]})")
    return ", ".join(parts) or "nothing"


def per_model(values: Mapping[str, float], digits: int = 2) -> str:
    """`gpt2 0.93, sd 0.72`."""
    return ", ".join(f"{m} {v:.{digits}f}" for m, v in values.items())


def roles_told(roles: Mapping[str, Mapping[str, Mode]]) -> str:
    """`VM2: gpt2 cpu; VM3: sd gpu`."""
    parts = []
    for node, role in sorted(roles.items()):
        active = ", ".join(f"{m} {mode}" for m, mode in sorted(role.items()) if mode != "off")
        parts.append(f"{node}: {active or 'nothing'}")
    return "; ".join(parts)


def shares_told(p: Mapping[str, Mapping[str, float]]) -> str:
    """`gpt2 to VM2 60%, VM3 40%; sd to VM3 100%`."""
    parts = []
    for model, shares in sorted(p.items()):
        ordered = sorted(((s, n) for n, s in shares.items() if s > 0), key=lambda one: (-one[0], one[1]))
        parts.append(f"{model} to " + ", ".join(f"{n} {share_percent(s, 0)}" for s, n in ordered))
    return "; ".join(parts)
