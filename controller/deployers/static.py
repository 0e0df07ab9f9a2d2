"""Static deployment: a given plan, or everything the node has; never reconfigured."""

from __future__ import annotations

from controller.deployers.patterns import hungriest_first
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import Mode, Strict, TestbedConfig
from emulation.domain.feasibility import node_violations
from emulation.domain.ports import DeploymentAgent
from emulation.domain.snapshot import NodeView


class StaticConfig(Strict):
    """Where the pattern comes from."""

    plan: dict[str, dict[str, Mode]] | None = None
    """Node to model to mode; a node that is absent is off. None: every node runs all it can."""


class StaticDeployer(DeploymentAgent):
    """Repeats one pattern. Raises `ValueError` at construction if the plan cannot run on the node."""

    Config = StaticConfig
    repeats = blind = True

    def __init__(self, testbed: TestbedConfig, node_id: str, config: StaticConfig, seed: int) -> None:
        if config.plan is None:
            modes, reason = hungriest_first(testbed, node_id), "everything the node has"
        else:
            modes, reason = dict(config.plan.get(node_id, {})), "given plan"
        violations = node_violations(testbed, node_id, modes)
        if violations:
            raise ValueError(f"static plan of {node_id}: {'; '.join(violations)}")
        self._choice = Choice(NodeConfig(node_id, modes), reason)

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """The same pattern, whatever the view."""
        return self._choice
