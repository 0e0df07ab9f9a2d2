"""Events that never end, end long after everything, or begin when all is over: the run ends, and says what happened."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import pytest

from controller.schemes import SCHEMES
from edgebed.runs.layout import Layout
from edgebed.runs.virtual import simulate as run_scheme
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.events import Leave, ReplicaCrash, Slowdown
from emulation.domain.quantities import MOST_S
from emulation.domain.scenario import PATIENCE_HORIZONS, Scenario
from emulation.domain.truth import RequestTruth
from emulation.files import load_scenario
from emulation.metrics.evidence import fault_ledger
from emulation.recording import MemorySink, Run
from tests.build.fakes import device_testbed, pod_testbed, request, scenario, simulate

KINDS: dict[str, dict[str, Any]] = {
    "slowdown": {"node": "d0", "factor": 1e4},
    "drift": {"node": "d0", "factors": [1e4]},
    "ramp": {"node": "d0", "factor": 1e4, "ramp_s": 5.0},
    "pause": {"node": "d0"},
    "error": {"node": "d0"},
    "leave": {"node": "d0"},
    "llm_outage": {},
}


def played(deadline_s: float | None, **event: Any) -> Run:
    """Thirty requests, one a second, for one device that something happens to after ten of them."""
    world = scenario(
        device_testbed(0.5), horizon_s=30.0, deadline_s=deadline_s, events=({"at_s": 10.0, **event},)
    )
    due_s = inf if deadline_s is None else deadline_s
    arrivals = [(request(i, float(i), deadline_s=i + due_s), RequestTruth()) for i in range(30)]
    return simulate(world, arrivals)


@pytest.mark.parametrize("until_s", [inf, MOST_S])
@pytest.mark.parametrize("deadline_s", [None, 20.0])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_flight", ["requeue", "fail", "resume"])
def test_a_run_ends_although_its_event_does_not(
    kind: str, deadline_s: float | None, until_s: float, in_flight: str
) -> None:
    policy = {"in_flight": in_flight} if kind == "leave" else {}
    run = played(deadline_s, kind=kind, until_s=until_s, **KINDS[kind], **policy)
    assert run.footer is not None
    assert run.footer.t_s <= 30.0 * (2 + PATIENCE_HORIZONS)
    assert len(run.requests) == 30
    assert [e.phase for e in run.events if e.phase != "step"] == ["onset"]
    (row,) = fault_ledger(run, [scenario(device_testbed(), events=(_plain(run),)).events[0]])
    assert row.landed is not False
    assert row.recovered is None
    if deadline_s is None and kind in ("pause", "leave") and in_flight != "fail":
        assert sum(r.outcome == "unfinished" for r in run.requests) == 20
        assert run.footer.t_s <= 3 * 30.0, "nobody waits longer where nothing can change"


def _plain(run: Run) -> dict[str, Any]:
    return dict(next(e.detail["spec"] for e in run.events if e.phase == "onset"))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [n for n, s in SCHEMES.items() if s.deployer in ("lyapunov", "random")])
def test_pods_that_stand_still_for_ever_end_the_run_too(scheme: str) -> None:
    world = scenario(
        pod_testbed(),
        horizon_s=60.0,
        workload=({"kind": "slotted", "k_min": 1, "k_max": 8},),
        events=({"kind": "pause", "node": "n", "at_s": 20.0, "until_s": inf},),
    )
    sink = MemorySink()
    footer = run_scheme(world, scheme, 0, sink)
    assert sum(footer.in_system.values()) > 0
    assert footer.t_s < 4 * 60.0


def test_an_event_behind_the_end_never_began_and_is_warned_of() -> None:
    late = Slowdown(node="d0", factor=3.0, at_s=500.0, until_s=900.0)
    world = scenario(device_testbed(), horizon_s=30.0, events=(late,))
    run = simulate(world, [(request(0, 1.0), RequestTruth())])
    assert run.footer is not None
    assert run.footer.t_s < 100.0
    (row,) = fault_ledger(run, world.events)
    assert (row.landed, row.recovered, row.note) == (None, None, "never began: the run ended before it")
    (said,) = world.doubts()
    assert "events[0] (slowdown of d0) begins at 500 s" in said


def test_an_event_behind_the_last_arrival_still_meets_who_is_there() -> None:
    late = Slowdown(node="d0", factor=3.0, at_s=40.0, until_s=70.0)
    world = scenario(device_testbed(20.0), horizon_s=30.0, events=(late,))
    run = simulate(world, [(request(0, 29.0), RequestTruth())])
    (row,) = fault_ledger(run, world.events)
    assert (row.landed, row.recovered) == (True, True)
    assert run.requests[0].ended_s == pytest.approx(29 + 11 + 27)


@pytest.mark.parametrize("onset_s", [30.0, 39.5, 40.0, 49.999, 50.0, 50.001, 66.0])
def test_an_event_begins_behind_the_last_arrival_if_another_keeps_the_run_going(onset_s: float) -> None:
    """The end of the first event, at 50 s, is waited for, and so is that of the next one, which has begun by then."""
    slow = Slowdown(node="d0", factor=3.0, at_s=20.0, until_s=50.0)
    later = Slowdown(node="d1", factor=2.0, at_s=49.0, until_s=65.0)
    late = Leave(node="d1", at_s=onset_s, until_s=onset_s + 2.0)
    world = scenario(device_testbed(nodes=2), horizon_s=30.0, deadline_s=5.0, events=(slow, later, late))
    run = simulate(world, [(request(0, 1.0, deadline_s=6.0), RequestTruth())])
    assert run.footer is not None
    rows = fault_ledger(run, world.events)
    assert [r.landed is False or r.recovered is False for r in rows] == [False] * 3
    begun = {e.event for e in run.events if e.phase == "onset"}
    assert begun == ({0, 1, 2} if onset_s <= 65.0 else {0, 1})
    assert all(r.note.startswith("never began") == (r.event not in begun) for r in rows)


@pytest.mark.parametrize("onset_s", [30.0, 31.0, 34.999, 36.0])
def test_an_event_begins_behind_the_last_arrival_if_the_run_ends_after_it_for_any_reason(
    onset_s: float,
) -> None:
    """A pod that is to start again in thirty years keeps the run going until everybody has given up, at 35 s."""
    crash = ReplicaCrash(node="n", model=pod_testbed().models[0].id, at_s=20.0, until_s=MOST_S)
    late = Leave(node="n", at_s=onset_s, until_s=onset_s + 0.001)
    world = scenario(pod_testbed(), horizon_s=30.0, deadline_s=5.0, events=(crash, late))
    sink = MemorySink()
    footer = run_scheme(world, "sect", 0, sink)
    begun = {e.event for e in sink.run().events if e.phase == "onset"}
    assert (1 in begun) == (onset_s < footer.t_s)
    row = fault_ledger(sink.run(), world.events)[1]
    assert row.landed is not False
    assert row.note.startswith("never began") == (1 not in begun)


def test_an_event_that_began_behind_the_last_arrival_is_seen_to_end_although_everybody_has_given_up() -> None:
    crash = ReplicaCrash(node="n", model=pod_testbed().models[0].id, at_s=20.0, until_s=MOST_S)
    late = Leave(node="n", at_s=30.0, until_s=37.0)
    world = scenario(pod_testbed(), horizon_s=30.0, deadline_s=5.0, events=(crash, late))
    assert world.give_up_s == 35.0
    sink = MemorySink()
    run_scheme(world, "sect", 0, sink)
    assert [(e.phase, e.t_s) for e in sink.run().events if e.event == 1] == [("onset", 30.0), ("undo", 37.0)]
    assert fault_ledger(sink.run(), world.events)[1].recovered


def test_a_scenario_with_an_event_without_end_is_kept_beside_its_runs(tmp_path: Path) -> None:
    demo = load_scenario("demo")
    leaves = {"kind": "leave", "node": "thinkedge", "at_s": 100.0, "until_s": inf}
    world = Scenario.model_validate({**dict(demo), "events": [leaves]})
    Layout(tmp_path).save_scenario(world)
    assert Layout(tmp_path).scenario() == world


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["RL", "AL", "MA"])
def test_what_the_engine_did_to_the_demo_is_no_matter_of_chance(scheme: str) -> None:
    demo = load_scenario("demo")
    rows = fault_ledger(simulate_in_memory(demo, scheme, 0), demo.events)
    assert [(r.type, r.landed, r.recovered) for r in rows] == [
        ("slowdown", True, True),
        ("leave", True, True),
    ]
    assert rows[0].effect == pytest.approx(2.5)
