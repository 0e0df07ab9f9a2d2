"""Replaying a virtual run's own arrivals and decisions must give that run again: nothing else decides its times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from edgebed.runs.replay import replay
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario

BROKEN: Sequence[dict[str, Any]] = (
    {"kind": "replica_kill", "node": "cpu-server", "model": "gpt2", "at_s": 50, "until_s": 60},
    {"kind": "drain", "node": "arc-b60", "at_s": 60, "until_s": 120, "notice_s": 20},
    {"kind": "link_loss", "a": "edge", "b": "edge", "rate": 0.6, "tries": 2, "at_s": 70, "until_s": 140},
    {"kind": "node_kill", "node": "jetson-thor", "at_s": 130, "until_s": 160},
    {"kind": "error", "node": "thinkedge", "rate": 0.5, "at_s": 70, "until_s": 140},
)
"""What is lost or fails depends on the attempt: a replay must count attempts as the run did."""


def broken() -> Scenario:
    """The demo, with worse events."""
    return Scenario.model_validate({**load_scenario("demo").model_dump(), "events": BROKEN})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "scenario"),
    [
        ("AL", load_scenario("demo")),
        ("MA", load_scenario("demo")),
        ("sect", load_scenario("demo")),
        ("sect", broken()),
        ("AL", broken()),
    ],
    ids=["AL", "MA", "sect", "sect-broken", "AL-broken"],
)
def test_a_replayed_run_ends_every_request_at_the_same_instant(scheme: str, scenario: Scenario) -> None:
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
