"""Deployment by deep Q-learning (MA section VI, the DRL baseline): one trained agent per node."""

from __future__ import annotations

from controller.rl.config import TrainedConfig
from controller.rl.features import DeployerFeatures, Terms
from controller.rl.nets import pattern_values
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import DeploymentAgent
from emulation.domain.quantities import Length, SlotLength
from emulation.domain.snapshot import NodeView


class DqnConfig(TrainedConfig):
    """Which weights decide, and what times are measured by."""

    slot_s: SlotLength = 30.0
    scale_s: Length = 900.0
    """Seconds that count as a whole wait: the deadline. A run takes both from its scenario."""


class DqnDeployer(DeploymentAgent):
    """The feasible pattern of the highest trained value; ties go to the first.

    Agents of all nodes share their weights and see their own node alone. Raises `ValueError` at construction for a
    checkpoint that cannot be used.
    """

    Config = DqnConfig
    repeats = True

    def __init__(self, testbed: TestbedConfig, node_id: str, config: DqnConfig, seed: int) -> None:
        self._features = DeployerFeatures(testbed, node_id, Terms(config.slot_s, config.scale_s))
        self._weights = config.read().weights

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """The pattern of highest value in this view."""
        features = self._features
        of_modes, of_patterns = features.rows(view)
        values = pattern_values(self._weights, of_modes, of_patterns, features.modes)
        best = int(values.argmax())
        reason = f"trained value {values[best]:.3g} of {len(values)} patterns"
        return Choice(NodeConfig(features.node_id, features.patterns[best]), reason)
