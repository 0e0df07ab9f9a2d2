"""Profile files: what was measured of one model on one device, and the linear law that fits it.

A testbed's `profile` list names such a file in place of an entry; both worlds then use its law.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from emulation.domain.cluster import Modality, ProfileEntry, Strict


class Measured(Strict):
    """Where and how it was measured."""

    date: str
    device: str
    """Name of the processor."""
    threads: int = Field(ge=1)
    dtype: str
    source: str
    """Checkpoint: a hub id, or the name of a local folder."""
    parameters: int = Field(ge=1)
    modality: Modality
    setting: dict[str, float] = Field(default_factory=dict)
    """What was held fixed: tokens per caption, pixels and steps of an image."""
    import_s: float = Field(ge=0)
    weights_s: float = Field(ge=0)
    first_call_s: float = Field(ge=0)
    ram_mb: float = Field(ge=0)
    vram_mb: float = Field(ge=0)


class Point(Strict):
    """One measured request."""

    x: tuple[float, ...] = Field(min_length=1, max_length=2)
    """(n_in, n_out) tokens, or (K,) prompts."""
    service_s: float = Field(gt=0)
    prefill_s: float = Field(ge=0)
    decode_s: float = Field(ge=0)


class Law(Strict):
    """s = theta . x by non-negative least squares."""

    theta: tuple[float, ...] = Field(min_length=1, max_length=2)
    """Seconds per feature."""
    low: tuple[float, ...]
    high: tuple[float, ...]
    """Ends of the 95% interval of each coefficient, by Student's t."""
    r2: float = Field(le=1)
    """Share of the variance of the service times that the law explains."""
    residual_sd_s: float = Field(ge=0)
    worst_error: float = Field(ge=0)
    """Largest |law - measured| / measured over the points."""


class ProfileFile(Strict):
    """A measured profile."""

    model: str
    mode: Literal["cpu", "gpu"]
    node: str | None = None
    measured: Measured
    law: Law
    points: tuple[Point, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _matching(self) -> Self:
        sizes = {len(self.law.theta), len(self.law.low), len(self.law.high), *(len(p.x) for p in self.points)}
        if len(sizes) != 1:
            raise ValueError(
                f"theta, its interval and every x must have the same length, not {sorted(sizes)}"
            )
        return self

    def entry(self) -> ProfileEntry:
        """The law as a testbed states it."""
        m = self.measured
        said = f"measured {m.date} on {m.device}, {m.threads} thread(s), {m.dtype}, R2 {self.law.r2:.3f}"
        return ProfileEntry(
            model=self.model, mode=self.mode, node=self.node, theta=self.law.theta, source=said
        )
