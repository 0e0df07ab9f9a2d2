"""What the network between the machines of a live run took, for the virtual world that computes it again."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

from emulation.engine.run import Crossing
from emulation.recording import Run


def crossings(run: Run) -> Iterator[Crossing]:
    """From when on messages to each node took how long each way, as the run measured it; the mean over its gateways.

    What a gateway measured before the run began, or first of all, holds from the beginning.
    """
    known: dict[str, dict[int, float]] = {}
    for link in run.links:
        by_gateway = known.setdefault(link.node, {})
        from_s = link.t_s if link.gateway in by_gateway else 0.0
        by_gateway[link.gateway] = link.rtt_s / 2
        yield from_s, link.node, mean(by_gateway.values())
