"""What every fault is: a list of steps, and how one step changes one node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Event, InFlight
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

    @property
    def visible(self) -> bool:
        """Whether deciders are told that something begins or ends (never how strong it is)."""
        return self.spec.visible == "onset"


class FaultTarget(Protocol):
    """What a fault may do to a node; `emulation.executor.NodeState` in both worlds."""

    @property
    def site(self) -> str: ...

    def set_condition(
        self,
        event: int,
        condition: Condition | None,
        now_s: float,
        model: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Put the effect of event number `event` in force, or take it away (None)."""

    def leave(self, in_flight: InFlight, now_s: float) -> None: ...

    def join(self, now_s: float) -> None: ...

    def crash(self, model: str, now_s: float, until_s: float) -> None: ...

    def set_link_delay(self, event: int, site: str, extra_s: float, now_s: float) -> None: ...


class Fault(Protocol):
    """A fault module."""

    def steps(self, event: Any, index: int, testbed: TestbedConfig) -> list[Step]:
        """Its timed changes, onset first, undo last."""

    def apply(self, step: Step, node: FaultTarget, now_s: float) -> None:
        """Change one node; must be undone by the step of phase `undo`."""


def on_off(event: Any, index: int, nodes: tuple[str, ...], value: float = 0.0) -> list[Step]:
    """The two steps of a fault that is either in force or not."""
    return [
        Step(event.at_s, index, "onset", event, nodes, value),
        Step(event.until_s, index, "undo", event, nodes, value),
    ]


def timeline(events: Sequence[Event], testbed: TestbedConfig) -> list[Step]:
    """Every step of an event plan, in time order; undo before onset at the same instant."""
    from emulation.faults import FAULTS

    order = {"undo": 0, "step": 1, "onset": 2}
    steps = [s for i, event in enumerate(events) for s in FAULTS[event.kind].steps(event, i, testbed)]
    return sorted(steps, key=lambda s: (s.at_s, order[s.phase], s.event))


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Apply one step to one of its nodes."""
    from emulation.faults import FAULTS

    FAULTS[step.spec.kind].apply(step, node, now_s)
