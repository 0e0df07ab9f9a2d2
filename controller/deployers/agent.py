"""Deployment agent of MA with the `rules` reasoner: runs the planner's role, with stated exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from controller.deployers.patterns import Pattern, hungriest_first
from controller.deployers.stranded import stranded
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import Mode, Strict, TestbedConfig
from emulation.domain.feasibility import node_violations
from emulation.domain.ports import DeploymentAgent
from emulation.domain.quantities import Range
from emulation.domain.snapshot import NodeView


class AgentConfig(Strict):
    """When the agent may depart from its role."""

    strand_prompts: Annotated[float, Range(0.001, 1_000_000, "prompts")] = 1.0
    """Prompts of a model outside the role from which it is hosted until they are done."""


class AgentDeployer(DeploymentAgent):
    """Holds its role; before it has one, runs all it can.

    The only departure: work stranded here for a model outside the role (left by an earlier role) is drained
    on what the role leaves free, GPU before CPU, and the model goes back off when its queue is empty.
    """

    Config = AgentConfig
    repeats = True

    def __init__(self, testbed: TestbedConfig, node_id: str, config: AgentConfig, seed: int) -> None:
        self._testbed = testbed
        self._node_id = node_id
        self._strand_prompts = config.strand_prompts
        self._hosted = testbed.hosted(node_id)
        self._role: Mapping[str, Mode] = {}
        """The role it was asked under last, and what it chooses where nothing is stranded."""
        self._as_role = Choice(NodeConfig(node_id, dict.fromkeys(self._hosted, "off")), "role")

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """The role, plus drains of stranded work; everything the node can run while there is no role."""
        role = view.role
        if role is None:
            all_it_can = hungriest_first(self._testbed, self._node_id)
            return Choice(NodeConfig(self._node_id, all_it_can), "no role yet: full activation")
        if role is not self._role:
            self._role = role
            in_role: Pattern = {m: role.get(m, "off") for m in self._hosted}
            self._as_role = Choice(NodeConfig(self._node_id, in_role), "role")
        models = stranded(view, self._as_role.command.modes, self._strand_prompts)
        if not models:
            return self._as_role
        modes = {**self._as_role.command.modes}
        drained = [m for m in models if self._host(m, view, modes)]
        if not drained:
            return self._as_role
        return Choice(NodeConfig(self._node_id, modes), f"role, and draining stranded {', '.join(drained)}")

    def _host(self, model: str, view: NodeView, modes: Pattern) -> bool:
        """Adds the model to `modes` where the role leaves room, in the mode it has now if that fits."""
        held = view.modes.get(model)
        options = self._testbed.modes(self._node_id, model)
        for mode in sorted(options, key=lambda option: option != held):
            if not node_violations(self._testbed, self._node_id, {**modes, model: mode}):
                modes[model] = mode
                return True
        return False
