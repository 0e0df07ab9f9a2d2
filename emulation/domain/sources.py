"""Sources of requests: who asks for what, when. What makes the requests of them is `workloads`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from emulation.domain.quantities import (
    MOST_NODES,
    Gap,
    Length,
    Name,
    NodeName,
    PerSecond,
    Prompts,
    PromptsOrNone,
    Rate,
    Requests,
    RowNumber,
    Rows,
    SlotNumber,
    Slots,
    SomeLine,
    Tokens,
    Weight,
)
from emulation.domain.strict import Strict


def _somebody(mix: dict[str, float]) -> dict[str, float]:
    if not sum(mix.values()) >= _LEAST_SHARE:
        raise ValueError(f"has no positive share: {mix}; give at least one model a share > 0")
    return mix


_LEAST_SHARE = 1e-6


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(f"{name!r} is there twice; remove one")
    return names


Origins = Annotated[
    tuple[NodeName, ...], Field(min_length=1, max_length=MOST_NODES), AfterValidator(_each_once)
]
Models = Annotated[tuple[Name, ...], Field(min_length=1, max_length=128), AfterValidator(_each_once)]
Mix = Annotated[dict[Name, Weight], Field(min_length=1, max_length=128), AfterValidator(_somebody)]
"""Model to share; shares need not sum to 1."""


class TokenLengths(Strict):
    """Token counts drawn uniformly from lists (feature `tokens`)."""

    prompt_tokens: tuple[Tokens, ...] = Field(default=(128, 512, 1024), min_length=1, max_length=1_000)
    output_tokens: tuple[Tokens, ...] = Field(default=(16, 32, 64), min_length=1, max_length=1_000)
    max_tokens: Tokens | None = None
    """Limit the client states; None: the largest of output_tokens."""


class Source(Strict):
    """What every source of requests has. `origins`: nodes at which requests enter; None: all of the testbed."""

    origins: (
        Annotated[
            tuple[NodeName, ...], Field(min_length=1, max_length=MOST_NODES), AfterValidator(_each_once)
        ]
        | None
    ) = None


class SlottedSource(Source):
    """MA's arrivals: per slot, origin and model one request of K ~ U{k_min..k_max} prompts; none for K = 0."""

    kind: Literal["slotted"] = "slotted"
    models: (
        Annotated[tuple[Name, ...], Field(min_length=1, max_length=128), AfterValidator(_each_once)] | None
    ) = None
    k_min: PromptsOrNone = 0
    k_max: Prompts = 8
    offset: Literal["start", "uniform"] = "start"
    """When within the slot a request arrives."""
    from_slot: SlotNumber = 0
    """First slot with requests; several sources of different slots make phases."""
    until_slot: Slots | None = None
    """First slot without requests again; None: they go on to the end."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.k_max < self.k_min:
            raise ValueError(f"k_max {self.k_max} must be >= k_min {self.k_min}")
        if self.until_slot is not None and self.until_slot <= self.from_slot:
            raise ValueError(f"until_slot {self.until_slot} must be after from_slot {self.from_slot}")
        return self


class PoissonSource(Source):
    """Poisson arrivals of the mean rate; each request picks a model by `mix`."""

    kind: Literal["poisson"] = "poisson"
    rate_per_s: Rate
    mix: Mix
    prompts: tuple[Prompts, ...] = Field(default=(1,), min_length=1, max_length=1_000)
    lengths: TokenLengths = TokenLengths()


class BurstSource(Source):
    """On/off Poisson arrivals: `burst_rate_per_s` for `on_s`, then `base_rate_per_s` for `off_s`, repeated."""

    kind: Literal["burst"] = "burst"
    base_rate_per_s: PerSecond
    burst_rate_per_s: Rate
    on_s: Length
    off_s: Length
    mix: Mix
    prompts: tuple[Prompts, ...] = Field(default=(1,), min_length=1, max_length=1_000)
    lengths: TokenLengths = TokenLengths()


class PeriodicSource(Source):
    """E3's arrivals: a fixed inter-arrival time, models in strict alternation."""

    kind: Literal["periodic"] = "periodic"
    interval_s: Gap
    count: Requests
    models: tuple[Name, ...] = Field(min_length=1, max_length=1_000)
    lengths: TokenLengths = TokenLengths()


class TraceSource(Source):
    """Replay of a measured trace. The rule that maps rows to requests is `workloads/traces.py`'s docstring."""

    kind: Literal["trace"] = "trace"
    trace: SomeLine
    """`azure-conv`, `azure-code`, or a path to a CSV of the same columns."""
    start_row: RowNumber = 0
    rows: Rows | None = None
    """Rows to read; None: until the horizon is covered."""
    rate_per_s: Rate | None = None
    """Rescale time so that the rows read have this mean rate; None: the trace's own time."""
    mix: Mix
    """Model to share of the rows."""
    prompts: tuple[Prompts, ...] = Field(default=(1,), min_length=1, max_length=1_000)
    """K for models with feature `prompts`: drawn per row."""
    max_prompt_tokens: Tokens = 4096
    max_output_tokens: Tokens = 1024
    over_limit: Literal["clip", "drop"] = "clip"


WorkloadSource = Annotated[
    SlottedSource | PoissonSource | BurstSource | PeriodicSource | TraceSource,
    Field(discriminator="kind"),
]
