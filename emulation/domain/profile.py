"""Profile files: the linear law of one model on one device, with where it comes from.

A testbed's `profile` list names such a file in place of an entry; both worlds then use its law. A law is measured
on a grid (`edgebed profile`), fitted to a live run (`edgebed calibrate check --refit`), or derived from published
results.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from emulation.domain.cluster import Modality, ProfileEntry, Strict
from emulation.domain.contention import BatchCurve, Contention, Feature, RelativeError
from emulation.domain.quantities import (
    MOST_NODES,
    Coefficient,
    Fraction,
    Line,
    Measured,
    Megabytes,
    Name,
    NodeName,
    Note,
    Range,
    Seconds,
    Seed,
    Threads,
    Tiny,
)
from emulation.domain.sharing import ONE_BY_ONE


class Provenance(Strict):
    """Where and how it was measured."""

    date: Line
    device: Line
    """Name of the processor."""
    threads: Threads
    dtype: Line
    source: Line
    """Checkpoint: a hub id, or the name of a local folder."""
    parameters: Annotated[int, Range(1, 10**15)]
    modality: Modality
    setting: dict[Line, Measured] = Field(default_factory=dict)
    """What was held fixed: tokens per caption, pixels and steps of an image."""
    import_s: Seconds
    weights_s: Seconds
    first_call_s: Seconds
    ram_mb: Megabytes
    vram_mb: Megabytes
    cpu_share: Fraction | None = None
    """Share of the measured time that the model computed; below 0.9 something else took the processor.

    None: on a GPU, or not known."""


class FittedRun(Strict):
    """The live run it was fitted to."""

    date: Line
    """Of the run, UTC."""
    scenario: Line
    scheme: Line
    seed: Seed
    nodes: tuple[NodeName, ...] = Field(min_length=1, max_length=MOST_NODES)
    """Whose requests were used."""
    source: Line
    """Checkpoint: a hub id, or the name of a local folder."""


class Derived(Strict):
    """The published result it was derived from, and how."""

    date: Line
    """Of publication."""
    origin: Note
    """What was published, and by whom."""
    device: Line
    result: Note
    """Where the figures stand."""
    figures: dict[Line, Measured] = Field(min_length=1)
    """As published, milliseconds."""
    assumptions: tuple[Note, ...]
    """What the figures do not say, and we decided."""


class Point(Strict):
    """One measured request."""

    x: tuple[Feature, ...] = Field(min_length=1, max_length=2)
    """(n_in, n_out) tokens, or (K,) prompts."""
    service_s: Tiny
    prefill_s: Seconds
    decode_s: Seconds


class Law(Strict):
    """s = theta . x by non-negative least squares; what is said of its quality is None where nothing was fitted."""

    theta: tuple[Coefficient, ...] = Field(min_length=1, max_length=2)
    """Seconds per feature."""
    low: tuple[Measured, ...] | None = None
    high: tuple[Measured, ...] | None = None
    """Ends of the 95% interval of each coefficient, by Student's t."""
    r2: Annotated[float, Range(-(10**12), 1)] | None = None
    """Share of the variance of the service times that the law explains."""
    residual_sd_s: Seconds | None = None
    worst_error: RelativeError | None = None
    """Largest |law - measured| / measured over the points."""


class ProfileFile(Strict):
    """The law of one model on one device. Exactly one of `measured`, `run` and `derived` says where it comes from."""

    model: Name
    mode: Literal["cpu", "gpu"]
    node: NodeName | None = None
    measured: Provenance | None = None
    run: FittedRun | None = None
    derived: Derived | None = None
    law: Law
    points: tuple[Point, ...] = Field(default=(), max_length=100_000)
    """What the law was fitted to; a derived one has none."""
    contention: Contention | None = None
    """What co-located replicas take from each other, where that was measured too."""
    batch: BatchCurve | None = None
    """What requests in one batch take from each other, where that was measured: then the model is served in batches."""

    @model_validator(mode="after")
    def _matching(self) -> Self:
        origins = [n for n in ("measured", "run", "derived") if getattr(self, n) is not None]
        if len(origins) != 1:
            raise ValueError(f"needs one of measured, run and derived, has {origins or 'none'}")
        law = self.law
        fitted = None not in (law.low, law.high, law.r2, law.residual_sd_s, law.worst_error)
        if (self.derived is None) != fitted or fitted != bool(self.points):
            raise ValueError(
                "a fitted law has points, intervals, r2 and errors; a derived one has none of them"
            )
        sizes = {len(law.theta), len(law.low or law.theta), len(law.high or law.theta)}
        sizes |= {len(p.x) for p in self.points}
        if len(sizes) != 1:
            raise ValueError(
                f"theta, its interval and every x must have the same length, not {sorted(sizes)}"
            )
        return self

    @property
    def device(self) -> str:
        """What it is a law of: a processor, a published system, or the nodes of a run."""
        if self.measured is not None:
            return self.measured.device
        if self.derived is not None:
            return self.derived.device
        return "" if self.run is None else ", ".join(self.run.nodes)

    @property
    def said(self) -> str:
        """Where it comes from, in a line."""
        fit = "" if self.law.r2 is None else f", R2 {self.law.r2:.3f}"
        if self.measured is not None:
            m = self.measured
            return f"measured {m.date} on {m.device}, {m.threads} thread(s), {m.dtype}, {m.source}{fit}"
        if self.derived is not None:
            return f"{self.derived.origin}, {self.derived.device}"
        assert self.run is not None
        r = self.run
        return f"fitted to a run of {r.scenario} under {r.scheme}, seed {r.seed}, {r.date}, {r.source}{fit}"

    def entry(self) -> ProfileEntry:
        """The law as a testbed states it."""
        return ProfileEntry(
            model=self.model, mode=self.mode, node=self.node, theta=self.law.theta, source=self.said,
            batch=ONE_BY_ONE if self.batch is None else self.batch.batching,
        )  # fmt: skip
