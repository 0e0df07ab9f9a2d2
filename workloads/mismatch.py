"""How far the profile is from the truth: hidden constants of a run, drawn from its seed."""

from __future__ import annotations

import math

from emulation.domain.scenario import Scenario
from emulation.domain.truth import WorldTruth
from emulation.rng import stream


def world_truth(scenario: Scenario, seed: int) -> WorldTruth:
    """True over profiled ratio per (node, model, mode, coefficient): exp(sigma N(0, 1)), median 1.

    Each (node, model, mode) has a stream of its own, so adding a node leaves the others as they are.
    """
    sigma = scenario.mismatch_sigma
    if sigma == 0.0:
        return WorldTruth()
    testbed = scenario.testbed
    mismatch: dict[tuple[str, str, str], tuple[float, ...]] = {}
    for node in testbed.nodes:
        for model in testbed.hosted(node.id):
            for mode in testbed.modes(node.id, model):
                theta = testbed.theta(node.id, model, mode) or ()
                draws = stream(seed, f"mismatch/{node.id}/{model}/{mode}").standard_normal(len(theta))
                mismatch[node.id, model, mode] = tuple(math.exp(sigma * float(z)) for z in draws)
    return WorldTruth(mismatch)
