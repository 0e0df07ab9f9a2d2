"""The `rules` planner: believes what it has measured, searches by estimate, asks what-if, remembers what came of it.

One decision: finished work corrects the belief -> the epoch that ended becomes a case -> moves over roles by the
fluid estimate (breadth) -> a short list, with the plan in force and the good precedents, is emulated in a world built
from the belief (depth) -> the best of them, if it is clearly better than what is in force; of those that the emulation
cannot tell from it, the one of the least estimate, which hangs less on single requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Annotated

import numpy as np

from controller.belief import BeliefConfig
from controller.capacity import Ints, RoleTable, role_table
from controller.demand import Demand, DemandPrior
from controller.deployers.patterns import hungriest_first
from controller.energy import above_idle_w
from controller.objective import Objective
from controller.planners.expected import believed_world
from controller.planners.experience import EpochBoundary, Experience
from controller.planners.limits import Admission, Limited, Limiter, LimitsConfig
from controller.planners.memory import Case, MemoryConfig, Telemetry
from controller.planners.moves import Moves, MovesConfig, candidate_roles
from controller.planners.policy import proportional
from controller.planners.told import estimate_told
from controller.planners.verdict import equals
from controller.whatif import BelievedWorld, WhatIf
from emulation.domain.actions import Choice, MacroPolicy
from emulation.domain.cluster import Mode, Strict, TestbedConfig
from emulation.domain.ports import GlobalPlanner
from emulation.domain.quantities import Range, Sigmas
from emulation.domain.snapshot import ClusterSnapshot
from emulation.metrics.fairness import EpochResult
from emulation.rng import stream


class SearchConfig(Strict):
    """How widely it searches, how deeply it looks, and what it believes."""

    starts: Annotated[int, Range(1, 1000, "starts")] = 8
    """Random starts, beside full activation, the plan in force and the good precedents."""
    shortlist: Annotated[int, Range(0, 1000, "plans")] = 6
    """Plans that are emulated; 0: the estimate decides alone."""
    finalists: Annotated[int, Range(1, 1000, "plans")] = 24
    """Of more plans than so many, the best so many of the first draw and the one in force are emulated again."""
    near: Annotated[float, Range(0, 10, "times the best")] = 0.15
    """Only plans whose estimate is within this share of the best one's are worth emulating."""
    draws: Annotated[int, Range(1, 100, "draws")] = 2
    """Draws of service noise each of them is emulated with."""
    keep_gain: Annotated[float, Range(0, 1)] = 0.03
    """A new plan must promise a score this share lower, or the one in force is kept (changes cost)."""
    doubt: Sigmas = 2.0
    """Standard errors over draws by which a plan must be worse than the best; else the two count as alike."""
    optimism: Sigmas = 0.0
    """Standard deviations by which a law is taken to be faster than believed: what is little known gets tried."""
    case_weight: Annotated[float, Range(0, 1_000_000)] = 1.0
    """Weight of what precedents came to, against what is forecast for them now."""
    thinking_slots: Annotated[float, Range(0, 1000, "slots")] = 1.0
    """Slots of virtual time charged for emulating the short list; the first plan, made before a run begins, is free."""
    limits: LimitsConfig | None = None
    """How admission limits are chosen, which takes as long as emulating the short list; absent: there are none."""
    moves: MovesConfig = MovesConfig()
    prior: DemandPrior = DemandPrior()
    belief: BeliefConfig = BeliefConfig()
    memory: MemoryConfig = MemoryConfig()


def limiter_of(
    config: SearchConfig, objective: Objective, what_if: WhatIf | None, seed: int
) -> Limiter | None:
    """Who sets admission limits by this configuration; None where there are to be none, or nobody emulates them."""
    if config.limits is None or objective.deadline_s is None or what_if is None:
        return None
    admission = Admission(config.limits, objective.deadline_s, config.keep_gain, config.draws)
    return Limiter(admission, what_if, seed, config.thinking_slots * objective.slot_s)


@dataclass(frozen=True, slots=True)
class _Search:
    """One decision: the testbed as believed, the plans that are possible on it, and those that are known already."""

    bed: TestbedConfig
    table: RoleTable
    moves: Moves
    held: Ints | None
    """The plan in force; None: there is none, or it has a role that is not considered."""
    precedents: Sequence[tuple[Ints, Case]]
    """Cases like the present one as plans, good ones first; of plans that are considered."""

    def roles(self, plan: Ints) -> dict[str, dict[str, Mode]]:
        return {n.id: self.table.roles[row] for n, row in zip(self.bed.nodes, plan, strict=True)}

    def policy(self, plan: Ints) -> MacroPolicy:
        return proportional(self.bed, self.roles(plan), self.moves.capacity(plan[None, :])[0])


@dataclass(frozen=True, slots=True)
class Looked:
    """One decision before it is made: the plans worth comparing, the one in force first, and what each is expected to
    come to."""

    search: _Search
    boundary: EpochBoundary
    plans: list[Ints]
    estimated: list[float]
    """Scores by the fluid estimate, without energy."""
    drawn: list[list[float]]
    """Scores by every draw of the emulation; by the estimate where nobody emulated them. Without energy."""
    energy: list[float]
    """What energy adds to each, by the estimate; 0 where it is not weighed."""
    forecasts: list[EpochResult] | None
    """Of the first draw; None where nobody emulated them."""
    how: str
    """By what they were compared, in a word."""
    thinking_s: float


class SearchPlanner(GlobalPlanner):
    """Remembers the plan in force, what it has learned of speeds, and cases.

    Raises `ValueError` for a broken memory file.
    """

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
        self.experience = Experience(testbed, objective, config.belief, config.memory, config.prior)
        self._limiter = limiter_of(config, objective, what_if, seed)
        self._in_force: Mapping[str, Mapping[str, Mode]] | None = None
        """Roles of the plan in force."""

    def decide(self, snapshot: ClusterSnapshot) -> Choice[MacroPolicy]:
        """The best plan found for the demand counted since the last epoch boundary."""
        looked = self.look(snapshot)
        search, moves = looked.search, looked.search.moves
        plan, why = self._choose(looked)
        estimate = moves.worth(plan[None, :])
        models = self._testbed.models
        success = " ".join(f"{m.id} {s:.2f}" for m, s in zip(models, estimate.success[0], strict=True))
        self._in_force = search.roles(plan)
        policy = search.policy(plan)
        reason = f"{why}; {estimate_told(estimate.objective[0])}; success {success}"
        thinking_s = looked.thinking_s
        if (limited := self.limited(policy, looked, snapshot)) is not None:
            policy, reason, thinking_s = limited.policy, f"{reason}; {limited.said}", limited.thinking_s
        self.experience.policy = policy
        return Choice(policy, reason, thinking_s)

    def look(self, snapshot: ClusterSnapshot) -> Looked:
        """Learn from the epoch that ended, search, and compare what is worth it; nothing is decided yet."""
        boundary = self.experience.learn(snapshot)
        search = self._search(boundary.demand, boundary.telemetry)
        best = search.moves.best(self._starts(search))
        return self._compared(search, best, snapshot, boundary)

    def limited(self, policy: MacroPolicy, looked: Looked, snapshot: ClusterSnapshot) -> Limited | None:
        """A policy with its admission limits, whoever chose it; None where none are to be set.

        Its thinking is that of the whole decision: what is emulated with the short list takes no time of its own.
        """
        if self._limiter is None:
            return None
        bed, demand = looked.search.bed, looked.boundary.demand
        world = believed_world(self._testbed, bed, self._objective, snapshot, demand)
        return self._limiter.limited(policy, world, snapshot.t_s)

    def adopted(self, command: MacroPolicy) -> None:
        """Another policy is in force than the one decided: cases and the plan that is kept are of that one."""
        self.experience.policy, self._in_force = command, command.roles

    def _thinking_s(self, snapshot: ClusterSnapshot) -> float:
        return self._config.thinking_slots * self._objective.slot_s if snapshot.t_s > 0 else 0.0

    def _search(self, demand: Demand, telemetry: Telemetry) -> _Search:
        bed = self.experience.belief.testbed(self._config.optimism)
        table = role_table(bed, [candidate_roles(bed, n, self._objective) for n in self._nodes])
        present = np.array([float(n not in telemetry.absent) for n in self._nodes])
        above_w = above_idle_w(self._testbed) if self._objective.energy_weight else None
        moves = Moves(table, demand, self._objective, self._config.moves, present, above_w)
        held = None if self._in_force is None else table.plan_of(self._in_force, self._nodes)
        good, bad = self.experience.memory.precedents(telemetry)
        known = [c for c in (*good, *bad) if set(c.roles) <= set(self._nodes)]
        plans = [(table.plan_of(case.roles, self._nodes), case) for case in known]
        precedents = [(plan, case) for plan, case in plans if plan is not None]
        return _Search(bed, table, moves, held, precedents)

    def _starts(self, search: _Search) -> list[Ints]:
        table, held = search.table, search.held
        full = {n: hungriest_first(self._testbed, n) for n in self._nodes}
        starts = [table.rows_of(full, self._nodes)]
        starts += [table.first + self._rng.integers(table.count) for _ in range(self._config.starts)]
        starts += [plan for plan, _ in search.precedents]
        return starts if held is None else [held, *starts]

    def _compared(
        self, search: _Search, best: Ints, snapshot: ClusterSnapshot, boundary: EpochBoundary
    ) -> Looked:
        """The plans that are worth it, by the estimate and, if somebody emulates them, by that."""
        config, moves, held = self._config, search.moves, search.held
        plans = _distinct(
            [*([held] if held is not None else []), best, *(plan for plan, _ in search.precedents)]
            + (moves.shortlist(config.shortlist) if config.shortlist else [])
        )
        found_worth = moves.worth(np.array(plans))
        scores, how, thinking_s = [float(s) for s in found_worth.score], "estimated", 0.0
        bar = (1.0 + config.near) * min(scores)
        first = held is not None  # the plan in force stays in, whatever it is worth
        near = [i for i, s in enumerate(scores) if s <= bar or (first and i == 0)]
        plans, energy = [plans[i] for i in near], [float(found_worth.energy[i]) for i in near]
        estimated = [scores[i] - e for i, e in zip(near, energy, strict=True)]
        drawn, forecasts = [estimated], None
        if config.shortlist and self._what_if is not None:
            world = believed_world(self._testbed, search.bed, self._objective, snapshot, boundary.demand)
            asked = len(plans)
            try:
                policies = [search.policy(plan) for plan in plans]
                final, found = self._race(world, policies, energy, held is not None)
            except RuntimeError as error:
                how = f"estimated ({error})"
            else:
                plans, estimated = [plans[i] for i in final], [estimated[i] for i in final]
                energy = [energy[i] for i in final]
                drawn, forecasts = [[self._score(f) for f in row] for row in found], found[0]
                how = "emulated" if asked == len(plans) else f"of {asked} emulated, again"
                thinking_s = self._thinking_s(snapshot)
        return Looked(search, boundary, plans, estimated, drawn, energy, forecasts, how, thinking_s)

    def _choose(self, looked: Looked) -> tuple[Ints, str]:
        """The plan to put in force, and why."""
        config, search, plans, how = self._config, looked.search, looked.plans, looked.how
        forecast = np.array([self._corrected(plans, row, search.precedents) for row in looked.drawn])
        forecast += looked.energy
        equal = equals(forecast, config.keep_gain, config.doubt)
        if search.held is not None and 0 in equal:
            return search.held, f"kept, {how} against {len(plans) - 1} others"
        steady = self._corrected(plans, looked.estimated, search.precedents)
        steady = [s + e for s, e in zip(steady, looked.energy, strict=True)]
        among = f", of {len(equal)} alike" if len(equal) > 1 else ""
        return plans[min(equal, key=steady.__getitem__)], f"best of {len(plans)} {how}{among}"

    def _race(
        self,
        world: BelievedWorld,
        policies: Sequence[MacroPolicy],
        energy: Sequence[float],
        first_stays: bool,
    ) -> tuple[list[int], list[list[EpochResult]]]:
        """Which plans were emulated in every draw, and what they came to, draw by draw.

        All are in the first draw; if they are many, only the best of it go on. Raises `RuntimeError` if nobody answers.
        """
        first = self._forecast(world, policies, self._seed)
        scores = [self._score(f) + e for f, e in zip(first, energy, strict=True)]
        order = sorted(range(len(policies)), key=scores.__getitem__)[: self._config.finalists]
        final = sorted({*order, 0} if first_stays else order)
        again = [policies[i] for i in final]
        drawn = [[first[i] for i in final]]
        drawn += [self._forecast(world, again, self._seed + i) for i in range(1, self._config.draws)]
        return final, drawn

    def _score(self, forecast: EpochResult) -> float:
        """Of a plan that was emulated; lower is better."""
        return forecast.objective + self._config.moves.estimate.latency_weight * forecast.latency_norm

    def _forecast(
        self, world: BelievedWorld, policies: Sequence[MacroPolicy], seed: int
    ) -> list[EpochResult]:
        """What policies come to in one draw of noise. Raises `RuntimeError` if nobody answers."""
        assert self._what_if is not None
        return self._what_if.forecast(world, policies, 1, seed)

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
        corrected: list[float] = []
        for plan, score in zip(plans, scores, strict=True):
            near = [weight * exp(-float((plan != other).sum())) for other, _ in gaps]
            moved = sum(w * (gap - common) for w, (_, gap) in zip(near, gaps, strict=True))
            corrected.append(score + moved / (1.0 + sum(near)))
        return corrected


def _distinct(plans: Sequence[Ints]) -> list[Ints]:
    """The plans, each once, in order."""
    return list({plan.tobytes(): plan for plan in plans}.values())
