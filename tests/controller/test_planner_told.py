"""The J in a planner's reason is found there again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.objective import Objective
from controller.planners.search import SearchConfig, SearchPlanner
from controller.planners.told import estimate_in, estimate_told
from emulation.domain.snapshot import ClusterSnapshot
from emulation.files import load_scenario


@given(st.floats(-1e6, 1e6))
def test_what_is_told_is_heard(objective: float) -> None:
    heard = estimate_in(f"best of 3; {estimate_told(objective)}; success a 0.90")
    assert heard == pytest.approx(objective, abs=5e-4)


def test_the_planner_tells_it() -> None:
    scenario = load_scenario("bristol-A-epochs")
    planner = SearchPlanner(scenario.testbed, SearchConfig(shortlist=0), 0, Objective.of(scenario))
    choice = planner.decide(ClusterSnapshot(0.0, 0, ()))
    assert estimate_in(choice.reason) is not None


@pytest.mark.parametrize(
    "reason", ["", "kept", "a model: J 0.1 estimated", "not J 0.123 estimated", "J nan estimated"]
)
def test_other_words_tell_none(reason: str) -> None:
    assert estimate_in(reason) is None
