"""The global planner with a language model that chooses: which of the plans that a search found good is put in force.

The search, the beliefs, the emulation and the admission limits of what is chosen are those of the `rules` planner
(`search.py`); only the choice is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controller.agents.answers import Asker
from controller.agents.menu import ChoosingDecider, Estimate, Option
from controller.agents.prompts import render
from controller.objective import Objective
from controller.planners.experience import Experience
from controller.planners.search import Looked, SearchConfig, SearchPlanner
from controller.planners.sentences import backlog_told, demand_told, roles_told
from controller.whatif import WhatIf
from emulation.domain.actions import Choice, MacroPolicy
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import GlobalPlanner
from emulation.domain.snapshot import ClusterSnapshot
from emulation.metrics.fairness import EpochResult

ROLE = (
    "You are the global planner of an edge cluster that serves generative models: once per epoch you decide which node"
    " hosts which model, on CPU or GPU."
)


class ChoicePlanner(ChoosingDecider[MacroPolicy], GlobalPlanner):
    """Asks its reasoner once per epoch where several plans are good. Raises `ValueError` for a broken memory file."""

    def __init__(
        self,
        testbed: TestbedConfig,
        config: SearchConfig,
        seed: int,
        objective: Objective,
        asker: Asker,
        what_if: WhatIf | None = None,
    ) -> None:
        super().__init__(asker, ROLE, seed)
        self._testbed, self._objective = testbed, objective
        self._search = SearchPlanner(testbed, config, seed, objective, what_if)

    @property
    def experience(self) -> Experience:
        """What it has learned and remembers."""
        return self._search.experience

    def decide(self, snapshot: ClusterSnapshot) -> Choice[MacroPolicy]:
        """The plan its model picks. Emulating the plans takes time of its own, on top of the model's thinking."""
        looked = self._search.look(snapshot)
        self.asker.thinking_s += looked.thinking_s
        choice = self.picked(self._options(looked), self._situation(snapshot, looked))
        if not choice.exchanges:
            choice = replace(choice, thinking_s=looked.thinking_s)
        if (limited := self._search.limited(choice.command, looked, snapshot)) is not None:
            more_s = limited.thinking_s - looked.thinking_s
            choice = replace(
                choice, command=limited.policy, reason=f"{choice.reason}; {limited.said}",
                thinking_s=(choice.thinking_s or 0.0) + more_s,
            )  # fmt: skip
        self.adopted(choice.command)
        return choice

    def adopted(self, command: MacroPolicy) -> None:
        """This policy is in force: the next comparison starts from it, and the next case is of it."""
        self._search.adopted(command)

    def _options(self, looked: Looked) -> list[Option[MacroPolicy]]:
        search, options = looked.search, list[Option[MacroPolicy]]()
        for i, plan in enumerate(looked.plans):
            kept = search.held is not None and i == 0
            told = f"{'keep ' if kept else ''}{roles_told(search.roles(plan))}"
            options.append(Option(search.policy(plan), told, self._estimate(looked, i)))
        return options

    def _estimate(self, looked: Looked, place: int) -> Estimate:
        """By the emulation where there was one, else by the fluid estimate."""
        demand = looked.boundary.demand
        requests = demand.prompts_per_s / demand.prompts_per_request
        models = [m.id for m in self._testbed.models]
        if looked.forecasts is not None:
            found = looked.forecasts[place]
            weights = dict(zip(models, requests.tolist(), strict=True))
            return Estimate(found.objective, _mean(found.success, weights), _latency_s(found, weights))
        worth = looked.search.moves.worth(looked.plans[place][None, :])
        success, latency = worth.success[0], worth.latency_s[0]
        served = success * requests
        mean_s = float((served * latency).sum() / max(float(served.sum()), 1e-12))
        share = float((success * requests).sum() / requests.sum())
        return Estimate(float(worth.objective[0]), share, mean_s)

    def _situation(self, snapshot: ClusterSnapshot, looked: Looked) -> str:
        result = looked.boundary.result
        telemetry = (
            "No request has ended yet."
            if result is None
            else f"The epoch that ended came to J {result.objective:.3f}."
        )
        return render(
            "choice_planner", epoch=snapshot.slot // self._objective.epoch_slots, telemetry=telemetry,
            demand=demand_told(self._testbed, looked.boundary.demand), backlog=backlog_told(snapshot),
        )  # fmt: skip


def _mean(values: Mapping[str, float], weights: Mapping[str, float]) -> float:
    total = sum(weights.get(m, 0.0) for m in values)
    return sum(v * weights.get(m, 0.0) for m, v in values.items()) / max(total, 1e-12)


def _latency_s(found: EpochResult, weights: Mapping[str, float]) -> float:
    """Of the served."""
    served = {m: weights.get(m, 0.0) * found.success.get(m, 0.0) for m in found.latency_s}
    return _mean(found.latency_s, served)
