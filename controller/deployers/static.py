"""Static deployment: a given plan, or everything the node has; never reconfigured."""

from __future__ import annotations

from controller.deployers.patterns import hungriest_first
from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import Mode, Strict, TestbedConfig
from emulation.domain.feasibility import node_violations
from emulation.domain.snapshot import NodeView


class StaticConfig(Strict):
    """Where the pattern comes from."""

    plan: dict[str, dict[str, Mode]] | None = None
    """Node to model to mode; a node that is absent is off. None: every node runs all it can."""


class StaticDeployer:
    """Repeats one pattern. Raises `ValueError` at construction if the plan cannot run on the node."""

    Config = StaticConfig

    def __init__(self, testbed: TestbedConfig, node_id: str, config: StaticConfig, seed: int) -> None:
        if config.plan is None:
            self._command = NodeConfig(node_id, hungriest_first(testbed, node_id))
            self.reason = "everything the node has"
            return
        modes = config.plan.get(node_id, {})
        violations = node_violations(testbed, node_id, modes)
        if violations:
            raise ValueError(f"static plan of {node_id}: {'; '.join(violations)}")
        self._command = NodeConfig(node_id, dict(modes))
        self.reason = "given plan"

    def decide(self, view: NodeView) -> NodeConfig:
        """The same pattern, whatever the view."""
        return self._command
