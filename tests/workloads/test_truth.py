"""What deciders never see: the sealed table and the mismatch of a run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulation.domain.request import Request
from tests.build.workloads import POISSON, TRACE, scenario
from workloads.generate import generate
from workloads.mismatch import world_truth
from workloads.truth_table import TruthTable

WORLD = scenario(POISSON, TRACE, service_cv=0.2)
TABLE, SAME = TruthTable(WORLD, 7), TruthTable(WORLD, 7)


def ad_hoc(request_id: str, model: str = "gpt2", prompts: int = 1) -> Request:
    return Request(request_id, model, "n1", 0.0, math.inf, prompts, 12 if model == "gpt2" else 0)


def test_scenario_requests_get_the_truth_they_were_made_with() -> None:
    workload = generate(WORLD, 7)
    for request, truth in workload.items:
        assert TABLE.truth(request, workload.max_tokens.get(request.id)) == truth
        assert request.id in TABLE


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30), st.integers(1, 2000))
def test_any_other_request_gets_the_same_draw_each_time_within_its_limit(
    request_id: str, max_tokens: int
) -> None:
    request = ad_hoc(f"x{request_id}")
    truth = TABLE.truth(request, max_tokens)
    assert truth == TABLE.truth(request, max_tokens) == SAME.truth(request, max_tokens)
    assert 1 <= truth.output_tokens <= max_tokens
    assert TABLE.truth(request, max_tokens, ignore_eos=True).output_tokens == max_tokens
    assert TABLE.truth(request, max_tokens, ignore_eos=True).noise == truth.noise


def test_ad_hoc_batches_get_one_noise_per_prompt() -> None:
    assert len(TABLE.truth(ad_hoc("x", "sd", 5)).noise) == 5
    assert TABLE.truth(ad_hoc("x", "sd", 5), max_tokens=9, ignore_eos=True).output_tokens == 0


def test_a_borrowed_id_does_not_give_another_request_the_scenarios_truth() -> None:
    request, truth = next((r, t) for r, t in generate(WORLD, 7).items if r.model == "sd")
    other = replace(request, prompts=request.prompts + 1)
    assert len(TABLE.truth(other).noise) == request.prompts + 1
    assert TABLE.truth(request) == truth


def test_words_in_the_prompts_of_a_batch_do_not_change_whose_truth_it_gets() -> None:
    request, truth = next((r, t) for r, t in generate(WORLD, 7).items if r.model == "sd")
    assert TABLE.truth(replace(request, prompt_tokens=12), max_tokens=64) == truth


def test_truth_follows_the_seed() -> None:
    requests = [ad_hoc(f"x{i}") for i in range(20)]
    other = TruthTable(WORLD, 8)
    assert [TABLE.truth(r) for r in requests] != [other.truth(r) for r in requests]


def test_no_mismatch_is_no_draw() -> None:
    assert world_truth(WORLD, 1).mismatch == {}


def test_mismatch_is_log_normal_per_coefficient_and_the_same_for_a_seed() -> None:
    world = scenario(POISSON, mismatch_sigma=0.3)
    assert world_truth(world, 1) == world_truth(world, 1)
    keys = world_truth(world, 1).mismatch
    assert set(keys) == {
        (n.id, m, mode)
        for n in world.testbed.nodes
        for m in world.testbed.hosted(n.id)
        for mode in world.testbed.modes(n.id, m)
    }
    assert len(keys["n2", "gpt2", "gpu"]) == 2
    assert len(keys["n2", "sd", "cpu"]) == 1
    logs = [math.log(r) for s in range(300) for v in world_truth(world, s).mismatch.values() for r in v]
    mean = sum(logs) / len(logs)
    assert abs(mean) < 4 * 0.3 / math.sqrt(len(logs))
    assert abs(math.sqrt(sum((x - mean) ** 2 for x in logs) / len(logs)) - 0.3) < 0.02


def test_a_requests_truth_is_the_scenarios_whatever_load_sends_it_and_however_often() -> None:
    for request, truth in generate(WORLD, 7).items[:20]:
        for name in (f"4f2a91c0/{request.id}", f"{request.id}~2", f"4f2a91c0/{request.id}~g1.3"):
            assert TABLE.truth(replace(request, id=name)) == truth


def test_what_a_client_calls_alike_is_answered_alike() -> None:
    assert TABLE.truth(ad_hoc("mine")) == TABLE.truth(ad_hoc("mine~2")) != TABLE.truth(ad_hoc("other"))


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 50), st.integers(0, 50))
def test_k_answers_are_each_as_long_as_one_and_at_least_as_long_as_wanted(
    prompts: int, max_tokens: int, least: int
) -> None:
    least = min(least, max_tokens)
    one = TABLE.truth(ad_hoc("x"), max_tokens, min_tokens=least)
    several = TABLE.truth(ad_hoc("x", prompts=prompts), max_tokens, min_tokens=least)
    assert several.output_tokens == prompts * one.output_tokens
    assert least <= one.output_tokens <= max_tokens
    assert len(several.noise) == prompts
