"""More of the same demand: each source asks for so many times as much over the same time, or says why it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from emulation.domain.mistakes import ConfigError
from emulation.files import list_scenarios, load_scenario
from tests.build.workloads import BURST, PERIODIC, POISSON, SLOTTED, TRACE, scenario
from workloads.generate import generate
from workloads.scaling import scaled

RATED = {"poisson": POISSON, "burst": BURST, "trace": {**TRACE, "rate_per_s": 1.0}, "periodic": PERIODIC}


def asked(world: Any, seeds: int = 4) -> int:
    """Prompts over some seeds."""
    return sum(request.prompts for seed in range(seeds) for request, _ in generate(world, seed).items)


@pytest.mark.parametrize("source", RATED.values(), ids=RATED)
@pytest.mark.parametrize("load", [0.5, 2.0])
def test_so_many_times_as_much_is_asked_over_the_same_time(source: dict[str, Any], load: float) -> None:
    world = scenario(source)
    more = scaled(world, load)
    assert asked(more) == pytest.approx(load * asked(world), rel=0.15)
    assert (more.horizon_s, more.events, more.deadline_s) == (world.horizon_s, world.events, world.deadline_s)


def test_a_load_of_one_changes_nothing() -> None:
    world = scenario(POISSON)
    assert scaled(world, 1) is world


def test_the_mean_of_k_is_scaled() -> None:
    world = load_scenario("bristol-A")
    (source,) = scaled(world, 0.25).workload
    assert (source.k_min, source.k_max) == (0, 2)  # type: ignore[union-attr]
    (source,) = scaled(scenario({**SLOTTED, "k_min": 2, "k_max": 4, "models": ["sd"]}), 1.5).workload
    assert (source.k_min, source.k_max) == (3, 6)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("source", "load", "said"),
    [
        ({**SLOTTED, "models": ["sd"]}, 0.7, r"workload\[0\]: load 0.7: K from 0 to 8 .*give 0.625 or 0.75"),
        ({**TRACE, "rate_per_s": None}, 2, "the trace plays in its own time; give .*rate_per_s"),
        (SLOTTED, 2, "a slot brings one request of 'gpt2' whatever K is"),
        (POISSON, 1e9, r"workload\[0\]: load 1e\+09: rate_per_s: must be a number"),
        (POISSON, 0, "load 0: must be a number above 0"),
        (POISSON, float("nan"), "load nan: must be a number above 0"),
        (POISSON, float("inf"), "load inf: must be a number above 0, and finite"),
        (PERIODIC, 1e308, r"workload\[0\]: load 1e\+308: is more than can be counted; lower it"),
        (POISSON, 1e4, r"load 10000: workload\[0\]: would make 1.2e\+07 requests, more than 1e\+07: lower rate_per_s"),
        ({**SLOTTED, "models": ["sd"]}, 3, r"load 3: workload\[0\].k_max: 24 prompts in one request of 'sd'"),
    ],
)  # fmt: skip
def test_what_cannot_be_scaled_says_why_and_what_can_be_done(
    source: dict[str, Any], load: float, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        scaled(scenario(source), load)


@pytest.mark.parametrize(
    "name", [n for n in list_scenarios() if n not in ("bristol-A-flip", "bristol-A-epochs")]
)
def test_every_packaged_scenario_can_be_halved(name: str) -> None:
    world = load_scenario(name)
    assert 0.4 < asked(scaled(world, 0.5), 1) / asked(world, 1) < 0.6


def test_a_scenario_of_which_one_source_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be scaled so; give 1"):
        scaled(load_scenario("bristol-A-flip"), 0.5)
