"""What makes two runs of one experiment."""

from __future__ import annotations

import pytest

from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.identity import identity_of
from emulation.domain.cluster import TestbedConfig
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from tests.build.small import small_scenario

TESTBEDS = {
    "bristol-A": "fba644a3b2b6d1c3",
    "demo": "0f007d361ff948ba",
    "e3-basic": "7ea4b046d172987a",
    "gpt2-cpu": "a279e83b74c20672",
    "w-star": "2ac0ba775f37644c",
}
"""Scenario to the digest of its testbed, taken before a testbed could state watts and prices."""


@pytest.mark.parametrize("name", sorted(TESTBEDS))
def test_digests_of_testbeds_are_those_of_before_watts_were_known(name: str) -> None:
    assert identity_of(load_scenario(name)).testbed.startswith(TESTBEDS[name])


def other_watts(scenario: Scenario) -> Scenario:
    """The same scenario on a testbed that states other watts and prices."""
    plain = scenario.testbed.model_dump()
    stated = {"tier": "estimate", "source": "test"}
    plain["power"] = [{"mode": mode, "watts": 100, **stated} for mode in ("idle", "cpu", "gpu")]
    plain["prices"] = {"currency": "EUR", "nodes": [{"per_hour": 1, **stated}]}
    return scenario.model_copy(update={"testbed": TestbedConfig.model_validate(plain)})


@pytest.mark.slow
def test_watts_and_prices_change_no_record() -> None:
    scenario = small_scenario()
    assert identity_of(other_watts(scenario)) == identity_of(scenario)
    assert simulate_in_memory(other_watts(scenario), "MA", 0) == simulate_in_memory(scenario, "MA", 0)
