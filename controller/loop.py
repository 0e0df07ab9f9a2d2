"""One control decision: a cause, a decider, a check, a decision. The same loops run in both worlds.

`ControlLoop.observe` never raises for what a decider does: an exception or an invalid answer becomes the last
valid command, or, before there is one, the second paper's random policy (or what else `LoopConfig.fallback` names);
`Decision.violations` says why.
Loops are pure and picklable: time is a field of what they see, and applying a decision is the world's job.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from controller.agents.answers import Asker, NoAnswer
from controller.agents.config import Fallback
from controller.agents.llm import ReasonerError
from controller.agents.reasoner import NONE, RULES
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
    """What a decision of this loop says about itself, and what stands in for a decider that fails."""

    reasoner: str = NONE
    thinking_s: float = 0.0
    """Virtual seconds from observing to landing; the world applies the decision that much later. A decider that
    has a `thinking_s` of its own says itself how long it took."""
    promised: str | None = None
    """Metric the decisions of this loop are meant to move."""
    fallback: Fallback = "last_valid"


@dataclass(frozen=True, slots=True)
class _Chosen(Generic[CommandT]):
    command: CommandT
    reason: str
    reasoner: str
    violations: tuple[str, ...] = ()
    extra_s: float = 0.0
    """Thinking of the rules that stood in."""


class ControlLoop(ABC, Generic[SeenT, CommandT]):
    """Trigger, decide, check; subclasses say what is decided, what is valid and what is random.

    A decider may have: `reason`, why it decided as it did; `thinking_s`; `asker` (`agents/answers.py`), the line to a
    reasoner whose exchanges go into the decision; `adopted(command)`, to be told what is in force instead of its own
    answer. `instead` decides where `decider` fails and the fallback is `rules`.
    """

    def __init__(
        self,
        actor: str,
        testbed: TestbedConfig,
        decider: Any,
        seed: int,
        config: LoopConfig | None,
        instead: Any = None,
    ) -> None:
        self.actor = actor
        self._testbed = testbed
        self._decider = decider
        self._instead = instead
        self._rng = stream(seed, f"fallback:{actor}")
        self._config = config or LoopConfig()
        self._last_valid: CommandT | None = None

    @property
    def asker(self) -> Asker | None:
        """The decider's line to a reasoner, if it asks one."""
        return getattr(self._decider, "asker", None)

    def outage(self, failure: str | None) -> None:
        """The reasoner, if there is one, fails in this way from now on; None: it works again."""
        if self.asker is not None:
            self.asker.outage = failure

    def observe(self, seen: SeenT, cause: str, now_s: float | None = None) -> Decision:
        """Decide once. `now_s`: when it is asked, virtual seconds; None: when the telemetry was taken.

        Raises `ReasonerError` where a script ends or a replay is asked what was not recorded, and nothing else.
        """
        taken_at_s, age_s = _taken_at_s(seen)
        asked_at_s = taken_at_s if now_s is None else now_s
        asker = self.asker
        if asker is not None:
            asker.begin(cause)
        chosen = self._choose(seen)
        if asker is not None:
            thinking_s = asker.thinking_s
        else:
            thinking_s = float(getattr(self._decider, "thinking_s", self._config.thinking_s))
        return Decision(
            actor=self.actor,
            cause=cause,
            decided_at_s=asked_at_s,
            inputs_age_s=age_s + asked_at_s - taken_at_s,
            command=chosen.command,
            reason=chosen.reason,
            reasoner=chosen.reasoner,
            thinking_s=thinking_s + chosen.extra_s,
            promised=self._config.promised,
            violations=chosen.violations,
            exchanges=() if asker is None else asker.exchanges,
        )

    def _choose(self, seen: SeenT) -> _Chosen[CommandT]:
        """A command that is valid whatever the decider does, why, and what was wrong with its own answer."""
        command, violations = self._checked(self._decider, seen)
        if command is not None:
            self._last_valid = command
            return _Chosen(command, _reason_of(self._decider), self._config.reasoner)
        chosen = self._fallback(seen, tuple(violations))
        adopted = getattr(self._decider, "adopted", None)
        if adopted is not None:
            adopted(chosen.command)
        return chosen

    def _fallback(self, seen: SeenT, violations: tuple[str, ...]) -> _Chosen[CommandT]:
        reasoner, fallback = self._config.reasoner, self._config.fallback
        if fallback == "rules" and self._instead is not None:
            command, wrong = self._checked(self._instead, seen)
            if command is not None:
                reason = f"{INVALID}: the rules decide instead: {_reason_of(self._instead)}"
                extra_s = float(getattr(self._instead, "thinking_s", 0.0))
                return _Chosen(command, reason, RULES, violations, extra_s)
            violations += tuple(wrong)
        if fallback != "random" and self._last_valid is not None:
            reason = f"{INVALID}: last valid decision kept"
            return _Chosen(self._last_valid, reason, reasoner, violations)
        none = "" if fallback == "random" else " and none before it"
        return _Chosen(self._random(), f"{INVALID}{none}: random policy", reasoner, violations)

    def _checked(self, decider: Any, seen: SeenT) -> tuple[CommandT | None, list[str]]:
        """What a decider says, or None and what is wrong with it."""
        try:
            command = self._ask(decider, seen)
            violations = self._check(command)
        except ReasonerError:
            raise
        except NoAnswer as error:
            return None, list(error.violations)
        except Exception as error:  # the one place: a decider's fault must never stop the run
            return None, [f"{self.actor} raised {type(error).__name__}: {error}"]
        return (None, violations) if violations else (command, [])

    @abstractmethod
    def _ask(self, decider: Any, seen: SeenT) -> CommandT:
        """A decider's answer, whatever it is."""

    @abstractmethod
    def _check(self, command: CommandT) -> list[str]:
        """Why the command is impossible; empty if it is not."""

    @abstractmethod
    def _random(self) -> CommandT:
        """A valid command drawn from this loop's own stream."""


class DeploymentLoop(ControlLoop[NodeView, NodeConfig]):
    """The deployment agent of one node, and the role it was given."""

    def __init__(
        self,
        testbed: TestbedConfig,
        node_id: str,
        deployer: DeploymentAgent,
        seed: int = 0,
        config: LoopConfig | None = None,
        instead: DeploymentAgent | None = None,
    ) -> None:
        super().__init__(f"deployer:{node_id}", testbed, deployer, seed, config, instead)
        self.node_id = node_id
        self.role: Mapping[str, Mode] | None = None

    def accept(self, policy: MacroPolicy) -> None:
        """Take this node's role from the policy; a node the policy does not name is to run nothing."""
        self.role = dict(policy.roles.get(self.node_id, {}))

    def _ask(self, decider: DeploymentAgent, seen: NodeView) -> NodeConfig:
        return decider.decide(seen if self.role is None else replace(seen, role=self.role))

    def _check(self, command: NodeConfig) -> list[str]:
        if command.node != self.node_id:
            return [f"command is for node {command.node!r}, not {self.node_id!r}"]
        return node_violations(self._testbed, self.node_id, command.modes)

    def _random(self) -> NodeConfig:
        patterns = feasible_configs(self._testbed, self.node_id)
        return NodeConfig(self.node_id, patterns[int(self._rng.integers(len(patterns)))])


class SchedulerLoop(ControlLoop[ClusterSnapshot, RouteGuide]):
    """The prompt scheduler, and the latest macro policy it works under."""

    def __init__(
        self,
        testbed: TestbedConfig,
        scheduler: PromptScheduler,
        seed: int = 0,
        config: LoopConfig | None = None,
        instead: PromptScheduler | None = None,
    ) -> None:
        super().__init__("scheduler", testbed, scheduler, seed, config, instead)
        self.policy: MacroPolicy | None = None

    def accept(self, policy: MacroPolicy) -> None:
        """Work under this policy from now on."""
        self.policy = policy

    def _ask(self, decider: PromptScheduler, seen: ClusterSnapshot) -> RouteGuide:
        return decider.decide(seen, self.policy)

    def _check(self, command: RouteGuide) -> list[str]:
        return guide_violations(self._testbed, command)

    def _random(self) -> RouteGuide:
        table: dict[tuple[str, str], str] = {}
        for node in self._testbed.nodes:
            for model in self._testbed.models:
                hosts = self._testbed.routable(model.id)
                table[node.id, model.id] = hosts[int(self._rng.integers(len(hosts)))]
        return RouteGuide(table=table)


class PlannerLoop(ControlLoop[ClusterSnapshot, MacroPolicy]):
    """The global planner."""

    def __init__(
        self,
        testbed: TestbedConfig,
        planner: GlobalPlanner,
        seed: int = 0,
        config: LoopConfig | None = None,
        instead: GlobalPlanner | None = None,
    ) -> None:
        super().__init__("planner", testbed, planner, seed, config, instead)

    def _ask(self, decider: GlobalPlanner, seen: ClusterSnapshot) -> MacroPolicy:
        return decider.decide(seen)

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


def _reason_of(decider: Any) -> str:
    return str(getattr(decider, "reason", ""))


def _taken_at_s(seen: NodeView | ClusterSnapshot) -> tuple[float, float]:
    """When this was assembled, and how old its oldest signal was then; both virtual seconds."""
    if isinstance(seen, NodeView):
        return seen.taken_at_s, 0.0
    return seen.t_s, seen.age_s()
