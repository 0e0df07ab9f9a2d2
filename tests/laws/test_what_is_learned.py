"""Controllers learn what an executor did, never what a request went through before it came there."""

from __future__ import annotations

from math import inf

import pytest

from controller.meta.controller import MetaController
from controller.perf import PERF_MODELS
from controller.schemes import SCHEMES
from edgebed.runs.virtual import simulate as run_scheme
from edgebed.wiring.controllers import build_controllers
from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Leave, Pause, Slowdown
from emulation.domain.ports import PerfKey
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from emulation.metrics.calibration import calibration
from emulation.recording import MemorySink
from tests.build.fakes import device_testbed, scenario, simulate
from tests.build.fast_path import build_fast_path

SLOW = 400.0
FAST = (Slowdown(node="d0", at_s=0.5, until_s=96.0, factor=SLOW, visible="never"),)
LEAVES = (*FAST, Leave(node="d0", at_s=95.0, until_s=500.0, in_flight="requeue"))
RESUMES = (*FAST, Leave(node="d0", at_s=95.0, until_s=98.0, in_flight="resume"))
PAUSED = (Pause(node="d0", at_s=0.5, until_s=95.0, visible="never"),)
STORIES = {"requeue": LEAVES, "resume": RESUMES, "pause": PAUSED}
LEARNERS = [name for name, kind in PERF_MODELS.items() if kind.learns]
ON_DEVICES = [n for n, s in SCHEMES.items() if s.perf in LEARNERS and s.deployer in (None, "static")]


def bed() -> TestbedConfig:
    """d0 and d1 take 1 s, d2 takes 20 s; d0 comes first."""
    world = device_testbed(1.0, nodes=3)
    law = world.profile[0]
    return world.model_copy(
        update={"profile": (law, law.model_copy(update={"node": "d2", "theta": (20.0,)}))}
    )


def arrivals(later: int = 20) -> list[tuple[Request, RequestTruth]]:
    """One at 0, that it happens to; the others, one by one, when that is over."""
    times = [0.0, *(110.0 + 3.0 * i for i in range(later))]
    return [(Request(f"r{i:06d}", "m", "d0", t, inf), RequestTruth()) for i, t in enumerate(times)]


@pytest.mark.parametrize("perf", LEARNERS)
@pytest.mark.parametrize("story", STORIES)
def test_an_executor_is_not_taken_for_slow_by_what_happened_elsewhere_or_before(
    perf: str, story: str
) -> None:
    path = build_fast_path(bed(), "sect", perf=perf)
    world = scenario(bed(), horizon_s=400.0, events=STORIES[story])
    found = simulate(world, arrivals(), path)
    moved = next(r for r in found.requests if r.request_id == "r000000")
    assert moved.executor is not None
    assert moved.service_s is not None
    assert moved.service_s > 80.0, "it was in service that long, all in all"
    if story != "resume":
        assert moved.turn_s == pytest.approx(1.0)
    learned = path.perf.predict(PerfKey(moved.executor, "m", "gpu"), (1.0,))
    assert learned.mean_s == pytest.approx(1.0, rel=0.05)
    assert {r.executor for r in found.requests[1:]} <= {"d0", "d1"}


@pytest.mark.parametrize("scheme", ON_DEVICES)
@pytest.mark.parametrize("story", STORIES)
def test_no_scheme_sends_what_comes_later_to_a_slower_place(scheme: str, story: str) -> None:
    world = scenario(bed(), horizon_s=400.0, events=STORIES[story])
    sink = MemorySink()
    run_scheme(world, scheme, 0, sink, arrivals())
    later = [r for r in sink.run().requests if r.intended_s > 100.0]
    assert sum(r.executor == "d2" for r in later) <= 1, "a bonus for what nothing is known of may try it once"
    assert [r.outcome for r in later] == ["done"] * len(later)


def test_the_meta_controller_hears_the_executors_own_time() -> None:
    world = scenario(bed(), horizon_s=400.0, events=LEAVES)
    built = build_controllers(SCHEMES["e3"], world, 0)
    assert isinstance(built.fast_path, MetaController)
    simulate(world, arrivals(0), built.fast_path, built.plane())
    (one,) = [o for o in built.fast_path.steered.observations if o.service_s is not None]
    assert (one.service_s, one.x) == (pytest.approx(1.0), (1.0,))
    assert one.ratio == pytest.approx(1.0)


def test_what_was_predicted_is_held_against_requests_that_were_served_in_one_go() -> None:
    world = scenario(bed(), horizon_s=400.0, events=LEAVES)
    found = simulate(world, arrivals(), build_fast_path(bed(), "sect"))
    stated = calibration(found.requests)
    assert stated is not None
    assert (stated.n, stated.within_95) == (20, 1.0)
