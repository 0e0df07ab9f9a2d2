"""One replica dies and starts again by itself."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import ReplicaCrash
from emulation.faults.base import FaultTarget, Step, on_off


def steps(event: ReplicaCrash, index: int, testbed: TestbedConfig) -> list[Step]:
    """It dies at `at_s`; the node starts it again at `until_s`, so the undo only marks the moment."""
    return on_off(event, index, (event.node,))


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Kill the replica; its restart is part of the same call."""
    event = step.spec
    assert isinstance(event, ReplicaCrash)
    if step.phase == "onset":
        node.crash(event.model, now_s, event.until_s)
