"""Truth for a live oracle: node state machines in the gateway's own process that are told what it dispatches.

The yardstick of the live Oracle gap must know what no decider may: the mirror is given scenario and seed on purpose,
draws the same truth as the live nodes and plays the same event plan. Devices only: the modes of pods are decided
elsewhere, so a mirror of them would have to guess.
"""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import Any

from controller.fast_path import FastPath
from emulation.domain.actions import RoutingDecision
from emulation.domain.request import Request
from emulation.domain.scenario import Scenario
from emulation.domain.truth import RequestTruth
from emulation.executor import Job, NodeState
from emulation.faults import Step, apply, timeline
from emulation.files import ConfigError
from workloads.mismatch import world_truth
from workloads.truth_table import TruthTable


class Mirror:
    """The present truth of a live device testbed, as the oracle asks for it."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        """Raises `ConfigError` for a testbed with pods."""
        pods = [n.id for n in scenario.testbed.nodes if n.hosting == "pods"]
        if pods:
            raise ConfigError(
                f"an oracle runs live on always-ready devices only; {pods} host pods: leave out --live"
            )
        self._table = TruthTable(scenario, seed)
        self._nodes = {
            n.id: NodeState(scenario.testbed, n.id, world_truth(scenario, seed))
            for n in scenario.testbed.nodes
        }
        self._node_of = {e.id: self._nodes[e.node] for e in scenario.testbed.executors()}
        self._steps: list[Step] = timeline(scenario.events, scenario.testbed)
        self._now_s = 0.0
        self._asked: tuple[Request, RequestTruth] | None = None
        self._sent: Counter[str] = Counter()
        """Request id to how often it was dispatched."""

    def look(self, request: Request, now_s: float) -> None:
        """It is this late, and the oracle is about to be asked about this request."""
        while self._steps and self._steps[0].at_s <= now_s:
            step = self._steps.pop(0)
            for node_id in step.nodes:
                apply(step, self._nodes[node_id], step.at_s)
        for node in self._nodes.values():
            node.advance(now_s)
            node.take_notices()
        self._now_s = max(self._now_s, now_s)
        self._asked = (request, self._table.truth(request))

    def submit(self, executor: str, now_s: float) -> None:
        """The request last asked about was sent there."""
        if self._asked is not None:
            self._sent[self._asked[0].id] += 1
            self._node_of[executor].submit(executor, Job(*self._asked, self._sent[self._asked[0].id]), now_s)

    def service_s(self, executor: str, request_id: str) -> float:
        """True service time there under the present conditions, seconds."""
        if self._asked is None or self._asked[0].id != request_id:
            return inf
        return self._node_of[executor].oracle.service_s(executor, *self._asked, self._sent[request_id] + 1)

    def backlog_s(self, executor: str) -> float:
        """True remaining work there under the present conditions, seconds."""
        return self._node_of[executor].oracle.backlog_s(executor, self._now_s)

    def stutters(self, executor: str, model: str) -> bool:
        """Whether a request dispatched there now would stutter (E3 eq. 3)."""
        return self._node_of[executor].oracle.stutters(model)


class MirroredFastPath(FastPath):
    """The fast path of a live oracle: keeps its mirror up to date with what it routes."""

    def __init__(self, mirror: Mirror, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._mirror = mirror

    def __getstate__(self) -> tuple[Any, Mirror]:
        return super().__getstate__(), self._mirror

    def __setstate__(self, state: tuple[dict[str, Any], Mirror]) -> None:
        known, self._mirror = state
        for name, value in known.items():  # compiled, the fast path has no __dict__ to update
            setattr(self, name, value)

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        """As ever, on the truth of this instant."""
        self._mirror.look(request, now_s)
        return super().route(request, now_s)

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        """As ever; the mirror serves it too."""
        super().dispatched(request, decision, now_s)
        if decision.executor is not None:
            self._mirror.submit(decision.executor, now_s)
