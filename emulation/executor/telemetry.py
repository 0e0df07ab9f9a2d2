"""What telemetry may say about a node: queues, modes and resources in use, and nothing hidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from mypy_extensions import mypyc_attr

from emulation.domain.cluster import NodeSpec
from emulation.domain.snapshot import ExecutorView, NodeView
from emulation.executor.executor import Executor


def node_view(
    node: NodeSpec,
    executors: Sequence[Executor],
    ram_of: Mapping[str, float],
    available: bool,
    hints: tuple[str, ...],
    now_s: float,
) -> NodeView:
    """One node as it is now; its executors must have been advanced to `now_s`. `ram_of`: model to GB."""
    views: list[ExecutorView] = []
    on_cpu = cpu_busy = on_gpu = 0
    ram_gb = 0.0
    for executor in executors:
        views.append(_executor_view(executor, now_s))
        if executor.holds:
            for model in executor.spec.models:
                ram_gb += ram_of[model]
            on_gpu += executor.mode == "gpu"
            if executor.mode == "cpu":
                on_cpu += 1
                cpu_busy += executor.busy
    return NodeView(
        id=node.id,
        taken_at_s=now_s,
        available=available,
        executors=tuple(views),
        cores_busy=node.cores * cpu_busy / max(on_cpu, 1),
        ram_used_gb=ram_gb,
        slices_used=on_gpu,
        hints=hints,
    )


@mypyc_attr(native_class=False)
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
    working: bool
    """Whether anything in service makes progress: not while a pause keeps all of it still."""
    gpu: int | None = None
    """Index of the GPU that it holds a slice of."""


def load_of(executor: Executor) -> ExecutorLoad:
    """What this executor does now."""
    return ExecutorLoad(
        id=executor.id,
        running=Counter(job.request.model for job in executor.jobs),
        waiting=executor.queue.requests.copy(),
        share=sum([lane.share for lane in executor.lanes if lane.job is not None]),
        working=executor.working,
        gpu=executor.gpu,
    )


def _executor_view(executor: Executor, now_s: float) -> ExecutorView:
    """One that is idle, in the state and mode in which it was last seen so, looks as it did then."""
    waiting = executor.state in ("starting", "pending")
    idle = executor.job is None and not waiting and not executor.more and len(executor.queue) == 0
    kept = executor.idle_view
    if idle and kept is not None and kept.state == executor.state and kept.mode == executor.mode:
        return kept
    queued, prompts = executor.unfinished(now_s)
    view = ExecutorView(
        id=executor.id,
        node=executor.spec.node,
        models=executor.spec.models,
        state=executor.state,
        mode=executor.target if waiting else executor.mode,
        queued=queued,
        backlog_prompts=prompts,
        ready_in_s=max(0.0, executor.timer_s - now_s) if waiting and executor.timer_s != inf else 0.0,
        busy=executor.busy,
    )
    if idle:
        executor.idle_view = view
    return view
