"""A hidden step in the coefficients of the service law (E3's drift)."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Drift
from emulation.domain.truth import Condition
from emulation.faults.base import FaultTarget, Step, on_off


def steps(event: Drift, index: int, testbed: TestbedConfig) -> list[Step]:
    """In force from `at_s` to `until_s`."""
    return on_off(event, index, (event.node,), event.factors[0])


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Scale each coefficient, or set it back."""
    event = step.spec
    assert isinstance(event, Drift)
    condition = None if step.phase == "undo" else Condition(per_coefficient=event.factors)
    node.set_condition(step.event, condition, now_s, event.model, "drift" if step.visible else None)
