"""What a node tells the world around it, in the order it happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from emulation.domain.cluster import Mode
from emulation.domain.native import Native
from emulation.domain.request import Outcome
from emulation.domain.snapshot import ExecutorState
from emulation.executor.job import Job


@dataclass(init=False, slots=True, unsafe_hash=True)
class Started(Native):
    """A job entered service for the first time."""

    t_s: Final[float]
    job: Final[Job]

    def __init__(
        self,
        t_s: float,
        job: Job,
    ) -> None:
        self.t_s = t_s
        self.job = job


@dataclass(init=False, slots=True, unsafe_hash=True)
class Ended(Native):
    """A job ended at the node; its answer reaches the origin at `deliver_s`."""

    t_s: Final[float]
    job: Final[Job]
    outcome: Final[Outcome]
    deliver_s: Final[float]
    reason: Final[str]

    def __init__(
        self,
        t_s: float,
        job: Job,
        outcome: Outcome,
        deliver_s: float,
        reason: str = "",
    ) -> None:
        self.t_s = t_s
        self.job = job
        self.outcome = outcome
        self.deliver_s = deliver_s
        self.reason = reason


@dataclass(init=False, slots=True, unsafe_hash=True)
class Returned(Native):
    """The node gives a job back: it must be dispatched again."""

    t_s: Final[float]
    """When whoever dispatched it knows; later than now if it, or its answer, was lost on the way."""
    job: Final[Job]

    def __init__(
        self,
        t_s: float,
        job: Job,
    ) -> None:
        self.t_s = t_s
        self.job = job


@dataclass(init=False, slots=True, unsafe_hash=True)
class Changed(Native):
    """An executor changed its lifecycle state or mode."""

    t_s: Final[float]
    executor: Final[str]
    state: Final[ExecutorState]
    mode: Final[Mode]
    ready_at_s: Final[float]

    def __init__(
        self,
        t_s: float,
        executor: str,
        state: ExecutorState,
        mode: Mode,
        ready_at_s: float,
    ) -> None:
        self.t_s = t_s
        self.executor = executor
        self.state = state
        self.mode = mode
        self.ready_at_s = ready_at_s


Notice = Started | Ended | Returned | Changed
