"""Faults: each turns its event into timed steps (onset, undo) and can apply each step to a node.

The same steps are played by the engine on its heap and by the live world on its clock. A new fault is one line in
`FAULTS`, with a function of its own where it does more than put a hidden condition in force; one of another package is
played by the last line (`outside_faults.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from emulation import outside_faults
from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Drain, Event, LinkDelay, LinkLoss, OutsideFault, Ramp
from emulation.domain.truth import Condition
from emulation.fault_target import Effects as Effects
from emulation.fault_target import Faults as Faults
from emulation.fault_target import FaultTarget as FaultTarget
from emulation.fault_target import Step as Step

Apply = Callable[[Any, FaultTarget, float, Step], None]
"""Changes one node for a step of an event (event, node, time, step); the step of phase `undo` changes it back."""


def _on_off(event: Any, index: int, testbed: TestbedConfig, value: float) -> list[Step]:
    """The two steps of a fault that is either in force or not."""
    nodes: tuple[str, ...] = (event.node,) if hasattr(event, "node") else ()
    if isinstance(event, LinkDelay | LinkLoss):
        nodes = tuple(n.id for n in testbed.nodes if n.site in (event.a, event.b))
    return [
        Step(event.at_s, index, "onset", event, nodes, value),
        Step(event.until_s, index, "undo", event, nodes, value),
    ]


def _rising(event: Ramp, index: int, testbed: TestbedConfig, value: float) -> list[Step]:
    """`event.steps` steps over `ramp_s`, those before `until_s` only, then the undo."""
    rises: list[Step] = []
    for k in range(event.steps):
        at_s = event.at_s + event.ramp_s * k / event.steps
        risen = 1.0 + (event.factor - 1.0) * (k + 1) / event.steps
        if at_s < event.until_s:
            rises.append(Step(at_s, index, "onset" if k == 0 else "step", event, (event.node,), risen))
    return [*rises, Step(event.until_s, index, "undo", event, (event.node,), value)]


def _draining(event: Drain, index: int, testbed: TestbedConfig, value: float) -> list[Step]:
    """Onset and undo, and between them the step at which the node leaves, if that comes before the undo."""
    onset, undo = _on_off(event, index, testbed, value)
    leaves_s = event.at_s + (inf if event.notice_s is None else event.notice_s)
    leave = Step(leaves_s, index, "step", event, (event.node,), value)
    return [onset, leave, undo] if leaves_s < event.until_s else [onset, undo]


def _own_levels(event: OutsideFault, index: int, testbed: TestbedConfig, value: float) -> list[Step]:
    """A step per level that the class asks for, then the undo, which it has no say in."""
    nodes = (event.node,)
    rises = [
        Step(event.at_s + since_s, index, "step" if i else "onset", event, nodes, level)
        for i, (since_s, level) in enumerate(outside_faults.levels_of(event))
    ]
    return [*rises, Step(event.until_s, index, "undo", event, nodes, value)]


@dataclass(frozen=True, slots=True)
class Fault:
    """What one kind of event does."""

    apply: Apply
    value: Callable[[Any], float] = lambda event: 0.0
    """Magnitude of its onset, or of its undo where it rises in steps."""
    plan: Callable[[Any, int, TestbedConfig, float], list[Step]] = _on_off
    in_force: Callable[[Effects, int], float | None] = lambda effects, event: None
    """Magnitude of its effect by the state of a node; None where it has none there, or only records can tell."""
    kills: Literal["replica", "node"] | None = None
    """Whose processes its onset really ends in the live world. Those of a node end before its step is applied: the
    process that takes the place of the old one applies it."""

    def steps(self, event: Any, index: int, testbed: TestbedConfig) -> list[Step]:
        """The timed changes of an event, onset first, undo last; what would never come is left out."""
        return [step for step in self.plan(event, index, testbed, self.value(event)) if step.at_s < inf]


def _condition(of: Callable[[Any, float], Condition]) -> Apply:
    """Puts the hidden condition of an event and a magnitude in force, on a node or one model of it."""

    def apply(event: Any, node: FaultTarget, now_s: float, step: Step) -> None:
        condition = None if step.phase == "undo" else of(event, step.value)
        hint = getattr(event, "hint", event.kind) if step.visible else None
        node.faults.set_condition(step.event, condition, now_s, event.model, hint)

    return apply


def _leave(event: Any, node: FaultTarget, now_s: float, step: Step) -> None:
    """Take the node away with its in-flight policy, or bring it back (churn)."""
    if step.phase == "undo":
        node.faults.join(step.event, now_s)
    else:
        node.faults.leave(step.event, event.in_flight, now_s)


def _drain(event: Any, node: FaultTarget, now_s: float, step: Step) -> None:
    """Take no new work from the onset on, leave at the end of the notice, be back at the undo."""
    if step.phase == "onset":
        node.faults.drain(step.event, now_s)
    else:
        _leave(event, node, now_s, step)


def _lose_node(event: Any, node: FaultTarget, now_s: float, step: Step) -> None:
    """The node is gone with all that runs there; what was dispatched to it is given back."""
    if step.phase == "undo":
        node.faults.join(step.event, now_s)
    else:
        node.faults.leave(step.event, "requeue", now_s)


def _delay(event: Any, node: FaultTarget, now_s: float, step: Step) -> None:
    """Delay requests from the other site. A node of site a is told about b and the other way round."""
    other = event.b if node.site == event.a else event.a
    node.faults.set_link_delay(step.event, other, 0.0 if step.phase == "undo" else event.extra_s, now_s)


def _lose(event: Any, node: FaultTarget, now_s: float, step: Step) -> None:
    """Lose messages to and from the other site, as `_delay` delays them."""
    other = event.b if node.site == event.a else event.a
    node.faults.set_link_loss(step.event, other, None if step.phase == "undo" else event, now_s)


def _crash(event: Any, node: FaultTarget, now_s: float, step: Step) -> None:
    """Kill the replica; the node starts it again at `until_s`, so that only an early undo does anything."""
    if step.phase == "onset":
        node.faults.crash(step.event, event.model, now_s, event.until_s)
    elif step.by_hand:
        node.faults.restart(step.event, event.model, now_s)


def _kill(event: Any, node: FaultTarget, now_s: float, step: Step) -> None:
    """Whoever waited at the replica loses it with its process, and dispatches again; it is started at the undo."""
    if step.phase == "undo":
        node.faults.restart(step.event, event.model, now_s)
    else:
        node.faults.kill(step.event, event.model, now_s)


def _of_control(event: Any, node: FaultTarget, now_s: float, step: Step) -> None:
    """Nothing to do on a node; the control plane is told by whoever plays the plan."""


def _slowed(effects: Effects, event: int) -> float | None:
    return effects.slowed(event)


def _stands_still(effects: Effects, event: int) -> float | None:
    return effects.stands_still(event)


def _fails(effects: Effects, event: int) -> float | None:
    return effects.fails(event)


def _away(effects: Effects, event: int) -> float | None:
    return effects.away(event)


def _delay_s(effects: Effects, event: int) -> float | None:
    return effects.delay_s(event)


def _loses(effects: Effects, event: int) -> float | None:
    return effects.loses(event)


_slower = _condition(lambda event, factor: Condition(slowdown=factor, stutter=event.stutter))
"""E3's hidden degraded state (eq. 3)."""

FAULTS: dict[str, Fault] = {
    "slowdown": Fault(_slower, lambda event: event.factor, in_force=_slowed),
    "drift": Fault(  # a hidden step in the coefficients of the service law (E3)
        _condition(lambda event, _: Condition(per_coefficient=event.factors)),
        lambda event: event.factors[0],
        in_force=_slowed,
    ),
    "ramp": Fault(_slower, lambda event: 1.0, _rising, _slowed),
    "pause": Fault(
        _condition(lambda event, _: Condition(paused=True, stutter=True)),
        in_force=_stands_still,
    ),
    "error": Fault(
        _condition(lambda event, rate: Condition(error_rate=rate, error_seed=event.seed)),
        lambda event: event.rate,
        in_force=_fails,
    ),
    "leave": Fault(_leave, in_force=_away),
    "drain": Fault(_drain, plan=_draining, in_force=_away),
    "node_kill": Fault(_lose_node, in_force=_away, kills="node"),
    "link_delay": Fault(_delay, lambda event: event.extra_s, in_force=_delay_s),
    "link_loss": Fault(_lose, lambda event: event.rate, in_force=_loses),
    "replica_crash": Fault(_crash),
    "replica_kill": Fault(_kill, kills="replica"),
    "llm_outage": Fault(_of_control),
    "scheme": Fault(_of_control),
    "outside": Fault(outside_faults.apply, plan=_own_levels),
}


def timeline(events: Sequence[Event], testbed: TestbedConfig) -> list[Step]:
    """Every step of an event plan, in time order; undo before onset at the same instant."""
    order = {"undo": 0, "step": 1, "onset": 2}
    steps = [s for i, event in enumerate(events) for s in FAULTS[event.kind].steps(event, i, testbed)]
    return sorted(steps, key=lambda s: (s.at_s, order[s.phase], s.event))


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Apply one step to one of its nodes."""
    FAULTS[step.spec.kind].apply(step.spec, node, now_s, step)


def in_force(step: Step, node: FaultTarget) -> float | None:
    """Magnitude of the effect of a step's event at a node now, by the node's own state; None: it cannot tell."""
    if isinstance(step.spec, OutsideFault):
        return outside_faults.in_force(step.spec, node.effects, step.event)
    return FAULTS[step.spec.kind].in_force(node.effects, step.event)
