"""What replicas of one device, and the requests of one batch, take from each other: measured, parts of a profile."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from emulation.domain.sharing import Batching
from emulation.domain.strict import Strict


class Colocated(Strict):
    """So many processes computed the same request over and over, all at once."""

    processes: int = Field(ge=1)
    services_s: tuple[float, ...] = Field(min_length=1)
    """Service times measured while all were busy, of every process, in the order of processes."""
    median_s: float = Field(gt=0)
    speed: float = Field(gt=0)
    """Of one of them, relative to being alone: the median alone over this one."""


class Contention(Strict):
    """A contention curve, and the sharing law of the world that fits it."""

    x: tuple[float, ...] = Field(min_length=1, max_length=2)
    """Features of the request that was computed: (n_in, n_out) tokens, or (K,) prompts."""
    fraction: float | None = Field(default=None, gt=0, le=1)
    """Share of the GPU each process was held to: its memory, and its threads where MPS runs; None: to none."""
    points: tuple[Colocated, ...] = Field(min_length=2)
    sharing: Literal["none", "processor", "cores"]
    """none: they do not disturb each other. processor: a GPU, by `GpuSpec.share`. cores: a CPU, by `CpuLaw.share`."""
    overhead: float | None = Field(default=None, ge=0)
    """Of `processor`: what a testbed's `gpus: overhead` takes."""
    exponent: float | None = Field(default=None, ge=0)
    """Of `cores`: what a testbed's `cpu: exponent` takes."""
    residual: float = Field(ge=0)
    """Root mean square of (law's speed - measured) / measured, at more than one process."""
    worst_error: float = Field(ge=0)
    """Largest |law's speed - measured| / measured."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        counts = [p.processes for p in self.points]
        if counts != sorted(set(counts)) or counts[0] != 1:
            raise ValueError(f"points must start with 1 process and grow, not {counts}")
        if (self.overhead is None) == (self.sharing == "processor") or (self.exponent is None) == (
            self.sharing == "cores"
        ):
            raise ValueError("processor has an overhead, cores an exponent, none has neither")
        return self


class InBatch(Strict):
    """So many requests of one size, computed over and over in the same batch."""

    requests: int = Field(ge=1)
    services_s: tuple[float, ...] = Field(min_length=1)
    """Service times measured while all were there, of every place."""
    median_s: float = Field(gt=0)
    speed: float = Field(gt=0)
    """Of one of them, relative to being alone: the median alone over this one."""


class BatchCurve(Strict):
    """Speeds by batch size, and the law of the world that fits them: 1 / (1 + cost (n - 1))."""

    x: tuple[float, ...] = Field(min_length=1, max_length=2)
    """Features of the request that was computed."""
    points: tuple[InBatch, ...] = Field(min_length=2)
    width: int = Field(ge=2)
    """Largest batch that was measured."""
    cost: float = Field(ge=0)
    residual: float = Field(ge=0)
    """Root mean square of (law's speed - measured) / measured, at more than one request."""
    worst_error: float = Field(ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        counts = [p.requests for p in self.points]
        if counts != sorted(set(counts)) or counts[0] != 1 or counts[-1] != self.width:
            raise ValueError(f"points must start with 1 request and grow to width {self.width}, not {counts}")
        return self

    @property
    def batching(self) -> Batching:
        """The law as a testbed states it."""
        return Batching(width=self.width, cost=self.cost)
