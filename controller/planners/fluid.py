"""The `rules` planner: local search over the roles of all nodes for the least estimated J."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from pydantic import Field

from controller.capacity import Floats, Ints, RoleTable, role_table, unit_rate
from controller.demand import Demand, DemandPrior, estimated
from controller.deployers.patterns import Pattern, hungriest_first
from controller.objective import Objective
from controller.planners.estimate import EstimateConfig, Worth, worth
from controller.planners.policy import proportional
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.snapshot import ClusterSnapshot
from emulation.rng import stream


class FluidConfig(Strict):
    """Size of the search and constants of the estimate."""

    starts: int = Field(default=2, ge=1)
    """Random starts, beside full activation and the plan in force."""
    sweeps: int = Field(default=6, ge=1)
    pair_width: int = Field(default=6, ge=0)
    """Roles per node that are tried in pair moves; 0: none."""
    keep_gain: float = Field(default=0.03, ge=0)
    """A new plan must promise a score this share lower, or the one in force is kept (changes cost)."""
    prior: DemandPrior = DemandPrior()
    estimate: EstimateConfig = EstimateConfig()


class FluidPlanner:
    """Coordinate descent from several starts, then pair moves; remembers the plan in force."""

    Config = FluidConfig

    def __init__(self, testbed: TestbedConfig, config: FluidConfig, seed: int, objective: Objective) -> None:
        self._testbed = testbed
        self._config = config
        self._objective = objective
        self._table = role_table(testbed, [candidate_roles(testbed, n.id, objective) for n in testbed.nodes])
        self._nodes = [n.id for n in testbed.nodes]
        self._rng = stream(seed, "planner:fluid")
        self._in_force: Ints | None = None
        self.reason = ""

    def decide(self, snapshot: ClusterSnapshot) -> MacroPolicy:
        """The best plan found for the demand counted since the last epoch boundary."""
        demand = estimated(self._testbed, self._objective, self._config.prior, snapshot)
        search = _Search(self._table, demand, self._objective, self._config)
        plans = [search.descend(start) for start in self._starts()]
        best = search.pair_moves(min(plans, key=search.value))
        if self._in_force is not None:
            bar = (1.0 - self._config.keep_gain) * search.value(self._in_force)
            best = best if search.value(best) < bar else self._in_force
        self._in_force = best
        found = search.worth(best[None, :])
        self.reason = _in_words(self._testbed, found)
        roles = {node: self._table.roles[row] for node, row in zip(self._nodes, best, strict=True)}
        capacity = self._table.capacity(best[None, :], demand.prompts_per_s)[0]
        return proportional(self._testbed, roles, capacity)

    def _starts(self) -> list[Ints]:
        full = {n: hungriest_first(self._testbed, n) for n in self._nodes}
        starts = [self._table.rows_of(full, self._nodes)]
        starts += [
            self._table.first + self._rng.integers(self._table.count) for _ in range(self._config.starts)
        ]
        return starts if self._in_force is None else [self._in_force, *starts]


class _Search:
    """Moves in the space of plans for one demand; a plan is (N,) rows of the role table."""

    def __init__(self, table: RoleTable, demand: Demand, objective: Objective, config: FluidConfig) -> None:
        self._table = table
        self._demand = demand
        self._objective = objective
        self._config = config

    def worth(self, plans: Ints) -> Worth:
        """Worth of plans of (B, N) rows."""
        capacity = self._table.capacity(plans, self._demand.prompts_per_s)
        return worth(capacity, self._demand, self._objective, self._config.estimate)

    def value(self, plan: Ints) -> float:
        """Score of one plan; lower is better."""
        return float(self.worth(plan[None, :]).score[0])

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
            values = self.worth(plans).score
            best = int(values.argmin())
            if values[best] >= values[0] - 1e-9:
                return plan
            plan = self.descend(plans[best])

    def _alternatives(self, plan: Ints, node: int) -> tuple[Ints, Floats]:
        """Plans with every role of one node, the present plan first, and their scores."""
        rows = self._table.first[node] + np.arange(self._table.count[node])
        plans = np.repeat(plan[None, :], len(rows) + 1, axis=0)
        plans[1:, node] = rows
        return plans, self.worth(plans).score

    def _best_rows(self, plan: Ints, node: int, width: int) -> Ints:
        plans, values = self._alternatives(plan, node)
        found: Ints = plans[np.argsort(values[1:], kind="stable")[:width] + 1, node]
        return found


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


def _in_words(testbed: TestbedConfig, found: Worth) -> str:
    success = " ".join(f"{m.id} {s:.2f}" for m, s in zip(testbed.models, found.success[0], strict=True))
    return f"fluid plan: J {found.objective[0]:.3f} expected; success {success}"
