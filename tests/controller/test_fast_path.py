"""The fast path's books: waits, laws, masks, and what happens to them when the world moves."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict
from math import inf

import numpy as np
import pytest

from controller.fast_path import FastPath
from controller.fast_path_config import FastPathConfig
from controller.lengths import OutputLengths
from controller.scoring import AVOID_S, OFF_S, TOP, guide_penalty_s
from edgebed.check.worlds import WORLDS, Driver, batched, completion, devices, pods, ready, request
from emulation.domain.actions import RouteGuide, RoutingDecision
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import Spread
from emulation.domain.request import Request
from tests.build.fast_path import build_fast_path


def send(path: FastPath, wanted: Request, executor: str, now_s: float) -> None:
    path.dispatched(wanted, RoutingDecision(executor, "route", "test"), now_s)


def end(
    path: FastPath, done: Request, executor: str, at_s: float, service_s: float | None = None, tokens: int = 0
) -> None:
    path.completed(completion(done, executor, at_s, service_s, tokens))


def wait_s(path: FastPath, executor: str, now_s: float, model: str = "gpt2") -> float:
    path.route(request(model, 10**9), now_s)
    pool = path.view.pools[model]
    return float(pool.wait[pool.names.index(executor)])


def pods_path(**more: object) -> FastPath:
    return ready(build_fast_path(pods(), **more))  # type: ignore[arg-type]


# -- waits ------------------------------------------------------------------------------------


def test_wait_is_outstanding_work_less_what_the_head_has_had() -> None:
    path = pods_path()
    send(path, request("gpt2", 1, prompts=4), "gpu0/gpt2", 10.0)
    send(path, request("gpt2", 2, prompts=3), "gpu0/gpt2", 11.0)
    assert wait_s(path, "gpu0/gpt2", 11.0) == pytest.approx(6.0)
    assert wait_s(path, "gpu0/gpt2", 13.5) == pytest.approx(3.5)


def test_overrunning_head_holds_the_wait_at_the_rest_of_the_queue() -> None:
    path = pods_path()
    send(path, request("gpt2", 1, prompts=4), "gpu0/gpt2", 0.0)
    send(path, request("gpt2", 2, prompts=3), "gpu0/gpt2", 0.0)
    assert wait_s(path, "gpu0/gpt2", 500.0) == pytest.approx(3.0)


def test_next_in_line_begins_when_the_head_ends() -> None:
    path = pods_path()
    first, second = request("gpt2", 1, prompts=4), request("gpt2", 2, prompts=3)
    send(path, first, "gpu0/gpt2", 0.0)
    send(path, second, "gpu0/gpt2", 0.0)
    end(path, first, "gpu0/gpt2", 6.0)
    assert wait_s(path, "gpu0/gpt2", 6.0) == pytest.approx(3.0)
    assert wait_s(path, "gpu0/gpt2", 7.0) == pytest.approx(2.0)


def test_request_that_expires_in_the_queue_leaves_the_head_alone() -> None:
    path = pods_path()
    first, second = request("gpt2", 1, prompts=4), request("gpt2", 2, prompts=3)
    send(path, first, "gpu0/gpt2", 0.0)
    send(path, second, "gpu0/gpt2", 0.0)
    end(path, second, "gpu0/gpt2", 1.0)
    assert wait_s(path, "gpu0/gpt2", 1.0) == pytest.approx(3.0)


def test_duplicate_and_unknown_completions_are_ignored() -> None:
    path = pods_path(perf="nnls")
    first = request("gpt2", 1)
    send(path, first, "gpu0/gpt2", 0.0)
    end(path, first, "gpu0/gpt2", 2.0, 2.0)
    learnt = path.view.pools["gpt2"].theta0.copy()
    end(path, first, "gpu0/gpt2", 3.0, 50.0)
    end(path, request("gpt2", 99), "gpu0/gpt2", 3.0, 50.0)
    np.testing.assert_array_equal(path.view.pools["gpt2"].theta0, learnt)
    assert wait_s(path, "gpu0/gpt2", 3.0) == 0.0


def test_second_dispatch_moves_the_work() -> None:
    path = pods_path()
    moved = request("gpt2", 1, prompts=5)
    send(path, moved, "gpu0/gpt2", 0.0)
    send(path, moved, "gpu1/gpt2", 1.0)
    assert wait_s(path, "gpu0/gpt2", 1.0) == 0.0
    assert wait_s(path, "gpu1/gpt2", 1.0) == pytest.approx(5.0)
    end(path, moved, "gpu1/gpt2", 6.0)
    assert wait_s(path, "gpu1/gpt2", 6.0) == 0.0


def test_nobody_waits_for_a_batch_that_has_a_place_left() -> None:
    path = ready(build_fast_path(batched()))
    for number in range(3):
        send(path, request("gpt2", number, prompts=5), "gpu0/gpt2", 0.0)
        assert wait_s(path, "gpu0/gpt2", 0.0) == 0.0
    send(path, request("gpt2", 3, prompts=5), "gpu0/gpt2", 0.0)
    # Four of five seconds each: the batch goes at 4 / (1 + 0.25 * 3), and one of the four must end.
    assert wait_s(path, "gpu0/gpt2", 0.0) == pytest.approx(20.0 / (4 / 1.75) / 4)
    send(path, request("gpt2", 4, prompts=5), "gpu0/gpt2", 0.0)
    assert wait_s(path, "gpu0/gpt2", 0.0) == pytest.approx(25.0 / (4 / 1.75) * 2 / 5)
    assert wait_s(path, "gpu0/gpt2", 500.0) == pytest.approx(25.0 / (4 / 1.75) / 5)


def test_device_shares_one_queue_between_its_models() -> None:
    path = build_fast_path(devices())
    send(path, request("sdxl", 1), "llm1", 0.0)
    assert wait_s(path, "llm1", 1.0, "llm") == pytest.approx(3.0)
    assert wait_s(path, "llm1", 1.0, "sdxl") == pytest.approx(3.0)


@pytest.mark.parametrize("world", sorted(WORLDS))
@pytest.mark.parametrize("seed", range(5))
def test_wait_is_never_negative_and_the_ledger_empties(world: str, seed: int) -> None:
    testbed = WORLDS[world]()
    path = ready(build_fast_path(testbed))
    driver = Driver(path, testbed, seed)
    for wanted, _ in driver.steps(300):
        pool = path.view.pools[wanted.model]
        assert min(pool.wait) >= 0
        assert min(pool.service) > 0
        assert min(pool.floor) >= 0
    while driver.open:
        driver.complete(0)
    for belief in path.view.beliefs.values():
        assert not belief.backlog.entries
        assert belief.backlog.sum_s == 0.0
        assert belief.backlog.head is None
    for pool in path.view.pools.values():
        assert set(pool.floor) == {0.0}
    assert not path._where


def test_arrays_agree_with_the_ledger_after_a_long_run() -> None:
    path = ready(build_fast_path(pods()))
    driver = Driver(path, pods(), seed=3)
    for wanted, _ in driver.steps(500):
        pool = path.view.pools[wanted.model]
        for column, name in enumerate(pool.names):
            backlog = path.view.beliefs[name].backlog
            assert pool.wait[column] == pytest.approx(backlog.wait_s(driver.now_s))
            assert backlog.sum_s == pytest.approx(
                sum(e.predicted_s for e in backlog.entries.values()), abs=1e-6
            )


# -- lifecycle ------------------------------------------------------------------------------------


def test_starting_executor_waits_until_it_is_ready() -> None:
    path = pods_path()
    path.executor_changed("gpu0/gpt2", "starting", "gpu", 20.0, 0.0)
    assert wait_s(path, "gpu0/gpt2", 5.0) == pytest.approx(15.0)
    send(path, request("gpt2", 1, prompts=4), "gpu0/gpt2", 5.0)
    assert wait_s(path, "gpu0/gpt2", 12.0) == pytest.approx(8.0 + 4.0)
    assert wait_s(path, "gpu0/gpt2", 22.0) == pytest.approx(2.0)


def test_pending_executor_is_guessed_by_its_init_and_unload_time() -> None:
    path = pods_path()
    path.executor_changed("gpu0/gpt2", "pending", "gpu", inf, 0.0)
    assert wait_s(path, "gpu0/gpt2", 5.0) == pytest.approx(4.0 + 2.0)


def test_off_executor_does_not_work_its_queue_off() -> None:
    path = pods_path()
    send(path, request("gpt2", 1, prompts=4), "gpu0/gpt2", 0.0)
    wait_s(path, "gpu1/gpt2", 1.0)
    send(path, request("gpt2", 2, prompts=4), "gpu0/gpt2", 1.0)
    path.executor_changed("gpu0/gpt2", "off", "off", inf, 0.0)
    assert wait_s(path, "gpu0/gpt2", 100.0) == pytest.approx(3.0 + 4.0)
    path.executor_changed("gpu0/gpt2", "ready", "gpu", 200.0, 200.0)
    assert wait_s(path, "gpu0/gpt2", 202.0) == pytest.approx(5.0)


def test_an_executor_works_its_queue_off_until_it_is_heard_to_be_away() -> None:
    path = pods_path()
    send(path, request("gpt2", 1, prompts=4), "gpu0/gpt2", 0.0)
    path.executor_changed("gpu0/gpt2", "away", "off", inf, 3.0)
    assert wait_s(path, "gpu0/gpt2", 50.0) == pytest.approx(1.0)


def test_off_executor_is_used_only_where_there_is_no_other() -> None:
    path = pods_path()
    for name in ("gpu0", "gpu1", "gpu2"):
        path.executor_changed(f"{name}/gpt2", "off", "off", inf, 0.0)
    assert path.route(request("gpt2"), 0.0).executor == "cpu/gpt2"
    path.executor_changed("cpu/gpt2", "away", "off", inf, 0.0)
    decision = path.route(request("gpt2"), 0.0)
    assert decision.executor == "gpu0/gpt2"
    assert OFF_S <= dict(decision.candidates)[decision.executor] < 2 * OFF_S
    path.executor_changed("gpu2/gpt2", "ready", "gpu", 1.0, 0.0)
    assert path.route(request("gpt2"), 1.0).executor == "gpu2/gpt2"


def test_change_of_mode_changes_the_law_and_rescales_what_waits() -> None:
    path = pods_path()
    send(path, request("gpt2", 1, prompts=4), "gpu0/gpt2", 0.0)
    path.executor_changed("gpu0/gpt2", "draining", "gpu", inf, 0.0)
    path.executor_changed("gpu0/gpt2", "starting", "cpu", 0.0, 0.0)
    assert wait_s(path, "gpu0/gpt2", 0.0) == pytest.approx(24.0)
    path.executor_changed("gpu0/gpt2", "starting", "gpu", 0.0, 0.0)
    assert wait_s(path, "gpu0/gpt2", 0.0) == pytest.approx(4.0)


def test_rescaling_respects_the_features_of_each_request() -> None:
    testbed = TestbedConfig.model_validate(
        {
            "name": "one",
            "models": [{"id": "llm", "modality": "text", "features": "tokens"}],
            "nodes": [{"id": "n", "cores": 16, "gpus": [{}]}],
            "profile": [
                {"model": "llm", "mode": "gpu", "theta": [0.001, 0.05]},
                {"model": "llm", "mode": "cpu", "theta": [0.02, 0.1]},
            ],
        }
    )
    path = build_fast_path(testbed)
    path.executor_changed("n/llm", "starting", "gpu", 0.0, 0.0)
    send(path, request("llm", 1, prompt_tokens=1000, known_output_tokens=10), "n/llm", 0.0)
    send(path, request("llm", 2, prompt_tokens=100, known_output_tokens=60), "n/llm", 0.0)
    backlog = path.view.beliefs["n/llm"].backlog
    assert backlog.sum_s == pytest.approx(1.5 + 3.1)
    path.executor_changed("n/llm", "starting", "cpu", 0.0, 0.0)
    assert backlog.sum_s == pytest.approx(21.0 + 8.0)


# -- learning ------------------------------------------------------------------------------------


def test_only_the_row_that_was_observed_changes() -> None:
    path = pods_path()
    before = path.view.pools["gpt2"].theta0.copy()
    done = request("gpt2", 1)
    send(path, done, "gpu1/gpt2", 0.0)
    end(path, done, "gpu1/gpt2", 3.0, 3.0)
    after = path.view.pools["gpt2"].theta0
    changed = [n for n, a, b in zip(path.view.pools["gpt2"].names, before, after, strict=True) if a != b]
    assert changed == ["gpu1/gpt2"]


def test_slow_device_is_left_after_its_slowness_was_seen() -> None:
    path = build_fast_path(devices())
    for i in range(20):
        done = request("sdxl", i)
        send(path, done, "sd0", 10.0 * i)
        end(path, done, "sd0", 10.0 * i + 9.0, 9.0)
    assert path.route(request("sdxl", 99), 300.0).executor != "sd0"


def test_output_length_is_learnt_where_nobody_states_it() -> None:
    path = build_fast_path(devices(), perf="prior")
    wanted = request("llm", 1, prompt_tokens=0)
    assert path.route(wanted, 0.0).predicted_s == pytest.approx(128 * 0.05)
    for i, tokens in enumerate((10, 30)):
        done = request("llm", 10 + i)
        send(path, done, "llm0", 0.0)
        end(path, done, "llm0", 1.0, 1.0, tokens)
    assert path.route(wanted, 2.0).predicted_s == pytest.approx(20 * 0.05)
    stated = request("llm", 2, prompt_tokens=0, known_output_tokens=4)
    assert path.route(stated, 2.0).predicted_s == pytest.approx(4 * 0.05)


def test_output_lengths_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="prior_tokens"):
        OutputLengths(0.0)
    with pytest.raises(ValueError, match="output_tokens"):
        OutputLengths().observe("m", -1)


def test_exploring_prefers_what_is_unknown() -> None:
    path = build_fast_path(devices(), params={"explore_s": 5.0})
    for i in range(30):
        done = request("sdxl", i)
        send(path, done, "sd0", 10.0 * i)
        end(path, done, "sd0", 10.0 * i + 2.0, 2.0)
    assert path.route(request("sdxl", 99), 400.0).executor in {"sd1", "llm1"}
    path.configure(FastPathConfig())
    assert path.route(request("sdxl", 99), 400.0).executor == "sd0"


# -- masks, risk, guides ------------------------------------------------------------------------------------


def test_risky_executor_is_avoided_but_never_the_end_of_the_road() -> None:
    path = build_fast_path(devices())
    path.set_risky("sd0", True)
    assert path.route(request("sdxl"), 0.0).executor != "sd0"
    for name in ("sd1", "llm1"):
        path.set_risky(name, True)
    decision = path.route(request("sdxl"), 0.0)
    assert decision.executor == "sd0"
    assert next(iter(decision.candidates))[1] == pytest.approx(AVOID_S + 60.0 + 2.0)
    path.set_risky("llm1", False)
    assert path.route(request("sdxl"), 0.0).executor == "llm1"


def admitted(bound: float | None, count: int = 40) -> list[tuple[bool, float, float]]:
    """Requests piled up at one instant, sd0 risky: (whether it went to sd0, best score elsewhere, sd0's own)."""
    path = build_fast_path(devices(), params={"risk_bound": bound})
    path.set_risky("sd0", True)
    return piled(path, count, 0.0)


def piled(path: FastPath, count: int, now_s: float) -> list[tuple[bool, float, float]]:
    """The same of requests at this instant, whatever sd0 is."""
    told = []
    for number in range(count):
        decision = path.route(request("sdxl", number), now_s)
        pool = path.view.pools["sdxl"]
        times = dict(zip(pool.names, [pool.latency_s(c, 0, 0) for c in range(len(pool.names))], strict=True))
        elsewhere_s = min(s for name, s in times.items() if name != "sd0")
        told.append((decision.executor == "sd0", elsewhere_s, times["sd0"]))
        path.dispatched(request("sdxl", number), decision, now_s)
    return told


def test_hard_avoidance_is_the_default_and_has_no_bound() -> None:
    assert FastPathConfig().risk_bound is None
    assert not any(there for there, _, _ in admitted(None))


@pytest.mark.parametrize("bound", [1.0, 2.0, 5.0])
def test_a_bounded_gate_lets_a_request_in_only_where_every_other_executor_takes_bound_times_as_long(
    bound: float,
) -> None:
    told = admitted(bound)
    assert any(there for there, _, _ in told)
    for there, elsewhere_s, here_s in told:
        assert elsewhere_s > bound * here_s or not there


@pytest.mark.parametrize(("heard", "least"), [(True, 1.5), (False, 3.0)])
def test_a_bounded_gate_takes_a_risky_executor_to_be_twice_as_slow_until_something_was_learned_of_it(
    heard: bool, least: float
) -> None:
    path = build_fast_path(devices(), params={"risk_bound": 1.5})
    path.set_risky("sd0", True)
    if heard:
        one = request("sdxl", 10**6)
        send(path, one, "sd0", 0.0)
        end(path, one, "sd0", 2.0, 2.0)
    told = piled(path, 40, 2.0)
    first = next(elsewhere_s / here_s for there, elsewhere_s, here_s in told if there)
    assert least < first < 1.5 * least


def test_a_bounded_gate_opens_no_mask_of_the_guide_and_no_executor_that_is_off() -> None:
    path = build_fast_path(devices(), params={"risk_bound": 1.0})
    path.guide(RouteGuide(masked=frozenset({"sd0"})))
    path.set_risky("sd0", True)
    for number in range(40):
        decision = path.route(request("sdxl", number), 0.0)
        assert decision.executor != "sd0"
        path.dispatched(request("sdxl", number), decision, 0.0)


def test_weights_of_the_guide_bias_by_eta_log_p() -> None:
    path = pods_path(params={"eta_s": 2.0})
    path.guide(RouteGuide(weights={("gpt2", "gpu0"): 0.1, ("gpt2", "gpu1"): 0.9}))
    scores = dict(path.route(request("gpt2"), 0.0).candidates)
    assert scores["gpu0/gpt2"] - scores["gpu1/gpt2"] == pytest.approx(2.0 * np.log(9.0))
    path.guide(RouteGuide())
    assert path.route(request("gpt2"), 0.0).executor == "gpu0/gpt2"


def test_weight_of_zero_is_a_bias_and_not_a_wall() -> None:
    assert 0 < guide_penalty_s(0.0, 1.0) < 60.0
    assert guide_penalty_s(None, 1.0) == guide_penalty_s(0.3, 0.0) == 0.0


def test_transfer_is_latency_both_ways_and_the_bytes_moved() -> None:
    path = pods_path()
    wanted = request("gpt2", origin="cpu", up_bytes=300_000, down_bytes=200_000)
    path.route(wanted, 0.0)
    pool = path.view.pools["gpt2"]
    moved_s = dict(zip(pool.names, np.array(pool.score) - pool.wait - pool.service, strict=True))
    assert moved_s["gpu0/gpt2"] == pytest.approx(2 * 0.25 + 500_000 * 8 / 8e6)
    assert moved_s["cpu/gpt2"] == pytest.approx(0.0)
    assert path.route(request("gpt2", origin="unknown"), 0.0).action == "route"


# -- decisions ------------------------------------------------------------------------------------


def wide(nodes: int) -> TestbedConfig:
    return TestbedConfig.model_validate(
        {
            "name": "wide",
            "models": [{"id": "m", "modality": "text"}],
            "nodes": [
                {"id": f"n{i}", "gpus": [{}], "speed": 1 + (i * 37 % nodes) / 10} for i in range(nodes)
            ],
            "profile": [{"model": "m", "mode": "gpu", "theta": [1.0]}],
        }
    )


@pytest.mark.parametrize("nodes", [5, 20, 200])
def test_decision_keeps_the_eight_best_in_order(nodes: int) -> None:
    path = ready(build_fast_path(wide(nodes)))
    decision = path.route(request("m"), 0.0)
    every = sorted(1 / (1 + (i * 37 % nodes) / 10) for i in range(nodes))
    names, scores = zip(*decision.candidates, strict=True)
    assert scores == pytest.approx(every[:TOP])
    assert names[0] == decision.executor


def test_decision_remembers_its_own_scores_after_later_ones() -> None:
    path = pods_path()
    early = path.route(request("gpt2", prompts=2), 0.0)
    path.route(request("gpt2", prompts=8), 0.0)
    assert next(iter(early.candidates))[1] == pytest.approx(2.0)
    assert early.predicted_s == pytest.approx(2.0)


def test_decision_pickles_and_prints_as_plain_data() -> None:
    path = pods_path()
    path.executor_changed("gpu1/gpt2", "away", "off", inf, 0.0)
    decision = path.route(request("gpt2"), 0.0)
    copy = pickle.loads(pickle.dumps(decision))
    assert copy == decision
    assert isinstance(copy.candidates, tuple)
    assert "gpu1/gpt2" not in dict(copy.candidates)
    assert "Infinity" not in json.dumps(asdict(copy))


def test_dispatching_what_was_not_routed_is_an_error() -> None:
    path = pods_path()
    with pytest.raises(ValueError, match="was not routed but hold"):
        path.dispatched(request("gpt2"), RoutingDecision(None, "hold", "away"), 0.0)
    with pytest.raises(KeyError):
        send(path, request("gpt2"), "nowhere", 0.0)
    with pytest.raises(KeyError, match="cannot serve"):
        send(path, request("gpt2", 1), "gpu0/sd", 0.0)
    assert not path._where


def test_a_covariance_that_rounding_made_negative_states_no_uncertainty_and_no_nan() -> None:
    path = build_fast_path(devices())
    pool = next(pool for pool in path.view.pools.values() if pool.features == 2)
    for column in range(len(pool.names)):  # singular along (1, 1), and a little beyond
        pool.set_law(column, (1.0, 1.0), 0.5, Spread((1.0, -1.0 - 5e-10, 1.0), 0.0))
    pool.evaluate(0, (1.0, 1.0), 0, 0.0)
    assert list(pool.sigma) == [0.0] * len(pool.names)
