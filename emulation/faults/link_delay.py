"""Extra latency between two sites."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import LinkDelay
from emulation.faults.base import FaultTarget, Step, on_off


def steps(event: LinkDelay, index: int, testbed: TestbedConfig) -> list[Step]:
    """In force on every node of either site."""
    nodes = tuple(n.id for n in testbed.nodes if n.site in (event.a, event.b))
    return on_off(event, index, nodes, event.extra_s)


def apply(step: Step, node: FaultTarget, now_s: float) -> None:
    """Delay requests from the other site. A node of site a is told about b and the other way round."""
    event = step.spec
    assert isinstance(event, LinkDelay)
    other = event.b if node.site == event.a else event.a
    node.set_link_delay(step.event, other, 0.0 if step.phase == "undo" else event.extra_s, now_s)
