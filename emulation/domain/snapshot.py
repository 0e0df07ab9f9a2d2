"""All a decider may know about the cluster, each signal with its age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from emulation.domain.cluster import Mode
from emulation.domain.native import Native
from emulation.domain.value import value

ExecutorState = Literal["off", "pending", "starting", "ready", "draining", "away"]
"""Lifecycle of an executor. pending: wants resources that are not free yet; away: its node has left."""


@dataclass(init=False, slots=True, unsafe_hash=True)
class ExecutorView(Native):
    """One executor as telemetry reports it. Nothing hidden: no true service time, no condition."""

    id: Final[str]
    node: Final[str]
    models: Final[tuple[str, ...]]
    state: Final[ExecutorState]
    mode: Final[Mode]
    queued: Final[Mapping[str, int]]
    """Model to unfinished requests, the one in service included."""
    backlog_prompts: Final[Mapping[str, float]]
    """Model to unfinished prompts (Q of MA eq. 15), the unfinished part of the one in service included."""
    ready_in_s: Final[float]
    """Seconds until ready while starting or pending; 0 otherwise."""
    busy: Final[bool]

    def __init__(
        self,
        id: str,
        node: str,
        models: tuple[str, ...],
        state: ExecutorState,
        mode: Mode,
        queued: Mapping[str, int],
        backlog_prompts: Mapping[str, float],
        ready_in_s: float = 0.0,
        busy: bool = False,
    ) -> None:
        self.id = id
        self.node = node
        self.models = models
        self.state = state
        self.mode = mode
        self.queued = queued
        self.backlog_prompts = backlog_prompts
        self.ready_in_s = ready_in_s
        self.busy = busy


@dataclass(init=False, slots=True, unsafe_hash=True)
class NodeView(Native):
    """One node as telemetry reports it."""

    id: Final[str]
    taken_at_s: Final[float]
    available: Final[bool]
    executors: Final[tuple[ExecutorView, ...]]
    cores_busy: Final[float]
    """Cores of CPU executors that are busy."""
    ram_used_gb: Final[float]
    slices_used: Final[int]
    hints: Final[tuple[str, ...]]
    """Exposed event hints in force, for example `game` (E3's information contract)."""
    role: Final[Mapping[str, Mode] | None]
    """Role the planner gave this node, if any."""

    def __init__(
        self,
        id: str,
        taken_at_s: float,
        available: bool,
        executors: tuple[ExecutorView, ...],
        cores_busy: float,
        ram_used_gb: float,
        slices_used: int,
        hints: tuple[str, ...] = (),
        role: Mapping[str, Mode] | None = None,
    ) -> None:
        self.id = id
        self.taken_at_s = taken_at_s
        self.available = available
        self.executors = executors
        self.cores_busy = cores_busy
        self.ram_used_gb = ram_used_gb
        self.slices_used = slices_used
        self.hints = hints
        self.role = role

    def in_role(self, role: Mapping[str, Mode]) -> NodeView:
        """The same sight of a node that has this role."""
        return NodeView(
            self.id, self.taken_at_s, self.available, self.executors, self.cores_busy, self.ram_used_gb,
            self.slices_used, self.hints, role,
        )  # fmt: skip

    @property
    def modes(self) -> dict[str, Mode]:
        """Mode of each executor that holds or waits for resources."""
        return {
            e.models[0]: e.mode
            for e in self.executors
            if e.state in ("ready", "starting", "pending") and e.mode != "off"
        }

    @property
    def pending(self) -> bool:
        """Whether an executor is still waiting or starting (MA's pending rule)."""
        return any(e.state in ("pending", "starting") for e in self.executors)


@value
class TypeStats:
    """Outcomes of one model type over a window, as the recorder counts them."""

    arrived: int = 0
    arrived_prompts: int = 0
    done: int = 0
    failed: int = 0
    latency_sum_s: float = 0.0


@value
class WorkStats:
    """Finished requests of one model on one node in one mode: what the service law of that place is learned from."""

    requests: int
    x: tuple[float, ...]
    """Sum of their features: (prompts,), or (input tokens, output tokens)."""
    work_s: float
    """Seconds in service, each second weighted by the share of the resource its node's telemetry gave it: what they
    would have taken on the whole idle resource, in whatever condition the node was."""


@value
class Arrived:
    """One request as it entered: what a planner may replay to see what a policy would do."""

    t_s: float
    """Since the begin of the window."""
    model: str
    origin: str
    prompts: int
    prompt_tokens: int
    known_output_tokens: float | None


@value
class Window:
    """What the recorder counted since the last epoch boundary, or over the whole epoch when asked on one."""

    since_s: float = 0.0
    stats: Mapping[str, TypeStats] = field(default_factory=dict)
    """Model to outcomes."""
    work: Mapping[tuple[str, str, Mode], WorkStats] = field(default_factory=dict)
    """(node, model, mode) to finished work; interrupted and re-dispatched requests are left out."""
    arrivals: tuple[Arrived, ...] = ()
    """For a planner only (asked with a reset), oldest first; empty for others."""


@value
class ClusterSnapshot:
    """Everything a prompt scheduler or planner may know."""

    t_s: float
    slot: int
    nodes: tuple[NodeView, ...]
    window: Window = field(default_factory=Window)

    @property
    def stats(self) -> Mapping[str, TypeStats]:
        """Model to outcomes since the last epoch boundary."""
        return self.window.stats

    def age_s(self) -> float:
        """Age of the oldest signal in it."""
        return max((self.t_s - n.taken_at_s for n in self.nodes), default=0.0)

    def node(self, node_id: str) -> NodeView:
        """The node with this id. Raises `KeyError` if there is none."""
        for view in self.nodes:
            if view.id == node_id:
                return view
        raise KeyError(node_id)
