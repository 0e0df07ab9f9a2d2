"""Every executor of one node: FIFO service, GPU and CPU sharing, lifecycle, condition, leaving and returning.

The same object lives in the discrete-event engine and in the live node runtime. It does no I/O and has no
clock: callers pass the time, `next_s()` says when something will happen by itself, `advance(now)` makes it
happen at its exact time however late the call comes, and `take_notices()` tells what did.
"""

from __future__ import annotations

from collections.abc import Collection
from heapq import heappop, heappush
from math import inf

from mypy_extensions import mypyc_attr

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import ExecutorSpec, Mode, TestbedConfig
from emulation.domain.request import Outcome
from emulation.domain.snapshot import NodeView
from emulation.domain.truth import WorldTruth
from emulation.executor.computed import ComputedWork
from emulation.executor.effects import NodeEffects
from emulation.executor.executor import Executor
from emulation.executor.faults import NodeFaults
from emulation.executor.job import Job
from emulation.executor.lane import Lane, Milestone
from emulation.executor.lifecycle import Lifecycle
from emulation.executor.notices import Notice
from emulation.executor.oracle import NodeOracle
from emulation.executor.paths import Paths
from emulation.executor.service import Service
from emulation.executor.speed import Speed
from emulation.executor.telemetry import ExecutorLoad, load_of, node_view


@mypyc_attr(allow_interpreted_subclasses=True)
class NodeState:
    """State machine of one node: its time, and the one door to all that its parts do.

    Of its parts `computed` is for whoever computes work that is real, `oracle` for an oracle, `faults` and `effects`
    for whoever plays events; the others are its own.

    With `external_init`, starting an executor waits for `mark_ready` and draining for `mark_stopped` instead of
    the emulated times (lifecycle `cold`, where processes really start and stop). Service of the models in `real`
    waits for `complete`: somebody really computes, and nobody knows for how long.
    """

    def __init__(
        self,
        testbed: TestbedConfig,
        node_id: str,
        truth: WorldTruth | None = None,
        external_init: bool = False,
        real: Collection[str] = (),
    ) -> None:
        self.testbed = testbed
        self.id = node_id
        self.spec = testbed.node(node_id)
        self.site = self.spec.site
        self._ram_gb = {m.id: m.ram_gb for m in testbed.models}
        self._executors = [_executor(testbed, spec) for spec in testbed.executors_of(node_id)]
        self._batched = [lane for e in self._executors for lane in e.more]
        """Places beyond the first of every executor: none, where all serve one by one."""
        self._speed = Speed(testbed, node_id, truth or WorldTruth())
        self._paths = Paths(testbed, node_id)
        self._service = Service(node_id, self._executors, self._speed, self._paths, real)
        self._lifecycle = Lifecycle(testbed, node_id, self._service, external_init)
        self.computed = ComputedWork(self._service, self.advance, self._refresh)
        """Work that somebody really computes."""
        self.oracle = NodeOracle(self._service, self.advance)
        """The truth, for an oracle that is given it on purpose."""
        self.faults = NodeFaults(
            self._speed,
            self._service,
            self._lifecycle,
            self._paths,
            self.advance,
            self._refresh,
            self._recall,
        )
        """What events may do here."""
        self.effects = NodeEffects(self._service, self._paths)
        """What events do here, for whoever plays them."""
        self._inbound: list[tuple[float, int, Job]] = []
        self._deadlines: list[tuple[float, int, Job]] = []
        self._sequence = 0
        self._next_s = inf
        self.retargeted = 0
        """Modes of executors that were changed by `configure` so far."""
        self.version = 0
        """Rises whenever anything may have changed here. While it stays, and nothing will happen by itself, the node
        looks the same at any time."""

    @property
    def available(self) -> bool:
        """Whether the node is there."""
        return self._service.available

    @property
    def working(self) -> bool:
        """Whether anything in service makes progress."""
        return any(e.working for e in self._executors)

    # -- time ---------------------------------------------------------------------------------------------

    def next_s(self) -> float:
        """When something will happen by itself; infinity if nothing will."""
        return self._next_s

    def advance(self, now_s: float) -> None:
        """Let everything due up to now happen, each at its own time."""
        while self._next_s <= now_s:
            self._step(self._next_s)

    def take_notices(self) -> list[Notice]:
        """What happened since the last call, in order."""
        notices, self._service.notices = self._service.notices, []
        return notices

    def _step(self, t_s: float) -> None:
        for executor in self._executors:
            if executor.finish_s <= t_s:
                self._service.finish(executor, t_s)
            if executor.timer_s <= t_s:
                self._lifecycle.timer(executor, t_s)
        for lane in self._batched:
            if lane.finish_s <= t_s:
                self._service.finish(lane, t_s)
        while self._inbound and self._inbound[0][0] <= t_s:
            self._service.enqueue(heappop(self._inbound)[2], t_s)
        while self._deadlines and self._deadlines[0][0] <= t_s:
            self._service.expire(heappop(self._deadlines)[2], t_s)
        self._refresh()

    def _refresh(self) -> None:
        """Something changed: look when something will happen by itself."""
        self.version += 1
        next_s = inf
        for executor in self._executors:
            if executor.finish_s < next_s:
                next_s = executor.finish_s
            if executor.timer_s < next_s:
                next_s = executor.timer_s
        for lane in self._batched:
            if lane.finish_s < next_s:
                next_s = lane.finish_s
        if self._inbound and self._inbound[0][0] < next_s:
            next_s = self._inbound[0][0]
        here = self._service.by_id
        while self._deadlines and (self._deadlines[0][2].ended or self._deadlines[0][2].executor not in here):
            heappop(self._deadlines)
        if self._deadlines and self._deadlines[0][0] < next_s:
            next_s = self._deadlines[0][0]
        self._next_s = next_s

    # -- work ---------------------------------------------------------------------------------------------

    def submit(self, executor_id: str, job: Job, now_s: float) -> None:
        """Dispatch a job to one of this node's executors; it queues there after its uplink time.

        Raises `KeyError` if the executor is not of this node.
        """
        self.advance(now_s)
        executor = self._service.by_id[executor_id]
        job.executor = executor_id
        job.dispatched_s, job.enqueued_s = now_s, None
        job.stutter = self._speed.stutters(job.request.model)
        self._paths.time(job)
        resent_s, arrives = self._paths.resending(job, "up", now_s)
        job.uplink_s += resent_s
        job.lost = not arrives
        self.version += 1
        if job.lost:
            self._service.lose(job, now_s, resent_s)
            return
        self._sequence += 1
        due_s = max(job.request.deadline_s - job.downlink_s, now_s)
        if due_s != inf:
            heappush(self._deadlines, (due_s, self._sequence, job))
        if job.uplink_s > 0:
            heappush(self._inbound, (now_s + job.uplink_s, self._sequence, job))
            self._next_s = min(self._next_s, due_s, now_s + job.uplink_s)
        elif executor.job is not None and not executor.more and self._service.available:
            job.enqueued_s = now_s
            executor.queue.append(job)
            self._next_s = min(self._next_s, due_s)
        else:
            self._service.enqueue(job, now_s)
            self._refresh()

    def set_network(self, one_way_s: float) -> None:
        """Requests dispatched from now on take so many seconds each way more, as was measured between machines."""
        self._paths.network_s = one_way_s

    def cancel(
        self, request_id: str, now_s: float, outcome: Outcome = "aborted", reason: str = "cancelled"
    ) -> bool:
        """End a request wherever it is here; False if it is not."""
        self.advance(now_s)
        job = next((j for j in self.jobs() if j.request.id == request_id), None)
        if job is None:
            return False
        self._service.remove(job, now_s)
        self._service.end(job, outcome, now_s, reason)
        self._refresh()
        return True

    def progress(self, request_id: str, now_s: float) -> float | None:
        """Done share of a request in service, in [0, 1]; None if it is not in service."""
        self.advance(now_s)
        placed = self._service.in_service(request_id)
        if placed is None:
            return None
        lane, job = placed
        lane.sync(now_s)
        whole = sum(job.truth.noise)
        return 1.0 - lane.remaining_units / whole if whole > 0 else 1.0

    def milestones(self, now_s: float) -> list[Milestone]:
        """Where every job of several prompts that is in service stands."""
        self.advance(now_s)
        lanes = (lane for e in self._executors for lane in e.lanes)
        return [m for m in (lane.milestone(now_s) for lane in lanes) if m is not None]

    def jobs(self) -> list[Job]:
        """All work here: in service, queued, in transit."""
        in_transit = [job for _, _, job in self._inbound if not job.ended]
        return in_transit + [job for e in self._executors for job in (*e.jobs, *e.queue)]

    # -- lifecycle ----------------------------------------------------------------------------------------

    def configure(self, config: NodeConfig, now_s: float) -> list[str]:
        """Apply an activation pattern as `Lifecycle.configure` says; returns what was refused and why."""
        self.advance(now_s)
        refused = self._lifecycle.configure(config, now_s)
        self.retargeted = self._lifecycle.retargeted
        self._refresh()
        return refused

    def targets(self) -> dict[str, Mode]:
        """Executor to the mode it was last told to be in."""
        return {e.id: e.target for e in self._executors}

    def mark_ready(self, executor_id: str, now_s: float) -> None:
        """`external_init`: the process behind a starting executor is up."""
        self._lifecycle.hurry(executor_id, "starting", now_s)
        self._refresh()
        self.advance(now_s)

    def mark_stopped(self, executor_id: str, now_s: float) -> None:
        """`external_init`: the process behind a draining executor is gone."""
        self._lifecycle.hurry(executor_id, "draining", now_s)
        self._refresh()
        self.advance(now_s)

    def _recall(self) -> list[Job]:
        """Take what is on its way here, in order of arrival."""
        jobs = [job for _, _, job in sorted(self._inbound) if not job.ended]
        self._inbound.clear()
        return jobs

    def sync(self, now_s: float) -> None:
        """Bring everything up to now, as a look at the node does."""
        self.advance(now_s)
        for executor in self._executors:
            executor.sync_all(now_s)

    # -- telemetry ----------------------------------------------------------------------------------------

    def view(self, now_s: float) -> NodeView:
        """What telemetry may say about this node now."""
        self.advance(now_s)
        hints = self._speed.hints()
        return node_view(self.spec, self._executors, self._ram_gb, self.available, hints, now_s)

    def loads(self) -> list[ExecutorLoad]:
        """What every executor does, as of the last time this node was advanced."""
        return [load_of(e) for e in self._executors]


def _executor(testbed: TestbedConfig, spec: ExecutorSpec) -> Executor:
    """An executor with as many places as the widest batch of its modes has."""
    modes = testbed.modes(spec.node, spec.models[0])
    width = max((testbed.batching(spec.node, spec.models[0], m).width for m in modes), default=1)
    return Executor(spec=spec, more=tuple(Lane() for _ in range(width - 1)))
