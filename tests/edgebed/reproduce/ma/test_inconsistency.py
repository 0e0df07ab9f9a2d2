"""RL perfectly fair while AL starves: the draws that look for it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edgebed.reproduce.ma.inconsistency import (
    F0,
    OVERHEAD,
    P0,
    Draw,
    V,
    draw,
    measured,
    satisfying_both,
    scenario_of,
)
from edgebed.runs.virtual import simulate_in_memory
from emulation.metrics.summary import summarise


@pytest.mark.slow
def test_two_draws_say_what_their_own_scenarios_give_and_are_plain_data() -> None:
    found = [measured(3, draw(number, 3)) for number in range(2)]
    assert [d.number for d in found] == [0, 1]
    assert [d.scenario for d in found] == ["bristol-A", "w-star"]
    for drawn in found:
        rl = summarise(simulate_in_memory(scenario_of(drawn), "RL", 3))
        al = summarise(simulate_in_memory(scenario_of(drawn), "AL", 3))
        assert (drawn.rl_jain, drawn.rl_fairness_norm) == (rl.jain, rl.fairness_norm)
        assert drawn.al_sd_success == al.per_model["sd"].success_ratio
        assert json.loads(json.dumps(drawn.to_json()))["both"] == drawn.both
    assert satisfying_both(found) == sum(d.both for d in found)


def test_a_draw_stays_within_its_ranges_and_reaches_the_scenario_it_runs() -> None:
    for number in range(20):
        drawn = draw(number, 0)
        for value, (low, high) in ((drawn.v, V), (drawn.p0, P0), (drawn.f0, F0), (drawn.overhead, OVERHEAD)):
            assert low <= value <= high
        scenario = scenario_of(drawn)
        assert scenario.controllers["lyapunov"]["v"] == drawn.v
        assert scenario.testbed.theta("VM3", "sd", "gpu") == (drawn.gpu_s["sd"],)
        assert {g.overhead for n in scenario.testbed.nodes for g in n.gpus} == {drawn.overhead}
    assert draw(7, 0) == draw(7, 0)
    assert draw(7, 0) != draw(7, 1)


@pytest.mark.parametrize(
    ("jain", "success", "both"),
    [
        (0.97, 0.29, True),
        (0.969, 0.29, False),
        (1.0, 0.3, False),
        (None, 0.1, False),
        (1.0, None, False),
    ],
)
def test_a_draw_counts_only_if_rl_is_fair_and_al_starves(
    jain: float | None, success: float | None, both: bool
) -> None:
    made = replace(draw(0, 0), rl_jain=jain, al_sd_success=success)
    assert isinstance(made, Draw)
    assert made.both is both
    assert satisfying_both([made, made]) == 2 * both
