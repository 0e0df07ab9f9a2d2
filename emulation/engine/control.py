"""The control plane as the engine sees it: things that observe and decide, without knowing how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from emulation.domain.actions import Decision, MacroPolicy
from emulation.domain.ports import FastPath, MetaController
from emulation.domain.snapshot import ClusterSnapshot, NodeView

SeenT = TypeVar("SeenT", contravariant=True)


class Observer(Protocol[SeenT]):
    """A control loop: what it sees, and what it decides."""

    def observe(self, seen: SeenT, cause: str) -> Decision | None: ...

    def outage(self, failure: str | None) -> None: ...


class PolicyObserver(Observer[SeenT], Protocol[SeenT]):
    """A control loop below the planner: it is told the macro policy when one lands."""

    @property
    def repeats(self) -> bool:
        """Whether the same sight under the same policy gives the same decision."""

    @property
    def blind(self) -> bool:
        """Whether any sight does, where it `repeats`."""

    def accept(self, policy: MacroPolicy) -> None: ...


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Everything that decides by a scheme that comes in."""

    fast_path: FastPath
    control: ControlPlane
    reasoner: str
    """What thinks in it, for records."""


class Schemes(Protocol):
    """The schemes that a run may switch to."""

    @property
    def own(self) -> str:
        """The one that the run begins with."""

    def newcomers(self, scheme: str) -> Newcomers:
        """The controllers of a scheme, anew. Raises `ValueError` for one that is not known or cannot run here."""


@dataclass(slots=True)
class ControlPlane:
    """Who decides on which time scale; what is None is not there in this scheme."""

    planner: Observer[ClusterSnapshot] | None = None
    scheduler: PolicyObserver[ClusterSnapshot] | None = None
    deployers: Mapping[str, PolicyObserver[NodeView]] = field(default_factory=dict)
    delay_s: Callable[[str, float], float] | None = None
    """Jittered runs of the parity check: (who, time) to extra virtual seconds, for an actor before its decision lands,
    for `look:<actor>` before it looks, for `gateway` before the fast path hears of something, for `heard:<actor>`
    before one below the planner hears of its policy, for `way` before a request that was routed is at its node."""
    meta: MetaController | None = None
    """The meta-controller, if the fast path has one; it is told of hints and asks its reasoner through the engine."""
    schemes: Schemes | None = None
    """Makes the controllers of other schemes, for events that switch to them."""

    def outage(self, failure: str | None) -> None:
        """Every reasoner of these loops fails in this way from now on; None: it works again."""
        for loop in (self.planner, self.scheduler, *self.deployers.values()):
            if loop is not None:
                loop.outage(failure)
