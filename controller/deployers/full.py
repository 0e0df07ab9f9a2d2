"""Full activation (MA's RF): as many models as CPU, RAM and vGPUs allow, never reconfigured."""

from __future__ import annotations

from typing import Literal

from controller.deployers.patterns import full_patterns, hungriest_first
from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.snapshot import NodeView
from emulation.rng import stream


class FullConfig(Strict):
    """Which of the fullest patterns is taken."""

    choice: Literal["gpu_gain", "random"] = "gpu_gain"
    """gpu_gain: vGPUs to the models that gain most from them; random: drawn once per node from the seed."""


class FullDeployer:
    """Decides one pattern at construction and repeats it."""

    Config = FullConfig

    def __init__(self, testbed: TestbedConfig, node_id: str, config: FullConfig, seed: int) -> None:
        if config.choice == "random":
            patterns = full_patterns(testbed, node_id)
            picked = int(stream(seed, f"deployer:full:{node_id}").integers(len(patterns)))
            self._command = NodeConfig(node_id, patterns[picked])
        else:
            self._command = NodeConfig(node_id, hungriest_first(testbed, node_id))
        self.reason = f"full activation, {config.choice}"

    def decide(self, view: NodeView) -> NodeConfig:
        """The pattern chosen at construction, whatever the view."""
        return self._command
