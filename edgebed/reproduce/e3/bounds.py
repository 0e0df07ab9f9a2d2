"""Settings that show by measurement what limits a figure."""

from __future__ import annotations

from emulation.domain.cluster import ProfileEntry, TestbedConfig
from emulation.domain.scenario import Scenario
from workloads.mismatch import world_truth
from workloads.pools import random_pool


def known_laws(seed: int, devices: int = 4, cv: float = 0.1) -> Scenario:
    """The random pool of this seed with its true laws as the profile: nothing is left to learn but the noise.

    Prior-only SECT then shows what the noise of single jobs, and knowing only one's own dispatches, cost against an
    Oracle that knows the noise of every job.
    """
    return with_true_profile(random_pool(seed, devices, 0.5, cv, 0.6), seed)


def with_true_profile(scenario: Scenario, seed: int) -> Scenario:
    """The very world of this scenario and seed, its hidden laws as the profile, an entry per node, model and mode."""
    testbed, truth = scenario.testbed, world_truth(scenario, seed)
    profile = []
    for node in testbed.nodes:
        for model in testbed.hosted(node.id):
            for mode in testbed.modes(node.id, model):
                ratios = truth.ratios(node.id, model, mode)
                theta = tuple(
                    c * node.speed * r
                    for c, r in zip(testbed.theta(node.id, model, mode) or (), ratios, strict=False)
                )
                entry = {"model": model, "mode": mode, "node": node.id, "theta": theta, "source": "the truth"}
                profile.append(ProfileEntry.model_validate(entry))
    known = TestbedConfig.model_validate(testbed.model_copy(update={"profile": tuple(profile)}).model_dump())
    return scenario.model_copy(update={"testbed": known, "mismatch_sigma": 0.0})
