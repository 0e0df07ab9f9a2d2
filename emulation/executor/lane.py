"""One place in service: a job and how fast it goes. An executor is one, and has more where it serves in batches."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from emulation.executor.job import Job


@dataclass(slots=True, eq=False)
class Lane:
    """The books of one place; `Service` decides when anything happens."""

    job: Job | None = None
    remaining_units: float = 0.0
    unit_s: float = 1.0
    """Seconds per unit of the job in service, on a whole idle resource, conditions included; infinity where it makes no
    progress by itself: paused, or really computed."""
    frozen: bool = False
    """Whether the job in service is paused."""
    share: float = 1.0
    """Speed relative to having the resource alone."""
    synced_s: float = 0.0
    finish_s: float = inf

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

    def break_off(self, now_s: float) -> Job | None:
        """Take the job out of service at its last finished prompt; None if idle."""
        self.sync(now_s)
        job = self.release(now_s)
        if job is not None:
            job.settle(self.remaining_units)
            job.interrupted = True
        return job

    def _due_s(self, now_s: float) -> float:
        if self.unit_s == inf:  # not a product: nothing may be left
            return inf
        return now_s + self.remaining_units * self.unit_s / self.share
