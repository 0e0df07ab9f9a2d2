"""The control plane as the engine sees it: things that observe and decide, without knowing how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from emulation.domain.actions import Decision, MacroPolicy
from emulation.domain.ports import MetaController
from emulation.domain.snapshot import ClusterSnapshot, NodeView


class ClusterObserver(Protocol):
    """A planner's or scheduler's control loop."""

    def observe(self, snapshot: ClusterSnapshot, cause: str) -> Decision | None: ...

    def outage(self, failure: str | None) -> None: ...


class PolicyObserver(ClusterObserver, Protocol):
    """A scheduler's control loop: it is told the macro policy when one lands."""

    def accept(self, policy: MacroPolicy) -> None: ...


class NodeObserver(Protocol):
    """A deployment agent's control loop: it sees its own node and role only."""

    def observe(self, view: NodeView, cause: str) -> Decision | None: ...

    def outage(self, failure: str | None) -> None: ...

    def accept(self, policy: MacroPolicy) -> None: ...


@dataclass(slots=True)
class ControlPlane:
    """Who decides on which time scale; what is None is not there in this scheme."""

    planner: ClusterObserver | None = None
    scheduler: PolicyObserver | None = None
    deployers: Mapping[str, NodeObserver] = field(default_factory=dict)
    delay_s: Callable[[str, float], float] | None = None
    """Jittered runs of the parity check: (who, time) to extra virtual seconds, for an actor before its decision lands,
    for `look:<actor>` before it looks, for `gateway` before the fast path hears of something."""
    meta: MetaController | None = None
    """The meta-controller, if the fast path has one; it is told of hints and asks its reasoner through the engine."""

    def outage(self, failure: str | None) -> None:
        """Every reasoner of these loops fails in this way from now on; None: it works again."""
        for loop in (self.planner, self.scheduler, *self.deployers.values()):
            if loop is not None:
                loop.outage(failure)
