"""What telemetry may say about a node: queues, modes and resources in use, and nothing hidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from emulation.domain.cluster import ModelSpec, NodeSpec
from emulation.domain.snapshot import ExecutorView, NodeView
from emulation.executor.executor import Executor
from emulation.executor.speed import on_cpu


def node_view(
    node: NodeSpec,
    executors: Sequence[Executor],
    models: Mapping[str, ModelSpec],
    available: bool,
    hints: tuple[str, ...],
    now_s: float,
) -> NodeView:
    """One node as it is now; its executors must have been advanced to `now_s`."""
    held = [e for e in executors if e.holds]
    cpu_busy = sum([e.mode == "cpu" and e.busy for e in held])
    return NodeView(
        id=node.id,
        taken_at_s=now_s,
        available=available,
        executors=tuple(_executor_view(e, now_s) for e in executors),
        cores_busy=node.cores * cpu_busy / max(on_cpu(executors), 1),
        ram_used_gb=sum([models[m].ram_gb for e in held for m in e.spec.models]),
        slices_used=sum([e.mode == "gpu" for e in held]),
        hints=hints,
    )


@dataclass(frozen=True, slots=True)
class ExecutorLoad:
    """What an executor does now, for whoever watches a testbed; deciders are told less, and later."""

    id: str
    running: Mapping[str, int]
    """Model to requests in service."""
    waiting: Mapping[str, int]
    """Model to requests queued."""
    share: float
    """Speed of what is in service over that of having the resource alone, all places together; 0 while idle."""


def load_of(executor: Executor) -> ExecutorLoad:
    """What this executor does now."""
    return ExecutorLoad(
        id=executor.spec.id,
        running=Counter(job.request.model for job in executor.jobs),
        waiting=executor.queue.requests.copy(),
        share=sum([lane.share for lane in executor.lanes if lane.job is not None]),
    )


def _executor_view(executor: Executor, now_s: float) -> ExecutorView:
    queued, prompts = executor.unfinished(now_s)
    waiting = executor.state in ("starting", "pending")
    return ExecutorView(
        id=executor.spec.id,
        node=executor.spec.node,
        models=executor.spec.models,
        state=executor.state,
        mode=executor.target if waiting else executor.mode,
        queued=queued,
        backlog_prompts=prompts,
        ready_in_s=max(0.0, executor.timer_s - now_s) if waiting and executor.timer_s != inf else 0.0,
        busy=executor.busy,
    )
