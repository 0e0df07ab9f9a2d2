"""The rules planner from a poor start: it ends where a planner that knew the truth would be."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

import pytest

from controller.objective import Objective
from controller.planners.search import SearchConfig, SearchPlanner
from edgebed.reproduce.common.true_profile import with_true_profile
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.scenario import Scenario
from emulation.domain.snapshot import ClusterSnapshot, NodeView, TypeStats, Window
from emulation.files import load_scenario
from emulation.metrics.fairness import jain, jain_normalised, objective

EPOCHS = load_scenario("bristol-A-epochs")
SHORT = {"search": {"shortlist": 0}}
EPOCH_S = EPOCHS.epoch_slots * EPOCHS.slot_s


def last_epochs_j(scenario: Scenario, seed: int, first: int) -> float:
    """J over the requests that arrived in epoch `first` or later."""
    run = simulate_in_memory(scenario, "MA", seed)
    rows = [r for r in run.requests if r.counted and r.intended_s >= first * EPOCH_S]
    done = [r for r in rows if r.outcome == "done"]
    success = [
        sum(r.model == m.id for r in done) / sum(r.model == m.id for r in rows)
        for m in scenario.testbed.models
    ]
    latency = mean(r.ended_s - r.intended_s for r in done) / (scenario.deadline_s or 1.0)
    value = objective(latency, jain_normalised(jain(success), len(success)), 0.5)
    assert value is not None
    return value


@pytest.mark.slow
def test_from_wrong_priors_it_ends_within_5_percent_of_a_plan_searched_with_the_truth() -> None:
    poor = EPOCHS.model_copy(
        update={"mismatch_sigma": 0.5, "slots": 6 * 50, "controllers": {**EPOCHS.controllers, **SHORT}}
    )
    ours, best = last_epochs_j(poor, 2, 3), last_epochs_j(with_true_profile(poor, 2), 2, 3)
    assert ours <= 1.05 * best


def snapshot(
    slot: int, stats: dict[str, TypeStats] | None = None, absent: str | None = None
) -> ClusterSnapshot:
    views = tuple(NodeView(n.id, 30.0 * slot, n.id != absent, (), 0.0, 0.0, 0) for n in EPOCHS.testbed.nodes)
    return ClusterSnapshot(30.0 * slot, slot, views, Window(stats=stats or {}))


@pytest.mark.slow
def test_every_epoch_that_ended_becomes_a_case() -> None:
    planner = SearchPlanner(EPOCHS.testbed, SearchConfig(shortlist=0), 0, Objective.of(EPOCHS))
    planner.decide(snapshot(0))
    assert planner.experience.memory.cases == []
    stats = {m.id: TypeStats(300, 1200, 200, 50, 200 * 90.0) for m in EPOCHS.testbed.models}
    first = planner.decide(snapshot(50, stats)).command
    (case,) = planner.experience.memory.cases
    assert case.success == dict.fromkeys(stats, 0.8)
    assert case.objective == pytest.approx(0.5 * 90 / 900)
    assert case.epoch == 0
    planner.decide(snapshot(100, stats))
    assert planner.experience.memory.cases[-1].roles == {n: dict(r) for n, r in first.roles.items()}


@pytest.mark.slow
def test_a_node_that_is_away_is_planned_without_and_gets_no_traffic() -> None:
    planner = SearchPlanner(EPOCHS.testbed, SearchConfig(shortlist=0), 0, Objective.of(EPOCHS))
    planner.decide(snapshot(0))
    away = planner.decide(snapshot(50, absent="VM7")).command
    assert all("VM7" not in shares for shares in away.p.values())
    back = planner.decide(snapshot(100)).command
    assert any("VM7" in shares for shares in back.p.values())


@pytest.mark.slow
def test_a_plan_with_a_role_that_is_not_considered_is_not_taken_for_another_one() -> None:
    """A language model's plan may run sd on a CPU, which no plan of the search does."""
    config = SearchConfig(shortlist=0, keep_gain=1.0)
    planner = SearchPlanner(EPOCHS.testbed, config, 0, Objective.of(EPOCHS))
    stats = {m.id: TypeStats(300, 1200, 200, 50, 200 * 90.0) for m in EPOCHS.testbed.models}
    first = planner.decide(snapshot(0)).command
    planner.adopted(replace(first, roles={**first.roles, "VM5": {"sd": "cpu"}}))
    second = planner.decide(snapshot(50, stats))
    assert "kept" not in second.reason, "it would be another plan, without anything on VM5"
    assert planner.experience.memory.cases[-1].roles["VM5"] == {"sd": "cpu"}
    looked = planner.look(snapshot(100, stats))
    assert looked.search.held is not None
    assert [case.epoch for _, case in looked.search.precedents] == [1]
