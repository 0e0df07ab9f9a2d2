"""The global planner as a language model: the paper's input contract in, a checked policy out, what-if on the way.

It learns speeds and keeps cases as the `rules` planner (`search.py`) does, and the admission limits of its policy are
set as there; only the choice is the model's. Built by the wiring, as it needs a line to its reasoner.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from controller.agents.answers import Answer, Asker, ReasonedDecider, Toolbox
from controller.agents.config import AgentsConfig
from controller.agents.llm import Wanted
from controller.agents.prompts import render
from controller.agents.shapes import schema_of
from controller.agents.tools import Arguments, Result, Tool, ToolError
from controller.demand import Demand
from controller.objective import Objective
from controller.planners.expected import believed_world
from controller.planners.experience import EpochBoundary, Experience
from controller.planners.limits import Limiter
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
from controller.whatif import BelievedWorld, WhatIf
from emulation.domain.actions import Choice, MacroPolicy
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.feasibility import plan_violations
from emulation.domain.ports import GlobalPlanner
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


def policy_shape(testbed: TestbedConfig) -> dict[str, Any]:
    """Every model to the nodes it may be routed to, and every node of pods to the modes of what it can host."""
    p = {m.id: dict.fromkeys(testbed.routable(m.id)) for m in testbed.models}
    roles = {
        n.id: {m: ("off", *testbed.modes(n.id, m)) for m in testbed.hosted(n.id)}
        for n in testbed.nodes
        if n.hosting == "pods"
    }
    return {"p": p, "roles": roles}


WHAT_IF = Tool(
    "what_if",
    "Emulate a policy for one epoch on what is believed of the cluster; p and roles as in the answer.",
    PolicyArguments,
)


class LlmPlanner(ReasonedDecider[MacroPolicy], GlobalPlanner):
    """Asks its reasoner once per epoch. Raises `ValueError` at construction for a broken memory file."""

    def __init__(
        self,
        testbed: TestbedConfig,
        config: AgentsConfig,
        seed: int,
        objective: Objective,
        asker: Asker,
        what_if: WhatIf | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        """`limiter`: sets the admission limits of what the model answers; None: there are none."""
        super().__init__(asker)
        self.experience = Experience(testbed, objective, config.belief, config.memory)
        self._testbed = testbed
        self._config = config
        self._seed = seed
        self._objective = objective
        self._what_if, self._limiter = what_if, limiter
        self._baseline = random_baseline(testbed, objective, seed)
        self._wanted = Wanted("free", schema_of(PolicyAnswer, policy_shape(testbed)))

    def decide(self, snapshot: ClusterSnapshot) -> Choice[MacroPolicy]:
        """The model's policy for the epoch that begins."""
        boundary = self.experience.learn(snapshot)
        box = None if self._what_if is None else self._toolbox(self._what_if, snapshot, boundary.demand)
        answer = self.asker.ask(
            self._system(box is not None),
            self._user(snapshot, boundary),
            PolicyAnswer,
            lambda a: plan_violations(self._testbed, a.policy()),
            box,
            self._wanted,
        )
        choice = self.chosen(answer.policy(), answer)
        if self._limiter is not None:
            world = self._believed(snapshot, boundary.demand)
            limited = self._limiter.limited(choice.command, world, snapshot.t_s)
            choice = replace(
                choice, command=limited.policy, reason=f"{choice.reason}; {limited.said}",
                thinking_s=(choice.thinking_s or 0.0) + limited.thinking_s,
            )  # fmt: skip
        self.experience.policy = choice.command
        return choice

    def adopted(self, command: MacroPolicy) -> None:
        """Another policy is in force than the one answered: cases are of that one."""
        self.experience.policy = command

    # -- what it is told ------------------------------------------------------------------------------------

    def _system(self, tools: bool) -> str:
        terms = self._objective
        return render(
            "planner_system", weight=f"{terms.weight:g}", other_weight=f"{1.0 - terms.weight:g}",
            scale_s=f"{terms.scale_s:g}", tools=tools,
            max_rounds=self._config.max_rounds,
        )  # fmt: skip

    def _user(self, snapshot: ClusterSnapshot, boundary: EpochBoundary) -> str:
        terms, most = self._objective, self._config.precedents
        experience, telemetry = self.experience, boundary.telemetry
        good, bad = experience.memory.precedents(telemetry, good=most, bad=-(-most // 3))
        deadline = (
            "requests never expire"
            if terms.deadline_s is None
            else f"a request that is not served within {terms.deadline_s:g} s has failed"
        )
        return render(
            "planner_epoch", epoch=snapshot.slot // terms.epoch_slots, t_s=snapshot.t_s, slot_s=terms.slot_s,
            epoch_slots=terms.epoch_slots, deadline=deadline,
            nodes=nodes_told(self._testbed), away=telemetry.absent, cpu_law=cpu_law(self._testbed),
            models=models_told(self._testbed, experience.belief.testbed()),
            demand=demand_told(self._testbed, boundary.demand), baseline=self._baseline,
            good=[case_told(c) for c in good], bad=[case_told(c) for c in bad],
            telemetry=telemetry_told(snapshot, boundary.result, experience.policy),
            backlog=backlog_told(snapshot),
        )  # fmt: skip

    # -- what it may ask ------------------------------------------------------------------------------------

    def _toolbox(self, what_if: WhatIf, snapshot: ClusterSnapshot, demand: Demand) -> Toolbox:
        world = self._believed(snapshot, demand)

        def run(_: str, arguments: PolicyArguments) -> Result:
            policy = MacroPolicy(p=arguments.p, roles=arguments.roles)
            wrong = plan_violations(self._testbed, policy)
            if wrong:
                raise ToolError("; ".join(wrong[:8]))
            draws = self._config.what_if_draws
            self.asker.thinking_s += self._config.what_if_s * draws
            try:
                (forecast,) = what_if.forecast(world, [policy], draws, self._seed)
            except RuntimeError as error:
                raise ToolError(f"no forecast: {error}") from error
            return Expected(
                objective=round(forecast.objective, 4),
                latency_norm=round(forecast.latency_norm, 4),
                fairness_norm=round(forecast.fairness_norm, 4),
                success={m: round(s, 3) for m, s in forecast.success.items()},
                latency_s={m: round(s, 1) for m, s in forecast.latency_s.items()},
            )

        return Toolbox({WHAT_IF.name: WHAT_IF}, run)

    def _believed(self, snapshot: ClusterSnapshot, demand: Demand) -> BelievedWorld:
        learned = self.experience.belief.testbed()
        return believed_world(self._testbed, learned, self._objective, snapshot, demand)
