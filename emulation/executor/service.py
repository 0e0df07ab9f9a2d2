"""Who is in service on one node, who waits, and how fast it goes; nothing here starts or stops an executor."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import inf

from mypy_extensions import mypyc_attr

from emulation.domain.events import InFlight
from emulation.domain.request import Outcome
from emulation.executor.executor import Executor
from emulation.executor.job import Job
from emulation.executor.lane import Lane
from emulation.executor.notices import Ended, Notice, Returned, Started
from emulation.executor.paths import Paths
from emulation.executor.speed import Speed

BROKEN = "the replica failed"
"""Reason of an injected error: what an outsider would see."""
LOST = "deadline passed while it was lost on its way"


@mypyc_attr(allow_interpreted_subclasses=True)
class Service:
    """The FIFO servers of one node. Callers pass the time, and see to it that it does not go back."""

    def __init__(
        self, node_id: str, executors: Sequence[Executor], speed: Speed, paths: Paths, real: Collection[str]
    ) -> None:
        self.executors = executors
        self.by_id: Mapping[str, Executor] = {e.id: e for e in executors}
        self.speed = speed
        self.paths = paths
        self.notices: list[Notice] = []
        self.available = True
        self.away_by: set[int] = set()
        """Events that keep the node away: it is back when there is none of them left."""
        self.in_flight: InFlight = "requeue"
        """What the last leaving of the node does to its work."""
        self._node_id = node_id
        self._computes = frozenset(real)
        self._single = len(executors) == 1 and not self._computes and not executors[0].more

    def is_real(self, model: str) -> bool:
        """Whether somebody really computes the work of this model."""
        return model in self._computes

    def in_service(self, request_id: str) -> tuple[Lane, Job] | None:
        """The place a request is served at, and its job; None if it is not in service."""
        for executor in self.executors:
            for lane in executor.lanes:
                if lane.job is not None and lane.job.request.id == request_id:
                    return lane, lane.job
        return None

    def unit_s(self, executor: Executor, job: Job) -> float:
        """Seconds per unit of a job's work under the conditions in force; infinity if it is really computed."""
        if self._computes and job.request.model in self._computes:
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
        """Take the next jobs into service, as many as there are places for, if the executor can.

        One whose model is paused stays at the head of the queue, and all behind it; one that fails is over.
        """
        while executor.queue and executor.state == "ready":
            lane = self._idle(executor)
            job = None if lane is None else self._next_up(executor, t_s)
            if lane is None or job is None:
                return
            job.mode = executor.mode
            if self._single:  # nothing to share with: its speed is known and stays
                lane.begin(job, self.unit_s(executor, job), self.speed.alone(executor, self.executors), t_s)
            else:
                lane.begin(job, self.unit_s(executor, job), 1.0, t_s)
                self.share_out(executor, t_s)
            if job.started_s is None:
                job.started_s = t_s
                self.notices.append(Started(t_s, job))
            if not executor.more:
                return

    def _idle(self, executor: Executor) -> Lane | None:
        if not executor.more:
            return executor if executor.job is None else None
        return executor.idle(self.speed.batching(executor).width)

    def _next_up(self, executor: Executor, t_s: float) -> Job | None:
        """Take the next job that may come into service off the queue."""
        while self.speed.stops and executor.queue:
            job = executor.queue.first()
            if self.speed.paused(job.request.model):
                return None
            if not self.fails(job):
                break
            self.end(executor.queue.take(), "error", t_s, BROKEN)
        return executor.queue.take() if executor.queue else None

    def share_out(self, executor: Executor, t_s: float) -> None:
        """Set the speed of every busy executor that shares a resource with this one, and within every batch."""
        if self._single:
            return
        group, share = self.speed.shared(executor, self.executors)
        for member in group:
            if not member.more:
                # Real work shares a real device: what it loses there is in its measured time already.
                member.rerate(member.unit_s, 1.0 if member.unit_s == inf else share, t_s)
                continue
            of_batch = self.speed.batching(member).speed(len(member.jobs))
            for lane in member.lanes:
                lane.rerate(lane.unit_s, of_batch if lane.unit_s == inf else share * of_batch, t_s)

    def respeed(self, now_s: float) -> None:
        """The conditions changed: work in service changes speed at once, and what had to wait may begin."""
        thawed = False
        for executor in self.executors:
            for lane in executor.lanes:
                if lane.job is not None:
                    lane.rerate(self.unit_s(executor, lane.job), lane.share, now_s)
                    thawed = lane.freeze(self.speed.paused(lane.job.request.model), now_s) or thawed
        for executor in self.executors:
            if thawed:
                self.share_out(executor, now_s)
            self.serve_next(executor, now_s)

    # -- out of service -----------------------------------------------------------------------------------

    def finish(self, lane: Lane, t_s: float) -> None:
        """The job served at a place is done."""
        job = lane.release(t_s)
        assert job is not None
        executor = self.by_id[job.executor or ""]
        resent_s, arrives = self.paths.resending(job, "down", t_s)
        if arrives and (resent_s == 0.0 or t_s + job.downlink_s + resent_s <= job.request.deadline_s):
            job.prompts_done = len(job.truth.noise)
            job.downlink_s += resent_s
            self.end(job, "done", t_s)
        else:
            self.lose(job, t_s, inf if arrives else resent_s)
        self._after(executor, t_s)

    def expire(self, job: Job, t_s: float) -> None:
        """The deadline of a job has come; one that was given back may be at another node by now."""
        if not job.ended and job.executor in self.by_id:
            self.remove(job, t_s)
            self.end(job, "expired", t_s, "deadline passed")

    def remove(self, job: Job, t_s: float) -> None:
        """Take a job out, wherever it is."""
        executor = self.by_id[job.executor or ""]
        lane = executor.lane_of(job)
        if lane is not None:
            lane.release(t_s)
            self._after(executor, t_s)
        else:
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
            self.give_back(job, t_s)

    def give_back(self, job: Job, t_s: float) -> None:
        """The job must be dispatched again, from its last finished prompt; whoever sent it knows at `t_s`."""
        job.executor = None
        self.notices.append(Returned(t_s, job))

    def lose(self, job: Job, t_s: float, after_s: float) -> None:
        """The job or its answer is lost: whoever sent it gives up after so many seconds, or at its deadline."""
        if t_s + after_s < job.request.deadline_s:
            self.give_back(job, t_s + after_s)
        else:
            job.ended = True
            self.notices.append(Ended(t_s, job, "expired", max(job.request.deadline_s, t_s), LOST))

    def _after(self, executor: Executor, t_s: float) -> None:
        """A job is out of service: take the next one, or leave its share to others."""
        if executor.queue:
            self.serve_next(executor, t_s)
        if executor.job is None or executor.more:
            self.share_out(executor, t_s)
