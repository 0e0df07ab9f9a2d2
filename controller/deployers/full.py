"""Full activation (MA's RF): as many models as CPU, RAM and vGPUs allow, never reconfigured."""

from __future__ import annotations

from typing import Literal

from controller.deployers.patterns import full_patterns, hungriest_first
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.ports import DeploymentAgent
from emulation.domain.snapshot import NodeView
from emulation.rng import stream


class FullConfig(Strict):
    """Which of the fullest patterns is taken."""

    choice: Literal["gpu_gain", "images_first", "random"] = "gpu_gain"
    """gpu_gain: vGPUs to the models that gain most from them; images_first: to those that read or make images (the
    paper's RF: its text models "often run inefficiently on CPU"); random: drawn once per node from the seed."""


class FullDeployer(DeploymentAgent):
    """Decides one pattern at construction and repeats it."""

    Config = FullConfig
    repeats = blind = True

    def __init__(self, testbed: TestbedConfig, node_id: str, config: FullConfig, seed: int) -> None:
        if config.choice == "random":
            patterns = full_patterns(testbed, node_id)
            picked = int(stream(seed, f"deployer:full:{node_id}").integers(len(patterns)))
            pattern = patterns[picked]
        else:
            pattern = hungriest_first(testbed, node_id, config.choice == "images_first")
        self._choice = Choice(NodeConfig(node_id, pattern), f"full activation, {config.choice}")

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """The pattern chosen at construction, whatever the view."""
        return self._choice
