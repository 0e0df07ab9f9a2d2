"""How far a run is: for whoever shows it, and for the run itself, which must end although nobody gets on any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mypy_extensions import mypyc_attr

from emulation.domain.scenario import Scenario
from emulation.engine.kernel import Kernel
from emulation.executor import NodeState
from emulation.ledger import Ledger

TOLD_EVERY = 1_000
"""Arrivals and ends between two words of progress within a slot, which may be long."""


@mypyc_attr(native_class=False)
@dataclass(frozen=True, slots=True)
class SimulationProgress:
    """How far a run is, for whoever shows it: told at every slot, and after every `TOLD_EVERY` arrivals and ends."""

    t_s: float
    end_s: float
    arrived: int
    ended: int


class Progress:
    """Counts what moves in one run."""

    def __init__(
        self,
        scenario: Scenario,
        kernel: Kernel,
        nodes: Mapping[str, NodeState],
        ledger: Ledger,
        hear: Callable[[SimulationProgress], None] | None,
    ) -> None:
        self._scenario, self._kernel, self._nodes, self._ledger, self._hear = (
            scenario, kernel, nodes, ledger, hear,
        )  # fmt: skip
        self._deadlines = scenario.deadline_s is not None
        self._more_until_s = max(scenario.end_s, scenario.settled_s)
        starts_s = max(m.init_s + m.unload_s for m in scenario.testbed.models)
        self._longest_still_s = max(scenario.horizon_s, 2 * starts_s)
        self._steps = 0
        """Arrivals and ends."""
        self._moved_s = 0.0
        """When a request was last seen to get on, or more of them were to come."""

    def tell(self) -> None:
        """Tell whoever listens how far it is."""
        if self._hear is not None:
            ended = sum([ends.total() for ends in self._ledger.ends.values()])
            arrived = self._ledger.arrived.total()
            self._hear(SimulationProgress(self._kernel.now_s, self._scenario.end_s, arrived, ended))

    def step(self) -> None:
        """A request came or went, and stands in the books as such: whoever listens may end the run here."""
        self._moved_s = self._kernel.now_s
        self._steps += 1
        if self._steps % TOLD_EVERY == 0:
            self.tell()

    def is_over(self) -> bool:
        """Whether nothing will change for those who wait: all have come, and for a whole horizon none of them got on.

        Where requests have deadlines these end them.
        """
        now_s = self._kernel.now_s
        if self._deadlines:
            return False
        if now_s < self._more_until_s or any(node.working for node in self._nodes.values()):
            self._moved_s = now_s
        return now_s - self._moved_s > self._longest_still_s
