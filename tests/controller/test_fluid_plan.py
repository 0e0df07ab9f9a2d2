"""The fluid planner judged by the emulator: its own plan on bristol-A, and whether its estimate ranks plans."""

from __future__ import annotations

from statistics import mean

import pytest

from controller.capacity import role_table
from controller.demand import DemandPrior, estimated
from controller.objective import Objective
from controller.planners.estimate import EstimateConfig, Worth, worth
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.cluster import Mode
from emulation.domain.scenario import Scenario
from emulation.domain.snapshot import ClusterSnapshot
from emulation.files import load_scenario
from emulation.metrics.summary import Summary, summarise

SCENARIO = load_scenario("bristol-A")
BED = SCENARIO.testbed
MODES: dict[str, Mode] = {"c": "cpu", "g": "gpu", "-": "off"}
PLANS = ("cc-- cg-- c-gg ccgg c-gg cggg", "cc-- cg-g cg-g -cgg gc-g cggg", "cc-- cgg- cg-- g-g- c--g cggg")
"""A good plan, the scenario's own, and one that starves the image model; VM2..VM7, one letter per model."""


def plan_of(code: str) -> dict[str, dict[str, Mode]]:
    return {
        node.id: {m.id: MODES[c] for m, c in zip(BED.models, letters, strict=True) if c != "-"}
        for node, letters in zip(BED.nodes, code.split(), strict=True)
    }


def emulated(scenario: Scenario, seeds: range) -> list[Summary]:
    return [summarise(simulate_in_memory(scenario, "MA", seed)) for seed in seeds]


def estimate(code: str) -> Worth:
    table = role_table(BED, [[role] for role in plan_of(code).values()])
    objective = Objective.of(SCENARIO)
    demand = estimated(BED, objective, DemandPrior(), ClusterSnapshot(0.0, 0, ()))
    capacity = table.capacity(table.first[None, :], demand.prompts_per_s)
    return worth(capacity, demand, objective, EstimateConfig())


@pytest.mark.slow
def test_its_own_plan_reaches_the_target_without_starving_a_model() -> None:
    runs = emulated(SCENARIO.model_copy(update={"plan": None}), range(3))
    assert mean(r.objective or 1.0 for r in runs) <= 0.105
    for run in runs:
        success = {m: s.success_ratio or 0.0 for m, s in run.per_model.items()}
        assert min(success[m] for m in ("gpt2", "gpt2-large", "blip")) > 0.97
        assert success["sd"] > 0.4
        assert run.reconfigurations / SCENARIO.slots < 0.5, "roles are held, not churned"


@pytest.mark.slow
def test_the_estimate_ranks_plans_as_the_emulator_does() -> None:
    measured = []
    for code in PLANS:
        runs = emulated(SCENARIO.model_copy(update={"plan": plan_of(code)}), range(2))
        measured.append(mean(r.objective or 1.0 for r in runs))
    expected = [float(estimate(code).objective[0]) for code in PLANS]
    assert sorted(expected) == expected
    assert sorted(measured) == measured
    assert measured == pytest.approx(expected, abs=0.015)
