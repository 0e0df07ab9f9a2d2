"""A broken replica: requests fail instead of coming into service there."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Error
from emulation.domain.truth import Condition
from emulation.faults.base import FaultTarget, Step, on_off


def steps(event: Error, index: int, testbed: TestbedConfig) -> list[Step]:
    """In force from `at_s` to `until_s`."""
    return on_off(event, index, (event.node,), event.rate)


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Let requests fail, or serve them again."""
    event = step.spec
    assert isinstance(event, Error)
    condition = None
    if step.phase != "undo":
        condition = Condition(error_rate=event.rate, error_seed=event.seed)
    node.set_condition(step.event, condition, now_s, event.model, event.hint if step.visible else None)
