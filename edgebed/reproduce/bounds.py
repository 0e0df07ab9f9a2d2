"""Settings that show by measurement what limits a figure."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.scenario import Scenario
from workloads.mismatch import world_truth
from workloads.pools import random_pool


def known_laws(seed: int, devices: int = 4, cv: float = 0.1) -> Scenario:
    """The random pool of this seed with its true laws as the profile: nothing is left to learn but the noise.

    Prior-only SECT then shows what the noise of single jobs, and knowing only one's own dispatches, cost against an
    Oracle that knows the noise of every job.
    """
    scenario = random_pool(seed, devices, 0.5, cv, 0.6)
    truth = world_truth(scenario, seed)
    profile = []
    for entry in scenario.testbed.profile:
        ratios = truth.ratios(str(entry.node), entry.model, entry.mode)
        theta = tuple(c * r for c, r in zip(entry.theta, ratios, strict=False))
        profile.append(entry.model_copy(update={"theta": theta}))
    testbed = TestbedConfig.model_validate(
        scenario.testbed.model_copy(update={"profile": tuple(profile)}).model_dump()
    )
    return scenario.model_copy(update={"testbed": testbed, "mismatch_sigma": 0.0})
