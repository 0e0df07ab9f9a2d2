"""What a fault is made of: its timed steps, and the node that they are applied to, as it may be changed and asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from emulation.domain.events import Event, InFlight, LinkLoss
from emulation.domain.truth import Condition


@dataclass(frozen=True, slots=True)
class Step:
    """One timed change of one event of the plan."""

    at_s: float
    event: int
    """Index in the event plan."""
    phase: Literal["onset", "step", "undo"]
    spec: Event
    nodes: tuple[str, ...]
    """Nodes it is applied to; empty for faults of the control plane."""
    value: float = 0.0
    """Magnitude of this step, where the fault has one."""
    by_hand: bool = False
    """Whether somebody wanted it while the run went on; else it is of the plan."""

    @property
    def visible(self) -> bool:
        """Whether deciders are told that something begins or ends (never how strong it is)."""
        return self.spec.visible == "onset"


class Effects(Protocol):
    """What the state machine of a node says of the events in force there."""

    def slowed(self, event: int) -> float | None:
        """How many times slower this event makes the work it hits, over all coefficients; None: there is none."""

    def stands_still(self, event: int) -> float | None:
        """1 if what this event hits stands still by it, else 0; None: it hits nothing there."""

    def fails(self, event: int) -> float | None:
        """Probability with which this event makes requests fail; None: it hits nothing there."""

    def away(self, event: int) -> float:
        """1 if this event keeps the node away, else 0."""

    def delay_s(self, event: int) -> float:
        """Seconds this event adds to every transfer, each way."""

    def loses(self, event: int) -> float:
        """Probability with which this event makes a message get lost."""


class Faults(Protocol):
    """What a fault may do to a node. Each says by its number which event wants it: what one of them did stays until
    that one is undone, whatever becomes of others."""

    def set_condition(
        self,
        event: int,
        condition: Condition | None,
        now_s: float,
        model: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Put the effect of event number `event` in force, or take it away (None)."""

    def leave(self, event: int, in_flight: InFlight, now_s: float) -> None: ...

    def drain(self, event: int, now_s: float) -> None: ...

    def join(self, event: int, now_s: float) -> None: ...

    def crash(self, event: int, model: str, now_s: float, until_s: float) -> None: ...

    def kill(self, event: int, model: str, now_s: float) -> None: ...

    def restart(self, event: int, model: str, now_s: float) -> None: ...

    def set_link_delay(self, event: int, site: str, extra_s: float, now_s: float) -> None: ...

    def set_link_loss(self, event: int, site: str, loss: LinkLoss | None, now_s: float) -> None: ...


class FaultTarget(Protocol):
    """A node that faults happen to; `emulation.executor.NodeState` in both worlds."""

    @property
    def site(self) -> str: ...

    @property
    def effects(self) -> Effects: ...

    @property
    def faults(self) -> Faults: ...
