"""One control decision: a cause, a decider, a check, a decision. The same loops run in both worlds.

`ControlLoop.observe` never raises for what a decider does: an exception or an invalid answer becomes the last
valid command, or, before there is one, the second paper's random policy; `Decision.violations` says why.
Loops are pure and picklable: time is a field of what they see, and applying a decision is the world's job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from controller.agents.reasoner import NONE
from emulation.domain.actions import Decision, MacroPolicy, NodeConfig, RouteGuide
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.feasibility import (
    feasible_configs,
    guide_violations,
    node_violations,
    policy_violations,
)
from emulation.domain.ports import DeploymentAgent, GlobalPlanner, PromptScheduler
from emulation.domain.snapshot import ClusterSnapshot, NodeView
from emulation.rng import stream

INVALID = "invalid answer"
"""How the reason of every replaced decision begins; reports look for it."""

CommandT = TypeVar("CommandT", NodeConfig, RouteGuide, MacroPolicy)
SeenT = TypeVar("SeenT", NodeView, ClusterSnapshot)


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """What a decision of this loop says about itself."""

    reasoner: str = NONE
    thinking_s: float = 0.0
    """Virtual seconds from observing to landing; the world applies the decision that much later."""
    promised: str | None = None
    """Metric the decisions of this loop are meant to move."""


class ControlLoop(Generic[SeenT, CommandT]):
    """Trigger, decide, check; subclasses say what is decided, what is valid and what is random."""

    def __init__(self, actor: str, testbed: TestbedConfig, seed: int, config: LoopConfig) -> None:
        self.actor = actor
        self._testbed = testbed
        self._rng = stream(seed, f"fallback:{actor}")
        self._config = config
        self._last_valid: CommandT | None = None

    def observe(self, seen: SeenT, cause: str, now_s: float | None = None) -> Decision:
        """Decide once. `now_s`: when it is asked, virtual seconds; None: when the telemetry was taken."""
        taken_at_s, age_s = _taken_at_s(seen)
        asked_at_s = taken_at_s if now_s is None else now_s
        command, reason, violations = self._decide_checked(seen)
        return Decision(
            actor=self.actor,
            cause=cause,
            decided_at_s=asked_at_s,
            inputs_age_s=age_s + asked_at_s - taken_at_s,
            command=command,
            reason=reason,
            reasoner=self._config.reasoner,
            thinking_s=self._config.thinking_s,
            promised=self._config.promised,
            violations=violations,
        )

    def _decide_checked(self, seen: SeenT) -> tuple[CommandT, str, tuple[str, ...]]:
        """A command that is valid whatever the decider does, why, and what was wrong with its own answer."""
        try:
            command = self._decide(seen)
            violations = self._check(command)
        except Exception as error:  # the one place: a decider's fault must never stop the run
            violations = [f"{self.actor} raised {type(error).__name__}: {error}"]
        else:
            if not violations:
                self._last_valid = command
                return command, self._reason(), ()
        if self._last_valid is not None:
            return self._last_valid, f"{INVALID}: last valid decision kept", tuple(violations)
        return self._random(), f"{INVALID} and none before it: random policy", tuple(violations)

    def _decide(self, seen: SeenT) -> CommandT:
        raise NotImplementedError

    def _check(self, command: CommandT) -> list[str]:
        raise NotImplementedError

    def _random(self) -> CommandT:
        """A valid command drawn from this loop's own stream."""
        raise NotImplementedError

    def _reason(self) -> str:
        raise NotImplementedError


class DeploymentLoop(ControlLoop[NodeView, NodeConfig]):
    """The deployment agent of one node, and the role it was given."""

    def __init__(
        self,
        testbed: TestbedConfig,
        node_id: str,
        deployer: DeploymentAgent,
        seed: int = 0,
        config: LoopConfig | None = None,
    ) -> None:
        super().__init__(f"deployer:{node_id}", testbed, seed, config or LoopConfig())
        self.node_id = node_id
        self.role: Mapping[str, Mode] | None = None
        self._deployer = deployer

    def accept(self, policy: MacroPolicy) -> None:
        """Take this node's role from the policy; a node the policy does not name is to run nothing."""
        self.role = dict(policy.roles.get(self.node_id, {}))

    def _decide(self, seen: NodeView) -> NodeConfig:
        return self._deployer.decide(seen if self.role is None else replace(seen, role=self.role))

    def _check(self, command: NodeConfig) -> list[str]:
        if command.node != self.node_id:
            return [f"command is for node {command.node!r}, not {self.node_id!r}"]
        return node_violations(self._testbed, self.node_id, command.modes)

    def _random(self) -> NodeConfig:
        patterns = feasible_configs(self._testbed, self.node_id)
        return NodeConfig(self.node_id, patterns[int(self._rng.integers(len(patterns)))])

    def _reason(self) -> str:
        return str(getattr(self._deployer, "reason", ""))


class SchedulerLoop(ControlLoop[ClusterSnapshot, RouteGuide]):
    """The prompt scheduler, and the latest macro policy it works under."""

    def __init__(
        self,
        testbed: TestbedConfig,
        scheduler: PromptScheduler,
        seed: int = 0,
        config: LoopConfig | None = None,
    ) -> None:
        super().__init__("scheduler", testbed, seed, config or LoopConfig())
        self.policy: MacroPolicy | None = None
        self._scheduler = scheduler

    def accept(self, policy: MacroPolicy) -> None:
        """Work under this policy from now on."""
        self.policy = policy

    def _decide(self, seen: ClusterSnapshot) -> RouteGuide:
        return self._scheduler.decide(seen, self.policy)

    def _check(self, command: RouteGuide) -> list[str]:
        return guide_violations(self._testbed, command)

    def _random(self) -> RouteGuide:
        table: dict[tuple[str, str], str] = {}
        for node in self._testbed.nodes:
            for model in self._testbed.models:
                hosts = self._testbed.routable(model.id)
                table[node.id, model.id] = hosts[int(self._rng.integers(len(hosts)))]
        return RouteGuide(table=table)

    def _reason(self) -> str:
        return str(getattr(self._scheduler, "reason", ""))


class PlannerLoop(ControlLoop[ClusterSnapshot, MacroPolicy]):
    """The global planner."""

    def __init__(
        self,
        testbed: TestbedConfig,
        planner: GlobalPlanner,
        seed: int = 0,
        config: LoopConfig | None = None,
    ) -> None:
        super().__init__("planner", testbed, seed, config or LoopConfig())
        self._planner = planner

    def _decide(self, seen: ClusterSnapshot) -> MacroPolicy:
        return self._planner.decide(seen)

    def _check(self, command: MacroPolicy) -> list[str]:
        return policy_violations(self._testbed, command)

    def _random(self) -> MacroPolicy:
        """MA's random policy: a random feasible role per node, routing uniform over the hosts of a model."""
        roles: dict[str, dict[str, Mode]] = {}
        for node in self._testbed.nodes:
            patterns = feasible_configs(self._testbed, node.id)
            roles[node.id] = patterns[int(self._rng.integers(len(patterns)))]
        p: dict[str, dict[str, float]] = {}
        for model in self._testbed.models:
            routable = self._testbed.routable(model.id)
            hosts = [n for n in routable if roles[n].get(model.id, "off") != "off"] or list(routable)
            p[model.id] = {n: 1.0 / len(hosts) for n in hosts}
        return MacroPolicy(p=p, roles=roles)

    def _reason(self) -> str:
        return str(getattr(self._planner, "reason", ""))


def _taken_at_s(seen: NodeView | ClusterSnapshot) -> tuple[float, float]:
    """When this was assembled, and how old its oldest signal was then; both virtual seconds."""
    if isinstance(seen, NodeView):
        return seen.taken_at_s, 0.0
    return seen.t_s, seen.age_s()
