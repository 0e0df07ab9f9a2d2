"""The queue of one executor, and what waits in it, counted as it comes and goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from mypy_extensions import mypyc_attr

from emulation.executor.job import Job


@mypyc_attr(allow_interpreted_subclasses=True)
class Waiting:
    """Jobs in the order they are served. Every change, and every count of it, takes the same time however many wait."""

    __slots__ = ("_jobs", "prompts", "requests")

    def __init__(self) -> None:
        self._jobs: OrderedDict[Job, None] = OrderedDict()
        self.requests: dict[str, int] = {}
        """Model to the jobs of it that wait; a model of which none does is absent."""
        self.prompts: dict[str, int] = {}
        """Model to the unfinished prompts of these."""

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    def append(self, job: Job) -> None:
        """It waits behind all others."""
        self._jobs[job] = None
        self._count(job)

    def put_back(self, jobs: Sequence[Job]) -> None:
        """They wait before all others, the first of them first."""
        for job in reversed(jobs):
            self._jobs[job] = None
            self._jobs.move_to_end(job, last=False)
            self._count(job)

    def first(self) -> Job:
        """Who is next. Raises `StopIteration` if nobody waits."""
        return next(iter(self._jobs))

    def take(self) -> Job:
        """Take the first one out. Raises `KeyError` if nobody waits."""
        job, _ = self._jobs.popitem(last=False)
        self._discount(job)
        return job

    def remove(self, job: Job) -> None:
        """Take this one out; nothing happens if it does not wait here."""
        if job in self._jobs:
            del self._jobs[job]
            self._discount(job)

    def clear(self) -> list[Job]:
        """Take all of them out, in order."""
        jobs = list(self._jobs)
        self._jobs.clear()
        self.requests.clear()
        self.prompts.clear()
        return jobs

    def _count(self, job: Job) -> None:
        model, left = job.request.model, len(job.truth.noise) - job.prompts_done
        self.requests[model] = self.requests.get(model, 0) + 1
        self.prompts[model] = self.prompts.get(model, 0) + left

    def _discount(self, job: Job) -> None:
        model = job.request.model
        left = self.requests[model] - 1
        if left:
            self.requests[model] = left
            self.prompts[model] -= len(job.truth.noise) - job.prompts_done
        else:
            del self.requests[model], self.prompts[model]
