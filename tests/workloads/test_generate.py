"""Laws of demand: determinism, accounting, independent streams, and the statistics each source promises."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from emulation.domain.request import Request
from emulation.files import list_scenarios, load_scenario
from emulation.rng import stream
from tests.build.workloads import BURST, PERIODIC, POISSON, SLOTTED, SOURCES, TRACE, scenario
from workloads.generate import Arrivals, Workload, generate
from workloads.lengths import gamma_noise, noise_of, payload_bytes, pick

EVERY_SOURCE = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


def requests(workload: Workload) -> list[Request]:
    return [request for request, _ in workload.items]


@EVERY_SOURCE
def test_same_seed_gives_the_same_requests_and_truth(source: dict[str, Any]) -> None:
    world = scenario(source, service_cv=0.2)
    assert generate(world, 3) == generate(world, 3)


@EVERY_SOURCE
def test_what_is_drawn_one_by_one_is_what_is_drawn_at_once(source: dict[str, Any]) -> None:
    world = scenario(source, service_cv=0.2)
    assert tuple(Arrivals(world, 3)) == generate(world, 3).items


def test_no_more_is_drawn_than_is_asked_for() -> None:
    """A run of ten million requests begins at once, and keeps none of them."""
    world = scenario({**POISSON, "rate_per_s": 15_000.0}, service_cv=0.2)
    assert [r.id for r, _ in islice(Arrivals(world, 3), 3)] == ["r000000", "r000001", "r000002"]


def test_noise_in_blocks_is_noise_at_once() -> None:
    blocks = noise_of(0.3, stream(1, "noise"))
    counts = [1, 5, 900, 200, 3_000, 1]
    drawn = [v for count in counts for v in blocks.take(count)]
    assert drawn == gamma_noise(0.3, 5_000, stream(1, "noise"))[: sum(counts)]


@EVERY_SOURCE
def test_different_seeds_differ(source: dict[str, Any]) -> None:
    world = scenario(source, service_cv=0.2)
    assert generate(world, 3).items != generate(world, 4).items


@EVERY_SOURCE
def test_everything_read_is_emitted_or_dropped_by_name(source: dict[str, Any]) -> None:
    workload = generate(scenario(source), 1)
    for account in workload.accounting:
        assert account.read == account.emitted + sum(account.dropped.values())
    assert len(workload.items) == sum(a.emitted for a in workload.accounting)


@EVERY_SOURCE
def test_requests_are_in_order_with_unique_ids_and_end_with_the_run(source: dict[str, Any]) -> None:
    world = scenario(source)
    found = requests(generate(world, 1))
    assert [r.id for r in found] == [f"r{i:06d}" for i in range(len(found))]
    assert [(r.arrival_s, r.id) for r in found] == sorted((r.arrival_s, r.id) for r in found)
    assert all(0.0 <= r.arrival_s < world.end_s for r in found)
    assert all(r.deadline_s == r.arrival_s + 100 for r in found)
    assert {r.origin for r in found} == {"n1", "n2"}


@EVERY_SOURCE
def test_noise_does_not_move_requests(source: dict[str, Any]) -> None:
    quiet, noisy = generate(scenario(source), 1), generate(scenario(source, service_cv=0.5), 1)
    assert requests(quiet) == requests(noisy)
    assert all(set(truth.noise) == {1.0} for _, truth in quiet.items)
    assert [t.output_tokens for _, t in quiet.items] == [t.output_tokens for _, t in noisy.items]


@EVERY_SOURCE
def test_noise_has_one_multiplier_per_prompt_and_one_per_token_request(source: dict[str, Any]) -> None:
    for request, truth in generate(scenario(source, service_cv=0.5), 1).items:
        assert len(truth.noise) == (1 if request.model == "gpt2" else request.prompts)
        assert (truth.output_tokens > 0) == (request.model == "gpt2") == (request.prompt_tokens > 0)


def test_a_second_source_leaves_the_draws_of_the_first_as_they_are() -> None:
    def drawn(workload: Workload) -> set[Any]:
        return {(replace(request, id=""), truth) for request, truth in workload.items}

    alone = drawn(generate(scenario(POISSON, service_cv=0.3), 1))
    both = drawn(generate(scenario(POISSON, BURST, service_cv=0.3), 1))
    assert alone < both


@pytest.mark.slow
def test_poisson_count_and_gaps_match_the_rate() -> None:
    counts = [len(generate(scenario(POISSON), seed).items) for seed in range(40)]
    mean = 2.0 * 600
    assert abs(sum(counts) / 40 - mean) < 4 * math.sqrt(mean / 40)
    variance = sum((c - mean) ** 2 for c in counts) / 40
    assert 0.4 * mean < variance < 2.0 * mean
    times = [r.arrival_s for r in requests(generate(scenario(POISSON), 1))]
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
    cv_squared = sum(g * g for g in gaps) / len(gaps) / (sum(gaps) / len(gaps)) ** 2 - 1
    assert 0.75 < cv_squared < 1.25


def test_mix_is_met_within_statistical_bounds() -> None:
    models = Counter(r.model for seed in range(10) for r in requests(generate(scenario(POISSON), seed)))
    total = models.total()
    for model, share in POISSON["mix"].items():
        assert abs(models[model] - share * total) < 4 * math.sqrt(total * share * (1 - share))


@pytest.mark.slow
def test_bursts_arrive_at_their_own_rate() -> None:
    found = [r for seed in range(10) for r in requests(generate(scenario(BURST), seed))]
    on = sum(1 for r in found if r.arrival_s % 40 < 10)
    expected_on, expected_off = 10 * 5.0 * 150, 10 * 0.5 * 450
    assert abs(on - expected_on) < 4 * math.sqrt(expected_on)
    assert abs(len(found) - on - expected_off) < 4 * math.sqrt(expected_off)


def test_slotted_prompts_are_uniform_with_none_for_zero() -> None:
    source = {"kind": "slotted", "models": ["sd", "blip"]}
    workloads = [generate(scenario(source), seed) for seed in range(60)]
    drawn = Counter(r.prompts for w in workloads for r in requests(w))
    drawn[0] = sum(w.accounting[0].dropped["k_zero"] for w in workloads)
    total = drawn.total()
    assert total == 60 * 30 * 2 * 2
    assert set(drawn) == set(range(9))
    chi_squared = sum((drawn[k] - total / 9) ** 2 / (total / 9) for k in range(9))
    assert chi_squared < 26.1, "0.1% point of chi squared with 8 degrees of freedom"


def test_slotted_requests_come_at_most_once_per_slot_origin_and_model() -> None:
    for offset in ("start", "uniform"):
        found = requests(generate(scenario({**SLOTTED, "offset": offset}), 1))
        places = Counter((int(r.arrival_s // 20), r.origin, r.model) for r in found)
        assert set(places.values()) == {1}
        assert all(r.arrival_s % 20 == 0 for r in found) == (offset == "start")


def test_periodic_models_alternate_at_a_fixed_interval() -> None:
    workload = generate(scenario(PERIODIC), 1)
    found = requests(workload)
    assert [r.arrival_s for r in found] == [2.5 * i for i in range(240)]
    assert [r.model for r in found] == ["gpt2", "sd"] * 120
    assert workload.accounting[0].dropped == {"after_end": 160}


def test_length_knowledge_decides_what_a_router_may_use() -> None:
    for knowledge in ("exact", "max_tokens", "predicted"):
        workload = generate(scenario(TRACE, POISSON, length_knowledge=knowledge), 1)
        for request, truth in workload.items:
            known = {
                "exact": float(truth.output_tokens),
                "max_tokens": float(workload.max_tokens.get(request.id, 0)),
                "predicted": None,
            }
            assert request.known_output_tokens == (known[knowledge] if request.model == "gpt2" else None)
            assert truth.output_tokens <= workload.max_tokens.get(request.id, 0)


def test_a_stated_limit_cuts_the_output() -> None:
    lengths = {"prompt_tokens": [10], "output_tokens": [5, 50], "max_tokens": 20}
    workload = generate(scenario({**POISSON, "lengths": lengths}), 1)
    assert {t.output_tokens for r, t in workload.items if r.model == "gpt2"} == {5, 20}
    assert set(workload.max_tokens.values()) == {20}


def test_no_deadline_is_infinity() -> None:
    assert {r.deadline_s for r in requests(generate(scenario(POISSON, deadline_s=None), 1))} == {math.inf}


def test_gamma_noise_has_mean_one_and_the_asked_variation() -> None:
    draws = gamma_noise(0.25, 40_000, stream(1, "noise"))
    mean = sum(draws) / len(draws)
    spread = math.sqrt(sum((d - mean) ** 2 for d in draws) / len(draws))
    assert mean == pytest.approx(1.0, abs=0.01)
    assert spread == pytest.approx(0.25, abs=0.01)


def test_payload_does_not_depend_on_the_true_length() -> None:
    models = {m.id: m for m in scenario(POISSON).testbed.models}
    assert payload_bytes(models["gpt2"], 1, 100, 64) == (500, 320)
    assert payload_bytes(models["batch"], 3, 36, 64) == payload_bytes(models["batch"], 3, 0, None)
    assert payload_bytes(models["sd"], 2, 0, None)[1] == 2 * payload_bytes(models["sd"], 1, 0, None)[1]


@EVERY_SOURCE
def test_a_request_moves_the_bytes_of_its_sizes(source: dict[str, Any]) -> None:
    world = scenario(source)
    models, workload = {m.id: m for m in world.testbed.models}, generate(world, 3)
    for one in requests(workload):
        sizes = one.prompts, one.prompt_tokens, workload.max_tokens.get(one.id)
        assert (one.up_bytes, one.down_bytes) == payload_bytes(models[one.model], *sizes)


def test_a_share_of_zero_is_never_picked() -> None:
    assert {pick({"a": 0.0, "b": 1.0, "c": 0.0}, u / 100) for u in range(100)} == {"b"}
    with pytest.raises(ValueError, match="no positive share"):
        pick({"a": 0.0}, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_scenarios())
def test_every_packaged_scenario_makes_requests(name: str) -> None:
    world = load_scenario(name)
    workload = generate(world, 1)
    routable = {m.id for m in world.testbed.models if world.testbed.routable(m.id)}
    assert workload.items
    assert {r.model for r in requests(workload)} <= routable
