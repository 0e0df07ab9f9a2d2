"""One place in service: a job and how fast it goes. An executor is one, and has more where it serves in batches."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from mypy_extensions import mypyc_attr

from emulation.executor.job import Job


@mypyc_attr(native_class=False)
@dataclass(frozen=True, slots=True)
class Milestone:
    """The last finished prompt of a job in service."""

    job: Job
    prompts_done: int
    """Over all attempts. The last prompt is never among them: with it the job ends."""
    finished_s: float
    """When the last of them was finished, reckoned at the present speed; if none was, when service began."""
    service_s: float
    """Seconds in service up to then, over all attempts."""
    next_s: float
    """When the next prompt will be finished; infinity if it is the last."""


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
        job.begin_turn()
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
            self._count(self.job, elapsed)
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
        self._count(job, max(0.0, now_s - self.synced_s))
        self.job = None
        self.finish_s = inf
        return job

    def _count(self, job: Job, elapsed_s: float) -> None:
        job.service_s += elapsed_s
        if self.frozen:
            job.stood_s += elapsed_s
        else:
            job.work_s += elapsed_s * self.share

    def freeze(self, frozen: bool, now_s: float) -> bool:
        """The job in service is paused, or goes on; whether that is news."""
        if frozen == self.frozen:
            return False
        self.sync(now_s)
        self.frozen = frozen
        return True

    def break_off(self, now_s: float) -> Job | None:
        """Take the job out of service at its last finished prompt; None if idle."""
        self.sync(now_s)
        job = self.release(now_s)
        if job is not None:
            job.settle(self.remaining_units)
            job.interrupted = True
        return job

    def milestone(self, now_s: float) -> Milestone | None:
        """Where the job in service stands at `now_s`; None if there is none, or it has a single prompt.

        Its node must have been advanced to `now_s`, and is not changed. Prompts count as finished by the rule of
        `Job.settle`, so that an interruption at this instant would keep exactly these.
        """
        job = self.job
        if job is None or len(job.truth.noise) < 2:
            return None
        unit_s = self.unit_s / self.share
        done, left, next_units = job.finished(self.remaining_units - max(0.0, now_s - self.synced_s) / unit_s)
        if unit_s == inf:  # paused, or real work, which says itself how far it is
            return Milestone(job, done, self.synced_s, job.service_s, inf)
        finished_s = min(self.synced_s + (self.remaining_units - left) * unit_s, now_s)
        next_s = self.synced_s + (self.remaining_units - next_units) * unit_s
        last = done == len(job.truth.noise) - 1
        service_s = job.service_s + finished_s - self.synced_s
        return Milestone(job, done, finished_s, service_s, inf if last else next_s)

    def _due_s(self, now_s: float) -> float:
        if self.unit_s == inf:  # not a product: nothing may be left
            return inf
        return now_s + self.remaining_units * self.unit_s / self.share
