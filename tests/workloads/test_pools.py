"""Random pools: same seed, same pool; the load its truth can carry; events that leave a healthy device."""

from __future__ import annotations

import pytest

from emulation.domain.events import Slowdown
from emulation.domain.scenario import PeriodicSource
from workloads.pools import PLANS, capacity_per_s, measured, peak_load, random_pool, true_rates

OWN = (1416.993311, 330.726636, 7480.829418, 9967.749205)


@pytest.mark.parametrize("plan", PLANS)
def test_same_seed_gives_the_same_pool(plan: str) -> None:
    assert random_pool(5, 16, plan=plan) == random_pool(5, 16, plan=plan)  # type: ignore[arg-type]
    assert random_pool(5, 16, plan=plan) != random_pool(6, 16, plan=plan)  # type: ignore[arg-type]


def test_plans_differ_in_events_only() -> None:
    plain = random_pool(5)
    for plan in PLANS:
        other = random_pool(5, plan=plan)
        assert (other.testbed, other.workload, other.slot_s) == (plain.testbed, plain.workload, plain.slot_s)


@pytest.mark.parametrize("devices", [4, 16, 64])
@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_the_busiest_type_has_the_load_that_was_asked_for(devices: int, load: float) -> None:
    for seed in range(5):
        scenario = random_pool(seed, devices, load=load)
        assert peak_load(scenario, seed) == pytest.approx(load)
        source = scenario.workload[0]
        assert isinstance(source, PeriodicSource)
        assert source.count >= 40 * devices
        assert 1 / source.interval_s == pytest.approx(load * capacity_per_s(true_rates(scenario, seed)))


def test_every_task_arrives_within_the_horizon() -> None:
    for seed in range(5):
        scenario = random_pool(seed, 4, plan="semantic")
        source = scenario.workload[0]
        assert isinstance(source, PeriodicSource)
        assert (source.count - 1) * source.interval_s < scenario.horizon_s
        assert all(e.until_s <= scenario.horizon_s for e in scenario.events)


@pytest.mark.parametrize("devices", [4, 16])
def test_a_healthy_device_of_each_type_is_always_there(devices: int) -> None:
    for plan in PLANS:
        for seed in range(10):
            scenario = random_pool(seed, devices, plan=plan)
            for model in ("llm", "sdxl"):
                hosts = set(scenario.testbed.hosts(model))
                for event in scenario.events:
                    hit = {e.node for e in scenario.events if e.at_s <= event.at_s < e.until_s}  # type: ignore[union-attr]
                    assert hosts - hit


@pytest.mark.parametrize("devices", [4, 16])
def test_semantic_windows_leave_devices_that_can_carry_the_load(devices: int) -> None:
    for seed in range(20):
        scenario = random_pool(seed, devices, plan="semantic")
        assert all(isinstance(e, Slowdown) and e.visible == "onset" for e in scenario.events)
        assert scenario.events
        assert peak_load(scenario, seed, avoiding=True) <= 0.95 + 1e-9


def test_devices_come_from_measured_results_other_than_the_papers_four() -> None:
    sources = {d.source for d in measured()}
    assert not any(str(value) in source for source in sources for value in OWN)
    assert len(measured(others_only=False)) == len(measured()) + len(OWN)
    for entry in random_pool(1, 64).testbed.profile:
        assert entry.source in sources


@pytest.mark.parametrize(("devices", "load"), [(3, 0.6), (2, 0.6), (66, 0.6), (4, 0.0)])
def test_what_makes_no_pool_is_refused(devices: int, load: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        random_pool(0, devices, load=load)
