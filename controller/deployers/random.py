"""Random deployment (MA's RR): each slot a pattern drawn uniformly from the feasible ones of the node."""

from __future__ import annotations

from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.ports import DeploymentAgent
from emulation.domain.snapshot import NodeView
from emulation.domain.strict import NoParams
from emulation.rng import stream


class RandomDeployer(DeploymentAgent):
    """One draw per decision from its own named stream; backlog and role are ignored."""

    Config = NoParams

    def __init__(self, testbed: TestbedConfig, node_id: str, config: NoParams, seed: int) -> None:
        self._node_id = node_id
        self._patterns = feasible_configs(testbed, node_id)
        self._rng = stream(seed, f"deployer:random:{node_id}")

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """A pattern drawn uniformly, whatever the view."""
        count = len(self._patterns)
        pattern = self._patterns[int(self._rng.integers(count))]
        return Choice(NodeConfig(self._node_id, pattern), f"uniform over {count} feasible patterns")
