"""Optimism where little is known, a warm-up of an exact number of requests, and probes of devices that were slow."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from controller.fast_path import FastPath
from controller.routers.sect import Sect
from edgebed.check.worlds import completion, devices
from emulation.domain.cluster import TestbedConfig
from emulation.domain.request import Request
from tests.build.fast_path import build_fast_path


def pool(count: int = 3) -> TestbedConfig:
    return TestbedConfig.model_validate(
        {
            "name": "three",
            "models": [{"id": "sdxl", "modality": "image"}],
            "nodes": [{"id": f"d{i}", "hosting": "device", "gpus": [{}]} for i in range(count)],
            "profile": [
                {"model": "sdxl", "mode": "gpu", "node": f"d{i}", "theta": [1.0 + 0.2 * i]}
                for i in range(count)
            ],
        }
    )


def path(testbed: TestbedConfig | None = None, perf: str = "bayes", **params: Any) -> FastPath:
    return build_fast_path(testbed or pool(), "explore_risk", params, perf)


def serve(path: FastPath, number: int, seconds: dict[str, float], at_s: float) -> str:
    """Route, dispatch and finish one request at once; returns the executor."""
    request = Request(f"r{number}", "sdxl", "d0", at_s, float("inf"))
    decision = path.route(request, at_s)
    assert decision.executor is not None
    path.dispatched(request, decision, at_s)
    took_s = seconds[decision.executor]
    path.completed(completion(request, decision.executor, at_s + took_s, took_s))
    return decision.executor


def test_warm_up_is_exactly_that_many_requests_in_turn() -> None:
    router = path(warmup_tasks=7)
    seconds = {"d0": 1.0, "d1": 50.0, "d2": 50.0}
    chosen = [serve(router, i, seconds, 100.0 * i) for i in range(12)]
    assert chosen[:7] == ["d0", "d1", "d2", "d0", "d1", "d2", "d0"]
    assert chosen[7:] == ["d0"] * 5


def test_warm_up_goes_in_turn_per_model() -> None:
    router = path(devices(), warmup_tasks=4)
    seen = []
    for i, model in enumerate(("llm", "sdxl", "llm", "sdxl")):
        request = Request(f"r{i}", model, "llm0", 0.0, float("inf"), 1, 128, 16.0)
        decision = router.route(request, 0.0)
        router.dispatched(request, decision, 0.0)
        seen.append(decision.executor)
    assert seen == ["llm0", "llm1", "llm1", "sd0"]


def test_warm_up_learns_five_completions_at_a_time() -> None:
    router = path(warmup_tasks=20)
    learned = []
    for i in range(10):
        serve(router, i, {"d0": 3.0, "d1": 3.0, "d2": 3.0}, 100.0 * i)
        learned.append(router.view.pools["sdxl"].service_s(0, (1.0, 0.0)) != 1.0)
    assert learned == [False] * 4 + [True] * 6


def test_what_came_late_in_the_warm_up_is_learned_with_the_first_completion_after_it() -> None:
    router = path(warmup_tasks=3)
    for i in range(4):
        serve(router, i, {"d0": 3.0, "d1": 3.0, "d2": 3.0}, 100.0 * i)
    assert all(c > 1.9 for c in router.view.pools["sdxl"].theta0)


def test_what_the_warm_up_held_back_is_learned_when_another_router_takes_over() -> None:
    router = path(warmup_tasks=20)
    for i in range(3):
        serve(router, i, {"d0": 3.0, "d1": 3.0, "d2": 3.0}, 100.0 * i)
    router.router = Sect()
    serve(router, 3, {"d0": 3.0, "d1": 3.0, "d2": 3.0}, 300.0)
    assert all(c > 1.9 for c in router.view.pools["sdxl"].theta0)


def test_prefers_what_it_knows_little_of_and_settles_on_the_best() -> None:
    router = path(explore=1.5)
    seconds = {"d0": 1.0, "d1": 0.4, "d2": 2.0}
    chosen = [serve(router, i, seconds, 100.0 * i) for i in range(30)]
    assert set(chosen[:4]) >= {"d0", "d1"}
    assert chosen[10:] == ["d1"] * 20


def test_without_optimism_it_is_sect() -> None:
    router, sect = path(explore=0.0), build_fast_path(pool(), "sect", {}, "bayes")
    seconds = {"d0": 1.0, "d1": 0.4, "d2": 2.0}
    for i in range(30):
        assert serve(router, i, seconds, 0.3 * i) == serve(sect, i, seconds, 0.3 * i)


def test_courtesy_leaves_a_queue_to_those_who_need_it() -> None:
    """A fast device with a short queue against an idle one a little slower."""
    selfish, courteous = path(perf="prior", explore=0.0), path(perf="prior", explore=0.0, courtesy=2.0)
    for router in (selfish, courteous):
        request = Request("r0", "sdxl", "d0", 0.0, float("inf"))
        router.dispatched(request, router.route(request, 0.0), 0.0)
    late = Request("r1", "sdxl", "d0", 0.9, float("inf"))
    assert selfish.route(late, 0.9).executor == "d0"
    assert courteous.route(late, 0.9).executor == "d1"


def test_a_device_that_became_slow_is_probed_and_taken_back() -> None:
    router = path(return_hazard=0.02)
    fast = {"d0": 1.0, "d1": 1.3, "d2": 1.6}
    at = iter(range(10_000))
    for _ in range(15):
        number = next(at)
        serve(router, number, fast, 100.0 * number)
    slow = {**fast, "d0": 4.0}
    during = [serve(router, n, slow, 100.0 * n) for n in (next(at) for _ in range(20))]
    assert during.count("d0") <= 4
    after = [serve(router, n, fast, 100.0 * n) for n in (next(at) for _ in range(80))]
    assert after[-20:] == ["d0"] * 20


def test_parameters_are_bounded() -> None:
    for broken in ({"explore": -1.0}, {"explore": 5.0}, {"warmup_tasks": -1}, {"return_hazard": 1.0}):
        with pytest.raises(ValidationError):
            path(**broken)


# -- probes of devices that stand idle ---------------------------------------------------------------------------


def slow_one() -> TestbedConfig:
    """d0 takes 1 s, d1 takes 30 s, and the profile knows it."""
    bed = pool(2)
    slow = bed.profile[1].model_copy(update={"theta": (30.0,)})
    return TestbedConfig.model_validate(
        bed.model_copy(update={"profile": (bed.profile[0], slow)}).model_dump()
    )


def chosen_of(share: float, requests: int = 400, faster_from: int = 10**9) -> list[str]:
    router = path(slow_one(), courtesy=2.0, probe_share=share)
    return [
        serve(router, i, {"d0": 1.0, "d1": 30.0 if i < faster_from else 0.2}, 100.0 * i)
        for i in range(requests)
    ]


def test_without_a_budget_an_idle_device_that_became_faster_is_never_noticed() -> None:
    assert "d1" not in chosen_of(0.0, faster_from=100)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1])
def test_with_a_budget_it_is_noticed_and_used_from_then_on(share: float) -> None:
    chosen = chosen_of(share, faster_from=100)
    noticed = next(i for i in range(100, 400) if chosen[i] == "d1")
    assert noticed <= 100 + 1 / share
    assert chosen[-50:].count("d1") >= 45


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1])
def test_probes_stay_within_their_budget(share: float) -> None:
    assert 0 < chosen_of(share).count("d1") <= share * 400


def test_a_probe_joins_no_queue_and_a_device_that_is_heard_of_needs_none() -> None:
    router = path(slow_one(), probe_share=0.1)
    for i in range(9):
        serve(router, i, {"d0": 1.0, "d1": 30.0}, 100.0 * i)
    probe = router.route(Request("p", "sdxl", "d0", 900.0, float("inf")), 900.0)
    assert (probe.executor, probe.reason) == ("d1", "probe")
    router.view.pools["sdxl"].free_at[1] = 905.0
    assert router.route(Request("p", "sdxl", "d0", 900.0, float("inf")), 900.0).executor == "d0"
