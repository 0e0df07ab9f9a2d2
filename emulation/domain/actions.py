"""What deciders may return. Commands are data; applying them is the world's job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from emulation.domain.cluster import Mode
from emulation.domain.routing import RoutingDecision as RoutingDecision
from emulation.domain.value import value


@value
class NodeConfig:
    """Command to one node: the mode of every model it hosts; absent is off (MA's activation pattern)."""

    node: str
    modes: Mapping[str, Mode]


@value
class RouteGuide:
    """Command to the fast path: what it may not use, should favour, or must follow."""

    table: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(origin node, model) to destination node, applied unchanged during the slot (MA)."""
    masked: frozenset[str] = frozenset()
    """Executors that must not be used while another can."""
    weights: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(model, node) to p, for the -eta log p term of the fast path. Of a model that has any, what is absent is 0; one
    that has none is not weighed."""
    admission_limit_s: Mapping[str, float | None] = field(default_factory=dict)
    """In the place of the policy's limit of a model, by what is seen to come of it; None: no limit."""


@value
class MacroPolicy:
    """Command to schedulers and agents: the planner's policy for an epoch (MA's P_e and R_e)."""

    p: Mapping[str, Mapping[str, float]]
    """Model to node to routing probability; sums to 1 over feasible nodes."""
    roles: Mapping[str, Mapping[str, Mode]]
    """Node to model to intended mode; a model that is absent is off on that node."""
    admission_limit_s: Mapping[str, float] = field(default_factory=dict)
    """Model to predicted latency above which the fast path refuses; absent: no limit."""
    limits_from: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    """Model to prompts per second of it and the limit from there on, least first. Where so much is seen to come that
    limit is in force, and below the first of them none is. Absent: its limit holds whatever comes."""
    unrefused: frozenset[str] = frozenset()
    """Models of which the fast path refuses nothing because it would be late, not even for its deadline."""


Command = NodeConfig | RouteGuide | MacroPolicy
CommandT = TypeVar("CommandT", bound=NodeConfig | RouteGuide | MacroPolicy)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question of a decider to its reasoner and what came back, for the audit trail."""

    said: Mapping[str, Any]
    """Question and reply as plain data."""
    reasoner: str
    results: tuple[str, ...] = ()
    """What the tool calls of the reply were answered, in order."""
    violations: tuple[str, ...] = ()
    """What was wrong with the reply; empty if it was taken as it is."""


@value
class Choice(Generic[CommandT]):
    """What a decider of the slower layers answers: its command, and how it came to it."""

    command: CommandT
    reason: str = ""
    """Why it is this one, in a line for the record."""
    thinking_s: float | None = None
    """Virtual seconds the decision took; None: what its loop charges for every decision."""
    exchanges: tuple[Exchange, ...] = ()
    """What was asked and answered on the way, where the decider asks a reasoner; their thinking is in `thinking_s`."""


@value
class Decision:
    """What a control loop made of one cause, with what is needed to audit it."""

    actor: str
    cause: str
    decided_at_s: float
    inputs_age_s: float
    command: Command
    reason: str
    reasoner: str
    thinking_s: float = 0.0
    promised: str | None = None
    """Metric the command is meant to move, where one is named."""
    violations: tuple[str, ...] = ()
    """Why the decider's own answer was replaced; empty if it was valid."""
    exchanges: tuple[Exchange, ...] = ()
    """Those of the decider's own choice, valid or not."""
    proposal: Mapping[str, Any] | None = None
    """Where it was held for somebody's approval: what was in force, what was proposed and why, and the verdict."""
