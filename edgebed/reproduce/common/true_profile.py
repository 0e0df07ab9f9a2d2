"""A scenario that knows its own hidden laws: what is left when nothing has to be learned."""

from __future__ import annotations

from emulation.domain.cluster import ProfileEntry, TestbedConfig
from emulation.domain.scenario import Scenario
from workloads.mismatch import world_truth


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
