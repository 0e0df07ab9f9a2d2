"""Who is in service on one node, who waits, and how fast it goes; nothing here starts or stops an executor."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import inf

from emulation.domain.events import InFlight
from emulation.domain.request import Outcome
from emulation.executor.executor import Executor
from emulation.executor.job import Job
from emulation.executor.notices import Ended, Notice, Returned, Started
from emulation.executor.speed import Speed

BROKEN = "the replica failed"
"""Reason of an injected error: what an outsider would see."""


class Service:
    """The FIFO servers of one node. Callers pass the time, and see to it that it does not go back."""

    def __init__(
        self, node_id: str, executors: Sequence[Executor], speed: Speed, real: Collection[str]
    ) -> None:
        self.executors = executors
        self.by_id: Mapping[str, Executor] = {e.spec.id: e for e in executors}
        self.speed = speed
        self.notices: list[Notice] = []
        self.available = True
        self.in_flight: InFlight = "requeue"
        """What the last leaving of the node does to its work."""
        self._node_id = node_id
        self._real = frozenset(real)
        self._single = len(executors) == 1 and not self._real

    def is_real(self, model: str) -> bool:
        """Whether somebody really computes the work of this model."""
        return model in self._real

    def unit_s(self, executor: Executor, job: Job) -> float:
        """Seconds per unit of a job's work under the conditions in force; infinity if it is really computed."""
        if self._real and job.request.model in self._real:
            return inf
        return self.speed.unit_s(executor.mode, job.request, job.truth)

    def fails(self, job: Job) -> bool:
        """Whether a job would fail if it came into service under the conditions in force."""
        return self.speed.fails(job.request.model, job.request.id, job.attempt)

    # -- into service -------------------------------------------------------------------------------------

    def enqueue(self, job: Job, t_s: float) -> None:
        """A job has arrived at its executor."""
        if job.ended or job.executor is None:
            return
        if not self.available and self.in_flight != "resume":
            self.give_up(job, t_s)
            return
        job.enqueued_s = t_s
        executor = self.by_id[job.executor]
        executor.queue.append(job)
        self.serve_next(executor, t_s)

    def serve_next(self, executor: Executor, t_s: float) -> None:
        """Take the next job into service, if there is one and the executor can.

        One whose model is paused stays at the head of the queue, and all behind it; one that fails is over.
        """
        if executor.job is not None or executor.state != "ready" or not executor.queue:
            return
        job = executor.queue[0]
        while self.speed.stops:
            if self.speed.paused(job.request.model):
                return
            if not self.fails(job):
                break
            self.end(executor.queue.popleft(), "error", t_s, BROKEN)
            if not executor.queue:
                return
            job = executor.queue[0]
        executor.queue.popleft()
        job.mode = executor.mode
        if self._single:  # nothing to share with: its speed is known and stays
            executor.begin(job, self.unit_s(executor, job), self.speed.alone(executor, self.executors), t_s)
        else:
            executor.begin(job, self.unit_s(executor, job), 1.0, t_s)
            self.share_out(executor, t_s)
        if job.started_s is None:
            job.started_s = t_s
            self.notices.append(Started(t_s, job))

    def share_out(self, executor: Executor, t_s: float) -> None:
        """Set the speed of every busy executor that shares a resource with this one."""
        if self._single:
            return
        group, share = self.speed.shared(executor, self.executors)
        for member in group:
            # Real work shares a real device: what it loses there is in its measured time already.
            member.rerate(member.unit_s, 1.0 if member.unit_s == inf else share, t_s)

    def respeed(self, now_s: float) -> None:
        """The conditions changed: work in service changes speed at once, and what had to wait may begin."""
        thawed = False
        for executor in self.executors:
            if executor.job is not None:
                executor.rerate(self.unit_s(executor, executor.job), executor.share, now_s)
                was, executor.frozen = executor.frozen, self.speed.paused(executor.job.request.model)
                thawed = thawed or was != executor.frozen
        for executor in self.executors:
            if thawed:
                self.share_out(executor, now_s)
            self.serve_next(executor, now_s)

    # -- out of service -----------------------------------------------------------------------------------

    def finish(self, executor: Executor, t_s: float) -> None:
        """The job in service is done."""
        job = executor.release(t_s)
        assert job is not None
        job.prompts_done = len(job.truth.noise)
        self.end(job, "done", t_s)
        self._after(executor, t_s)

    def expire(self, job: Job, t_s: float) -> None:
        """The deadline of a job has come."""
        if not job.ended and job.executor is not None:
            self.remove(job, t_s)
            self.end(job, "expired", t_s, "deadline passed")

    def remove(self, job: Job, t_s: float) -> None:
        """Take a job out, wherever it is."""
        executor = self.by_id[job.executor or ""]
        if executor.job is job:
            executor.release(t_s)
            self._after(executor, t_s)
        elif job in executor.queue:
            executor.queue.remove(job)

    def end(self, job: Job, outcome: Outcome, t_s: float, reason: str = "") -> None:
        """A job is over; say so."""
        job.ended = True
        deliver_s = t_s + (job.downlink_s if outcome == "done" else 0.0)
        self.notices.append(Ended(t_s, job, outcome, deliver_s, reason))

    def give_up(self, job: Job, t_s: float) -> None:
        """The node is away: the job is lost, or given back."""
        if self.in_flight == "fail":
            self.end(job, "node_lost", t_s, f"{self._node_id} left")
        else:
            job.executor = None
            self.notices.append(Returned(t_s, job))

    def _after(self, executor: Executor, t_s: float) -> None:
        """The executor's job is out of service: take the next one, or leave its share to others."""
        if executor.queue:
            self.serve_next(executor, t_s)
        if executor.job is None:
            self.share_out(executor, t_s)
