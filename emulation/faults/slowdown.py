"""A node, or one model on it, serves `factor` times slower (E3's hidden degraded state, eq. 3)."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Slowdown
from emulation.domain.truth import Condition
from emulation.faults.base import FaultTarget, Step, on_off


def steps(event: Slowdown, index: int, testbed: TestbedConfig) -> list[Step]:
    """In force from `at_s` to `until_s`."""
    return on_off(event, index, (event.node,), event.factor)


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Slow the node down, or let it go."""
    event = step.spec
    assert isinstance(event, Slowdown)
    condition = None if step.phase == "undo" else Condition(slowdown=event.factor, stutter=event.stutter)
    node.set_condition(step.event, condition, now_s, event.model, event.hint if step.visible else None)
