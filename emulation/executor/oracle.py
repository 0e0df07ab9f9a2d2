"""The truth of one node's times, for an oracle that is given it on purpose."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from mypy_extensions import mypyc_attr

from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from emulation.executor.job import Job
from emulation.executor.service import Service


@mypyc_attr(allow_interpreted_subclasses=True)
class NodeOracle:
    """What no decider but the oracle may ask of a node: `NodeState.oracle`."""

    def __init__(self, service: Service, advance: Callable[[float], None]) -> None:
        """`advance` brings the node up to a time."""
        self._service, self._advance = service, advance

    def stutters(self, model: str) -> bool:
        """Whether work of this model dispatched here now would stutter (E3 eq. 3)."""
        return self._service.speed.stutters(model)

    def service_s(self, executor_id: str, request: Request, truth: RequestTruth, attempt: int = 1) -> float:
        """Service time the request would take there under the present conditions, alone or in the batch it would join.

        Infinity where it would not be served: while the executor is off or paused, or if the request would fail.
        """
        service, executor = self._service, self._service.by_id[executor_id]
        job = Job(request, truth, attempt)
        if executor.mode == "off" or service.fails(job):
            return inf
        share = service.speed.alone(executor, service.executors)
        if executor.more:
            batch = service.speed.batching(executor)
            share *= batch.speed(min(len(executor.jobs) + 1, batch.width))
        return service.unit_s(executor, job) * sum(truth.noise) / share

    def backlog_s(self, executor_id: str, now_s: float) -> float:
        """Time until the executor is free of its present work if nothing changes; infinity while off or paused.

        Of one that serves in batches: until a place would be free, were its queue served at the speed of a full batch.
        """
        self._advance(now_s)
        service, executor = self._service, self._service.by_id[executor_id]
        if executor.mode == "off":
            return inf
        batch = service.speed.batching(executor)
        full = executor.idle(batch.width) is None
        wait_s = min(lane.finish_s for lane in executor.lanes[: batch.width]) - now_s if full else 0.0
        wait_s += max(0.0, executor.timer_s - now_s) if executor.state == "starting" else 0.0
        share = batch.full_rate(service.speed.alone(executor, service.executors))
        left = (j for j in executor.queue if not service.fails(j))
        return wait_s + sum([service.unit_s(executor, j) * j.remaining_units / share for j in left])
