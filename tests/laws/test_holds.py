"""A held request is told of once per reason, however often it is looked at."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.events import GOES_AWAY
from emulation.domain.scenario import Scenario
from emulation.domain.truth import RequestTruth
from emulation.recording import Run
from tests.build.fakes import device_testbed, request, scenario, simulate
from tests.build.random_scenarios import scenarios

LEFT = {"kind": "leave", "node": "d0", "at_s": 0.0, "until_s": 400.0}
FLAPPING = [{"kind": "leave", "node": "d1", "at_s": t + 0.25, "until_s": t + 0.5} for t in range(1, 300)]
"""News every quarter of a second, none of which helps who waits for the other node."""


def holds(run: Run) -> Counter[tuple[str | None, str]]:
    """(request, reason) to how often the record says that it is held for it."""
    return Counter((d.request_id, d.reason) for d in run.decisions if d.choice == "hold")


@st.composite
def dark(draw: st.DrawFn) -> tuple[Scenario, str]:
    """A random scenario in which every node is away for a while."""
    world, scheme = draw(scenarios())
    others = [e.model_dump() for e in world.events if not isinstance(e, GOES_AWAY)]
    away = [{"kind": "leave", "node": n.id, "at_s": 10.0, "until_s": 40.0 + i}
            for i, n in enumerate(world.testbed.nodes)]  # fmt: skip
    return Scenario.model_validate({**world.model_dump(), "events": [*others, *away]}), scheme


def test_a_request_that_is_looked_at_six_hundred_times_is_held_once() -> None:
    world = scenario(device_testbed(nodes=2), events=[LEFT, *FLAPPING])
    run = simulate(world, [(request(i, 1.0 + i), RequestTruth()) for i in range(5)])
    assert holds(run) == {(f"r{i:06d}", "away"): 1 for i in range(5)}
    assert all(r.outcome == "done" for r in run.requests)
    routed = [d.request_id for d in run.decisions if d.choice == "d0"]
    assert routed == [f"r{i:06d}" for i in range(5)]


@pytest.mark.slow
@settings(
    max_examples=20, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(dark())
def test_no_request_is_held_more_often_than_it_is_tried_for_one_reason(case: tuple[Scenario, str]) -> None:
    run = simulate_in_memory(*case, 3)
    attempts = {r.request_id: max(1, r.attempt) for r in run.requests}
    for (request_id, reason), times in holds(run).items():
        assert request_id is not None
        assert times <= attempts[request_id], reason
