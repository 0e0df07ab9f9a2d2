"""What a node tells the world around it, in the order it happened."""

from __future__ import annotations

from emulation.domain.cluster import Mode
from emulation.domain.request import Outcome
from emulation.domain.snapshot import ExecutorState
from emulation.domain.value import value
from emulation.executor.job import Job


@value
class Started:
    """A job entered service for the first time."""

    t_s: float
    job: Job


@value
class Ended:
    """A job ended at the node; its answer reaches the origin at `deliver_s`."""

    t_s: float
    job: Job
    outcome: Outcome
    deliver_s: float
    reason: str = ""


@value
class Returned:
    """The node gives a job back: it must be dispatched again."""

    t_s: float
    """When whoever dispatched it knows; later than now if it, or its answer, was lost on the way."""
    job: Job


@value
class Changed:
    """An executor changed its lifecycle state or mode."""

    t_s: float
    executor: str
    state: ExecutorState
    mode: Mode
    ready_at_s: float


Notice = Started | Ended | Returned | Changed
