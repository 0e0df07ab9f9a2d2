"""What the page shows, as values: `sources/` makes them, `page/` draws them. Times are virtual seconds of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from emulation.domain.cluster import TestbedConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorView:
    """One model on one node at one moment."""

    id: str
    node: str
    model: str
    state: str
    """As in the record: `ready`, `starting`, `off` ..."""
    mode: str
    gpu_share: float | None
    """Of its GPU, 0 to 1; None if it computes on none."""
    queued: int | None
    """Requests sent there that have not ended; None where nobody knows."""
    masked: bool
    """Whether the scheduler's guide or the meta-controller keeps requests from it."""
    predicted_s: float | None = None
    """What the controllers last expected a request to take here."""
    measured_s: float | None = None
    """What the last ones took: mean of the latest bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node at one moment."""

    id: str
    hosting: str
    devices: tuple[str, ...]
    """Its GPUs and CPU in words: `GPU 24 GB`."""
    available: bool
    slowdown: float
    """Factor on service times by the faults in force; 1 is none."""
    faults: tuple[str, ...]
    """Kinds of faults in force: `slowdown`, `pause`, `link_delay` ..."""
    rtt_s: float | None
    """Round trip to its machine, where that was measured."""
    executors: tuple[ExecutorView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """Requests of any model from an origin to a node within the last bucket."""

    origin: str
    node: str
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The world at one moment, and how far the run is."""

    t_s: float
    nodes: tuple[NodeView, ...]
    flows: tuple[FlowView, ...]
    arrived: int
    done: int
    failed: int
    """Ended otherwise: expired, rejected, lost."""
    in_system: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSeries:
    """One model over time, one value per bucket; None where nothing ended."""

    p50_s: tuple[float | None, ...]
    p95_s: tuple[float | None, ...]
    """End to end, from the intended arrival."""
    success: tuple[float | None, ...]
    """Share of what ended that was done in time, 0 to 1."""
    first_token_s: tuple[float | None, ...]
    """p50 of the time to first token, by the client's clock; None where it was not measured."""
    arrived_per_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How a run went up to some moment."""

    bucket_s: float
    t_s: tuple[float, ...]
    """End of each bucket."""
    models: Mapping[str, ModelSeries]
    fairness: tuple[float | None, ...]
    """F_norm over the models, of what ended in the bucket (as in the report)."""
    predicted: tuple[tuple[float, float, str], ...] = ()
    """(predicted s, measured s, model) of the latest requests, at most 400."""


Actor = Literal["planner", "scheduler", "deployer", "meta", "router", "person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """A line of the decision feed. `number` finds it again."""

    number: int
    t_s: float
    actor: str
    """`planner`, `scheduler`, `deployer:<node>`, `meta`, `router`, or `person` for what somebody did by hand."""
    said: str
    """What was chosen, in one line of plain text."""
    outcome: str
    """`applied`, `voided`, `rejected`."""
    reasoner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionDetail:
    """All that is known of one decision. Every text is plain, whoever wrote it."""

    view: DecisionView
    cause: str
    inputs_age_s: float
    reason: str
    thinking_s: float
    landed_s: float | None
    choice: Any
    candidates: tuple[tuple[str, float, bool], ...]
    """(executor, score in s, masked at that moment), best first."""
    exchanges: tuple[Mapping[str, Any], ...]
    """Questions to a reasoner with replies and tool calls, as recorded."""
    violations: tuple[str, ...]
    promised: str | None
    became: str | None
    """What became of the promised metric, in words with numbers; None where nothing was promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """An event in force, or one that is over."""

    number: int
    type: str
    target: str
    onset_s: float
    undone_s: float | None
    by_hand: bool
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostView:
    """What one kind of actor cost up to some moment."""

    actor: str
    decisions: int
    changes: int
    """Executors whose mode was changed."""
    thinking_s: float
    tokens: int | None
    """Of a language model; None where none was asked."""
    price: float | None
    """In the currency of the price list; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What part of a run there is to see."""

    from_s: float
    to_s: float
    """Up to where it has been recorded so far."""
    end_s: float
    """Up to where it is planned."""
    growing: bool
    """Whether it is being recorded now."""
    problem: str = ""
    """Why nothing more comes, where that is so: cut, unreadable, gateway gone."""


class Source(Protocol):
    """One run as the page wants it: a recorded one, or one that is going on. Calls are cheap; none blocks for long."""

    name: str
    """`AL · seed 0`."""
    scheme: str
    seed: int
    world: str
    reasoner: str
    testbed: TestbedConfig

    def __hash__(self) -> int:
        """Each is one of its own."""

    def span(self) -> Span:
        """How far it is."""

    def decides(self, t_s: float) -> tuple[str, str]:
        """The scheme in force at that moment, and what thinks in it."""

    def frame(self, t_s: float) -> Frame:
        """The world at that moment."""

    def series(self, until_s: float) -> Series:
        """How it went up to then, in at most 240 buckets."""

    def decisions(
        self, until_s: float, actors: Sequence[str] = (), before: int | None = None, most: int = 50
    ) -> Sequence[DecisionView]:
        """The latest decisions up to then, the newest first; older than number `before` if that is given.

        `actors` are whole names or kinds (`deployer`). Where none is given, those of the router are a sample.
        """

    def decision(self, number: int) -> DecisionDetail:
        """All about one of them. Raises `KeyError` if there is none of that number."""

    def events(self, until_s: float) -> Sequence[EventView]:
        """The fault ledger up to then."""

    def costs(self, until_s: float) -> Sequence[CostView]:
        """What deciding cost up to then."""
