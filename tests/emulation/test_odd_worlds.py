"""Worlds that are allowed, and look odd: each runs, or is refused with one sentence."""

from __future__ import annotations

from math import inf

import pytest
from pydantic import ValidationError

from controller.schemes import SCHEMES
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.cluster import NodeSpec, TestbedConfig
from emulation.domain.sharing import GpuSpec
from tests.build.fakes import device_testbed, scenario
from workloads.pools import random_pool

ON_DEVICES = [n for n, s in SCHEMES.items() if s.deployer in (None, "static") and s.planner is None]


def with_an_idle_device(models: tuple[str, ...] | None) -> TestbedConfig:
    """A device `far` of which requests may come, beside two that serve them."""
    bed = device_testbed(nodes=2)
    far = NodeSpec(id="far", hosting="device", models=models, ram_gb=8.0, gpus=(GpuSpec(),))
    return TestbedConfig.model_validate({**dict(bed), "nodes": (far, *bed.nodes)})


@pytest.mark.parametrize("scheme", ON_DEVICES)
def test_a_device_that_hosts_nothing_serves_nothing(scheme: str) -> None:
    bed = with_an_idle_device(())
    assert [e.id for e in bed.executors()] == ["d0", "d1"]
    leaves = {"kind": "leave", "node": "far", "at_s": 10.0, "until_s": 20.0}
    run = simulate_in_memory(scenario(bed, horizon_s=40.0, events=(leaves,)), scheme, 0)
    assert {r.outcome for r in run.requests} == {"done"}
    assert any(r.origin == "far" for r in run.requests)
    assert {r.executor for r in run.requests} <= {"d0", "d1"}


def test_a_factor_without_a_coefficient_is_refused() -> None:
    drift = {"kind": "drift", "node": "d0", "at_s": 1.0, "until_s": 5.0, "factors": (2.0, 3.0)}
    with pytest.raises(
        ValidationError, match=r"events\[0\]\.factors: 2 factors for a law of one"
    ):
        scenario(device_testbed(), events=(drift,))
    scenario(device_testbed(), events=({**drift, "factors": (2.0,)},))
    pool = random_pool(0)
    llm = next(n.id for n in pool.testbed.nodes if "llm" in pool.testbed.hosted(n.id))
    sdxl = next(n.id for n in pool.testbed.nodes if "sdxl" in pool.testbed.hosted(n.id))
    for node, fits in ((llm, True), (sdxl, False)):
        raw = {**dict(pool), "events": [{**drift, "node": node, "until_s": inf}]}
        if fits:
            assert type(pool).model_validate(raw).events[0].until_s == inf
        else:
            with pytest.raises(ValidationError, match="one coefficient"):
                type(pool).model_validate(raw)
