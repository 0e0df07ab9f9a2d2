"""Laws that hold for every event plan, workload, testbed and scheme."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebed.runs.virtual import simulate
from emulation.domain.scenario import Scenario
from emulation.faults import timeline
from emulation.metrics.conservation import conservation
from emulation.metrics.evidence import fault_ledger
from emulation.recording import MemorySink, Run
from tests.build.random_scenarios import scenarios
from workloads.generate import generate

_quiet = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@settings(_quiet, max_examples=60)
@given(scenarios(), st.integers(0, 99))
def test_the_laws_hold_whatever_happens(world: tuple[Scenario, str], seed: int) -> None:
    scenario, scheme = world
    sink = MemorySink()
    simulate(scenario, scheme, seed, sink)
    run = sink.run()
    _every_request_ends_once(scenario, seed, run)
    _the_clock_never_goes_back(sink)
    _every_event_that_begins_is_undone(scenario, run)
    _times_of_a_request_are_in_order(scenario, run)


def _every_request_ends_once(scenario: Scenario, seed: int, run: Run) -> None:
    law = conservation(run)
    assert law.ok, law.problems
    asked = {request.id: request for request, _ in generate(scenario, seed).items}
    ended = Counter(r.request_id for r in run.requests)
    assert set(ended) <= set(asked)
    assert set(ended.values()) <= {1}
    counted = {i for i, request in asked.items() if request.arrival_s < scenario.horizon_s}
    assert {r.request_id for r in run.requests if r.counted} == counted, (
        "done, lost or unfinished: all are named"
    )
    assert len(run.requests) == law.arrived
    if scenario.deadline_s is not None:
        assert not [r for r in run.requests if r.counted and r.outcome == "unfinished"], "a deadline ends it"
        assert law.in_system == law.arrived - law.ended
        assert all(r.ended_s <= asked[r.request_id].deadline_s + 1e-9 for r in run.requests)


def _the_clock_never_goes_back(sink: MemorySink) -> None:
    times = [r.t_s for r in sink.records[1:]]  # type: ignore[union-attr]
    assert times == sorted(times)


def _every_event_that_begins_is_undone(scenario: Scenario, run: Run) -> None:
    begun = {e.event for e in run.events}
    assert begun >= {i for i, e in enumerate(scenario.events) if e.at_s < scenario.end_s}
    steps = timeline(scenario.events, scenario.testbed)
    # Nobody waits for the end of an event when everybody has given up long before.
    waited_for = [
        s for s in steps if s.event in begun and (s.phase == "onset" or s.at_s <= scenario.latest_s)
    ]
    played = Counter((e.event, e.phase, e.t_s) for e in run.events)
    assert played == Counter((s.event, s.phase, s.at_s) for s in waited_for)
    assert all(played[s.event, s.phase, s.at_s] == 1 for s in waited_for if s.phase in ("onset", "undo"))
    rows = fault_ledger(run, scenario.events, {n.id: n.site for n in scenario.testbed.nodes})
    assert not [r for r in rows if r.landed is False or r.recovered is False], (
        "the engine did what was planned"
    )
    assert all(r.note.startswith("never began") == (r.event not in begun) for r in rows)


def _times_of_a_request_are_in_order(scenario: Scenario, run: Run) -> None:
    for r in run.requests:
        known = [r.intended_s, r.dispatched_s, r.enqueued_s, r.ended_s]
        times = [t for t in known if t is not None]
        assert times == sorted(times), r
        if r.outcome == "done":
            assert r.started_s is not None
            assert r.service_s is not None
            assert r.enqueued_s is not None
            assert 0 < r.service_s <= r.ended_s - r.intended_s + 1e-9
            assert r.executor is not None
