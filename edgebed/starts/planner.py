"""A global planner of mine, and a scheme to compare it by."""

from __future__ import annotations

from typing import Any

from controller.deployers.patterns import hungriest_first
from controller.objective import Objective
from controller.schemes import Scheme
from emulation.domain.actions import Choice, MacroPolicy
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.ports import GlobalPlanner
from emulation.domain.snapshot import ClusterSnapshot


class Mine(GlobalPlanner):
    """Every node runs all it can, and traffic is split evenly over where it may go."""

    class Config(Strict):
        """Parameters, set in a scenario under `controllers`."""

    def __init__(
        self, testbed: TestbedConfig, config: Config, seed: int, objective: Objective, what_if: Any = None
    ) -> None:
        self._testbed = testbed

    def decide(self, snapshot: ClusterSnapshot) -> Choice[MacroPolicy]:
        """The policy of the epoch that begins: `p[model][node]` sums to 1 for each model, roles are feasible."""
        roles = {n.id: hungriest_first(self._testbed, n.id) for n in self._testbed.nodes}
        p = {}
        for model in self._testbed.models:
            hosts = self._testbed.routable(model.id)
            p[model.id] = {node: 1.0 / len(hosts) for node in hosts}
        return Choice(MacroPolicy(p=p, roles=roles), "all there is, evenly")


MINE = Scheme(
    name="mine",
    paper="outside",
    summary="shortest completion within the roles of a planner of mine",
    router="sect",
    perf="nnls",
    deployer="agent",
    scheduler="weights",
    planner="edgebed.starts.planner:Mine",
)
