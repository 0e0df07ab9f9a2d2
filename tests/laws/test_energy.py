"""Energy of a run: nothing is lost or made up, whatever happens in it."""

from __future__ import annotations

from collections import deque
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from edgebed.runs import virtual
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.cluster import TestbedConfig
from emulation.domain.power import PowerEntry, PowerMode
from emulation.domain.records import ExecutorRecord
from emulation.domain.scenario import Scenario
from emulation.engine.run import Simulation
from emulation.metrics.energy import Energy, energy_of, work_span
from emulation.metrics.occupancy import pauses_of, stood_still
from emulation.metrics.placed import Placed
from emulation.metrics.view import last_s, node_of
from emulation.recording import MemorySink, Run
from emulation.rng import stream
from tests.build.random_scenarios import devices, scenarios
from tests.emulation.engine.test_determinism import eventful

WATTS: dict[PowerMode, float] = {"idle": 30.0, "cpu": 90.0, "gpu": 200.0}
MOST_STEPS = 4000
"""In which the power of a run is looked at: where all wait for a node that is slow, a run of a minute lasts hours."""


def with_watts(testbed: TestbedConfig, **watts: float) -> TestbedConfig:
    """The testbed with these watts on every node."""
    given_watts = {**WATTS, **watts}
    power = tuple(PowerEntry(mode=m, watts=w, tier="estimate", source="test") for m, w in given_watts.items())
    return testbed.model_copy(update={"power": power})


def measured(run: Run, testbed: TestbedConfig, **watts: float) -> Energy:
    """Its energy."""
    found = energy_of(run, with_watts(testbed, **watts))
    assert found is not None
    assert not found.missing
    return found


def by_sampling(run: Run, testbed: TestbedConfig, step_s: float) -> float:
    """Energy above idle, J, from the power somewhere in every step: another way to the same integral.

    Not at the middle: what begins at regular times and is shorter than a step would be met each time, or never.
    """
    total, pauses = 0.0, pauses_of(run)
    still = [stood_still(r, pauses) for r in run.requests]
    spans = [
        (r, span, own)
        for r, own in zip(run.requests, still, strict=True)
        if (span := work_span(r, own)) is not None
    ]
    # An executor is in the mode of the last that began.
    coming, changes = deque(sorted(spans, key=lambda one: one[1][0])), deque(run.executors)
    under_way: list[Any] = []
    placed = {node.id: Placed(testbed, node.id) for node in testbed.nodes}
    steps = int(last_s(run) / step_s) + 1
    for t_s in (np.arange(steps) + stream(0, "sampled power").random(steps)) * step_s:
        while changes and changes[0].t_s <= t_s:
            change = changes.popleft()
            placed[node_of(change.executor)].change(change)
        while coming and coming[0][1][0] <= t_s:
            under_way.append(coming.popleft())
        under_way = [one for one in under_way if t_s < one[1][1]]
        for node in testbed.nodes:
            busy = {
                str(r.executor): str(r.mode)
                for r, _, own in under_way
                if node_of(str(r.executor)) == node.id
                if not any(since_s <= t_s < until_s for since_s, until_s in own)
            }
            shares = placed[node.id].shares(busy)
            total += sum(shares[e] * (WATTS[busy[e]] - WATTS["idle"]) for e in busy) * step_s  # type: ignore[index]
    return total


@pytest.mark.slow
@given(scenarios())
@settings(deadline=None, max_examples=20)
def test_energy_is_conserved_and_never_negative(drawn: tuple[Scenario, str]) -> None:
    scenario, scheme = drawn
    run = simulate_in_memory(scenario, scheme, 1)
    found = measured(run, scenario.testbed)
    assert found.total_j == pytest.approx(sum(found.requests_j) + found.idle_j)
    assert min(found.requests_j, default=0.0) >= -1e-9
    for node in found.nodes.values():
        assert 0.0 <= node.present_s <= last_s(run) + 1e-9
        assert node.idle_j == pytest.approx(WATTS["idle"] * node.present_s)
    gpus = {n.id: len(n.gpus) for n in scenario.testbed.nodes}
    for name, node in found.nodes.items():  # nothing draws more than the node at full load for all the time
        assert node.cpu_j <= (WATTS["cpu"] - WATTS["idle"]) * last_s(run) + 1e-6
        assert node.gpu_j <= (WATTS["gpu"] - WATTS["idle"]) * gpus[name] * last_s(run) + 1e-6


@given(scenarios())
@settings(deadline=None, max_examples=8)
def test_half_the_watts_are_half_the_energy(drawn: tuple[Scenario, str]) -> None:
    scenario, scheme = drawn
    run = simulate_in_memory(scenario, scheme, 1)
    whole = measured(run, scenario.testbed)
    half = measured(run, scenario.testbed, **{mode: watts / 2 for mode, watts in WATTS.items()})
    assert half.total_j == pytest.approx(whole.total_j / 2)
    assert half.requests_j == pytest.approx([j / 2 for j in whole.requests_j])


@pytest.mark.slow
@given(scenarios())
@settings(deadline=None, max_examples=8)
def test_the_integral_agrees_with_sampled_power(drawn: tuple[Scenario, str]) -> None:
    scenario, scheme = drawn
    run = simulate_in_memory(scenario, scheme, 1)
    found = measured(run, scenario.testbed).dynamic_j
    step_s = max(0.25, last_s(run) / MOST_STEPS)
    about_j = (
        WATTS["gpu"] * step_s * 4 * sqrt(len(run.requests) + 1)
    )  # begins and ends fall anywhere in a step
    assert by_sampling(run, scenario.testbed, step_s) == pytest.approx(found, rel=0.03, abs=about_j)


def test_a_request_is_charged_for_the_time_in_which_it_was_at_work() -> None:
    """On a device nobody else has a part of what it draws; `turn_s` is its service less what it stood still."""
    pauses = [
        {"at_s": 5, "until_s": 12},
        {"at_s": 10, "until_s": 20, "model": "b"},
        {"at_s": 40, "until_s": 45},
    ]
    world = Scenario.model_validate({
        "name": "paused", "testbed": devices(slow_link=False), "slot_s": 5, "slots": 12, "epoch_slots": 4,
        "workload": [{"kind": "poisson", "rate_per_s": 1.0, "mix": {"a": 1.0, "b": 1.0}}],
        "events": [{"kind": "pause", "node": "d0", **own} for own in pauses],
    })  # fmt: skip
    run = simulate_in_memory(world, "round-robin", 1)
    found = measured(run, world.testbed)
    own = [
        (r.service_s - r.turn_s, j, 170.0 * r.turn_s)
        for r, j in zip(run.requests, found.requests_j, strict=True)
        if r.executor == "d0" and r.service_s is not None and r.turn_s is not None
    ]
    assert max(stood_s for stood_s, _, _ in own) > 5.0
    assert [j for _, j, _ in own] == pytest.approx([j for _, _, j in own])


@pytest.mark.parametrize("scheme", ["AL", "MA", "RR"])
def test_the_gpu_of_an_executor_follows_from_the_record(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record does not say on which GPU of several an executor is: what is concluded must be where it is."""
    scenario = eventful()
    made: list[Simulation] = []

    def watched(*given: Any, **named: Any) -> Simulation:
        made.append(Simulation(*given, **named))
        return made[-1]

    monkeypatch.setattr(virtual, "Simulation", watched)
    sink, compared = MemorySink(), 0

    def compare(_: object) -> None:
        nonlocal compared
        for node in scenario.testbed.nodes:
            placed = Placed(scenario.testbed, node.id)
            for record in sink.records:
                if isinstance(record, ExecutorRecord) and node_of(record.executor) == node.id:
                    placed.change(record)
            holding = {e.spec.id: e for e in made[0].nodes[node.id]._executors if e.holds}
            assert placed.mode == {name: e.mode for name, e in holding.items()}
            assert placed.gpu == {name: e.gpu for name, e in holding.items() if e.gpu is not None}
            compared += len(placed.gpu)

    virtual.simulate(scenario, scheme, 0, sink, on_slot=compare)
    assert compared > 20
