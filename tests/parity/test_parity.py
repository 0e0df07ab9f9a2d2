"""The parity check must pass for a virtual run played as if it were live, and fail for a run that was tampered with."""

from __future__ import annotations

from dataclasses import replace

from edgebed.runs.parity import closed_loop_rows, measured_overhead, prediction_range, replay_rows
from edgebed.runs.virtual import simulate_in_memory
from emulation.files import load_scenario
from emulation.recording import Run


def _slower(run: Run, seconds: float) -> Run:
    return replace(run, requests=tuple(replace(r, ended_s=r.ended_s + seconds) for r in run.requests))


def test_a_virtual_run_agrees_with_itself_by_both_definitions() -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, "AL", 1)
    assert all(row.ok for row in replay_rows(run, scenario))
    rows = closed_loop_rows(run, scenario, count=3)
    assert {row.model for row in rows} == set(run.header.models)
    assert all(row.virtual_mean_s == row.live_mean_s for row in rows)


def test_a_run_that_took_longer_than_its_decisions_explain_fails() -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, "AL", 1)
    assert not any(row.ok for row in replay_rows(_slower(run, 3.0), scenario))
    assert not any(row.ok for row in closed_loop_rows(_slower(run, 30.0), scenario, count=3))


def test_overhead_is_read_from_stage_timestamps() -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, "MA", 1)
    late = replace(
        run, decisions=tuple(replace(d, landed_s=(d.landed_s or 0.0) + 0.5) for d in run.decisions)
    )
    assert set(measured_overhead(run).send.delay_s) == {0.0}
    assert {round(v, 9) for v in measured_overhead(late).decide["scheduler"].delay_s} == {0.5}


def test_the_prediction_range_widens_for_few_values() -> None:
    low, high = prediction_range([1.0, 2.0, 3.0])
    assert low is not None
    assert high is not None
    assert low < 1.0 < 3.0 < high
    assert prediction_range([1.0]) == (None, None)
