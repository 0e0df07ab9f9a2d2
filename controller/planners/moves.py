"""Local search over the roles of all nodes for the least estimated J, and what it saw on the way."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Annotated

import numpy as np

from controller.capacity import Floats, Ints, RoleTable, unit_rate
from controller.demand import Demand
from controller.deployers.patterns import Pattern
from controller.energy import plan_energy_kj
from controller.objective import Objective
from controller.planners.estimate import EstimateConfig, Worth, worth
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.quantities import Range


class MovesConfig(Strict):
    """Size of the search and constants of the estimate."""

    sweeps: Annotated[int, Range(1, 100, "sweeps")] = 6
    pair_width: Annotated[int, Range(0, 50, "roles")] = 6
    """Roles per node that are tried in pair moves; 0: none."""
    margin: Annotated[float, Range(0, 10, "times the demand")] = 0.1
    """Share by which demand is taken to be higher than counted: what starts, changes of plan and uneven tables cost."""
    estimate: EstimateConfig = EstimateConfig()


class Moves:
    """Moves in the space of plans for one demand; a plan is (N,) rows of the role table.

    `present`: (N,) 1 for nodes that count, 0 for those that are away.
    """

    def __init__(
        self,
        table: RoleTable,
        demand: Demand,
        objective: Objective,
        config: MovesConfig,
        present: Floats,
        above_w: Floats | None = None,
    ) -> None:
        """`above_w`: (2, N) watts above idle (`controller.energy.above_idle_w`), where energy is weighed."""
        self._table = table
        self._demand = replace(demand, prompts_per_s=(1.0 + config.margin) * demand.prompts_per_s)
        self._objective = objective
        self._config = config
        self._present = present[None, :, None]
        self._above_w = above_w
        self._seen: list[tuple[Ints, Floats]] = []
        self._scores: dict[bytes, float] = {}
        self.looked_at = 0
        """Plans whose worth was estimated."""

    def worth(self, plans: Ints) -> Worth:
        """Worth of plans of (B, N) rows."""
        self.looked_at += len(plans)
        capacity = self.capacity(plans)
        found = worth(capacity, self._demand, self._objective, self._config.estimate)
        if self._above_w is None:
            return found
        kj = plan_energy_kj(self._table, self._above_w, plans, capacity, self._demand, found.success)
        energy = self._objective.energy_weight * kj
        return replace(found, score=found.score + energy, energy=energy)

    def capacity(self, plans: Ints) -> Floats:
        """Units per second each executor of present nodes can serve, (B, N, M)."""
        return self._table.capacity(plans, self._demand.prompts_per_s) * self._present

    def value(self, plan: Ints) -> float:
        """Score of one plan; lower is better."""
        return float(self.worth(plan[None, :]).score[0])

    def best(self, starts: list[Ints]) -> Ints:
        """Descend from every start, then pair moves from the best."""
        plans = [self.descend(start) for start in starts]
        return self.pair_moves(min(plans, key=self.value))

    def shortlist(self, count: int, apart: int = 2) -> list[Ints]:
        """The best plans looked at so far, best first, each differing from every better one in `apart` nodes."""
        plans = np.concatenate([p for p, _ in self._seen])
        scores = np.concatenate([s for _, s in self._seen])
        chosen = np.empty((min(count, len(plans)), plans.shape[1]), plans.dtype)
        taken = 0
        for row in np.argsort(scores, kind="stable"):
            if taken == len(chosen):
                break
            if taken == 0 or int((chosen[:taken] != plans[row]).sum(axis=1).min()) >= apart:
                chosen[taken] = plans[row]
                taken += 1
        return list(chosen[:taken])

    def descend(self, plan: Ints) -> Ints:
        """Best role of one node at a time, until a sweep over all nodes changes nothing."""
        for _ in range(self._config.sweeps):
            before = plan
            for node in range(len(plan)):
                plans, values = self._alternatives(plan, node)
                plan = plans[int(values.argmin())]
            if np.array_equal(plan, before):
                break
        return plan

    def pair_moves(self, plan: Ints) -> Ints:
        """Improve by changing two nodes together, each to one of its best roles, as long as that helps."""
        width = self._config.pair_width
        if width == 0:
            return plan
        while True:
            best_rows = [self._best_rows(plan, node, width) for node in range(len(plan))]
            tried = [plan[None, :]]
            for a, b in combinations(range(len(plan)), 2):
                moved = np.repeat(plan[None, :], len(best_rows[a]) * len(best_rows[b]), axis=0)
                moved[:, a] = np.repeat(best_rows[a], len(best_rows[b]))
                moved[:, b] = np.tile(best_rows[b], len(best_rows[a]))
                tried.append(moved)
            plans = np.concatenate(tried)
            values = self._scored(plans)
            best = int(values.argmin())
            if values[best] >= values[0] - 1e-9:
                return plan
            plan = self.descend(plans[best])

    def _alternatives(self, plan: Ints, node: int) -> tuple[Ints, Floats]:
        """Plans with every role of one node, the present plan first, and their scores."""
        rows = self._table.first[node] + np.arange(self._table.count[node])
        plans = np.repeat(plan[None, :], len(rows) + 1, axis=0)
        plans[1:, node] = rows
        return plans, self._scored(plans)

    def _best_rows(self, plan: Ints, node: int, width: int) -> Ints:
        plans, values = self._alternatives(plan, node)
        best: Ints = plans[np.argsort(values[1:], kind="stable")[:width] + 1, node]
        return best

    def _scored(self, plans: Ints) -> Floats:
        """Scores of plans; one that was looked at before is not estimated again."""
        keys = [plan.tobytes() for plan in plans]
        new = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self._scores}
        if new:
            fresh = plans[sorted(new.values())]
            scores = self.worth(fresh).score
            self._seen.append((fresh, scores))
            self._scores |= {plan.tobytes(): float(s) for plan, s in zip(fresh, scores, strict=True)}
        return np.array([self._scores[key] for key in keys])


def candidate_roles(testbed: TestbedConfig, node_id: str, objective: Objective) -> list[Pattern]:
    """Feasible roles worth considering: models routable to the node, in modes that can meet the deadline."""
    useless = {
        (m.id, mode)
        for m in testbed.models
        for mode in testbed.modes(node_id, m.id)
        if node_id not in testbed.routable(m.id)
        or _hopeless(unit_rate(testbed, node_id, m.id, mode), objective)
    }
    roles = feasible_configs(testbed, node_id)
    return [role for role in roles if not any((m, mode) in useless for m, mode in role.items())]


def _hopeless(units_per_s: float, objective: Objective) -> bool:
    """Whether a handful of units alone takes half the deadline."""
    return objective.deadline_s is not None and 4.0 / units_per_s > objective.deadline_s / 2
