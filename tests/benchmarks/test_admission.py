"""The benchmark of admission: its tables say what the rows do, and its truth is the truth."""

from __future__ import annotations

import pytest

from benchmarks import admission
from edgebed.runs.virtual import simulate_in_memory
from emulation.files import load_scenario

LATENCY = "mean latency of the served, s"


def rows(scheme: str, values: list[float]) -> dict[admission.Job, admission.Row]:
    return {("w", scheme, seed): {LATENCY: value} for seed, value in enumerate(values)}


def test_pairs_are_relative_to_the_same_seed_and_count_who_is_worse() -> None:
    made = {**rows("e3", [1.0, 2.0, 4.0]), **rows("fused", [1.1, 2.0, 3.6])}
    line = admission.pairs_of(made, ["w"], "e3", ["fused"]).splitlines()[-1]
    assert line == "| w | 3 | 2.333 ± 3.795 | 0.000 ± 24.841 (worse in 1 of 3) |"


def test_a_world_that_light_load_names_asks_for_less() -> None:
    full, light = load_scenario("bristol-A"), admission.world("bristol-A at 0.25", 0)
    assert light.workload[0].k_max == full.workload[0].k_max / 4  # type: ignore[union-attr]


@pytest.mark.parametrize("part", admission.PARTS)
def test_every_world_of_a_part_can_be_made(part: str) -> None:
    for name in admission.PARTS[part][0]:
        assert admission.world(name, 1).slots


@pytest.mark.slow
def test_the_truth_refuses_by_the_limit_that_it_is_given() -> None:
    short = load_scenario("bristol-A").model_copy(update={"slots": 12, "tail_slots": 2})
    run = simulate_in_memory(short, admission.TRUTHS["truth, limit 120 s"], 0)
    policies = [d.choice for d in run.decisions if d.actor == "planner"]
    assert policies
    assert all(p["admission_limit_s"] == {"sd": 120.0} for p in policies)
    refused = [r for r in run.requests if r.outcome == "rejected"]
    assert refused
    assert {r.model for r in refused} == {"sd"}
