"""A slowdown that grows in equal steps, like a device heating up."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Ramp
from emulation.domain.truth import Condition
from emulation.faults.base import FaultTarget, Step


def steps(event: Ramp, index: int, testbed: TestbedConfig) -> list[Step]:
    """`event.steps` steps over `ramp_s`, those before `until_s` only, then the undo."""
    rises: list[Step] = []
    for k in range(event.steps):
        at_s = event.at_s + event.ramp_s * k / event.steps
        value = 1.0 + (event.factor - 1.0) * (k + 1) / event.steps
        if at_s < event.until_s:
            rises.append(Step(at_s, index, "onset" if k == 0 else "step", event, (event.node,), value))
    return [*rises, Step(event.until_s, index, "undo", event, (event.node,), 1.0)]


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Set this step's factor, or end it."""
    event = step.spec
    assert isinstance(event, Ramp)
    condition = None if step.phase == "undo" else Condition(slowdown=step.value, stutter=event.stutter)
    node.set_condition(step.event, condition, now_s, event.model, event.hint if step.visible else None)
