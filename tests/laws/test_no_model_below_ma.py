"""What `fused` may refuse: no model has less of success or goodput than under MA on the same requests, seed by seed."""

from __future__ import annotations

from math import sqrt
from statistics import mean, stdev

import pytest

from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario

SEEDS = range(3)
DOUBT = 2.0
"""Standard errors of the mean of the pairs by which a model may lie below: less than that is chance."""


def shares(scenario: Scenario, scheme: str, seed: int) -> dict[tuple[str, str], float]:
    """(model, figure) to the share of its requests, or of their prompts, that were served in time."""
    run = simulate_in_memory(scenario, scheme, seed)
    found: dict[tuple[str, str], float] = {}
    for model in run.header.models:
        rows = [r for r in run.requests if r.counted and r.model == model]
        done = [r for r in rows if r.outcome == "done"]
        found[model, "success"] = len(done) / len(rows)
        found[model, "goodput"] = sum(r.prompts for r in done) / sum(r.prompts for r in rows)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bristol-A", "w-star"])
def test_no_model_has_less_by_fused_than_by_ma_on_the_same_requests(name: str) -> None:
    scenario = load_scenario(name)
    pairs = [(shares(scenario, "fused", seed), shares(scenario, "MA", seed)) for seed in SEEDS]
    below = {}
    for figure in pairs[0][0]:
        gaps = [ours[figure] - least[figure] for ours, least in pairs]
        if mean(gaps) < -DOUBT * stdev(gaps) / sqrt(len(gaps)):
            below[figure] = f"{mean(gaps):+.3f} with a spread of {stdev(gaps):.3f}"
    assert below == {}
