"""The event plan: timed faults as data. Each names its target and its undo is part of it (`until_s`).

Events may overlap, on one target too: each lasts until its own undo. What adds up does; a node is back when none keeps
it away; of failures of reasoners and schemes the last that began holds.
"""

from __future__ import annotations

from math import inf
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from emulation.domain.cluster import Strict
from emulation.domain.quantities import (
    Factor,
    Instant,
    Length,
    Name,
    NodeName,
    ObjectPath,
    Range,
    Seed,
    SomeFraction,
    SomeLine,
    Until,
    Words,
)

Hint = Annotated[str, Words("one line, not empty, without control characters", 100, empty=False)]

SchemeName = Annotated[str, Words("the name of a scheme, on one line", 100, empty=False)]

InFlight = Literal["requeue", "fail", "resume"]
"""What happens to work on a node that leaves: dispatched again elsewhere, lost, or continued on return
after the last finished prompt."""


class Timed(Strict):
    """An event in virtual seconds, undone at `until_s`; never, if that is `.inf`."""

    at_s: Instant
    until_s: Until
    visible: Literal["onset", "never"] = "onset"
    """onset: a coarse hint is exposed while it lasts, its magnitude never; never: hidden."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.until_s <= self.at_s:
            raise ValueError(f"until_s {self.until_s:g} must be after at_s {self.at_s:g}")
        return self

    @property
    def target(self) -> str:
        """What it hits, for records and tables: a node, a node/model, a pair of sites, a scheme, or `control`."""
        if hasattr(self, "a") and hasattr(self, "b"):
            return f"{self.a}-{self.b}"
        node, model = getattr(self, "node", "control"), getattr(self, "model", None)
        return f"{node}/{model}" if model else node


class Slowdown(Timed):
    """A node (or one model on it) serves `factor` times slower; work in service is slowed too."""

    kind: Literal["slowdown"] = "slowdown"
    node: NodeName
    model: Name | None = None
    factor: Factor
    stutter: bool = True
    hint: Hint = "degraded"
    """Coarse name exposed while visible, for example `game` or `overheating`."""


class Drift(Timed):
    """A step in the coefficients themselves; hidden by nature, no stutter. `factors` per coefficient of theta."""

    kind: Literal["drift"] = "drift"
    visible: Literal["onset", "never"] = "never"
    node: NodeName
    model: Name | None = None
    factors: tuple[Factor, ...] = Field(min_length=1, max_length=2)


class Ramp(Timed):
    """A slowdown that grows linearly from 1 to `factor` in `steps` equal steps, then holds until its end."""

    kind: Literal["ramp"] = "ramp"
    node: NodeName
    model: Name | None = None
    factor: Factor
    ramp_s: Length
    steps: Annotated[int, Range(1, 1_000, "steps")] = 10
    stutter: bool = True
    hint: Hint = "degraded"


class Pause(Timed):
    """A node (or one model's replica) stands still, as stopped by SIGSTOP: work in service makes no progress and queued
    work waits. Nothing is lost, but deadlines go on. Replicas that start or stop meanwhile do so."""

    kind: Literal["pause"] = "pause"
    node: NodeName
    model: Name | None = None
    hint: Hint = "unresponsive"


class Error(Timed):
    """A broken replica: what would come into service on the node (or of the model there) ends at once, as `error`."""

    kind: Literal["error"] = "error"
    node: NodeName
    model: Name | None = None
    rate: SomeFraction = 1.0
    """Probability, drawn per request and attempt: the same ones fail under every scheme and in both worlds."""
    seed: Seed = 0
    """Another seed fails other requests."""
    hint: Hint = "failing"


class Leave(Timed):
    """A node leaves at `at_s` and returns at `until_s`."""

    kind: Literal["leave"] = "leave"
    node: NodeName
    in_flight: InFlight = "requeue"


class Drain(Timed):
    """A node is to go: it takes no new work and gives back what waits there; what is in service may finish. It is back
    at `until_s`."""

    kind: Literal["drain"] = "drain"
    node: NodeName
    notice_s: Length | None = None
    """Seconds after the onset at which the node leaves, finished or not (a spot notice); None: it lets all finish."""
    in_flight: InFlight = "requeue"
    """What becomes of work that is unfinished when the node leaves."""


class NodeKill(Timed):
    """All processes of a node are killed, without notice; live, they really are. What they held in memory is gone, and
    work there is dispatched again from its last finished prompt. The node is back at `until_s`; its replicas start."""

    kind: Literal["node_kill"] = "node_kill"
    node: NodeName


class LinkDelay(Timed):
    """Extra latency between two sites, each way."""

    kind: Literal["link_delay"] = "link_delay"
    a: Name
    b: Name
    extra_s: Annotated[float, Range(0.000001, 86_400, "virtual s each way")]


class LinkLoss(Timed):
    """Messages between two sites, requests and answers alike, get lost and are sent again. One that was lost as often
    as it is tried is given up: its request is dispatched again, or expires if its deadline is before."""

    kind: Literal["link_loss"] = "link_loss"
    a: Name
    b: Name
    rate: SomeFraction
    """Probability, drawn per message and try: the same ones are lost under every scheme and in both worlds."""
    retry_s: Length = 1.0
    """Virtual seconds after which whoever sent a message that was lost sends it again."""
    tries: Annotated[int, Range(1, 20, "tries")] = 4
    """How often a message is sent before it is given up."""
    seed: Seed = 0
    """Another seed loses other messages."""


class ReplicaCrash(Timed):
    """One executor dies at `at_s`; it starts again by itself, not before `until_s`. Its work stays queued."""

    kind: Literal["replica_crash"] = "replica_crash"
    node: NodeName
    model: Name


class ReplicaKill(Timed):
    """The process of one replica is killed; live, it really is. Its work is dispatched again, from its last finished
    prompt. Another one starts in its place at `until_s`; live, once Serve has it up, if that is later."""

    kind: Literal["replica_kill"] = "replica_kill"
    node: NodeName
    model: Name


LlmFailure = Literal[
    "timeout",
    "http_429",
    "http_500",
    "refusal",
    "malformed_json",
    "unknown_tool",
    "out_of_range",
    "endless_tools",
]
"""How a reasoner fails: it does not answer, or what it answers is of no use."""


class LlmOutage(Timed):
    """The reasoner of every agent fails in one way."""

    kind: Literal["llm_outage"] = "llm_outage"
    failure: LlmFailure = "timeout"


class SchemeSwitch(Timed):
    """Another scheme decides from `at_s` on, and at `until_s` the one before it again. What runs stays as it is until
    the controllers that came in decide otherwise; requests in flight go on where they are."""

    kind: Literal["scheme"] = "scheme"
    until_s: Until = inf
    visible: Literal["onset", "never"] = "never"
    to: SchemeName
    """The scheme that comes in; where it is in force already, nothing changes."""

    @property
    def target(self) -> str:
        """The scheme that comes in."""
        return self.to


class OutsideFault(Timed):
    """A fault of another package: a class derived from `emulation.outside_faults.OwnFault`, on a node or one model of
    it. A file that names one is code."""

    kind: Literal["outside"] = "outside"
    fault: ObjectPath
    """Its path, `package.module:NAME`, or its name among the entry points `edgebed.faults`."""
    node: NodeName
    model: Name | None = None
    settings: dict[SomeLine, Any] = Field(default_factory=dict, max_length=1_000)
    """Its parameters; checked by its own `Config`."""
    hint: Hint = "degraded"


Event = Annotated[
    Slowdown
    | Drift
    | Ramp
    | Pause
    | Error
    | Leave
    | Drain
    | NodeKill
    | LinkDelay
    | LinkLoss
    | ReplicaCrash
    | ReplicaKill
    | LlmOutage
    | SchemeSwitch
    | OutsideFault,
    Field(discriminator="kind"),
]

GOES_AWAY = (Leave, Drain, NodeKill)
"""Events while which a node takes no work."""
