"""The reasoner of every agent is unreachable: a fault of the control plane, it touches no node."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import LlmOutage
from emulation.faults.base import FaultTarget, Step, on_off


def steps(event: LlmOutage, index: int, testbed: TestbedConfig) -> list[Step]:
    """Unreachable from `at_s` to `until_s`."""
    return on_off(event, index, ())


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Nothing to do on a node; the control plane is told by whoever plays the plan."""
