"""How fast a policy is judged, by estimate and by emulation, and how far the two agree on which is better.

Policies per second of one core (CPU time) for the fluid estimate (breadth) and for the emulation in a what-if world
(depth): all of a question together, its requests drawn once, by the short engine where that fits, and beside it one by
one by the general engine. And Spearman's rank correlation between the J of estimate and emulation over a spread of
plans: random ones, which differ much, and the best ones a search looked at, which differ little. `run()` returns raw
figures; run as a script it prints them.
"""

from __future__ import annotations

import json
from statistics import median
from time import process_time
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from controller.capacity import role_table
from controller.demand import DemandPrior, estimated
from controller.objective import Objective
from controller.planners.expected import arrivals_of
from controller.planners.moves import Moves, MovesConfig, candidate_roles
from controller.planners.policy import proportional
from controller.whatif import BelievedWorld
from edgebed.runs.whatif import LowerLayers
from edgebed.runs.whatif_world import arrivals_of as replayed
from edgebed.runs.whatif_world import emulate, forecasts, scenario_of
from emulation.domain.snapshot import ClusterSnapshot
from emulation.files import load_scenario
from emulation.rng import stream

SCENARIOS = ("bristol-A", "w-star")
GENERAL_PLANS = 10
"""Of the good ones, that the general engine emulates too."""


def measure(name: str, plans_each: int) -> dict[str, float]:
    """Rates and rank correlations on one scenario, `plans_each` random and as many good plans.

    Raises `RuntimeError` if the two engines differ.
    """
    scenario = load_scenario(name)
    bed, terms = scenario.testbed, Objective.of(scenario)
    nodes = [n.id for n in bed.nodes]
    empty = ClusterSnapshot(0.0, 0, ())
    demand = estimated(bed, terms, DemandPrior(), empty)
    table = role_table(bed, [candidate_roles(bed, n, terms) for n in nodes])
    moves = Moves(table, demand, terms, MovesConfig(), np.ones(len(nodes)))
    rng = stream(0, "benchmark:what-if")
    random = [table.first + rng.integers(table.count) for _ in range(plans_each)]
    moves.best(random[:8])
    good = moves.shortlist(plans_each)

    estimating_s = []
    for _ in range(5):
        before, looked_at = process_time(), moves.looked_at
        moves.best(random[:4])
        estimating_s.append((process_time() - before) / (moves.looked_at - looked_at))
    plans = np.array(random + good)
    estimate = moves.worth(plans).objective
    capacity = moves.capacity(plans)
    policies = [
        proportional(bed, {n: table.roles[r] for n, r in zip(nodes, plan, strict=True)}, c)
        for plan, c in zip(plans, capacity, strict=True)
    ]
    belief = BelievedWorld(bed, terms, arrivals_of(bed, terms, empty, demand))
    lower = LowerLayers("MA", scenario.controllers)
    before = process_time()
    emulated = [one.objective for one in forecasts(lower, belief, policies, 1, 0)]
    emulating_s = (process_time() - before) / len(policies)
    world, requests = scenario_of(lower, belief), replayed(belief, 0)
    generally_s = []
    for policy, objective in list(zip(policies, emulated, strict=True))[-GENERAL_PLANS:]:
        before = process_time()
        if emulate(lower, belief, world, policy, requests).objective != objective:
            raise RuntimeError("the two engines differ")
        generally_s.append(process_time() - before)
    return {
        "estimates_per_s": 1.0 / median(estimating_s),
        "emulations_per_s": 1.0 / emulating_s,
        "emulations_per_s_general": 1.0 / median(generally_s),
        "rank_correlation": float(spearmanr(estimate, emulated).statistic),
        "rank_correlation_random": float(spearmanr(estimate[:plans_each], emulated[:plans_each]).statistic),
        "rank_correlation_good": float(spearmanr(estimate[plans_each:], emulated[plans_each:]).statistic),
        "plans": float(len(plans)),
    }


def run(plans_each: int = 40) -> dict[str, Any]:
    """Both packaged testbeds of the second paper."""
    return {name: measure(name, plans_each) for name in SCENARIOS}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
