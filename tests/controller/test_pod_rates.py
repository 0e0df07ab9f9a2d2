"""What the pods of one plan can serve is what the table of many plans says of it, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from controller.belief import ServiceBelief
from controller.capacity import role_table
from controller.deployers.patterns import Pattern
from controller.pod_rates import PodRates
from emulation.domain.feasibility import feasible_configs
from emulation.domain.snapshot import Window, WorkStats
from emulation.files import load_scenario
from emulation.rng import stream


@pytest.mark.parametrize("name", ["bristol-A", "w-star", "demo", "gpt2-cpu"])
@pytest.mark.parametrize("seed", range(4))
def test_one_plan_has_the_rates_that_the_table_of_many_gives_it(name: str, seed: int) -> None:
    testbed, rng = load_scenario(name).testbed, stream(seed, "test")
    belief = ServiceBelief(testbed)
    laws, believed = belief.profile, testbed
    if seed % 2:  # finished work has corrected the profile
        work = {law: WorkStats(9, (7.0,) * len(x), float(rng.uniform(1, 99))) for law, x in laws.items()}
        assert belief.learn(Window(0.0, {}, work))
        laws, believed = belief.laws(), belief.testbed()
    roles: dict[str, Pattern] = {}
    for node in testbed.nodes:
        patterns = feasible_configs(testbed, node.id)
        roles[node.id] = patterns[int(rng.integers(len(patterns)))]
    demand = rng.uniform(0.0, 2.0, size=len(testbed.models))
    pods = PodRates(testbed, roles)
    pods.learn(laws)
    found = pods.seconds_per_prompt(demand.tolist())
    table = role_table(believed, [[roles[n.id]] for n in testbed.nodes])
    capacity = table.capacity(table.first[None, :], demand)[0]
    expected = {
        (node.id, model.id): 1.0 / float(capacity[n, m])
        for n, node in enumerate(testbed.nodes)
        for m, model in enumerate(testbed.models)
        if capacity[n, m] > 0
    }
    assert found == expected
    assert found or not np.any(capacity)
