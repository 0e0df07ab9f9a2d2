"""Executors that serve in batches, against queueing theory and against executors that do not."""

from __future__ import annotations

from math import factorial, inf

import numpy as np
import pytest
from pydantic import ValidationError

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import TestbedConfig
from emulation.domain.request import Request
from emulation.domain.sharing import Batching
from emulation.domain.truth import Condition, RequestTruth
from emulation.executor import Ended, Job, NodeState, Started
from emulation.rng import stream

MODELS = ("a", "b")


def batched(width: int, cost: float = 0.0, **entry: object) -> TestbedConfig:
    """One node, one GPU of two slices, two models of a second a prompt; `a` is served in batches on the GPU."""
    batch = {"width": width, "cost": cost}
    return TestbedConfig.model_validate(
        {
            "name": "batches",
            "models": [{"id": m, "modality": "image", "init_s": 4.0, "unload_s": 2.0} for m in MODELS],
            "nodes": [{"id": "n", "cores": 16, "gpus": [{"slices": 2}]}],
            "profile": [
                {"model": "a", "mode": "gpu", "theta": [1.0], "batch": batch, **entry},
                {"model": "a", "mode": "cpu", "theta": [3.0]},
                {"model": "b", "mode": "gpu", "theta": [1.0]},
            ],
        }
    )


def ready(
    width: int, cost: float = 0.0, modes: dict[str, str] | None = None, real: tuple[str, ...] = ()
) -> NodeState:
    node = NodeState(batched(width, cost), "n", real=real)
    assert node.configure(NodeConfig("n", modes or {"a": "gpu"}), 0.0) == []  # type: ignore[arg-type]
    node.advance(10.0)
    node.take_notices()
    return node


def job(number: int, model: str = "a", prompts: int = 1, size: float = 1.0, deadline_s: float = inf) -> Job:
    request = Request(f"r{number}", model, "n", 0.0, deadline_s, prompts=prompts)
    return Job(request, RequestTruth(noise=(size,) * prompts))


def ends(node: NodeState, until_s: float = 1e9) -> dict[str, float]:
    node.advance(until_s)
    return {n.job.request.id: n.t_s for n in node.take_notices() if isinstance(n, Ended)}


def sojourns(node: NodeState, rate: float, count: int, seed: int, sizes: str) -> list[float]:
    """Seconds from arrival to end of `count` Poisson arrivals."""
    draws = stream(seed, "batching")
    times = 10.0 + np.cumsum(draws.exponential(1.0 / rate, count))
    work = draws.exponential(1.0, count) if sizes == "exponential" else np.ones(count)
    arrived, ended = {}, {}
    for number, (at_s, size) in enumerate(zip(times.tolist(), work.tolist(), strict=True)):
        node.submit("n/a", job(number, size=size), at_s)
        arrived[f"r{number}"] = at_s
        ended.update(ends(node, at_s))
    ended.update(ends(node))
    assert len(ended) == count
    return [ended[r] - arrived[r] for r in arrived]


def agrees(means: list[float], expected: float) -> bool:
    error = 4 * float(np.std(means, ddof=1)) / len(means) ** 0.5
    return bool(abs(np.mean(means) - expected) < max(error, 0.02 * expected))


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1.2, 2.4])
def test_a_batch_that_costs_nothing_is_a_queue_with_so_many_servers(rate: float) -> None:
    c = 3
    terms = [rate**k / factorial(k) for k in range(c)]
    last = rate**c / factorial(c) / (1 - rate / c)
    waits = last / (sum(terms) + last)  # Erlang C
    expected = 1.0 + waits / (c - rate)
    means = [float(np.mean(sojourns(ready(c), rate, 6000, seed, "exponential"))) for seed in range(10)]
    assert agrees(means, expected)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["exponential", "constant"])
def test_a_wide_batch_that_costs_all_is_processor_sharing_which_knows_no_distribution(sizes: str) -> None:
    means = [float(np.mean(sojourns(ready(64, 1.0), 0.6, 6000, seed, sizes))) for seed in range(10)]
    assert agrees(means, 1.0 / (1.0 - 0.6))


def test_each_of_a_batch_is_slowed_by_the_others_and_speeds_up_as_they_end() -> None:
    node = ready(4, 0.5)
    node.submit("n/a", job(1), 10.0)
    node.submit("n/a", job(2, prompts=2), 10.0)
    # Two at 2/3 of the speed until the first ends at 11.5; the other one has one prompt left, alone.
    assert ends(node) == pytest.approx({"r1": 11.5, "r2": 12.5})


def test_the_gpu_is_shared_between_executors_and_then_within_the_batch() -> None:
    node = ready(4, 0.5, {"a": "gpu", "b": "gpu"})
    for number in (1, 2):
        node.submit("n/a", job(number), 10.0)
    node.submit("n/b", job(3, "b"), 10.0)
    # b has half the GPU until it ends at 12; the batch half of it at 2/3 each, then all of it.
    assert ends(node) == pytest.approx({"r3": 12.0, "r1": 12.5, "r2": 12.5})


def test_no_more_are_in_service_than_the_batch_is_wide_and_first_come_is_first_served() -> None:
    node = ready(2)
    for number in range(5):
        node.submit("n/a", job(number), 10.0 + 0.1 * number)
    view = node.view(10.5).executors[0]
    assert (view.queued["a"], view.busy) == (5, True)
    node.advance(1e9)
    started = [n.job.request.id for n in node.take_notices() if isinstance(n, Started)]
    assert started == ["r0", "r1", "r2", "r3", "r4"]


def test_on_the_cpu_the_same_model_is_served_one_by_one() -> None:
    node = ready(4, modes={"a": "cpu"})
    for number in range(2):
        node.submit("n/a", job(number), 10.0)
    assert ends(node) == pytest.approx({"r0": 13.0, "r1": 16.0})


def test_a_mode_change_puts_the_whole_batch_back_in_order() -> None:
    node = ready(3)
    for number in range(4):
        node.submit("n/a", job(number, prompts=2), 10.0 + 0.1 * number)
    node.configure(NodeConfig("n", {}), 11.25)
    assert [j.request.id for j in node.jobs()] == ["r0", "r1", "r2", "r3"]
    assert [j.prompts_done for j in node.jobs()] == [1, 1, 1, 0]
    node.configure(NodeConfig("n", {"a": "gpu"}), 20.0)
    assert ends(node) == pytest.approx({"r0": 25.0, "r1": 25.0, "r2": 25.0, "r3": 27.0})


def test_one_of_a_batch_can_be_cancelled_or_expire_and_the_next_takes_its_place() -> None:
    node = ready(2)
    node.submit("n/a", job(1, prompts=9), 10.0)
    node.submit("n/a", job(2, prompts=9, deadline_s=12.0), 10.0)
    node.submit("n/a", job(3), 10.0)
    node.submit("n/a", job(4), 10.0)
    assert node.cancel("r1", 11.0)
    assert ends(node) == pytest.approx({"r1": 11.0, "r3": 12.0, "r2": 12.0, "r4": 13.0})


def test_a_slowdown_slows_all_of_a_batch_and_a_pause_stops_it() -> None:
    node = ready(2)
    for number in range(2):
        node.submit("n/a", job(number, prompts=4), 10.0)
    node.faults.set_condition(1, Condition(slowdown=2.0), 12.0)
    node.faults.set_condition(1, None, 14.0)
    node.faults.set_condition(2, Condition(paused=True), 14.0)
    node.faults.set_condition(2, None, 19.0)
    assert ends(node) == pytest.approx({"r0": 20.0, "r1": 20.0})


def test_a_leaving_node_gives_the_whole_batch_back() -> None:
    node = ready(3)
    for number in range(4):
        node.submit("n/a", job(number), 10.0)
    node.faults.leave(0, "requeue", 10.5)
    assert not node.jobs()
    assert len(node.take_notices()) >= 4


def test_real_work_of_a_batch_ends_when_each_is_said_to_be_over() -> None:
    node = ready(2, real=("a",))
    for number in range(3):
        node.submit("n/a", job(number), 10.0)
    assert node.computed.pace("r1") == (1.0, 1.0)
    assert node.computed.pace("r2") is None
    assert node.computed.complete("r1", 0.5, 4, 11.0)
    assert node.computed.pace("r2") == (1.0, 1.0)
    assert node.computed.complete("r0", 0.7, 4, 12.0)
    node.advance(100.0)
    assert [j.request.id for j in node.jobs()] == ["r2"]


def test_the_law_learned_of_real_work_is_that_of_one_alone() -> None:
    node = ready(2, 0.5, real=("a",))
    for number in range(2):
        node.submit("n/a", job(number), 10.0)
    assert node.computed.complete("r0", 2.9, 4, 13.0)
    assert node.computed.complete("r1", 4.1, 4, 14.0)
    work = {n.job.request.id: n.job for n in node.take_notices() if isinstance(n, Ended)}
    assert (work["r0"].service_s, work["r1"].service_s) == (2.9, 4.1)
    assert work["r0"].work_s == pytest.approx(2.9 * 2 / 3)
    assert work["r1"].work_s == pytest.approx(4.1 * (3 * 2 / 3 + 1) / 4)


def test_the_oracle_sees_no_wait_while_a_place_is_free() -> None:
    node = ready(2, 0.5)
    request = Request("next", "a", "n", 10.0, inf)
    assert node.oracle.backlog_s("n/a", 10.0) == 0.0
    node.submit("n/a", job(0, prompts=4), 10.0)
    assert node.oracle.backlog_s("n/a", 10.0) == 0.0
    assert node.oracle.service_s("n/a", request, RequestTruth()) == pytest.approx(1.5)
    node.submit("n/a", job(1, prompts=2), 10.0)
    assert node.oracle.backlog_s("n/a", 10.0) == pytest.approx(3.0)


def test_a_device_is_one_fifo_and_takes_no_batch() -> None:
    given = batched(4, node="n").model_dump()
    given["nodes"][0]["hosting"] = "device"
    with pytest.raises(ValidationError, match="batch width 4 on 'n', whose hosting is device"):
        TestbedConfig.model_validate(given)


def test_width_one_is_what_every_entry_has() -> None:
    assert batched(1).batching("n", "b", "gpu") == Batching(width=1)
    assert batched(5).batching("n", "a", "gpu").width == 5
    assert batched(5).batching("n", "a", "cpu").width == 1
