"""Random views and snapshots of any testbed, from a seed: what telemetry could report, sensible or not."""

from __future__ import annotations

from numpy.random import Generator

from emulation.domain.cluster import ExecutorSpec, Mode, TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.snapshot import ClusterSnapshot, ExecutorView, NodeView, TypeStats, Window
from emulation.rng import stream

STATES = ("ready", "starting", "pending", "draining")


def random_view(testbed: TestbedConfig, node_id: str, seed: int, t_s: float = 30.0) -> NodeView:
    """One node in a random state of its lifecycle, with random queues, half the time with a feasible role."""
    rng = stream(seed, f"view:{node_id}")
    patterns = feasible_configs(testbed, node_id)
    modes = patterns[int(rng.integers(len(patterns)))]
    executors = tuple(
        _executor(spec, modes.get(spec.models[0], "off"), rng)
        for spec in testbed.executors()
        if spec.node == node_id
    )
    node = testbed.node(node_id)
    return NodeView(
        id=node_id,
        taken_at_s=t_s,
        available=bool(rng.random() < 0.9),
        executors=executors,
        cores_busy=float(rng.random() * node.cores),
        ram_used_gb=float(rng.random() * node.ram_gb),
        slices_used=int(rng.integers(node.gpu_slices + 1)),
        role=patterns[int(rng.integers(len(patterns)))] if rng.random() < 0.5 else None,
    )


def random_snapshot(testbed: TestbedConfig, seed: int, slot: int = 7) -> ClusterSnapshot:
    """All nodes in random states; in three of four cases with counted outcomes."""
    rng = stream(seed, "snapshot")
    views = tuple(random_view(testbed, node.id, seed, slot * 30.0) for node in testbed.nodes)
    stats = {} if rng.random() < 0.25 else {m.id: _stats(rng) for m in testbed.models}
    return ClusterSnapshot(slot * 30.0, slot, views, Window(stats=stats))


def _executor(spec: ExecutorSpec, mode: Mode, rng: Generator) -> ExecutorView:
    state = "off" if mode == "off" else STATES[int(rng.choice(4, p=(0.7, 0.1, 0.1, 0.1)))]
    prompts = {m: float(rng.integers(0, 200)) for m in spec.models if rng.random() < 0.7}
    return ExecutorView(
        id=spec.id,
        node=spec.node,
        models=spec.models,
        state=state,  # type: ignore[arg-type]
        mode=mode,
        queued={m: int(n) for m, n in prompts.items()},
        backlog_prompts=prompts,
        ready_in_s=float(rng.random() * 15) if state in ("starting", "pending") else 0.0,
        busy=state == "ready" and bool(prompts),
    )


def _stats(rng: Generator) -> TypeStats:
    arrived = int(rng.integers(0, 300))
    done = int(rng.integers(0, arrived + 1))
    return TypeStats(arrived, arrived * int(rng.integers(1, 9)), done, arrived - done, done * 40.0)
