"""The global planner as a language model: the paper's input contract in, a checked policy out, what-if on the way.

It learns speeds and keeps cases as the `rules` planner (`search.py`) does; only the choice is the model's. Built by the
wiring, as it needs a line to its reasoner.
"""

from __future__ import annotations

from typing import Any

from controller.agents.answers import Answer, Asker, Toolbox, reason_of
from controller.agents.config import AgentsConfig
from controller.agents.prompts import render
from controller.agents.tools import Arguments, Result, Tool, ToolError
from controller.belief import ServiceBelief
from controller.demand import Demand, DemandPrior, estimated
from controller.objective import Objective
from controller.planners.expected import arrivals_of, backlog_of
from controller.planners.memory import Case, CaseMemory, Telemetry
from controller.planners.outcome import Outcome, outcome_of
from controller.planners.sentences import (
    backlog_told,
    case_told,
    cpu_law,
    demand_told,
    models_told,
    nodes_told,
    random_baseline,
    telemetry_told,
)
from controller.whatif import Belief, WhatIf
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.feasibility import plan_violations
from emulation.domain.snapshot import ClusterSnapshot


class PolicyAnswer(Answer):
    """The policy of an epoch."""

    p: dict[str, dict[str, float]]
    """Model to node to routing probability."""
    roles: dict[str, dict[str, Mode]]
    """Node to model to mode; absent is off."""

    def policy(self) -> MacroPolicy:
        """As the command."""
        return MacroPolicy(p=self.p, roles=self.roles)


class PolicyArguments(Arguments):
    """A policy to be emulated."""

    p: dict[str, dict[str, float]]
    roles: dict[str, dict[str, Mode]]


class Expected(Result):
    """What a policy is expected to come to."""

    objective: float
    latency_norm: float
    fairness_norm: float
    success: dict[str, float]
    latency_s: dict[str, float]


WHAT_IF = Tool(
    "what_if",
    "Emulate a policy for one epoch on what is believed of the cluster; p and roles as in the answer.",
    PolicyArguments,
    acts=False,
    promised=None,
)


class LlmPlanner:
    """Asks its reasoner once per epoch; raises `NoAnswer` where that comes to nothing.

    Raises `ValueError` at construction for a broken memory file.
    """

    def __init__(
        self,
        testbed: TestbedConfig,
        config: AgentsConfig,
        seed: int,
        objective: Objective,
        asker: Asker,
        what_if: WhatIf | None = None,
    ) -> None:
        self.asker = asker
        self.belief = ServiceBelief(testbed, config.belief)
        self.memory = CaseMemory(config.memory)
        self.reason = ""
        self._testbed = testbed
        self._config = config
        self._seed = seed
        self._objective = objective
        self._what_if = what_if
        self._baseline = random_baseline(testbed, objective, seed)
        self._policy: MacroPolicy | None = None
        self._absent: tuple[str, ...] = ()
        """Nodes that were away when the policy in force was made."""

    def decide(self, snapshot: ClusterSnapshot) -> MacroPolicy:
        """The model's policy for the epoch that begins."""
        self.belief.learn(snapshot.window)
        demand = estimated(self._testbed, self._objective, DemandPrior(), snapshot)
        met = outcome_of(snapshot.stats, self._objective)
        telemetry = self._telemetry(snapshot, demand)
        self._remember(snapshot, telemetry, met)
        self._absent = telemetry.absent
        box = None if self._what_if is None else self._toolbox(snapshot, demand)
        answer = self.asker.ask(
            self._system(box is not None),
            self._user(snapshot, demand, telemetry, met),
            PolicyAnswer,
            lambda a: plan_violations(self._testbed, a.policy()),
            box,
        )
        self.reason = reason_of(answer, "no reason given")
        self._policy = answer.policy()
        return self._policy

    def adopted(self, policy: MacroPolicy) -> None:
        """Another policy is in force than the one answered: cases are of that one."""
        self._policy = policy

    # -- what it is told ------------------------------------------------------------------------------------

    def _system(self, tools: bool) -> str:
        terms = self._objective
        return render(
            "planner_system", weight=f"{terms.weight:g}", other_weight=f"{1.0 - terms.weight:g}",
            scale_s=f"{terms.deadline_s or terms.epoch_slots * terms.slot_s:g}", tools=tools,
            max_rounds=self._config.max_rounds,
        )  # fmt: skip

    def _user(
        self, snapshot: ClusterSnapshot, demand: Demand, telemetry: Telemetry, met: Outcome | None
    ) -> str:
        terms, good = self._objective, self._config.precedents
        precedents = self.memory.precedents(telemetry, good=good, bad=-(-good // 3))
        deadline = (
            "requests never expire"
            if terms.deadline_s is None
            else f"a request that is not served within {terms.deadline_s:g} s has failed"
        )
        return render(
            "planner_epoch", epoch=snapshot.slot // terms.epoch_slots, t_s=snapshot.t_s, slot_s=terms.slot_s,
            epoch_slots=terms.epoch_slots, deadline=deadline,
            nodes=nodes_told(self._testbed, telemetry.absent), cpu_law=cpu_law(self._testbed),
            models=models_told(self._testbed, self.belief.testbed()),
            demand=demand_told(self._testbed, demand), baseline=self._baseline,
            good=[case_told(c) for c in precedents.good], bad=[case_told(c) for c in precedents.bad],
            telemetry=telemetry_told(self._testbed, snapshot, met, self._policy),
            backlog=backlog_told(snapshot),
        )  # fmt: skip

    def _telemetry(self, snapshot: ClusterSnapshot, demand: Demand) -> Telemetry:
        rates = {m.id: float(r) for m, r in zip(self._testbed.models, demand.prompts_per_s, strict=True)}
        away = tuple(sorted(v.id for v in snapshot.nodes if not v.available))
        return Telemetry(prompts_per_s=rates, absent=away)

    def _remember(self, snapshot: ClusterSnapshot, telemetry: Telemetry, met: Outcome | None) -> None:
        """The epoch that ended as a case, under the demand that was really met in it."""
        if self._policy is None or met is None:
            return
        case = Case(
            telemetry=telemetry.model_copy(update={"absent": self._absent}),
            p={m: dict(shares) for m, shares in self._policy.p.items()},
            roles={n: dict(modes) for n, modes in self._policy.roles.items()},
            success=met.success, latency_s=met.latency_s, fairness_norm=met.fairness_norm,
            latency_norm=met.latency_norm, objective=met.objective,
            epoch=max(snapshot.slot // self._objective.epoch_slots - 1, 0),
        )  # fmt: skip
        self.memory.add(case)

    # -- what it may ask ------------------------------------------------------------------------------------

    def _toolbox(self, snapshot: ClusterSnapshot, demand: Demand) -> Toolbox:
        believed = Belief(
            self.belief.testbed(),
            self._objective,
            arrivals_of(self._testbed, self._objective, snapshot, demand),
            backlog_of(self._testbed, snapshot),
            frozenset(v.id for v in snapshot.nodes if not v.available),
        )

        def run(_: str, arguments: Any) -> Result:
            policy = MacroPolicy(p=arguments.p, roles=arguments.roles)
            wrong = plan_violations(self._testbed, policy)
            if wrong:
                raise ToolError("; ".join(wrong[:8]))
            return self._forecast(believed, policy)

        return Toolbox({WHAT_IF.name: WHAT_IF}, run)

    def _forecast(self, believed: Belief, policy: MacroPolicy) -> Expected:
        assert self._what_if is not None
        self.asker.thinking_s += self._config.what_if_s * self._config.what_if_draws
        try:
            (found,) = self._what_if.forecast(believed, [policy], self._config.what_if_draws, self._seed)
        except RuntimeError as error:
            raise ToolError(f"no forecast: {error}") from error
        return Expected(
            objective=round(found.objective, 4),
            latency_norm=round(found.latency_norm, 4),
            fairness_norm=round(found.fairness_norm, 4),
            success={m: round(s, 3) for m, s in found.success.items()},
            latency_s={m: round(s, 1) for m, s in found.latency_s.items()},
        )
