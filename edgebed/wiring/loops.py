"""The control loops of one run, with whoever thinks in each: the rules of the role, or a reasoner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from controller.agents.account import Account
from controller.agents.answers import Asker
from controller.agents.config import ROLES, AgentRole, AgentsConfig, SchedulerMode
from controller.agents.llm import Form
from controller.agents.reasoner import RULES, split_choice
from controller.deployers.choice import ChoiceDeployer
from controller.deployers.llm import LlmDeployer
from controller.fast_path_config import FastPathConfig
from controller.guarded import GuardedDecider
from controller.layer_loops import DeploymentLoop, PlannerLoop, SchedulerLoop
from controller.loop import LoopConfig
from controller.objective import Objective
from controller.planners.choice import ChoicePlanner
from controller.planners.llm import LlmPlanner
from controller.planners.search import SearchConfig, SearchPlanner, limiter_of
from controller.schedulers.choice import ChoiceScheduler
from controller.schedulers.llm import LlmScheduler
from controller.schemes import Scheme
from edgebed.runs.whatif import LowerLayers, WhatIfProcess
from edgebed.wiring.parts import DEPLOYER, PLANNER, SCHEDULER, Part, explained, travels
from edgebed.wiring.reasoners import form_of, make_llm, parameters
from emulation.domain.ports import DeploymentAgent, GlobalPlanner, PromptScheduler
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError


class LoopBuilder:
    """Builds the loops of one run. The rules of a role decide in it, or stand in for the reasoner that does.

    Every method raises `ConfigError` for a decider that cannot be built: parameters that no controller knows, a plan
    that cannot run, a file that is not there, a model that has no name.
    """

    def __init__(self, scheme: Scheme, scenario: Scenario, seed: int, account: Account) -> None:
        """`account`: what the agents of the run spend together."""
        self._scheme, self._scenario, self._seed = scheme, scenario, seed
        self._testbed = scenario.testbed
        self._agents = parameters(AgentsConfig, "agents", scenario)
        self._account = account
        self._objective = Objective.of(scenario)
        self._what_if = WhatIfProcess(LowerLayers(scheme.name, _by_rules(scenario.controllers)))

    def planner(self) -> PlannerLoop | None:
        """The planner's loop; None if the scheme has none."""
        asker = self._asker("planner", "planner")
        rules = self._planner_by_rules()
        if asker is None:
            return None if rules is None else self.planner_of(rules)
        planner: ChoicePlanner | LlmPlanner
        terms = (self._seed, self._objective, asker, self._what_if)
        with self._explained("planner"):
            searching = self._searching()
            if self._form("planner", asker) == "choice":
                planner = ChoicePlanner(self._testbed, searching, *terms)
            else:
                limiter = limiter_of(searching, self._objective, self._what_if, self._seed)
                planner = LlmPlanner(self._testbed, self._agents, *terms, limiter)
        if isinstance(rules, SearchPlanner):
            rules.experience.share_cases(planner.experience)
        return PlannerLoop(self._testbed, planner, self._seed, self._loop(asker), rules)

    def planner_of(self, planner: GlobalPlanner) -> PlannerLoop:
        """The loop of a planner that thinks as the scheme's own does."""
        return PlannerLoop(self._testbed, planner, self._seed, self._loop(None))

    def scheduler(self) -> SchedulerLoop | None:
        """The scheduler's loop; None if the scheme has none."""
        asker = self._asker("scheduler", "scheduler")
        rules = self._scheduler_by_rules()
        if asker is None:
            if rules is None:
                return None
            return SchedulerLoop(self._testbed, rules, self._seed, self._loop(None))
        mode: SchedulerMode = self._agents.mode if self._scheme.scheduler == "agent" else "guided"
        scheduler: PromptScheduler
        if self._form("scheduler", asker) == "choice":
            eta_s = parameters(
                FastPathConfig, "fast_path", self._scenario, self._scheme.fast_path_params
            ).eta_s
            scheduler = ChoiceScheduler(self._testbed, self._objective, asker, mode, self._seed, eta_s)
        else:
            scheduler = LlmScheduler(self._testbed, self._agents, self._objective, asker, mode)
        return SchedulerLoop(self._testbed, scheduler, self._seed, self._loop(asker), rules)

    def deployer(self, node_id: str) -> DeploymentLoop:
        """The deployment loop of one node."""
        asker = self._asker("deployer", f"deployer:{node_id}")
        name = self._scheme.deployer
        terms = {"slot_s": self._objective.slot_s, "scale_s": self._objective.scale_s}
        defaults = {f: v for f, v in terms.items() if f in DEPLOYER.find(name).Config.model_fields}
        rules = self._made(DEPLOYER, name, defaults, node_id=node_id)
        config = self._loop(asker)
        if asker is None:
            return DeploymentLoop(self._testbed, node_id, rules, self._seed, config)
        agent: DeploymentAgent
        if self._form("deployer", asker) == "choice":
            agent = ChoiceDeployer(self._testbed, node_id, asker, self._objective, self._seed)
        else:
            agent = LlmDeployer(self._testbed, node_id, asker)
        return DeploymentLoop(self._testbed, node_id, agent, self._seed, config, rules)

    # -- who thinks -----------------------------------------------------------------------------------------

    def _asker(self, role: AgentRole, agent: str) -> Asker | None:
        """The line to a reasoner of its own; None where the rules of the role think."""
        agents, choice = self._agents, self._agents.choice(role)
        if role not in self._scheme.agents() or split_choice(choice)[0] == RULES:
            return None
        llm = make_llm(choice, agents.openai_of(role), self._scheme, self._seed, agent, self._account)
        return Asker(agent, llm, agents.repairs, agents.max_rounds)

    def _form(self, role: AgentRole, asker: Asker) -> Form:
        """In what form this role answers."""
        return form_of(self._agents.answers, asker.llm, role)

    def _loop(self, asker: Asker | None) -> LoopConfig:
        label = self._scheme.reasoner if asker is None else asker.label
        approval = None if asker is None else self._agents.approve
        return LoopConfig(reasoner=label, fallback=self._agents.fallback, approval=approval)

    # -- the rules of each role -----------------------------------------------------------------------------

    def _searching(self) -> SearchConfig:
        """How the scheme's own planner searches and sets limits, where it is one that does."""
        defaults = self._scheme.planner_params if self._scheme.planner == "search" else None
        return parameters(SearchConfig, "search", self._scenario, defaults)

    def _planner_by_rules(self) -> GlobalPlanner | None:
        name, plan = self._scheme.planner_for(self._scenario), self._scenario.plan
        defaults = {"plan": plan} if name == "given" and plan is not None else self._scheme.planner_params
        terms = {"objective": self._objective, "what_if": self._what_if}
        return None if name is None else self._made(PLANNER, name, defaults, **terms)

    def _scheduler_by_rules(self) -> PromptScheduler | None:
        name = self._scheme.scheduler
        defaults = {"mode": self._agents.mode} if name == "agent" else None
        if name is None:
            return None
        made: PromptScheduler = self._made(SCHEDULER, name, defaults, objective=self._objective)
        return made

    def _made(self, part: Part, name: str, defaults: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """A decider of this name, with the parameters the scenario sets for it over the defaults."""
        kind = part.find(name)
        config = parameters(kind.Config, name, self._scenario, defaults)
        with self._explained(f"{part.noun} {name}"), explained(part, name):
            made = kind(testbed=self._testbed, config=config, seed=self._seed, **more)
            travels(part, name, made)
            return made if name in part.shipped else GuardedDecider(made)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise ConfigError(f"scenario {self._scenario.name!r}: {what}: {error}") from error


def _by_rules(controllers: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The controllers' parameters, with rules in every role: nothing in a what-if world asks a model."""
    agents: dict[str, Any] = {**controllers.get("agents", {}), **dict.fromkeys(ROLES, RULES)}
    return {**controllers, "agents": agents, "meta": {**controllers.get("meta", {}), "reasoner": RULES}}
