"""Sources of requests: who asks for what, when. What makes the requests of them is `workloads`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from emulation.domain.quantities import (
    Count,
    Gap,
    Length,
    Name,
    ObjectPath,
    PerSecond,
    Prompts,
    PromptsOrNone,
    Rate,
    Requests,
    SlotNumber,
    Slots,
    SomeLine,
    Tokens,
    TokensOrNone,
)
from emulation.domain.source_base import Mix, Models
from emulation.domain.source_base import Source as Source
from emulation.domain.source_base import TokenLengths as TokenLengths
from emulation.domain.trace_source import TraceColumns as TraceColumns
from emulation.domain.trace_source import TraceSource as TraceSource


class SlottedSource(Source):
    """MA's arrivals: per slot, origin and model one request of K ~ U{k_min..k_max} prompts; none for K = 0."""

    kind: Literal["slotted"] = "slotted"
    models: Models | None = None
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


class SessionSource(Source):
    """Conversations of several turns: each turn's prompt holds all that was said before it.

    Sessions begin as a Poisson process; of each, model and origin are drawn once. Turn k + 1 is sent `think_s` after
    the planned time of turn k, whether that is answered or not (open loop): the requests are the same for every scheme
    and in both worlds.
    """

    kind: Literal["sessions"] = "sessions"
    sessions_per_s: Rate
    """Sessions that begin, on average."""
    mix: Mix
    """Models with feature `tokens`."""
    turns: tuple[Count, ...] = Field(default=(2, 4, 8), min_length=1, max_length=1_000)
    """Turns of a session: one of these, uniformly."""
    think_s: Length = 30.0
    """Mean time from the planned time of a turn to that of the next: reading, thinking and writing."""
    think: Literal["exponential", "fixed"] = "exponential"
    """How it is distributed."""
    system_tokens: TokensOrNone = 0
    """At the begin of every prompt, before the first turn."""
    lengths: TokenLengths = TokenLengths()
    """Of one turn: `prompt_tokens` are those that it adds."""
    context_tokens: Tokens = 4096
    """The turn whose prompt and answer would together be longer ends its session: it and those after it are dropped
    (`over_context`)."""


class OutsideSource(Source):
    """Requests of a source of another package: a class derived from `workloads.outside.RequestSource`. A file that
    names one is code."""

    kind: Literal["outside"] = "outside"
    source: ObjectPath
    """Its path, `package.module:NAME`, or its name among the entry points `edgebed.workloads`."""
    settings: dict[SomeLine, Any] = Field(default_factory=dict, max_length=1_000)
    """Its parameters; checked by its own `Config`."""
    lengths: TokenLengths = TokenLengths()
    """Of requests whose lengths it does not say itself."""
    most_requests: Requests = 100_000
    """One more ends the run: what a source will give is not known before."""


WorkloadSource = Annotated[
    SlottedSource
    | PoissonSource
    | BurstSource
    | PeriodicSource
    | TraceSource
    | SessionSource
    | OutsideSource,
    Field(discriminator="kind"),
]
