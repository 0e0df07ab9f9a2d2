"""A run says how far it is while it goes on, few as its slots may be."""

from __future__ import annotations

from edgebed.runs.virtual import simulate
from emulation.domain.scenario import PoissonSource
from emulation.engine.progress import TOLD_EVERY, SimulationProgress
from tests.build.fakes import device_testbed, scenario


def test_a_run_of_one_slot_and_very_many_requests_tells_how_far_it_is() -> None:
    source = PoissonSource(rate_per_s=5.0, mix={"m": 1.0})
    world = scenario(device_testbed(0.01), slots=1, slot_s=1000.0, workload=(source,))
    heard: list[SimulationProgress] = []
    simulate(world, "sect", 0, on_slot=heard.append)
    assert len(heard) >= 2 * 4500 / TOLD_EVERY
    assert [p.t_s for p in heard] == sorted(p.t_s for p in heard)
    assert heard[-1].arrived > 4500
