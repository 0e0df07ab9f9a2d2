"""A node, or one model's replica on it, stands still for a while, as stopped by SIGSTOP."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Pause
from emulation.domain.truth import Condition
from emulation.faults.base import FaultTarget, Step, on_off


def steps(event: Pause, index: int, testbed: TestbedConfig) -> list[Step]:
    """In force from `at_s` to `until_s`."""
    return on_off(event, index, (event.node,))


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Stop it, or let it go on. What is dispatched there meanwhile stutters."""
    event = step.spec
    assert isinstance(event, Pause)
    condition = None if step.phase == "undo" else Condition(paused=True, stutter=True)
    node.set_condition(step.event, condition, now_s, event.model, event.hint if step.visible else None)
