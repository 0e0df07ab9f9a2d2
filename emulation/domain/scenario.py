"""Scenario files: which testbed, who asks for what, what goes wrong, and everything the papers leave open."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from emulation.domain.cluster import Mode, Strict, TestbedConfig
from emulation.domain.events import Event, Leave, LinkDelay, LlmOutage, ReplicaCrash
from emulation.domain.slots import slot_start_s
from emulation.domain.strict import check_known

LengthKnowledge = Literal["exact", "max_tokens", "predicted"]
"""What a router knows of the output length: the truth (E3's assumption), the request's limit, or nothing."""

Lifecycle = Literal["warm", "cold"]
"""warm: replica processes stay up, initialisation runs on the virtual clock; cold: they really start and stop."""


PLANNER_GRACE_SHARE = 0.2
"""At an epoch boundary scheduler and deployment agents give the planner this share of a slot before they go on."""


class TokenLengths(Strict):
    """Token counts drawn uniformly from lists (feature `tokens`)."""

    prompt_tokens: tuple[int, ...] = (128, 512, 1024)
    output_tokens: tuple[int, ...] = (16, 32, 64)
    max_tokens: int | None = Field(default=None, ge=1)
    """Limit the client states; None: the largest of output_tokens."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if (
            not self.prompt_tokens
            or not self.output_tokens
            or min(*self.prompt_tokens, *self.output_tokens, 1) < 1
        ):
            raise ValueError("prompt_tokens and output_tokens need at least one value each, all >= 1")
        return self


class Source(Strict):
    """What every source of requests has. `origins`: nodes at which requests enter; None: all of the testbed."""

    origins: tuple[str, ...] | None = None


class SlottedSource(Source):
    """MA's arrivals: per slot, origin and model one request of K ~ U{k_min..k_max} prompts; none for K = 0."""

    kind: Literal["slotted"] = "slotted"
    models: tuple[str, ...] | None = None
    k_min: int = Field(default=0, ge=0)
    k_max: int = Field(default=8, ge=1)
    offset: Literal["start", "uniform"] = "start"
    """When within the slot a request arrives."""
    from_slot: int = Field(default=0, ge=0)
    """First slot with requests; several sources of different slots make phases."""
    until_slot: int | None = Field(default=None, ge=1)
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
    rate_per_s: float = Field(gt=0)
    mix: dict[str, float] = Field(min_length=1)
    prompts: tuple[int, ...] = (1,)
    lengths: TokenLengths = TokenLengths()


class BurstSource(Source):
    """On/off Poisson arrivals: `burst_rate_per_s` for `on_s`, then `base_rate_per_s` for `off_s`, repeated."""

    kind: Literal["burst"] = "burst"
    base_rate_per_s: float = Field(ge=0)
    burst_rate_per_s: float = Field(gt=0)
    on_s: float = Field(gt=0)
    off_s: float = Field(gt=0)
    mix: dict[str, float] = Field(min_length=1)
    prompts: tuple[int, ...] = (1,)
    lengths: TokenLengths = TokenLengths()


class PeriodicSource(Source):
    """E3's arrivals: a fixed inter-arrival time, models in strict alternation."""

    kind: Literal["periodic"] = "periodic"
    interval_s: float = Field(gt=0)
    count: int = Field(ge=1)
    models: tuple[str, ...] = Field(min_length=1)
    lengths: TokenLengths = TokenLengths()


class TraceSource(Source):
    """Replay of a measured trace. The rule that maps rows to requests is `workloads/traces.py`'s docstring."""

    kind: Literal["trace"] = "trace"
    trace: str
    """`azure-conv`, `azure-code`, or a path to a CSV of the same columns."""
    start_row: int = Field(default=0, ge=0)
    rows: int | None = Field(default=None, ge=1)
    """Rows to read; None: until the horizon is covered."""
    rate_per_s: float | None = Field(default=None, gt=0)
    """Rescale time so that the rows read have this mean rate; None: the trace's own time."""
    mix: dict[str, float] = Field(min_length=1)
    """Model to share of the rows."""
    prompts: tuple[int, ...] = (1,)
    """K for models with feature `prompts`: drawn per row."""
    max_prompt_tokens: int = Field(default=4096, ge=1)
    max_output_tokens: int = Field(default=1024, ge=1)
    over_limit: Literal["clip", "drop"] = "clip"


WorkloadSource = Annotated[
    SlottedSource | PoissonSource | BurstSource | PeriodicSource | TraceSource,
    Field(discriminator="kind"),
]


class LiveConfig(Strict):
    """How the scenario runs live."""

    speedup: float = Field(default=1.0, gt=0, le=1000)
    """Virtual seconds per wall second."""
    lifecycle: Lifecycle = "warm"
    stream_share: float = Field(default=0.25, ge=0, le=1)
    """Share of text requests sent with stream=true, to measure the time to first token."""

    @model_validator(mode="after")
    def _cold_is_real_time(self) -> Self:
        if self.lifecycle == "cold" and self.speedup != 1.0:
            raise ValueError(f"lifecycle cold needs speedup 1 (processes really start), not {self.speedup:g}")
        return self


class Scenario(Strict):
    """One experiment, except scheme and seed. Raises `ValidationError` naming the field, the value and the fix."""

    name: str
    note: str = ""
    testbed: TestbedConfig
    workload: tuple[WorkloadSource, ...] = Field(min_length=1)
    events: tuple[Event, ...] = ()
    slot_s: float = Field(default=30.0, gt=0)
    epoch_slots: int = Field(default=50, ge=1)
    slots: int = Field(default=50, ge=1)
    """Slots whose arrivals are counted."""
    tail_slots: int = Field(default=0, ge=0)
    """Slots after the horizon in which arrivals go on uncounted."""
    deadline_s: float | None = Field(default=900.0, gt=0)
    """tau; None: requests never expire."""
    objective_weight: float = Field(default=0.5, ge=0, le=1)
    """lambda of MA eq. 10."""
    length_knowledge: LengthKnowledge = "max_tokens"
    service_cv: float = Field(default=0.0, ge=0)
    """Coefficient of variation of the service-time noise (gamma, mean 1), per prompt or per token request."""
    mismatch_sigma: float = Field(default=0.0, ge=0)
    """Log-normal sigma of true / profiled, drawn per (node, model, mode, coefficient) from the seed."""
    controllers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Registry name of a controller to its parameters; validated by that controller's own Config."""
    plan: dict[str, dict[str, Mode]] | None = None
    """A given role plan (node to model to mode) for schemes that follow one; None: the planner searches."""
    live: LiveConfig = LiveConfig()

    @property
    def horizon_s(self) -> float:
        """Virtual seconds of counted arrivals."""
        return slot_start_s(self.slots, self.slot_s)

    @property
    def end_s(self) -> float:
        """Virtual seconds at which arrivals stop."""
        return slot_start_s(self.slots + self.tail_slots, self.slot_s)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        nodes = {n.id for n in self.testbed.nodes}
        models = {m.id for m in self.testbed.models}
        for i, source in enumerate(self.workload):
            check_known(f"workload[{i}].origins", source.origins or (), nodes, "node")
            named = tuple(source.mix) if hasattr(source, "mix") else (getattr(source, "models", None) or ())
            check_known(f"workload[{i}]", named, models, "model")
            if any(share < 0 for share in getattr(source, "mix", {}).values()):
                raise ValueError(f"workload[{i}].mix has a negative share: {getattr(source, 'mix', {})}")
            if hasattr(source, "mix") and not any(source.mix.values()):
                raise ValueError(
                    f"workload[{i}].mix has no positive share; give at least one model a share > 0"
                )
            if isinstance(source, SlottedSource) and source.from_slot >= self.slots + self.tail_slots:
                raise ValueError(
                    f"workload[{i}].from_slot {source.from_slot} is after the last slot,"
                    f" {self.slots + self.tail_slots - 1}"
                )
        sites = {n.site for n in self.testbed.nodes}
        for i, event in enumerate(self.events):
            if isinstance(event, LinkDelay):
                check_known(f"events[{i}]", (event.a, event.b), sites, "site")
                continue
            if isinstance(event, LlmOutage):
                continue
            check_known(f"events[{i}].node", (event.node,), nodes, "node")
            model = None if isinstance(event, Leave) else event.model
            check_known(f"events[{i}].model", (model,), models, "model")
            if model is not None and model not in self.testbed.hosted(event.node):
                raise ValueError(f"events[{i}]: node {event.node!r} cannot host model {model!r}")
            if isinstance(event, ReplicaCrash) and self.testbed.node(event.node).hosting == "device":
                raise ValueError(
                    f"events[{i}]: replica_crash needs a node with pods; {event.node!r} is a device"
                )
        _no_overlapping_leaves(self.events)
        check_known("plan", self.plan or (), nodes, "node")
        return self


def _no_overlapping_leaves(events: tuple[Event, ...]) -> None:
    leaves = sorted((e for e in events if isinstance(e, Leave)), key=lambda e: (e.node, e.at_s))
    for first, second in zip(leaves, leaves[1:], strict=False):
        if first.node == second.node and second.at_s < first.until_s:
            raise ValueError(
                f"node {first.node!r} leaves at {second.at_s:g} s while away until {first.until_s:g} s"
            )
