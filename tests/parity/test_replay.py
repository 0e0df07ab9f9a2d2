"""Replaying a virtual run's own arrivals and decisions must give that run again: nothing else decides its times."""

from __future__ import annotations

import pytest

from edgebed.runs.replay import replay
from edgebed.runs.virtual import simulate_in_memory
from emulation.files import load_scenario


@pytest.mark.parametrize("scheme", ["AL", "MA", "sect"])
def test_a_replayed_run_ends_every_request_at_the_same_instant(scheme: str) -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, scheme, 1)
    again = replay(run, scenario)
    expected = {r.request_id: (r.outcome, r.ended_s) for r in run.requests if r.executor is not None}
    found = {r.request_id: (r.outcome, r.ended_s) for r in again.requests}
    assert set(found) == set(expected)
    for request_id, (outcome, ended_s) in expected.items():
        assert found[request_id] == (outcome, pytest.approx(ended_s, abs=1e-6))


def test_a_replay_without_the_faults_differs() -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, "AL", 1)
    calm = scenario.model_copy(update={"events": ()})
    quiet = type(run)(run.header, run.requests, run.decisions, (), run.executors, run.footer)
    again = {r.request_id: r.ended_s for r in replay(quiet, calm).requests}
    assert any(abs(again.get(r.request_id, 0.0) - r.ended_s) > 0.1 for r in run.requests)


def test_a_request_that_is_dispatched_again_while_it_is_still_served_moves_and_ends_once() -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, "AL", 1)
    moved = next(r for r in run.requests if r.attempt > 1 and r.outcome == "done")
    calm = scenario.model_copy(update={"events": ()})
    again = replay(type(run)(run.header, run.requests, run.decisions, (), run.executors, run.footer), calm)
    assert len({r.request_id for r in again.requests}) == len(again.requests)
    found = next(r for r in again.requests if r.request_id == moved.request_id)
    assert (found.executor, found.attempt) == (moved.executor, moved.attempt)
