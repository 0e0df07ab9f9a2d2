"""One FIFO server: its queue, what is in service, and how fast that goes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf

from emulation.domain.cluster import ExecutorSpec, Mode
from emulation.domain.snapshot import ExecutorState
from emulation.executor.job import Job


@dataclass(slots=True, eq=False)
class Executor:
    """State of one executor. `NodeState` decides when anything happens; this only keeps the books."""

    spec: ExecutorSpec
    state: ExecutorState = "off"
    mode: Mode = "off"
    """Mode whose resources it holds (while draining, still the old one)."""
    target: Mode = "off"
    """Mode it was last told to be in."""
    gpu: int | None = None
    """Index of the GPU it holds a slice of."""
    timer_s: float = inf
    """End of starting or draining."""
    queue: deque[Job] = field(default_factory=deque)
    job: Job | None = None
    remaining_units: float = 0.0
    unit_s: float = 1.0
    """Seconds per unit of the job in service, on a whole idle resource, conditions included; infinity where it makes no
    progress by itself: paused, or really computed."""
    frozen: bool = False
    """Whether the job in service is paused."""
    share: float = 1.0
    synced_s: float = 0.0
    finish_s: float = inf

    @property
    def holds(self) -> bool:
        """Whether it occupies RAM, cores or a GPU slice."""
        return self.state in ("starting", "ready", "draining")

    def prompts_left(self, now_s: float) -> float:
        """Unfinished prompts of all its work."""
        self.sync(now_s)
        waiting = sum(job.prompts_left() for job in self.queue)
        return waiting if self.job is None else waiting + self.job.prompts_left(self.remaining_units)

    def begin(self, job: Job, unit_s: float, share: float, now_s: float) -> None:
        """Put a job in service."""
        self.job = job
        self.remaining_units = job.remaining_units
        self.unit_s = unit_s
        self.share = share
        self.frozen = False
        self.synced_s = now_s
        self.finish_s = self._due_s(now_s)

    def sync(self, now_s: float) -> None:
        """Bring the progress of the job in service up to now."""
        if self.job is not None and now_s > self.synced_s:
            elapsed = now_s - self.synced_s
            self.remaining_units = max(0.0, self.remaining_units - elapsed * self.share / self.unit_s)
            self.job.service_s += elapsed
            self.job.work_s += elapsed * self.share
            self.synced_s = now_s

    def rerate(self, unit_s: float, share: float, now_s: float) -> None:
        """The speed changed while the job is in service."""
        if self.job is None or (unit_s == self.unit_s and share == self.share):
            return
        self.sync(now_s)
        self.unit_s = unit_s
        self.share = share
        self.finish_s = self._due_s(now_s)

    def _due_s(self, now_s: float) -> float:
        if self.unit_s == inf:  # not a product: nothing may be left
            return inf
        return now_s + self.remaining_units * self.unit_s / self.share

    def release(self, now_s: float) -> Job | None:
        """Take the job out of service, its service time up to date; None if idle."""
        job = self.job
        if job is None:
            return None
        rest_s = max(0.0, now_s - self.synced_s)
        job.service_s += rest_s
        job.work_s += rest_s * self.share
        self.job = None
        self.finish_s = inf
        return job

    def interrupt(self, now_s: float) -> None:
        """Put the job in service back at the head of the queue, at its last finished prompt."""
        self.sync(now_s)
        job = self.release(now_s)
        if job is not None:
            job.settle(self.remaining_units)
            job.interrupted = True
            self.queue.appendleft(job)

    def clear(self, now_s: float) -> list[Job]:
        """Remove and return all its work, in order."""
        self.interrupt(now_s)
        jobs = list(self.queue)
        self.queue.clear()
        return jobs
