"""What replicas of one device, and the requests of one batch, take from each other: measured, parts of a profile."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from emulation.domain.quantities import Count, Range, Seconds, SomeFraction, Tiny
from emulation.domain.sharing import Batching, Exponent, Overhead
from emulation.domain.strict import Strict

Feature = Annotated[float, Range(0, 1_000_000, "prompts or tokens")]
"""Of a request, as a law counts it."""
RelativeSpeed = Annotated[float, Range(0.000001, 1_000, "times as fast")]
"""Of one among several, relative to being alone."""
RelativeError = Annotated[float, Range(0, 1_000_000, "relative")]


class Colocated(Strict):
    """So many processes computed the same request over and over, all at once."""

    processes: Count
    services_s: tuple[Seconds, ...] = Field(min_length=1, max_length=100_000)
    """Service times measured while all were busy, of every process, in the order of processes."""
    median_s: Tiny
    speed: RelativeSpeed
    """Of one of them, relative to being alone: the median alone over this one."""


class Contention(Strict):
    """A contention curve, and the sharing law of the world that fits it."""

    x: tuple[Feature, ...] = Field(min_length=1, max_length=2)
    """Features of the request that was computed: (n_in, n_out) tokens, or (K,) prompts."""
    fraction: SomeFraction | None = None
    """Share of the GPU each process was held to: its memory, and its threads where MPS runs; None: to none."""
    points: tuple[Colocated, ...] = Field(min_length=2, max_length=1_000)
    sharing: Literal["none", "processor", "cores"]
    """none: they do not disturb each other. processor: a GPU, by `GpuSpec.share`. cores: a CPU, by `CpuLaw.share`."""
    overhead: Overhead | None = None
    """Of `processor`: what a testbed's `gpus: overhead` takes."""
    exponent: Exponent | None = None
    """Of `cores`: what a testbed's `cpu: exponent` takes."""
    residual: RelativeError
    """Root mean square of (law's speed - measured) / measured, at more than one process."""
    worst_error: RelativeError
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

    requests: Count
    services_s: tuple[Seconds, ...] = Field(min_length=1, max_length=100_000)
    """Service times measured while all were there, of every place."""
    median_s: Tiny
    speed: RelativeSpeed
    """Of one of them, relative to being alone: the median alone over this one."""


class BatchCurve(Strict):
    """Speeds by batch size, and the law of the world that fits them: 1 / (1 + cost (n - 1))."""

    x: tuple[Feature, ...] = Field(min_length=1, max_length=2)
    """Features of the request that was computed."""
    points: tuple[InBatch, ...] = Field(min_length=2, max_length=1_000)
    width: Annotated[int, Range(2, 1024, "requests")]
    """Largest batch that was measured."""
    cost: Overhead
    residual: RelativeError
    """Root mean square of (law's speed - measured) / measured, at more than one request."""
    worst_error: RelativeError

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
