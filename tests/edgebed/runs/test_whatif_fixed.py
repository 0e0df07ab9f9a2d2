"""The short engine of what-if comes to what the general one comes to, on every testbed of pods, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controller.capacity import role_table
from controller.demand import DemandPrior, estimated
from controller.objective import Objective
from controller.planners.expected import arrivals_of
from controller.planners.moves import Moves, MovesConfig, candidate_roles
from controller.planners.policy import proportional
from controller.schemes import SCHEMES
from controller.whatif import BelievedWorld
from edgebed.runs import whatif_world
from edgebed.runs.whatif import LowerLayers
from edgebed.runs.whatif_fixed import FixedWorld
from edgebed.runs.whatif_world import emulate
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import LinkSpec, TestbedConfig
from emulation.domain.scenario import Scenario
from emulation.domain.snapshot import ClusterSnapshot
from emulation.engine.fixed_pods import Unsuited
from emulation.files import load_scenario
from emulation.metrics.fairness import mean_of
from emulation.rng import stream

PLANS = 2
SLOTS = 4
EMPTY = ClusterSnapshot(0.0, 0, ())
SCENARIOS = {name: load_scenario(name) for name in ("bristol-A", "w-star", "demo")}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "a node away, work waiting": {"away": 1, "waiting": 120},
    "nothing ever expires": {"deadline_s": None, "waiting": 60},
    "telemetry counts anew within the run": {"epoch_slots": 3, "deadline_s": 400.0},
    "agents look first": {"slot_order": "deploy-first", "waiting": 40},
    "arrivals within slots": {"spread": True},
}


def believed(
    scenario: Scenario, away: int = 0, waiting: int = 0, spread: bool = False, **terms: Any
) -> BelievedWorld:
    bed = scenario.testbed
    objective = replace(Objective.of(scenario), **{"epoch_slots": SLOTS, **terms})
    demand = estimated(bed, objective, DemandPrior(), EMPTY)
    arrivals = arrivals_of(bed, objective, EMPTY, demand)
    rng = stream(3, "test:what-if")
    if spread:
        late_s = rng.random(len(arrivals)) * objective.slot_s
        moved = [replace(a, t_s=a.t_s + float(s)) for a, s in zip(arrivals, late_s, strict=True)]
        arrivals = tuple(sorted(moved, key=lambda a: a.t_s))
    backlog = tuple(replace(a, t_s=0.0) for a in arrivals[:waiting])
    absent = frozenset(n.id for n in bed.nodes[len(bed.nodes) - away :])
    return BelievedWorld(bed, objective, arrivals, backlog, absent)


def policies(bed: TestbedConfig, objective: Objective, count: int = PLANS) -> list[MacroPolicy]:
    """Random plans over all feasible roles, and good ones."""
    nodes = [n.id for n in bed.nodes]
    table = role_table(bed, [candidate_roles(bed, n, objective) for n in nodes])
    moves = Moves(
        table,
        estimated(bed, objective, DemandPrior(), EMPTY),
        objective,
        MovesConfig(sweeps=1, pair_width=0),
        np.ones(len(nodes)),
    )
    rng = stream(1, "test:what-if")
    plans = [table.first + rng.integers(table.count) for _ in range(count)]
    moves.descend(plans[0])
    plans += moves.shortlist(2)
    capacity = moves.capacity(np.array(plans))
    return [
        proportional(bed, {n: table.roles[r] for n, r in zip(nodes, plan, strict=True)}, c)
        for plan, c in zip(plans, capacity, strict=True)
    ]


def both(scenario: Scenario, belief: BelievedWorld, seed: int = 0) -> tuple[int, int]:
    """Plays every plan in both engines; how many the short one took, of how many. Raises if they differ."""
    lower = LowerLayers("MA", scenario.controllers)
    world = whatif_world.scenario_of(lower, belief)
    arrivals = whatif_world.arrivals_of(belief, seed)
    fixed = FixedWorld.of(SCHEMES["MA"], belief, world)
    tasks = fixed.tasks(arrivals)
    played = policies(belief.testbed, belief.objective)
    taken = 0
    for policy in played:
        try:
            short = fixed.play(policy, tasks)
        except Unsuited:
            continue
        taken += 1
        assert short == emulate(lower, belief, world, policy, arrivals)
    return taken, len(played)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_both_engines_come_to_the_same(name: str, variant: str) -> None:
    scenario = SCENARIOS[name]
    taken, played = both(scenario, believed(scenario, **VARIANTS[variant]))
    assert taken, played


@pytest.mark.parametrize("sharing", ["none", "static"])
def test_on_gpus_that_share_otherwise_and_nodes_that_are_slower(sharing: str) -> None:
    scenario = SCENARIOS["bristol-A"]
    nodes = tuple(
        n.model_copy(
            update={
                "speed": 1.0 + 0.1 * i,
                "gpus": tuple(g.model_copy(update={"sharing": sharing, "slices": 3}) for g in n.gpus),
            }
        )
        for i, n in enumerate(scenario.testbed.nodes)
    )
    bed = TestbedConfig.model_validate(scenario.testbed.model_copy(update={"nodes": nodes}).model_dump())
    taken, _ = both(scenario, believed(scenario.model_copy(update={"testbed": bed}), waiting=100), seed=7)
    assert taken


def test_the_same_tasks_can_be_played_again() -> None:
    scenario = SCENARIOS["demo"]
    belief = believed(scenario)
    world = whatif_world.scenario_of(LowerLayers("MA", scenario.controllers), belief)
    fixed = FixedWorld.of(SCHEMES["MA"], belief, world)
    tasks = fixed.tasks(whatif_world.arrivals_of(belief, 0))
    *_, last = policies(belief.testbed, belief.objective)
    assert fixed.play(last, tasks) == fixed.play(last, tasks)


def unsuited(scenario: Scenario, scheme: str = "MA", **changed: Any) -> str:
    belief = replace(believed(scenario), **changed)
    world = whatif_world.scenario_of(LowerLayers(scheme, scenario.controllers), belief)
    with pytest.raises(Unsuited) as refused:
        FixedWorld.of(SCHEMES[scheme], belief, world)
    return str(refused.value)


def test_what_it_cannot_play_it_says_and_the_general_engine_plays() -> None:
    scenario = SCENARIOS["demo"]
    bed = scenario.testbed
    assert "MAL" in unsuited(scenario, "MAL")
    guided = scenario.model_copy(update={"controllers": {"agents": {"mode": "guided"}}})
    assert "guides" in unsuited(guided)
    away = bed.nodes[0].model_copy(update={"site": "far"})
    link = LinkSpec(a="far", b=bed.nodes[1].site, latency_s=0.1)
    far = bed.model_copy(update={"nodes": (away, *bed.nodes[1:]), "links": (link,)})
    assert "links" in unsuited(scenario, testbed=far)
    belief = believed(scenario)
    lower = LowerLayers("MAL", scenario.controllers)
    plan = policies(bed, belief.objective)[-1]
    (said,) = whatif_world.forecasts(lower, belief, [plan], 1, 0)
    world, arrivals = whatif_world.scenario_of(lower, belief), whatif_world.arrivals_of(belief, 0)
    assert said == mean_of([emulate(lower, belief, world, plan, arrivals)])


def test_a_plan_with_limits_or_without_a_host_is_the_general_engines() -> None:
    scenario = SCENARIOS["demo"]
    belief = believed(scenario)
    world = whatif_world.scenario_of(LowerLayers("MA", scenario.controllers), belief)
    fixed = FixedWorld.of(SCHEMES["MA"], belief, world)
    plan = policies(belief.testbed, belief.objective)[-1]
    without = {n: {m: v for m, v in role.items() if m != "sd"} for n, role in plan.roles.items()}
    for other in (replace(plan, admission_limit_s={"sd": 5.0}), replace(plan, roles=without)):
        with pytest.raises(Unsuited):
            fixed.play(other, fixed.tasks(whatif_world.arrivals_of(belief, 0)))
        (said,) = whatif_world.forecasts(LowerLayers("MA", scenario.controllers), belief, [other], 1, 0)
        assert 0.0 <= said.objective <= 1.0
