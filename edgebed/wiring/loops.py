"""The control loops of one run, with whoever thinks in each: the rules of the role, or a reasoner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from controller.agents.answers import Asker
from controller.agents.config import AgentRole, AgentsConfig, SchedulerMode
from controller.agents.reasoner import RULES, split_choice
from controller.deployers.llm import LlmDeployer
from controller.loop import DeploymentLoop, LoopConfig, PlannerLoop, SchedulerLoop
from controller.objective import Objective
from controller.planners.llm import LlmPlanner
from controller.schedulers.llm import LlmScheduler
from controller.schemes import Scheme
from controller.whatif import WhatIf
from edgebed.wiring.reasoners import make_llm
from emulation.domain.ports import DeploymentAgent, GlobalPlanner, PromptScheduler
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError

DeciderT = TypeVar("DeciderT")


@dataclass(frozen=True, slots=True)
class LoopBuilder:
    """Builds the loops of one run. `rules` builds what decides by rules in a role, and is called only
    where that takes part.

    Raises `ConfigError` for a reasoner that cannot be built: a file that is not there, a model that has no name.
    """

    scheme: Scheme
    scenario: Scenario
    seed: int
    config: AgentsConfig
    objective: Objective

    def planner(self, rules: Callable[[], GlobalPlanner | None], what_if: WhatIf) -> PlannerLoop | None:
        """The planner's loop; None if the scheme has none."""
        testbed = self.scenario.testbed
        asker = self._asker("planner", "planner")
        if asker is None:
            decider = rules()
            return None if decider is None else PlannerLoop(testbed, decider, self.seed, self._loop(RULES))
        try:
            planner = LlmPlanner(testbed, self.config, self.seed, self.objective, asker, what_if)
        except (OSError, ValueError) as error:
            raise ConfigError(f"scenario {self.scenario.name!r}: planner: {error}") from error
        return PlannerLoop(testbed, planner, self.seed, self._loop(asker.label), self._stand_in(rules))

    def scheduler(self, rules: Callable[[], PromptScheduler | None]) -> SchedulerLoop | None:
        """The scheduler's loop; None if the scheme has none."""
        testbed = self.scenario.testbed
        asker = self._asker("scheduler", "scheduler")
        if asker is None:
            decider = rules()
            return None if decider is None else SchedulerLoop(testbed, decider, self.seed, self._loop(RULES))
        mode: SchedulerMode = self.config.mode if self.scheme.scheduler == "agent" else "guided"
        scheduler = LlmScheduler(testbed, self.config, self.objective, asker, mode)
        return SchedulerLoop(testbed, scheduler, self.seed, self._loop(asker.label), self._stand_in(rules))

    def deployer(self, node_id: str, rules: Callable[[], DeploymentAgent]) -> DeploymentLoop:
        """The deployment loop of one node."""
        testbed = self.scenario.testbed
        asker = self._asker("deployer", f"deployer:{node_id}")
        if asker is None:
            return DeploymentLoop(testbed, node_id, rules(), self.seed, self._loop(RULES))
        agent = LlmDeployer(testbed, node_id, asker)
        return DeploymentLoop(
            testbed, node_id, agent, self.seed, self._loop(asker.label), self._stand_in(rules)
        )

    def _asker(self, role: AgentRole, agent: str) -> Asker | None:
        """The line to a reasoner of its own; None where the rules of the role think."""
        choice = self.config.choice(role)
        if role not in self.scheme.agents() or split_choice(choice)[0] == RULES:
            return None
        llm = make_llm(choice, self.config.openai_of(role), self.scheme, self.seed)
        return Asker(agent, llm, self.config.repairs, self.config.max_rounds)

    def _loop(self, reasoner: str) -> LoopConfig:
        label = self.scheme.reasoner if reasoner == RULES else reasoner
        return LoopConfig(reasoner=label, fallback=self.config.fallback)

    def _stand_in(self, rules: Callable[[], DeciderT]) -> DeciderT | None:
        return rules() if self.config.fallback == "rules" else None
