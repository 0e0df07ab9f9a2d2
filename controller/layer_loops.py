"""The loops of deployment agents, scheduler and planner: whom each asks, with what, and what is valid there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mypy_extensions import mypyc_attr

from controller.limits_in_force import LimitsInForce
from controller.loop import ControlLoop, LoopConfig
from emulation.domain.actions import Choice, MacroPolicy, NodeConfig, RouteGuide
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.feasibility import (
    feasible_configs,
    guide_violations,
    node_violations,
    policy_violations,
)
from emulation.domain.ports import DeploymentAgent, GlobalPlanner, PromptScheduler
from emulation.domain.snapshot import ClusterSnapshot, NodeView


@mypyc_attr(allow_interpreted_subclasses=True)
class DeploymentLoop(ControlLoop[DeploymentAgent, NodeView, NodeConfig]):
    """The deployment agent of one node, and the role it was given."""

    def __init__(
        self,
        testbed: TestbedConfig,
        node_id: str,
        deployer: DeploymentAgent,
        seed: int = 0,
        config: LoopConfig | None = None,
        stand_in: DeploymentAgent | None = None,
    ) -> None:
        self.actor = f"deployer:{node_id}"
        super().__init__(testbed, deployer, seed, config, stand_in)
        self.node_id = node_id
        self.nothing = NodeConfig(node_id, {})
        self.role: Mapping[str, Mode] | None = None

    def accept(self, policy: MacroPolicy) -> None:
        """Take this node's role from the policy; a node the policy does not name is to run nothing."""
        self.role = dict(policy.roles.get(self.node_id, {}))

    def _ask(self, decider: DeploymentAgent, seen: NodeView) -> Choice[NodeConfig]:
        return decider.decide(seen if self.role is None else seen.in_role(self.role))

    def _check(self, command: NodeConfig) -> list[str]:
        if command.node != self.node_id:
            return [f"command is for node {command.node!r}, not {self.node_id!r}"]
        return node_violations(self._testbed, self.node_id, command.modes)

    def _random(self) -> NodeConfig:
        return NodeConfig(self.node_id, self._one_of(feasible_configs(self._testbed, self.node_id)))


@mypyc_attr(allow_interpreted_subclasses=True)
class SchedulerLoop(ControlLoop[PromptScheduler, ClusterSnapshot, RouteGuide]):
    """The prompt scheduler, and the latest macro policy it works under.

    Which of the policy's limits are in force is arithmetic, whoever schedules: see `limits_in_force.py`.
    """

    actor = "scheduler"
    policy: MacroPolicy | None = None

    def __init__(
        self,
        testbed: TestbedConfig,
        decider: PromptScheduler,
        seed: int = 0,
        config: LoopConfig | None = None,
        stand_in: PromptScheduler | None = None,
    ) -> None:
        super().__init__(testbed, decider, seed, config, stand_in)
        self.nothing = RouteGuide()
        self._limits = LimitsInForce()

    def accept(self, policy: MacroPolicy) -> None:
        """Work under this policy from now on."""
        self.policy = policy

    def _ask(self, decider: PromptScheduler, seen: ClusterSnapshot) -> Choice[RouteGuide]:
        choice = decider.decide(seen, self.policy)
        instead = self._limits.instead(self.policy, seen)
        if not instead:
            return choice
        told = ", ".join("none for " + m if s is None else f"{m} {s:.0f} s" for m, s in instead.items())
        reason = f"{choice.reason}; limits by what is seen to come: {told}"
        return replace(choice, command=replace(choice.command, admission_limit_s=instead), reason=reason)

    def _check(self, command: RouteGuide) -> list[str]:
        return guide_violations(self._testbed, command)

    def _random(self) -> RouteGuide:
        table: dict[tuple[str, str], str] = {}
        for node in self._testbed.nodes:
            for model in self._testbed.models:
                hosts = self._testbed.routable(model.id)
                table[node.id, model.id] = self._one_of(hosts)
        return RouteGuide(table=table)


@mypyc_attr(allow_interpreted_subclasses=True)
class PlannerLoop(ControlLoop[GlobalPlanner, ClusterSnapshot, MacroPolicy]):
    """The global planner."""

    actor = "planner"

    def __init__(
        self,
        testbed: TestbedConfig,
        decider: GlobalPlanner,
        seed: int = 0,
        config: LoopConfig | None = None,
        stand_in: GlobalPlanner | None = None,
    ) -> None:
        super().__init__(testbed, decider, seed, config, stand_in)
        self.nothing = MacroPolicy(p={}, roles={})

    def accept(self, policy: MacroPolicy) -> None:
        """Nothing: the policy is its own."""

    def _ask(self, decider: GlobalPlanner, seen: ClusterSnapshot) -> Choice[MacroPolicy]:
        return decider.decide(seen)

    def _check(self, command: MacroPolicy) -> list[str]:
        return policy_violations(self._testbed, command)

    def _random(self) -> MacroPolicy:
        """MA's random policy: a random feasible role per node, routing uniform over the hosts of a model."""
        roles = {
            node.id: self._one_of(feasible_configs(self._testbed, node.id)) for node in self._testbed.nodes
        }
        p: dict[str, dict[str, float]] = {}
        for model in self._testbed.models:
            routable = self._testbed.routable(model.id)
            hosts = [n for n in routable if roles[n].get(model.id, "off") != "off"] or list(routable)
            p[model.id] = {n: 1.0 / len(hosts) for n in hosts}
        return MacroPolicy(p=p, roles=roles)
