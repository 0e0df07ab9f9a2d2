"""What the requests of one batch take from each other, measured: part of a profile file."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from emulation.domain.cluster import Strict
from emulation.domain.sharing import Batching


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
