"""What is shared, and how fast that makes each: a GPU, the cores of a node, the places of a batch.

Every law of sharing stands here and nowhere else: the state machines, a planner's estimate and the fits of measured
curves call the same functions.
"""

from __future__ import annotations

from typing import Annotated, Literal

from emulation.domain.quantities import Range, SomeGigabytes
from emulation.domain.strict import Strict

Overhead = Annotated[float, Range(0, 100, "times")]
"""Extra time that one more neighbour costs, over the time alone."""
Exponent = Annotated[float, Range(0, 10)]
Width = Annotated[int, Range(1, 1024, "requests")]


class GpuSpec(Strict):
    """One physical GPU, divided in slices (vGPUs)."""

    slices: Annotated[int, Range(1, 64, "vGPUs")] = 1
    vram_gb: SomeGigabytes = 24.0
    sharing: Literal["none", "static", "processor"] = "processor"
    """Contention law: none (slices do not disturb each other), static (each slice has 1/slices of the GPU
    always), processor (the busy executors share it equally)."""
    overhead: Overhead = 0.0
    """Extra time per additional busy executor under processor sharing."""

    def share(self, busy: int) -> float:
        """Speed of each of `busy` executors at work on it, relative to one that has it alone and undivided.

        Under processor sharing n of them run at 1 / (n (1 + overhead (n - 1))).
        """
        if self.sharing == "none" or busy <= 0:
            return 1.0
        if self.sharing == "static":
            return 1.0 / self.slices
        return 1.0 / (busy * (1.0 + self.overhead * (busy - 1)))


class CpuLaw(Strict):
    """Speed of an executor with c cores: (c / reference_cores) ** exponent; cores split equally over CPU executors."""

    reference_cores: Annotated[float, Range(0.01, 4096, "cores")] = 16.0
    exponent: Exponent = 0.7

    def share(self, cores: float, executors: int) -> float:
        """Speed of each of `executors` that split the cores of a node, relative to the reference cores."""
        return float((cores / max(executors, 1) / self.reference_cores) ** self.exponent)

    def slowdown(self, cores: float) -> float:
        """How many times longer than on the reference cores an executor takes that has all these to itself."""
        return float((cores / self.reference_cores) ** -self.exponent)


class Batching(Strict):
    """Continuous batching (Yu et al. 2022, Orca): several requests in service at once, each slowed by the others.

    n of them each go at 1 / (1 + cost (n - 1)) of the speed of one alone: cost 0 is a batch that costs nothing, 1 is
    processor sharing. The cost is measured (`edgebed profile --batch`).
    """

    width: Width
    """Most requests in service at once."""
    cost: Overhead = 0.0

    def speed(self, n: int) -> float:
        """Speed of each of `n` requests in service, relative to one alone."""
        return 1.0 / (1.0 + self.cost * (n - 1)) if n > 1 else 1.0

    def full_rate(self, alone: float) -> float:
        """Requests per second of a full batch, where one alone is served at this rate."""
        return alone * self.width * self.speed(self.width)


ONE_BY_ONE = Batching(width=1)
