"""Scenario files: which testbed, who asks for what, what goes wrong, and everything the papers leave open."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from emulation.domain.cluster import Mode, Strict, TestbedConfig
from emulation.domain.effort import check_effort
from emulation.domain.events import (
    Drift,
    Event,
    LinkDelay,
    LinkLoss,
    LlmOutage,
    ReplicaCrash,
    ReplicaKill,
    SchemeSwitch,
)
from emulation.domain.feasibility import given_plan_violations
from emulation.domain.one_request import check_requests
from emulation.domain.quantities import (
    Fraction,
    Length,
    Name,
    NodeName,
    Note,
    Range,
    SlotLength,
    SlotNumber,
    Slots,
    SomeLine,
)
from emulation.domain.slo import Slo
from emulation.domain.slots import slot_start_s
from emulation.domain.sources import BurstSource as BurstSource
from emulation.domain.sources import OutsideSource as OutsideSource
from emulation.domain.sources import PeriodicSource as PeriodicSource
from emulation.domain.sources import PoissonSource as PoissonSource
from emulation.domain.sources import SessionSource as SessionSource
from emulation.domain.sources import SlottedSource as SlottedSource
from emulation.domain.sources import Source as Source
from emulation.domain.sources import TokenLengths as TokenLengths
from emulation.domain.sources import TraceColumns as TraceColumns
from emulation.domain.sources import TraceSource as TraceSource
from emulation.domain.sources import WorkloadSource as WorkloadSource
from emulation.domain.strict import check_known, is_none

LengthKnowledge = Literal["exact", "max_tokens", "predicted"]
"""What a router knows of the output length: the truth (E3's assumption), the request's limit, or nothing."""

Lifecycle = Literal["warm", "cold"]
"""warm: replica processes stay up, initialisation runs on the virtual clock; cold: they really start and stop."""


PATIENCE_HORIZONS = 100
"""Horizons after the last arrival for which a client without a deadline is waited for."""

SlotOrder = Literal["dispatch-first", "deploy-first"]
"""What comes first in a slot. dispatch-first: deployment agents look once the requests that come at its begin are
dispatched, so they see them queued (MA section V-E); deploy-first: they look before, and those requests wait a slot
for an answer to their backlog."""

DISPATCH_WALL_S = 0.25
"""Live, wall seconds in which the requests of a slot's begin come through HTTP and are dispatched, ..."""
DISPATCH_SHARE = 0.2
"""... which is never taken to be more than this share of a slot."""

PLANNER_GRACE_SHARE = 0.2
"""At an epoch boundary scheduler and deployment agents give the planner this share of a slot before they go on."""


class LiveConfig(Strict):
    """How the scenario runs live."""

    speedup: Annotated[float, Range(0.01, 1_000, "virtual s per s of wall time")] = 1.0
    """Virtual seconds per wall second."""
    lifecycle: Lifecycle = "warm"
    gateways: Annotated[int, Range(1, 64, "processes")] = 1
    """Gateway processes that share the requests; in virtual time as many views of the testbed, request by request."""
    gateway_news_s: Annotated[float, Range(0.01, 60, "s of wall time")] = 0.1
    """Until one gateway hears of what another has dispatched, or had back; in virtual time `speedup` times as much."""
    stream_share: Fraction = 0.25
    """Share of text requests sent with stream=true, to measure the time to first token."""

    @model_validator(mode="after")
    def _cold_is_real_time(self) -> Self:
        if self.lifecycle == "cold" and self.speedup != 1.0:
            raise ValueError(f"lifecycle cold needs speedup 1 (processes really start), not {self.speedup:g}")
        return self


class Scenario(Strict):
    """One experiment, except scheme and seed. Raises `ValidationError` naming the field, the value and the fix."""

    name: Name
    note: Note = ""
    testbed: TestbedConfig
    workload: tuple[WorkloadSource, ...] = Field(min_length=1, max_length=64)
    events: tuple[Event, ...] = Field(default=(), max_length=10_000)
    slot_s: SlotLength = 30.0
    epoch_slots: Slots = 50
    slots: Slots = 50
    """Slots whose arrivals are counted."""
    tail_slots: SlotNumber = 0
    """Slots after the horizon in which arrivals go on uncounted."""
    slot_order: SlotOrder = "dispatch-first"
    """When within a slot deployment agents look: after its first requests were dispatched, or before."""
    deadline_s: Length | None = 900.0
    """tau; None: requests never expire."""
    objective_weight: Fraction = 0.5
    """lambda of MA eq. 10."""
    energy_weight: Annotated[float, Range(0, 1_000_000, "per kJ")] = 0.0
    """Weight of energy where J is minimised: of the energy above idle per request. 0: none."""
    length_knowledge: LengthKnowledge = "max_tokens"
    service_cv: Annotated[float, Range(0, 3, "times the mean")] = 0.0
    """Coefficient of variation of the service-time noise (gamma, mean 1), per prompt or per token request."""
    mismatch_sigma: Annotated[float, Range(0, 3, "of a logarithm")] = 0.0
    """Log-normal sigma of true / profiled, drawn per (node, model, mode, coefficient) from the seed."""
    controllers: dict[Name, dict[SomeLine, Any]] = Field(default_factory=dict)
    """Registry name of a controller to its parameters; validated by that controller's own Config."""
    plan: dict[NodeName, dict[Name, Mode]] | None = None
    """A given role plan (node to model to mode) for schemes that follow one; None: the planner searches."""
    live: LiveConfig = LiveConfig()
    slo: dict[Name, Slo] | None = Field(default=None, exclude_if=is_none)
    """Model to what a request of it must keep for goodput under SLO; models without one are not judged."""

    @property
    def agents_await_dispatch(self) -> bool:
        """Whether deployment agents look once the requests that come at a slot's begin are dispatched.

        Where arrivals are spread over time there are none to wait for, whatever the order: live, where waiting takes
        time, it would only make agents late.
        """
        at_once = any(s.kind == "slotted" and s.offset == "start" for s in self.workload)
        return at_once and self.slot_order == "dispatch-first"

    @property
    def dispatch_lag_s(self) -> float:
        """Virtual seconds after a slot's begin at which live deployment agents look: until its requests are queued,
        where they are to see them."""
        if not self.agents_await_dispatch:
            return 0.0
        return min(DISPATCH_WALL_S * self.live.speedup, DISPATCH_SHARE * self.slot_s)

    @property
    def has_tenants(self) -> bool:
        """Whether a request may be on somebody's behalf."""
        return any(source.names_tenants for source in self.workload)

    @property
    def horizon_s(self) -> float:
        """Virtual seconds of counted arrivals."""
        return slot_start_s(self.slots, self.slot_s)

    @property
    def end_s(self) -> float:
        """Virtual seconds at which arrivals stop."""
        return slot_start_s(self.slots + self.tail_slots, self.slot_s)

    @property
    def latest_s(self) -> float:
        """Virtual seconds until which an event that has begun is waited for."""
        return self.end_s + max(self.deadline_s or 0.0, PATIENCE_HORIZONS * self.horizon_s)

    @property
    def settled_s(self) -> float:
        """Virtual seconds from which on nothing new counts, and no event is to end that begins and ends in the run."""
        ends = [e.until_s for e in self.events if e.at_s < self.end_s and e.until_s <= self.latest_s]
        return max([self.horizon_s, *ends])

    @property
    def give_up_s(self) -> float:
        """Virtual seconds at which a run ends, whatever is still in the system: no client waits that long."""
        patience_s = self.deadline_s or PATIENCE_HORIZONS * self.horizon_s
        return max(self.settled_s, self.end_s + patience_s)

    def doubts(self) -> list[str]:
        """What is allowed and yet hardly meant, a sentence each."""
        return [
            f"events[{i}] ({event.kind} of {event.target}) begins at {event.at_s:g} s; the last requests arrive before"
            f" {self.end_s:g} s, so it may hit nothing"
            for i, event in enumerate(self.events)
            if event.at_s >= self.end_s
        ]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        nodes = {n.id for n in self.testbed.nodes}
        models = {m.id for m in self.testbed.models}
        for i, source in enumerate(self.workload):
            check_known(f"workload[{i}].origins", source.origins or (), nodes, "node")
            check_known(f"workload[{i}]", source.asked(), models, "model")
            if isinstance(source, SessionSource):
                self._check_sessions(source, f"workload[{i}].mix")
            if isinstance(source, SlottedSource) and source.from_slot >= self.slots + self.tail_slots:
                raise ValueError(
                    f"workload[{i}].from_slot {source.from_slot} is after the last slot,"
                    f" {self.slots + self.tail_slots - 1}"
                )
        for i, event in enumerate(self.events):
            check_event(event, self.testbed, f"events[{i}]")
        self._check_plan()
        self._check_slo()
        check_energy_weight(self.energy_weight, self.objective_weight, self.testbed)
        check_effort(self)
        check_requests(self)
        return self

    def _check_sessions(self, source: SessionSource, where: str) -> None:
        for model in source.mix:
            if self.testbed.model(model).features != "tokens":
                raise ValueError(
                    f"{where}: {model!r} counts prompts, and turns of a session are tokens; remove it"
                )

    def _check_slo(self) -> None:
        check_known("slo", self.slo or (), {m.id for m in self.testbed.models}, "model")
        for model, slo in (self.slo or {}).items():
            if slo.of_tokens and self.testbed.model(model).features != "tokens":
                raise ValueError(f"slo.{model}: counts prompts and has no tokens; state e2e_s only")

    def _check_plan(self) -> None:
        check_known("plan", self.plan or (), {n.id for n in self.testbed.nodes}, "node")
        if self.plan is not None and (wrong := given_plan_violations(self.testbed, self.plan)):
            raise ValueError(f"plan: {'; '.join(wrong)}")


def check_energy_weight(weight: float, objective_weight: float, testbed: TestbedConfig) -> None:
    """Raise `ValueError` where energy is weighed and nothing says how much there is of it, or what it is weighed
    against."""
    if weight == 0:
        return
    if objective_weight == 0:
        raise ValueError("energy_weight weighs energy against latency: objective_weight must be above 0")
    for node, watts in testbed.watts().items():
        modes = {mode for model in testbed.hosted(node) for mode in testbed.modes(node, model)}
        for mode in ("idle", *sorted(modes)):
            if getattr(watts, mode) is None:
                raise ValueError(
                    f"energy_weight {weight:g} needs the testbed's watts: state power of {node!r} in mode {mode}"
                )


def check_event(event: Event, testbed: TestbedConfig, where: str) -> None:
    """Raise `ValueError` for an event whose target the testbed does not have, or which it cannot happen to."""
    if isinstance(event, LinkDelay | LinkLoss):
        check_known(where, (event.a, event.b), {n.site for n in testbed.nodes}, "site")
        return
    if isinstance(event, LlmOutage | SchemeSwitch):
        return
    check_known(f"{where}.node", (event.node,), {n.id for n in testbed.nodes}, "node")
    model = getattr(event, "model", None)
    check_known(f"{where}.model", (model,), {m.id for m in testbed.models}, "model")
    hosted = testbed.hosted(event.node)
    if model is not None and model not in hosted:
        raise ValueError(f"{where}: node {event.node!r} cannot host model {model!r}")
    if isinstance(event, ReplicaCrash | ReplicaKill) and testbed.node(event.node).hosting == "device":
        raise ValueError(f"{where}: {event.kind} needs a node with pods; {event.node!r} is a device")
    if isinstance(event, Drift) and hosted:
        affected = hosted if model is None else (model,)
        most = 2 if any(testbed.model(m).features == "tokens" for m in affected) else 1
        if len(event.factors) > most:
            raise ValueError(
                f"{where}.factors: {len(event.factors)} factors for a law of one coefficient per prompt; give one"
            )
