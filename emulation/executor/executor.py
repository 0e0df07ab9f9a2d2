"""One FIFO server: its queue, what is in service, and how fast that goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from emulation.domain.cluster import ExecutorSpec, Mode
from emulation.domain.snapshot import ExecutorState, ExecutorView
from emulation.executor.job import Job
from emulation.executor.lane import Lane
from emulation.executor.waiting import Waiting


@dataclass(slots=True, eq=False)
class Executor(Lane):
    """State of one executor. `NodeState` decides when anything happens; this only keeps the books.

    It is its own first lane: most executors serve one request at a time and have no other.
    """

    spec: ExecutorSpec = field(kw_only=True)
    id: str = field(init=False, default="")
    model: str = field(init=False, default="")
    """The only one of a pod, the first of a device."""
    state: ExecutorState = "off"
    mode: Mode = "off"
    """Mode whose resources it holds (while draining, still the old one)."""
    target: Mode = "off"
    """Mode it was last told to be in."""
    gpu: int | None = None
    """Index of the GPU it holds a slice of."""
    timer_s: float = inf
    """End of starting or draining."""
    queue: Waiting = field(default_factory=Waiting)
    more: tuple[Lane, ...] = ()
    """Further lanes, where it serves in batches."""
    idle_view: ExecutorView | None = None
    """What telemetry said of it when it was last seen idle."""

    def __post_init__(self) -> None:
        self.id = self.spec.id
        self.model = self.spec.models[0] if self.spec.models else ""

    @property
    def lanes(self) -> Sequence[Lane]:
        """Every place in service."""
        return (self, *self.more)

    @property
    def jobs(self) -> list[Job]:
        """What is in service."""
        if not self.more:
            return [] if self.job is None else [self.job]
        return [lane.job for lane in self.lanes if lane.job is not None]

    @property
    def busy(self) -> bool:
        """Whether anything is in service."""
        return self.job is not None or (bool(self.more) and any(m.job is not None for m in self.more))

    @property
    def working(self) -> bool:
        """Whether anything in service makes progress."""
        if self.job is not None and not self.frozen:
            return True
        return bool(self.more) and any(m.job is not None and not m.frozen for m in self.more)

    @property
    def holds(self) -> bool:
        """Whether it occupies RAM, cores or a GPU slice."""
        up = self.state in ("starting", "ready", "draining")
        return up or (self.state == "away" and self.mode != "off")  # a node that lets its work finish

    def idle(self, width: int) -> Lane | None:
        """A free place among the first `width`; None if all are taken."""
        if self.job is None:
            return self
        return next((m for m in self.more[: width - 1] if m.job is None), None)

    def sync_all(self, now_s: float) -> None:
        """Bring the progress of what is in service up to now."""
        self.sync(now_s)
        for lane in self.more:
            lane.sync(now_s)

    def lane_of(self, job: Job) -> Lane | None:
        """The place a job is served at; None if it is not in service."""
        return next((lane for lane in self.lanes if lane.job is job), None)

    def unfinished(self, now_s: float) -> tuple[dict[str, int], dict[str, float]]:
        """Model to its jobs, and to their unfinished prompts: those that wait, and those in service."""
        requests = self.queue.requests.copy()
        prompts: dict[str, float] = {model: float(left) for model, left in self.queue.prompts.items()}
        lane: Lane
        for lane in (self, *self.more) if self.more else (self,):
            job = lane.job
            if job is not None:
                lane.sync(now_s)
                model = job.request.model
                requests[model] = requests.get(model, 0) + 1
                prompts[model] = prompts.get(model, 0.0) + job.prompts_left(lane.remaining_units)
        return requests, prompts

    def interrupt(self, now_s: float) -> None:
        """Put what is in service back at the head of the queue, at the last finished prompt, first come first."""
        jobs = [job for job in (lane.break_off(now_s) for lane in self.lanes) if job is not None]
        if len(jobs) > 1:
            jobs.sort(key=lambda job: (job.enqueued_s or 0.0, job.started_s or 0.0))
        self.queue.put_back(jobs)

    def clear(self, now_s: float) -> list[Job]:
        """Remove and return all its work, in order."""
        self.interrupt(now_s)
        return self.queue.clear()
