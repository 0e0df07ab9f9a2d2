"""What `fused` may refuse: no model has less of success or goodput than under MA on the same requests, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

import pytest

from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from workloads.scaling import scaled

SEEDS = range(3)
TOLERANCE = 0.01
"""By which the mean of the pairs may lie below, however much they differ: a request in a hundred. Over
twelve seeds it was 0 or above for all (docs/explanation/admission.md)."""
Shares = Mapping[tuple[str, str], float]


def shares(scenario: Scenario, scheme: str, seed: int) -> Shares:
    """(model, figure) to the share of its requests, or of their prompts, that were served in time."""
    run = simulate_in_memory(scenario, scheme, seed)
    found: dict[tuple[str, str], float] = {}
    for model in run.header.models:
        rows = [r for r in run.requests if r.counted and r.model == model]
        done = [r for r in rows if r.outcome == "done"]
        found[model, "success"] = len(done) / len(rows)
        found[model, "goodput"] = sum(r.prompts for r in done) / sum(r.prompts for r in rows)
    return found


def pairs_of(scenario: Scenario, seeds: Iterable[int]) -> list[tuple[Shares, Shares]]:
    """Of `fused` and MA."""
    return [(shares(scenario, "fused", seed), shares(scenario, "MA", seed)) for seed in seeds]


@pytest.mark.slow
# One law on two testbeds: in `make test` one of them stands for it.
@pytest.mark.parametrize("name", ["bristol-A", pytest.param("w-star", marks=pytest.mark.long)])
def test_no_model_has_less_by_fused_than_by_ma_on_the_same_requests(name: str) -> None:
    assert below(pairs_of(load_scenario(name), SEEDS)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("load", [0.5, pytest.param(0.75, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "name", [pytest.param("bristol-A-planned", marks=pytest.mark.long), "w-star-planned"]
)
def test_nor_where_less_comes_than_the_first_plan_expects(name: str, load: float) -> None:
    assert below(pairs_of(scaled(load_scenario(name), load), SEEDS)) == {}


def below(pairs: Sequence[tuple[Shares, Shares]]) -> dict[tuple[str, str], str]:
    """What has less under ours than under the least, in words; pairs of ours and the least, seed by seed."""
    found = {}
    for figure in pairs[0][0]:
        gaps = [ours[figure] - least[figure] for ours, least in pairs]
        if mean(gaps) < -TOLERANCE:
            found[figure] = f"{mean(gaps):+.3f}: {', '.join(f'{gap:+.3f}' for gap in gaps)}"
    return found


@pytest.mark.parametrize(
    ("gaps", "falls"),
    [
        ([0.0, -0.05, -0.10], True),
        ([-0.011, -0.011, -0.011], True),
        ([0.02, -0.03, 0.0], False),
        ([0.1, 0.2, 0.1], False),
    ],
)
def test_a_loss_is_seen_however_much_the_seeds_differ(gaps: list[float], falls: bool) -> None:
    sd = ("sd", "success")
    assert (sd in below([({sd: 0.5 + gap}, {sd: 0.5}) for gap in gaps])) == falls
