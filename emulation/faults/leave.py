"""A node leaves and returns (churn)."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Leave
from emulation.faults.base import FaultTarget, Step, on_off


def steps(event: Leave, index: int, testbed: TestbedConfig) -> list[Step]:
    """Away from `at_s` to `until_s`."""
    return on_off(event, index, (event.node,))


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Take the node away with its in-flight policy, or bring it back."""
    event = step.spec
    assert isinstance(event, Leave)
    if step.phase == "undo":
        node.join(now_s)
    else:
        node.leave(event.in_flight, now_s)
