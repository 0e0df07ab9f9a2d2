"""The `rules` planner: believes what it has measured, searches by estimate, asks what-if, remembers what came of it.

One decision: finished work corrects the belief -> the epoch that ended becomes a case -> moves over roles by the
fluid estimate (breadth) -> a short list, with the plan in force and the good precedents, is emulated in a world built
from the belief (depth) -> the best of them, if it is clearly better than what is in force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp

import numpy as np
from pydantic import Field

from controller.belief import BeliefConfig, ServiceBelief
from controller.capacity import Ints, RoleTable, role_table
from controller.demand import Demand, DemandPrior, estimated
from controller.deployers.patterns import hungriest_first
from controller.objective import Objective
from controller.planners.expected import arrivals_of, backlog_of
from controller.planners.memory import Case, CaseMemory, MemoryConfig, Telemetry
from controller.planners.moves import Moves, MovesConfig, candidate_roles
from controller.planners.outcome import Outcome, outcome_of
from controller.planners.policy import proportional
from controller.whatif import Belief, WhatIf
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import Mode, Strict, TestbedConfig
from emulation.domain.snapshot import ClusterSnapshot
from emulation.rng import stream


class SearchConfig(Strict):
    """How widely it searches, how deeply it looks, and what it believes."""

    starts: int = Field(default=8, ge=1)
    """Random starts, beside full activation, the plan in force and the good precedents."""
    shortlist: int = Field(default=6, ge=0)
    """Plans that are emulated; 0: the estimate decides alone."""
    near: float = Field(default=0.15, ge=0)
    """Only plans whose estimate is within this share of the best one's are worth emulating."""
    draws: int = Field(default=2, ge=1)
    """Draws of service noise each of them is emulated with."""
    keep_gain: float = Field(default=0.03, ge=0)
    """A new plan must promise a score this share lower, or the one in force is kept (changes cost)."""
    optimism: float = Field(default=0.0, ge=0)
    """Standard deviations by which a law is taken to be faster than believed: what is little known gets tried."""
    case_weight: float = Field(default=1.0, ge=0)
    """Weight of what precedents came to, against what is forecast for them now."""
    thinking_slots: float = Field(default=1.0, ge=0)
    """Slots of virtual time charged for emulating the short list; the first plan, made before a run begins, is free."""
    moves: MovesConfig = MovesConfig()
    prior: DemandPrior = DemandPrior()
    belief: BeliefConfig = BeliefConfig()
    memory: MemoryConfig = MemoryConfig()


class SearchPlanner:
    """Remembers the plan in force, what it has learned of speeds, and cases. Raises `ValueError` for a broken memory
    file."""

    Config = SearchConfig

    def __init__(
        self,
        testbed: TestbedConfig,
        config: SearchConfig,
        seed: int,
        objective: Objective,
        what_if: WhatIf | None = None,
    ) -> None:
        self._testbed = testbed
        self._config = config
        self._objective = objective
        self._what_if = what_if
        self._seed = seed
        self._nodes = [n.id for n in testbed.nodes]
        self._rng = stream(seed, "planner:search")
        self.belief = ServiceBelief(testbed, config.belief)
        self.memory = CaseMemory(config.memory)
        self._in_force: Mapping[str, Mapping[str, Mode]] | None = None
        self._policy: MacroPolicy | None = None
        self._telemetry: Telemetry | None = None
        self.reason = ""
        self.thinking_s = 0.0
        self.estimated = 0
        """Plans estimated in the last decision."""
        self.emulated = 0
        """Plans emulated in the last decision."""

    def decide(self, snapshot: ClusterSnapshot) -> MacroPolicy:
        """The best plan found for the demand counted since the last epoch boundary."""
        self.belief.learn(snapshot.window)
        demand = estimated(self._testbed, self._objective, self._config.prior, snapshot)
        telemetry = self._observed(snapshot, demand)
        self._remember(snapshot, telemetry)
        bed = self.belief.testbed(self._config.optimism)
        absent = frozenset(telemetry.absent)
        table = role_table(bed, [candidate_roles(bed, n, self._objective) for n in self._nodes])
        present = np.array([0.0 if n in absent else 1.0 for n in self._nodes])
        moves = Moves(table, demand, self._objective, self._config.moves, present)
        precedents = self._precedents(telemetry, table)
        held = None if self._in_force is None else table.rows_of(self._in_force, self._nodes)
        best = moves.best(self._starts(table, held, precedents))
        chosen, why = self._choose(snapshot, moves, table, demand, bed, absent, best, held, precedents)
        self.estimated = moves.looked_at
        found = moves.worth(chosen[None, :])
        success = " ".join(f"{m.id} {s:.2f}" for m, s in zip(bed.models, found.success[0], strict=True))
        self.reason = f"{why}; J {found.objective[0]:.3f} estimated; success {success}"
        self._in_force = self._roles(table, chosen)
        self._telemetry = telemetry
        self._policy = proportional(bed, self._in_force, moves.capacity(chosen[None, :])[0])
        return self._policy

    # -- what is known --------------------------------------------------------------------------------------

    def _observed(self, snapshot: ClusterSnapshot, demand: Demand) -> Telemetry:
        rates = {m.id: float(r) for m, r in zip(self._testbed.models, demand.prompts_per_s, strict=True)}
        return Telemetry(
            prompts_per_s=rates, absent=tuple(sorted(v.id for v in snapshot.nodes if not v.available))
        )

    def _remember(self, snapshot: ClusterSnapshot, telemetry: Telemetry) -> None:
        """The epoch that ended as a case, under the demand that was really met in it."""
        if self._policy is None:
            return
        met: Outcome | None = outcome_of(snapshot.stats, self._objective)
        if met is None:
            return
        absent = self._telemetry.absent if self._telemetry is not None else ()
        self.memory.add(
            Case(
                telemetry=telemetry.model_copy(update={"absent": absent}),
                p={m: dict(shares) for m, shares in self._policy.p.items()},
                roles={n: dict(modes) for n, modes in self._policy.roles.items()},
                success=met.success,
                latency_s=met.latency_s,
                fairness_norm=met.fairness_norm,
                latency_norm=met.latency_norm,
                objective=met.objective,
                epoch=max(snapshot.slot // self._objective.epoch_slots - 1, 0),
            )
        )

    def _precedents(self, telemetry: Telemetry, table: RoleTable) -> list[tuple[Ints, Case]]:
        """Cases like the present one as plans, good ones first; none that this testbed cannot express."""
        found = self.memory.precedents(telemetry)
        cases = [c for c in (*found.good, *found.bad) if set(c.roles) <= set(self._nodes)]
        return [(table.rows_of(case.roles, self._nodes), case) for case in cases]

    def _starts(
        self, table: RoleTable, held: Ints | None, precedents: Sequence[tuple[Ints, Case]]
    ) -> list[Ints]:
        full = {n: hungriest_first(self._testbed, n) for n in self._nodes}
        starts = [table.rows_of(full, self._nodes)]
        starts += [table.first + self._rng.integers(table.count) for _ in range(self._config.starts)]
        starts += [plan for plan, _ in precedents]
        return starts if held is None else [held, *starts]

    # -- the choice -----------------------------------------------------------------------------------------

    def _choose(
        self,
        snapshot: ClusterSnapshot,
        moves: Moves,
        table: RoleTable,
        demand: Demand,
        bed: TestbedConfig,
        absent: frozenset[str],
        best: Ints,
        held: Ints | None,
        precedents: Sequence[tuple[Ints, Case]],
    ) -> tuple[Ints, str]:
        """The plan to put in force, and why."""
        config = self._config
        self.thinking_s, self.emulated = 0.0, 0
        plans = _distinct(
            [*([held] if held is not None else []), best, *(plan for plan, _ in precedents)]
            + (moves.shortlist(config.shortlist) if config.shortlist else [])
        )
        scores, how = [float(s) for s in moves.worth(np.array(plans)).score], "estimated"
        bar = (1.0 + config.near) * min(scores)
        first = held is not None  # the plan in force stays in, whatever it is worth
        kept = [i for i, s in enumerate(scores) if s <= bar or (first and i == 0)]
        plans, scores = [plans[i] for i in kept], [scores[i] for i in kept]
        if config.shortlist and self._what_if is not None:
            policies = [
                proportional(bed, self._roles(table, p), moves.capacity(p[None, :])[0]) for p in plans
            ]
            belief = Belief(
                bed, self._objective, arrivals_of(self._testbed, self._objective, snapshot, demand),
                backlog_of(self._testbed, snapshot), absent,
            )  # fmt: skip
            try:
                forecasts = self._what_if.forecast(belief, policies, config.draws, self._seed)
            except RuntimeError as error:
                how = f"estimated ({error})"
            else:
                price = config.moves.estimate.latency_weight
                scores, how = [f.objective + price * f.latency_norm for f in forecasts], "emulated"
                self.emulated = len(plans)
                self.thinking_s = config.thinking_slots * self._objective.slot_s if snapshot.t_s > 0 else 0.0
        scores = self._corrected(plans, scores, precedents)
        order = int(np.argmin(scores))
        if held is not None and scores[order] >= (1.0 - config.keep_gain) * scores[0]:
            return held, f"kept, {how} against {len(plans) - 1} others"
        return plans[order], f"best of {len(plans)} {how}"

    def _corrected(
        self, plans: Sequence[Ints], scores: Sequence[float], precedents: Sequence[tuple[Ints, Case]]
    ) -> list[float]:
        """Scores moved by what like plans really came to, against what is now expected of those very plans.

        Only differences between precedents count: what all of them came to above expectation is a fault of the
        expectation. A precedent weighs exp(-(nodes that differ)) against 1 for the expectation.
        """
        weight, price = self._config.case_weight, self._config.moves.estimate.latency_weight
        place = {p.tobytes(): i for i, p in enumerate(plans)}
        gaps = [
            (plan, case.objective + price * case.latency_norm - scores[place[plan.tobytes()]])
            for plan, case in precedents
            if plan.tobytes() in place
        ]
        if len(gaps) < 2 or weight == 0.0:
            return list(scores)
        common = sum(gap for _, gap in gaps) / len(gaps)
        found: list[float] = []
        for plan, score in zip(plans, scores, strict=True):
            near = [weight * exp(-float((plan != other).sum())) for other, _ in gaps]
            moved = sum(w * (gap - common) for w, (_, gap) in zip(near, gaps, strict=True))
            found.append(score + moved / (1.0 + sum(near)))
        return found

    def _roles(self, table: RoleTable, plan: Ints) -> dict[str, dict[str, Mode]]:
        return {node: table.roles[row] for node, row in zip(self._nodes, plan, strict=True)}


def _distinct(plans: Sequence[Ints]) -> list[Ints]:
    """The plans, each once, in order."""
    return list({plan.tobytes(): plan for plan in plans}.values())
