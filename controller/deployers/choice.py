"""The deployment agent of a node with a language model that chooses: which of a few good activation patterns is run.

Options are what the rules would do, and every pattern that serves the same models and promises to be about as good.
What a pattern promises is estimated from the node's own view alone: the seconds until what waits here is done, starts
included, each model on the share of the node that the pattern leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from controller.agents.answers import Asker
from controller.agents.menu import ChoosingDecider, Estimate, Option
from controller.agents.prompts import render
from controller.capacity import Floats, role_table
from controller.deployers.agent import AgentConfig, AgentDeployer
from controller.deployers.patterns import Pattern
from controller.objective import Objective
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.ports import DeploymentAgent
from emulation.domain.snapshot import ExecutorView, NodeView
from emulation.metrics.fairness import jain_normalised_rows, weighed


class ChoiceDeployer(ChoosingDecider[NodeConfig], DeploymentAgent):
    """Asks its reasoner once per slot where there is something to choose: work waits, and nothing is under way."""

    def __init__(
        self, testbed: TestbedConfig, node_id: str, asker: Asker, objective: Objective, seed: int
    ) -> None:
        super().__init__(
            asker,
            f"You are the deployment agent of node {node_id}: you decide which models run here, and on what.",
            seed,
        )
        self._testbed, self._node_id, self._objective = testbed, node_id, objective
        self._rules = AgentDeployer(testbed, node_id, AgentConfig(), seed)
        self._hosted = testbed.hosted(node_id)
        self._patterns = feasible_configs(testbed, node_id)
        self._place = [n.id for n in testbed.nodes].index(node_id)
        self._models = [m.id for m in testbed.models]
        self._table = role_table(
            testbed, [self._patterns if n.id == node_id else [{}] for n in testbed.nodes]
        )

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """The pattern its model picks; that of the rules where there is nothing to choose."""
        ruled = self._rules.decide(view)
        waiting = {m: n for e in view.executors for m, n in e.backlog_prompts.items() if n > 0}
        if not waiting or view.pending:
            why = "a change is under way" if view.pending else "nothing waits here"
            return Choice(ruled.command, f"not asked, {why}: {ruled.reason}", 0.0)
        served = {m for m, mode in ruled.command.modes.items() if mode != "off"}
        patterns = [p for p in self._patterns if {m for m, mode in p.items() if mode != "off"} == served]
        patterns.sort(key=lambda p: p != ruled.command.modes)  # the rules' own first: it wins a tie
        estimates = self._estimated(patterns, view, waiting)
        options = [
            Option(NodeConfig(self._node_id, p), _told(p, view.modes), e)
            for p, e in zip(patterns, estimates, strict=True)
        ]
        return self.picked(options, self._situation(view, waiting))

    def _estimated(
        self, patterns: list[Pattern], view: NodeView, waiting: Mapping[str, float]
    ) -> list[Estimate]:
        """J, success and latency of what waits here, and of one prompt of every model that is served and idle."""
        ids = self._models
        served = {m for p in patterns for m, mode in p.items() if mode != "off"}
        prompts = np.array([waiting.get(m, 1.0 if m in served else 0.0) for m in ids])
        capacity = self._capacity(patterns, prompts)
        ready_s = np.array([[self._ready_s(m, p, view) for m in ids] for p in patterns])
        scale_s, counts = self._objective.scale_s, prompts > 0
        work_s = np.where(capacity > 0, prompts / np.maximum(capacity, 1e-12), np.inf)
        room_s = np.maximum(scale_s - ready_s, 0.0)
        success = np.where(counts, np.minimum(1.0, room_s / np.maximum(work_s, 1e-9)), 1.0)
        mean_s = np.minimum(ready_s + work_s / 2, scale_s)
        latency_s = (mean_s * prompts).sum(axis=1) / prompts.sum()
        fair = jain_normalised_rows(success[:, counts])
        value = weighed(latency_s / scale_s, fair, self._objective.weight)
        shares = (success * prompts).sum(axis=1) / prompts.sum()
        return [
            Estimate(float(v), float(s), float(t)) for v, s, t in zip(value, shares, latency_s, strict=True)
        ]

    def _capacity(self, patterns: list[Pattern], prompts: Floats) -> Floats:
        """Prompts per second of every model, (patterns, models), while all that counts here is at work."""
        rows = np.repeat(self._table.first[None, :], len(patterns), axis=0)
        rows[:, self._place] += np.array([self._patterns.index(p) for p in patterns])
        demand = np.where(prompts > 0, 1e6, 0.0)
        return self._table.capacity(rows, demand)[:, self._place, :]

    def _ready_s(self, model: str, pattern: Pattern, view: NodeView) -> float:
        """Seconds until the model would serve under a pattern."""
        mode: Mode = pattern.get(model, "off")
        held = next((e for e in view.executors if model in e.models), None)
        if held is not None and held.mode == mode and held.state in ("ready", "starting", "pending"):
            return held.ready_in_s
        spec = self._testbed.model(model)
        return spec.init_s + (spec.unload_s if held is not None and held.mode != "off" else 0.0)

    def _situation(self, view: NodeView, waiting: Mapping[str, float]) -> str:
        states = {m: e for e in view.executors for m in e.models}
        models = [
            {"id": m, "prompts": waiting.get(m, 0.0), "state": _state(states.get(m))} for m in self._hosted
        ]
        return render("choice_deployer", t_s=view.taken_at_s, models=models)


def _told(pattern: Pattern, held: Mapping[str, Mode]) -> str:
    """`gpt2 cpu, sd gpu (starts sd)`."""
    active = [f"{m} {mode}" for m, mode in pattern.items() if mode != "off"]
    moved = [m for m, mode in pattern.items() if mode != "off" and held.get(m, "off") != mode]
    return (", ".join(active) or "nothing") + (f" (starts {', '.join(moved)})" if moved else " (as now)")


def _state(executor: ExecutorView | None) -> str:
    if executor is None or executor.mode == "off":
        return "off"
    return f"{executor.state} on {executor.mode}"
