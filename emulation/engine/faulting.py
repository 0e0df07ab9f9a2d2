"""The event plan in virtual time: which steps are played, when, and what the nodes say of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from emulation.domain.scenario import Scenario
from emulation.engine.kernel import FAULT, Kernel
from emulation.executor import NodeState
from emulation.faults import Step, apply, in_force, timeline
from emulation.ledger import Ledger


class PlayedPlan:
    """Plays the events of a scenario through one run.

    An event that has begun is waited for, unless it would end long after everybody has given up. A run is not made
    longer for one that begins when the last request has arrived: it is played if the run still goes on by then, for
    whatever reason.
    """

    def __init__(
        self,
        scenario: Scenario,
        kernel: Kernel,
        nodes: Mapping[str, NodeState],
        ledger: Ledger,
        control: Callable[[Step], Mapping[str, Any] | None],
        played: Callable[[Step], None],
    ) -> None:
        """`control` does what a step does to who decides, and returns what its record is to say of that. `played` hears
        of every step, after it was applied."""
        self._kernel, self._nodes, self._ledger, self._played = kernel, nodes, ledger, played
        self._control = control
        self._end_s, self._latest_s = scenario.end_s, scenario.latest_s
        self._rest: dict[int, list[Step]] = defaultdict(list)
        """Event that begins after the end of arrivals to its further steps."""
        self.left = 0
        """Steps still to come without which the run does not end."""
        for step in timeline(scenario.events, scenario.testbed):
            if step.spec.at_s < self._end_s:
                self._wait_for(step)
            elif step.phase == "onset":
                kernel.if_anything_comes_later(step.at_s, FAULT, self._begin_late, step)
            else:
                self._rest[step.event].append(step)

    def _wait_for(self, step: Step) -> None:
        if step.at_s <= self._latest_s:
            self.left += 1
            self._kernel.at(step.at_s, FAULT, self._waited, step)

    def _waited(self, step: Step) -> None:
        self.left -= 1
        self._play(step)

    def _begin_late(self, step: Step) -> None:
        for further in self._rest.pop(step.event, ()):
            self._wait_for(further)
        self._play(step)

    def _play(self, step: Step) -> None:
        now_s, nodes = self._kernel.now_s, [self._nodes[node_id] for node_id in step.nodes]
        before = [in_force(step, node) for node in nodes]
        for node in nodes:
            apply(step, node, now_s)
        after = [in_force(step, node) for node in nodes]
        shown = dict(zip(step.nodes, zip(before, after, strict=True), strict=True))
        self._ledger.event(step, now_s, in_force=shown, more=self._control(step))
        self._played(step)
