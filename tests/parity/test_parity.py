"""The parity check must pass for a virtual run played as if it were live, and fail for a run that was tampered with."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest

from edgebed.report.model import ParityReport
from edgebed.runs.overhead import measured_overhead
from edgebed.runs.parity import (
    RESOLUTION_S,
    closed_loop_row,
    closed_loop_rows,
    prediction_range,
    replay_rows,
)
from edgebed.runs.virtual import simulate_in_memory
from emulation.files import load_scenario
from emulation.recording import Run


def _slower(run: Run, seconds: float) -> Run:
    return replace(run, requests=tuple(replace(r, ended_s=r.ended_s + seconds) for r in run.requests))


@pytest.mark.slow
def test_a_virtual_run_agrees_with_itself_by_both_definitions() -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, "AL", 1)
    assert all(row.ok for row in replay_rows(run, scenario))
    rows = closed_loop_rows(run, scenario, count=3)
    assert {row.model for row in rows} == set(run.header.models)
    assert all(row.virtual_mean_s == row.live_mean_s for row in rows)


@pytest.mark.slow
def test_a_run_that_took_longer_than_its_decisions_explain_fails() -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, "AL", 1)
    assert not any(row.ok for row in replay_rows(_slower(run, 3.0), scenario))
    assert not any(row.ok for row in closed_loop_rows(_slower(run, 30.0), scenario, count=3))


@pytest.mark.slow
def test_overhead_is_read_from_stage_timestamps() -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, "MA", 1)
    late = replace(
        run, decisions=tuple(replace(d, landed_s=(d.landed_s or 0.0) + 0.5) for d in run.decisions)
    )
    assert set(chain(*measured_overhead(run).send.late_s)) == {0.0}
    assert {round(v, 9) for v in chain(*measured_overhead(late).decide["scheduler"].late_s)} == {0.5}


def test_how_late_who_looked_is_read_from_the_record_but_for_who_waited_for_the_planner() -> None:
    short = {"slots": 10, "controllers": {"search": {"shortlist": 0}}}
    run = simulate_in_memory(load_scenario("demo").model_copy(update=short), "MA", 1)
    boundary = ("epoch 1", "slot 8")
    late = tuple(replace(d, t_s=d.t_s + 0.5) if d.cause in boundary else d for d in run.decisions)
    looks = measured_overhead(replace(run, decisions=late)).decide
    assert [round(s, 9) for s in chain(*looks["look:planner"].late_s)] == [0.5]
    assert set(chain(*looks["look:scheduler"].late_s)) == {0.0}


def test_the_prediction_range_widens_for_few_values() -> None:
    low, high = prediction_range([1.0, 2.0, 3.0])
    assert low is not None
    assert high is not None
    assert low < 1.0 < 3.0 < high
    assert prediction_range([1.0]) == (None, None)


def test_a_live_mean_is_held_to_no_less_than_its_clocks_can_tell() -> None:
    alike = [2.5262 + 1e-5 * (n % 3) for n in range(20)]
    assert closed_loop_row("sect", "m", 2.5249, alike).verdict == "disagree"
    assert closed_loop_row("sect", "m", 2.5249, alike, RESOLUTION_S).verdict == "agree"
    assert closed_loop_row("sect", "m", 2.5162, alike, RESOLUTION_S).verdict == "disagree", "10 ms are known"
    low, high = prediction_range(alike, resolution_s=RESOLUTION_S)
    assert low is not None
    assert high is not None
    assert high - low == pytest.approx(2 * 2.093 * RESOLUTION_S, rel=0.01), "Student's t of 19"


@pytest.mark.slow
def test_of_a_live_run_played_ten_times_as_fast_ten_times_less_is_known() -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, "sect", 1)
    fast = replace(run, header=replace(run.header, speedup=10.0 * run.header.speedup))
    for slow_row, fast_row in zip(
        closed_loop_rows(run, scenario, count=2), closed_loop_rows(fast, scenario, count=2), strict=True
    ):
        assert None not in (slow_row.high, slow_row.low, fast_row.high, fast_row.low)
        slow, wide = (float(r.high or 0) - float(r.low or 0) for r in (slow_row, fast_row))
        assert wide == pytest.approx(10 * slow), "alike without jitter: all of it is resolution"
        assert slow > 0


@pytest.mark.parametrize(
    ("live_s", "virtual", "verdict"),
    [
        (10.0, (9.9, 10.0, 10.1, 10.0), "agree"),
        (12.0, (9.9, 10.0, 10.1, 10.0), "disagree"),
        (19.7, (3.0, 36.0, 10.0, 30.0, 20.0), "not distinguishable"),
        (14.0, (3.0, 36.0, 10.0, 30.0, 20.0), "not distinguishable"),
        (500.0, (3.0, 36.0, 10.0, 30.0, 20.0), "disagree"),
        (10.0, (10.0,), "not distinguishable"),
        (10.0, (), "disagree"),
        (None, (10.0, 10.1), "disagree"),
    ],
)
def test_a_range_in_which_nearly_anything_would_lie_tells_nothing(
    live_s: float | None, virtual: tuple[float, ...], verdict: str
) -> None:
    row = closed_loop_row("AL", "a", live_s, virtual)
    assert row.verdict == verdict
    if verdict == "agree":
        assert row.width is not None
        assert row.width <= 0.15


def test_the_head_line_counts_the_comparisons_with_power() -> None:
    agrees = closed_loop_row("AL", "a", 10.0, (9.9, 10.0, 10.1))
    blind = closed_loop_row("AL", "b", 14.1, (3.2, 36.1, 20.0))
    differs = closed_loop_row("AL", "c", 12.0, (9.9, 10.0, 10.1))
    assert blind.relative_difference == pytest.approx(0.402, abs=0.01)
    assert ParityReport((agrees, agrees, blind)).ok is True
    assert (
        "2 of 2 comparisons with power agree; 1 not distinguishable"
        in ParityReport((agrees, agrees, blind)).said
    )
    assert "1 of 2 comparisons with power agree" in ParityReport((agrees, differs)).said
    assert ParityReport((agrees, differs)).ok is False
    assert ParityReport((blind,)).ok is None


@pytest.mark.slow
def test_a_model_that_only_one_world_served_is_a_disagreement() -> None:
    scenario = load_scenario("demo")
    run = simulate_in_memory(scenario, "sect", 1)
    gone = replace(run, requests=tuple(r for r in run.requests if r.model != "sd"))
    rows = {row.model: row for row in closed_loop_rows(gone, scenario, count=3)}
    assert (rows["sd"].live_mean_s, rows["sd"].verdict) == (None, "disagree")
